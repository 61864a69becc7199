"""Decides when a client's requests start, and whether a failed one is retried: pace, concurrency, quota, policy.

A client has one governor: in an outage, ten threads load the server no more than one.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from airflow_provider_ecdp.api.governor.concurrency import Concurrency, Flight
from airflow_provider_ecdp.api.governor.pacing import Pacer, overloaded
from airflow_provider_ecdp.api.governor.quota import RetryQuota
from airflow_provider_ecdp.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_ecdp.api.governor.pacing import Share
    from airflow_provider_ecdp.api.retry import RetryPolicy
    from airflow_provider_ecdp.api.settings import ClientSettings
    from airflow_provider_ecdp.errors import ApiError

log = logging.getLogger(__name__)


class Governor:
    """Shared by all threads of a client; `clock` and `sleep` are in seconds, `random` returns a number from [0, 1).

    A `sleep` that returns something true has been interrupted, and the governor with it.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], object] | None,
        random: Callable[[], float],
        share: Share | None = None,
    ) -> None:
        self.clock = clock
        self.random = random
        self.interrupted = threading.Event()
        self._sleep = sleep or self.interrupted.wait
        self.quota = RetryQuota()
        rate = settings.requests_per_second
        self.pacer = Pacer(requests_per_second=rate, clock=clock, sleep=self._interruptible, share=share)
        self.concurrency = Concurrency(settings.max_in_flight, clock, share)

    def call(self, name: str, size: int, policy: RetryPolicy, *, repeatable: bool) -> Call:
        """Return a call that is about to begin.

        :param name: the call in log messages
        :param size: bytes of the request's body
        :param repeatable: whether ECDP may safely process the request twice
        """
        return Call(self, name, size, policy, repeatable=repeatable)

    def wait(self, seconds: float) -> bool:
        """Wait between two attempts; False if that was interrupted."""
        return not self._interruptible(seconds)

    def _interruptible(self, seconds: float) -> bool:
        if self._sleep(seconds):
            self.interrupted.set()
        return self.interrupted.is_set()

    def delay_before_resend(self, policy: RetryPolicy, error: ApiError, attempt: int) -> float | None:
        """Return the seconds before a caller repeats a request that stored nothing, by a read-back; None to give up.

        `attempt` counts the requests so far. One token of the quota is taken.
        """
        delay = policy.delay(error, attempt, self.random)
        return None if delay is None or self.quota.take(error) is None else delay


class Call:
    """The attempts of one call, in the thread that makes it: `before` each, and `on_success` or `on_error` after it."""

    def __init__(self, governor: Governor, name: str, size: int, policy: RetryPolicy, *, repeatable: bool) -> None:
        self.attempts = 0  #: requests so far
        self.error: ApiError | None = None  #: the last attempt's
        self._governor = governor
        self._name = name
        self._size = size
        self._policy = policy
        self._repeatable = repeatable
        self._began = 0.0
        self._retry_cost: int | None = None

    def before(self) -> Flight | None:
        """Wait until an attempt may start; return a context manager for its exchange, None if interrupted."""
        governor = self._governor
        if governor.interrupted.is_set() or (started := governor.pacer.acquire()) is None:
            return None
        if not self.attempts:
            self._began = started
        self.attempts += 1
        return governor.concurrency.flight(started)

    def on_success(self, flight: Flight) -> None:
        """Note an answer that shows the server at work: a success, or a refusal of the request."""
        self._governor.quota.give_back(self._retry_cost)
        self._governor.pacer.succeeded()
        self._governor.concurrency.answered(flight, self._size)

    def on_error(self, flight: Flight, error: ApiError) -> float | None:
        """Note that an attempt failed; return the seconds to wait before the next one, None to give up."""
        # a 429 after a 502 does not make the request that got the 502 unsent
        error.earlier_maybe_stored = self.error is not None and self.error.maybe_stored
        error.attempts = self.attempts
        self.error = error
        governor = self._governor
        elapsed = governor.clock() - self._began
        delay = self._policy.delay(error, self.attempts, governor.random, repeatable=self._repeatable, elapsed=elapsed)
        governor.concurrency.failed(flight, error)
        if overloaded(error):
            pause = self._policy.backoff(error, self.attempts, governor.random) if delay is None else delay
            governor.pacer.throttled(pause, flight.started)
        elif not error.transient:
            self.on_success(flight)
        return None if delay is None else self._retry(error, delay)

    def _retry(self, error: ApiError, delay: float) -> float | None:
        unanswered = "no connection" if isinstance(error, UnreachableError) else "no answer"
        cause = f"HTTP {error.status}" if error.status else unanswered
        self._retry_cost = self._governor.quota.take(error)
        if self._retry_cost is None:
            log.warning("%s: %s; not retried, because the client's retry quota is exhausted", self._name, cause)
            return None
        level = logging.INFO if overloaded(error) else logging.WARNING
        message = "%s: %s; attempt %d of %d, retrying in %.1f s"
        log.log(level, message, self._name, cause, self.attempts, self._policy.max_attempts, delay)
        return delay
