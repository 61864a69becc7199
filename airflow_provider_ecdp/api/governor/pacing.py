"""Paces requests so that the server can keep up: slots, pauses, and an adaptive rate.

A refusal for load (429, 503) concerns the whole run: no request starts before the pause ends, and then they start one
by one at a lower rate. The rate falls by a factor and rises along a cubic curve: quickly to the rate before the
refusal, slowly past it, and then ever faster, since the refusal may have had a passing cause. botocore's adaptive mode
does the same; the curve is that of RFC 9438.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

from airflow_provider_ecdp.errors import ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_ecdp.errors import ApiError

#: factor of the rate after throttling; botocore's value
_DECREASE = 0.7
#: requests per second below which throttling never brings the rate; botocore's value
_MIN_RATE = 0.5
#: steepness of the cubic curve, in requests per second per cubed second; botocore's value
_SCALE = 0.4
#: seconds over which the rate of successes is measured: at least the first, so that a burst is not taken for a rate
_MEASURE_MIN = 1.0
_MEASURE_MAX = 5.0


def overloaded(error: ApiError) -> bool:
    """Whether the server itself asks for fewer requests."""
    return isinstance(error, ThrottledError) or error.status == 503


class Share(Protocol):
    """The number of clients that share one set of limits."""

    def count(self) -> int:
        """Return how many clients share the limits, this one too."""

    def wait(self) -> float:
        """Return the seconds in which this client must send nothing."""


class Alone:
    """The share of a client that has the limits to itself."""

    def count(self) -> int:
        """Return 1."""
        return 1

    def wait(self) -> float:
        """Return 0."""
        return 0.0


class Pacer:
    """Decides when a request may start; one for all threads of a client.

    `requests_per_second` bounds the starts: evenly spaced, at most that many in any second, and one more. None: no
    bound until the server throttles. `clock` and `sleep` are in seconds; a `sleep` that returns something true, as
    `threading.Event.wait` does, has been interrupted. Of clients that share the bound, each has an equal part.
    """

    def __init__(
        self,
        *,
        requests_per_second: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
        share: Share | None = None,
    ) -> None:
        self._share = share or Alone()
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._ceiling = math.inf if requests_per_second is None else requests_per_second
        self._rate = self._ceiling
        self._rate_borne = 0.0
        self._rises_from = math.inf
        self._next_slot = -math.inf
        self._paused_until = -math.inf
        self._reduced_at = -math.inf
        self._successes: deque[float] = deque()

    def acquire(self) -> float | None:
        """Block until a request may start and return that moment, or None if the sleep was interrupted."""
        while True:
            with self._lock:
                shares = self._share.count()
                slot = max(self._clock() + self._share.wait(), self._next_slot, self._paused_until)
                self._next_slot = slot + 1.0 / min(self._rate, self._ceiling / shares)
            while (wait := slot - self._clock()) > 0:
                if self._sleep(wait):
                    return None
            # if a pause was declared meanwhile, or another client has come and takes a part of the slots, this slot is
            # lost, and the thread queues again
            if slot >= self._paused_until and self._share.count() == shares and not self._share.wait():
                return self._clock()

    def throttled(self, pause: float, started: float) -> None:
        """Note a refusal for load of the request that `started` then: no request starts for `pause` seconds.

        The rate falls once for all requests that were under way at the same time: they tell of one overload.
        """
        with self._lock:
            now = self._clock()
            self._paused_until = max(self._paused_until, now + pause)
            if started <= self._reduced_at:
                return
            self._reduced_at = now
            rate = min(self._rate, self._measured(now))
            self._rate_borne, self._rises_from = rate, self._paused_until
            self._rate = min(self._rate, max(_MIN_RATE, _DECREASE * rate))

    def succeeded(self) -> None:
        """Note an answer that was not a refusal for load: the rate rises a little."""
        with self._lock:
            now = self._clock()
            self._successes.append(now)
            self._forget(now)
            if self._rate < math.inf:
                self._rate = min(self._ceiling, max(self._rate, self._curve(now - self._rises_from)))

    def _curve(self, elapsed: float) -> float:
        """Return the rate that may be tried `elapsed` seconds after the last pause."""
        back = math.cbrt(self._rate_borne * (1.0 - _DECREASE) / _SCALE)
        return float(_SCALE * (elapsed - back) ** 3 + self._rate_borne)

    def _measured(self, now: float) -> float:
        self._forget(now)
        if not self._successes:
            return 0.0
        return len(self._successes) / max(_MEASURE_MIN, now - self._successes[0])

    def _forget(self, now: float) -> None:
        while self._successes and self._successes[0] < now - _MEASURE_MAX:
            self._successes.popleft()
