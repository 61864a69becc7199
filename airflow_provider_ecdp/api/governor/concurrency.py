"""The limit of requests in flight, which falls when the server struggles, and climbs back.

It falls by a factor when the server reports overload, or does not answer in time, and when answers take ever
longer. It rises by about one request for each round of answers: additive increase, multiplicative decrease, as in TCP
(RFC 5681), and as there only while it is used (RFC 7661): an unused limit proves nothing. Rising latency is
judged as in Netflix's concurrency-limits (Gradient2): recent answers against those of a longer time, so that a server
that is always slow does not count as struggling.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from airflow_provider_ecdp.api.governor.pacing import Alone
from airflow_provider_ecdp.errors import ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_ecdp.api.governor.pacing import Share
    from airflow_provider_ecdp.errors import ApiError

#: factor of the limit when the server struggles, and after a rise of latency
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
#: part of the limit that must be in flight for it to rise; RFC 7661's
_USED = 0.5
#: a gateway without an answer from the server behind it, and a server without capacity. Not 500: a fault of a program
#: comes with one batch as with eight
_STRUGGLING = (502, 503, 504)


def struggles(error: ApiError) -> bool:
    """Whether the server is overloaded: it reports so, or has not answered in time."""
    return isinstance(error, ThrottledError) or error.timed_out or error.status in _STRUGGLING


class Concurrency:
    """The limit of requests in flight of a client; `clock` returns seconds."""

    def __init__(self, max_in_flight: int, clock: Callable[[], float], share: Share | None = None) -> None:
        self._share = share or Alone()
        self._most = max_in_flight
        self._clock = clock
        self._lock = threading.Lock()
        self._limit = float(max_in_flight)
        self._reduced_at = float("-inf")
        self._in_flight = self._reached = 0
        # a single order is answered sooner than 500: sizes are compared within a factor of two
        self._latencies: dict[int, _Latency] = {}

    @property
    def limit(self) -> int:
        """Requests that should be in flight at once now, from 1 to this client's part of `max_in_flight`."""
        return max(1, min(int(self._limit), self._most // self._share.count()))

    @property
    def reached(self) -> int:
        """Maximum number of requests in flight at once since `recount`."""
        return self._reached

    def recount(self) -> None:
        """Reset `reached`."""
        with self._lock:
            self._reached = self._in_flight

    def flight(self, started: float) -> Flight:
        """Return the flight of a request that starts now: a context manager, around its sending and its answer."""
        return Flight(self, started)

    def failed(self, flight: Flight, error: ApiError) -> None:
        """Note a request that failed; of those under way at the same time, one counts."""
        if struggles(error):
            with self._lock:
                self._reduce(flight, _AFTER_REFUSAL)

    def answered(self, flight: Flight, size: int) -> None:
        """Note an answer, to a request of `size` bytes, that shows the server at work."""
        with self._lock:
            latency = self._latencies.setdefault(size.bit_length(), _Latency())
            if latency.rises(self._clock() - flight.started):
                self._reduce(flight, _AFTER_RISE)
            elif flight.at_once >= _USED * int(self._limit):
                self._limit = min(float(self._most), self._limit + 1.0 / self._limit)

    def count(self, by: int) -> int:
        """Return how many are in flight, with the one that begins (1) or ends (-1)."""
        with self._lock:
            at_once = max(self._in_flight, self._in_flight + by)
            self._in_flight += by
            self._reached = max(self._reached, at_once)
            return at_once

    def _reduce(self, flight: Flight, kept: float) -> None:
        if flight.started > self._reduced_at:
            self._reduced_at = self._clock()
            self._limit = max(1.0, self._limit * kept)


class Flight:
    """One request under way; `at_once` is how many were, at its start or its end, whichever is more."""

    def __init__(self, concurrency: Concurrency, started: float) -> None:
        self.started = started
        self.at_once = 0
        self._concurrency = concurrency

    def __enter__(self) -> Self:
        """Begin."""
        self.at_once = self._concurrency.count(1)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.at_once = max(self.at_once, self._concurrency.count(-1))


@dataclass(slots=True)
class _Latency:
    """The latency of answers to requests of about one size, in seconds."""

    answers: int = 0
    of_late: float = 0.0
    long: float = 0.0

    def rises(self, seconds: float) -> bool:
        """Take in an answer; return whether those of late take longer than those before."""
        self.answers += 1
        self.of_late += (seconds - self.of_late) / min(self.answers, _OF_LATE)
        self.long += (seconds - self.long) / min(self.answers, _LONG)
        return self.answers > _WARM and self.of_late > max(_RISE * self.long, self.long + _NOISE)
