"""The retry quota shared by all threads of a client, as in botocore's standard mode."""

from __future__ import annotations

import threading

from airflow_provider_ecdp.errors import ApiError, ThrottledError


class RetryQuota:
    """Tokens for retries, shared by all threads of a client: in an outage they run out and each call fails at once.

    500 tokens; a retry costs 14 and after throttling 5. A call that succeeds returns the cost of its last retry, or 1
    if it needed none.
    """

    def __init__(self, capacity: int = 500, retry_cost: int = 14, throttle_cost: int = 5) -> None:
        self._capacity = capacity
        self._retry_cost = retry_cost
        self._throttle_cost = throttle_cost
        self._tokens = capacity
        self._lock = threading.Lock()

    def take(self, error: ApiError) -> int | None:
        """Take the tokens of one retry after `error` and return their number; None if too few are left."""
        cost = self._throttle_cost if isinstance(error, ThrottledError) else self._retry_cost
        with self._lock:
            if cost > self._tokens:
                return None
            self._tokens -= cost
            return cost

    def give_back_retry(self) -> None:
        """Note that a call was answered whose last retry was not after throttling."""
        self.give_back(self._retry_cost)

    def give_back(self, last_cost: int | None) -> None:
        """Record an answered call; `last_cost` is the result of `take` for its last retry, None without one."""
        with self._lock:
            self._tokens = min(self._capacity, self._tokens + (last_cost or 1))
