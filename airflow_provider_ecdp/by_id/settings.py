"""How the changes of an extract are sent, and which extracts are not meant to be."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_ecdp.by_id.queue import ChangeQueue
from airflow_provider_ecdp.by_id.requests import Missing
from airflow_provider_ecdp.errors import ConfigurationError, EmptyExtractError, ExtractError
from airflow_provider_ecdp.results.outcome import Outcome


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """How changes are sent.

    :param missing: what an order that ECDP does not have is; see `OrderRequester`
    :param max_in_flight: maximum requests in flight
    :param max_deletions: if the extract has more rows than this, nothing is sent; None for no limit
    :param results_limit: how many results the report holds, failures first
    :param allow_empty: whether an extract without rows is a success
    :param resumed: whether an earlier try of this run may have sent some; a ledger that is there says so itself
    :param count_resumed_as: outcome of what the ledger holds as accepted: SKIPPED for a new run over an old ledger,
        ACCEPTED where the run that wrote it is continued
    :raises ConfigurationError: a value out of range
    """

    missing: Missing
    max_in_flight: int = 4
    max_deletions: int | None = None
    results_limit: int = 1000
    allow_empty: bool = False
    resumed: bool = False
    count_resumed_as: Outcome = Outcome.SKIPPED

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name, least in (("max_in_flight", 1), ("results_limit", 0), ("max_deletions", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigurationError(f"{name} must be {least} or more, not {value}")

    def refuse(self, queue: ChangeQueue) -> None:
        """Refuse an extract that has no rows, or more than it may have.

        :raises EmptyExtractError: there are no rows, and `allow_empty` is not set
        :raises ExtractError: there are more rows than `max_deletions`
        """
        if not len(queue) and not self.allow_empty:
            raise EmptyExtractError(
                f"{queue.name} holds no orders; if a run without orders is normal, allow it (on_empty, --allow-empty)"
            )
        if self.max_deletions is not None and len(queue) > self.max_deletions:
            raise ExtractError(
                f"{queue.name} has {len(queue)} rows, and max_deletions is {self.max_deletions}: nothing was sent; "
                "is it the right extract?"
            )
