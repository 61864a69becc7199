"""How many requests should be in flight at once: a limit that falls when the server struggles, and climbs back.

It falls by a factor on a refusal for load (429, 503) and when answers take ever longer, and rises by about one request
for each round of answers: additive increase, multiplicative decrease, as in TCP (RFC 5681). Rising latency is judged as
in Netflix's concurrency-limits (Gradient2): the answers of late against those of a longer time, so that a server which
is slow, and stays so, is not taken for one that struggles.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: what is kept of the limit after a refusal for load, and after a rise of latency
_AFTER_REFUSAL = 0.5
_AFTER_RISE = 0.75
#: answers over which latency is averaged: of late, and of a longer time
_OF_LATE, _LONG = 4, 100
#: answers before latency is judged
_WARM = 10
#: how many times the long average the answers of late take when latency rises; Gradient2 tolerates 1.5 to 2
_RISE = 2.0
#: seconds of difference that noise alone can make
_NOISE = 0.05
#: part of the largest body that a request must have to be compared: a single order is answered sooner than 500
_COMPARABLE = 0.5


class Concurrency:
    """The limit of a client, for who starts the threads; `clock` returns seconds."""

    def __init__(self, max_in_flight: int, clock: Callable[[], float]) -> None:
        self._most = max_in_flight
        self._clock = clock
        self._lock = threading.Lock()
        self._limit = float(max_in_flight)
        self._reduced_at = float("-inf")
        self._largest = 0
        self._answers = 0
        self._of_late = self._long = 0.0

    @property
    def limit(self) -> int:
        """Requests that should be in flight at once now, from 1 to `max_in_flight`."""
        return int(self._limit)

    def refused(self, started: float) -> None:
        """Note a refusal for load of a request that `started` then; of requests under way together, one counts."""
        with self._lock:
            self._reduce(started, _AFTER_REFUSAL)

    def answered(self, started: float, size: int) -> None:
        """Note an answer that was no refusal for load, to a request of `size` bytes that `started` then."""
        with self._lock:
            if self._rises(self._clock() - started, size):
                self._reduce(started, _AFTER_RISE)
            else:
                self._limit = min(float(self._most), self._limit + 1.0 / self._limit)

    def _reduce(self, started: float, kept: float) -> None:
        if started > self._reduced_at:
            self._reduced_at = self._clock()
            self._limit = max(1.0, self._limit * kept)

    def _rises(self, seconds: float, size: int) -> bool:
        if self._largest < _COMPARABLE * size:
            # what came before was of another kind
            self._answers = 0
        self._largest = max(self._largest, size)
        if size < _COMPARABLE * self._largest:
            return False
        self._answers += 1
        self._of_late += (seconds - self._of_late) / min(self._answers, _OF_LATE)
        self._long += (seconds - self._long) / min(self._answers, _LONG)
        return self._answers > _WARM and self._of_late > max(_RISE * self._long, self._long + _NOISE)
