"""A circuit breaker that distinguishes a bad order from a failing server.

A failure, whatever the status, is attributed to the content of the request until other content fails too. The breaker
is closed while requests are answered. It is half-open after one that failed: requests then go one at a time, each
with other content. It opens, and the run stops, when single orders fail one after the other.
"""

from __future__ import annotations

import threading

#: Failures in a row, with nothing answered between them, after which single orders are tried.
_IN_A_ROW = 3

#: Single orders that fail in a row before the run stops: five bad ones in a row are rare where one in ten is bad.
_ALONE = 5

#: The same two before anything was answered: there is no sign yet that the server ever works. After a GET that is
#: answered, `_ALONE` applies.
_IN_A_ROW_AT_FIRST = 1
_ALONE_AT_FIRST = 2

#: The limit for orders that an earlier run left open, which may all be bad, after a GET that is answered.
_ALONE_LEFT_OPEN = 10

#: Failures in a row that stop a run although GETs are answered, if no accepted request can be repeated.
_MOST_WITH_READS = 20


class CircuitBreaker:
    """Counts failures in a row; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_a_row = self._alone = 0
        self._alone_at_first = _ALONE_AT_FIRST
        #: requests that were answered so far, without the GETs of a probe
        self.answers = 0

    def answered(self) -> None:
        """Note an answer that shows the server at work: a success, or a refusal in its own words."""
        with self._lock:
            self.answers += 1
            self._in_a_row = self._alone = 0

    def answered_get(self) -> None:
        """Note that a GET was answered, which is a sign that the server works, but no proof that it takes orders."""
        with self._lock:
            self._alone_at_first = max(self._alone_at_first, _ALONE)

    def expect_bad_orders(self) -> None:
        """Note that a GET was answered, and that an earlier run has left the failing orders open and sent others."""
        with self._lock:
            self._alone_at_first = _ALONE_LEFT_OPEN

    def failed(self, *, alone: bool) -> None:
        """Note a failure of content that has not failed before.

        :param alone: whether it was one order
        """
        with self._lock:
            self._in_a_row += 1
            self._alone += alone

    def excuse(self) -> None:
        """Forget the failures in a row: the server works, so the content has caused them."""
        with self._lock:
            self._in_a_row = self._alone = 0

    @property
    def only_gets_answered(self) -> bool:
        """Whether a GET was answered, and no other request."""
        return self.answers == 0 and self._alone_at_first > _ALONE_AT_FIRST

    @property
    def closed(self) -> bool:
        """Whether the last request was answered, so that others may follow it without waiting."""
        return self.answers > 0 and self._in_a_row == 0

    @property
    def half_open(self) -> bool:
        """Whether the last request failed."""
        return self._in_a_row > 0

    @property
    def in_doubt(self) -> bool:
        """Whether enough failed in a row to suspect the server."""
        return self._in_a_row >= (_IN_A_ROW if self.answers else _IN_A_ROW_AT_FIRST)

    @property
    def excusable(self) -> bool:
        """Whether so few failed in a row that a GET which is answered is reason enough to go on."""
        return self._in_a_row < _MOST_WITH_READS

    @property
    def is_open(self) -> bool:
        """Whether other content fails too, so that nothing more is to be sent."""
        return self.in_doubt and self._alone >= (_ALONE if self.answers else self._alone_at_first)

    def limit(self, in_flight: int) -> int:
        """Return how many requests may be in flight, of `in_flight` that could be."""
        return 1 if self.half_open else in_flight
