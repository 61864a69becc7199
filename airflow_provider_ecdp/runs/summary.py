"""The summary of a run: its counts, which must add up, and its costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.results.outcome import Outcome


class RunSummary:
    """Measures a run from the moment it is made.

    :param clock: monotonic seconds
    """

    def __init__(self, client: EcdpClient, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._started = clock()
        self._before = client.stats()

    @property
    def seconds(self) -> float:
        """How long the run has taken."""
        return self._clock() - self._started

    def of(
        self, head: Mapping[str, str], total: int, counts: Mapping[Outcome, int], facts: Mapping[str, int], **cost: int
    ) -> dict[str, Any]:
        """Return the summary of `total` orders.

        :param head: such as the mode
        :param facts: further counts of orders
        :param cost: counts in addition to the client's requests
        :raises RuntimeError: the counts do not add up, which is a bug in this package
        """
        if (counted := sum(counts.values())) != total:
            raise RuntimeError(f"{total:,} orders were read and {counted:,} have an outcome")
        return {
            **head,
            "total": total,
            **{outcome.value: counts.get(outcome, 0) for outcome in Outcome},
            **facts,
            **self._client.stats().since(self._before),
            **cost,
            "duration_seconds": round(self.seconds, 3),
        }
