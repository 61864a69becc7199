"""How a push is done, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class PushSettings:
    """How orders are sent.

    :param mode: what the API does with an id that it has, or has not
    :param match_by: sent as `matchBy` if set
    :param batch_size: most orders of one request
    :param batch_bytes: most bytes of one request
    :param max_in_flight: most requests at a time
    :param request_budget: most requests for one batch, when a refusal has to be traced to its orders
    :param results_limit: how many results the report holds, failures first
    :param allow_empty: whether an extract without orders is a success
    :param resumed: whether an earlier try of this run may have stored orders; a ledger with rows says so itself
    :param count_resumed_as: outcome of what the ledger holds as accepted: SKIPPED for a new run over an old ledger,
        ACCEPTED where the run that wrote it is continued
    :raises ConfigurationError: a value out of range
    """

    mode: Mode = Mode.ADD_OR_REPLACE
    match_by: MatchBy | None = None
    batch_size: int = 500
    batch_bytes: int = 4_000_000
    max_in_flight: int = 4
    request_budget: int = 200
    results_limit: int = 1000
    allow_empty: bool = False
    resumed: bool = False
    count_resumed_as: Outcome = Outcome.SKIPPED

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("batch_size", "batch_bytes", "max_in_flight", "request_budget"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.results_limit < 0:
            raise ConfigurationError(f"results_limit must be 0 or more, not {self.results_limit}")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; `rows` are those of the extract, which are orders only if no SQL groups them."""

    done: int
    failed: int
    rows: int
    seconds: float
