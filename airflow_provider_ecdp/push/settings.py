"""How a push is done, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.schema_drift import OnDrift
from airflow_provider_ecdp.results.outcome import Outcome

#: Batches that are read ahead for each request in flight, while they are not more bytes than these: answers come
#: together, and the engine hands over four batches at once. But always some.
_AHEAD = 3
_AHEAD_BYTES = 16_000_000
_AHEAD_LEAST = 2


@dataclass(frozen=True, slots=True)
class PushSettings:
    """How orders are sent.

    :param mode: what the API does with an id that it has, or has not
    :param match_by: sent as `matchBy` if set
    :param batch_size: maximum orders per request
    :param batch_bytes: maximum bytes per request
    :param max_in_flight: most batches at a time; the client has a limit of its own, and the lower one counts
    :param request_budget: most requests for one batch, when a refusal has to be traced to its orders
    :param results_limit: how many results the report holds, failures first
    :param allow_empty: whether an extract without orders is a success
    :param canary: how many orders are sent first, alone; if one of them is refused, or has no answer, no others are
        sent. 0 sends all as they come
    :param on_drift: how to treat columns that differ from those of the previous run
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
    canary: int = 0
    on_drift: OnDrift = OnDrift.WARN
    resumed: bool = False
    count_resumed_as: Outcome = Outcome.SKIPPED

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("batch_size", "batch_bytes", "max_in_flight", "request_budget"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("results_limit", "canary"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must be 0 or more, not {getattr(self, name)}")

    def most_pending(self, size: int) -> int:
        """Return how many batches, of `size` bytes each, may be read and not yet answered."""
        ahead = min(_AHEAD * self.max_in_flight, _AHEAD_BYTES // max(size, 1))
        return self.max_in_flight + max(ahead, _AHEAD_LEAST) - 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is after so many seconds; `total` is None where nobody knows how many orders there will be.

    `passed_over` are those of `done` that are not sent because they were accepted before, or appear more than once.
    """

    done: int
    failed: int
    total: int | None
    seconds: float
    passed_over: int = 0
