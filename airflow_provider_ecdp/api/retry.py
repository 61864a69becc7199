"""Whether a failed request is sent again, and after how long.

A POST in mode Add is repeated only if the failed one was certainly not processed. Back-off is
"full jitter" (AWS Architecture Blog, "Exponential Backoff And Jitter").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from airflow_provider_ecdp.errors import ApiError, ConfigurationError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long one request is tried; every time is in seconds.

    `max_elapsed` counts from the first attempt's start: no attempt begins later. `retry_after_cap` bounds what a server
    can ask for; a longer outage is for the caller's own retries.
    """

    max_attempts: int = 5
    base_delay: float = 0.5
    max_delay: float = 20.0
    throttle_base_delay: float = 1.0
    retry_after_cap: float = 60.0
    max_elapsed: float = 120.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ConfigurationError(f"max_attempts must be at least 1, not {self.max_attempts}")
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigurationError(f"{field.name} must be a number of seconds, 0 or more, not {value}")

    def delay(
        self,
        error: ApiError,
        attempt: int,
        random: Callable[[], float],
        *,
        repeatable: bool = True,
        elapsed: float = 0.0,
    ) -> float | None:
        """Return the seconds to wait before the request is sent again, or None to give up.

        `attempt` is the number of requests made so far, `elapsed` the seconds since the first began, `repeatable`
        whether sending twice is harmless, `random` gives numbers from [0, 1).
        """
        if attempt >= self.max_attempts or not may_repeat(error, repeatable=repeatable):
            return None
        wait = self.backoff(error, attempt, random)
        return wait if elapsed + wait <= self.max_elapsed else None

    def backoff(self, error: ApiError, attempt: int, random: Callable[[], float]) -> float:
        """Return the seconds that this failure asks for, whether or not this request is sent again."""
        if error.retry_after is not None:
            # never sooner than asked (up to the cap); a little later, so that not every task comes back at once
            return min(error.retry_after, self.retry_after_cap) + random() * self.base_delay
        base = self.throttle_base_delay if isinstance(error, ThrottledError) else self.base_delay
        # the exponent is bounded: 2.0 ** 1024 overflows
        return random() * min(self.max_delay, base * 2.0 ** min(attempt - 1, 64))


def may_repeat(error: ApiError, *, repeatable: bool) -> bool:
    """Whether the request that ended in `error` may be sent again: it can succeed, and cannot be stored twice."""
    return error.transient and (repeatable or not error.maybe_stored)
