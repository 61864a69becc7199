"""The settings of a push."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.ledger.settings import OnDrift
from airflow_provider_ecdp.runs.settings import RunOptions, RunSettings
from airflow_provider_ecdp.settings import Kind, choice, setting, whole

#: Batches that are read ahead for each request in flight, while they are not more bytes than these: answers come
#: at once, and the engine hands over four batches at once. But always some.
_AHEAD = 3
_AHEAD_BYTES = 16_000_000
_AHEAD_LEAST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings(RunSettings):
    """How orders are sent.

    :raises ConfigurationError: a value is not allowed
    """

    mode: Mode = setting(
        Mode.ADD_OR_REPLACE.value,
        Kind("Add, AddOrReplace or Replace", Mode.parse, "MODE"),
        help="How ECDP stores orders: Add, AddOrReplace or Replace, in any spelling",
    )
    match_by: MatchBy | None = setting(
        None,
        Kind("email, phone or crmId", MatchBy.parse, "FIELD"),
        help="Send matchBy with each batch: email, phone or crmId",
        connection=True,
    )
    batch_size: int = setting(500, whole(least=1), help="Maximum orders per request", connection=True)
    batch_bytes: int = setting(4_000_000, whole(least=1), help="Maximum bytes per request", connection=True)
    request_budget: int = setting(
        200,
        whole(least=1),
        help="Maximum consecutive requests of one refused batch without a new outcome; a whole run of b batches and n "
        "orders sends at most 5(b + 2n) + 60 POST requests, attempts included",
    )
    canary: int = setting(0, whole(), help="Send this many orders first; if one of them fails, send no others")
    verify: int = setting(
        0,
        whole(most=10_000),
        help="Read this many random accepted orders back after the push, and report those that differ in ECDP",
    )
    on_drift: OnDrift = setting(
        OnDrift.WARN.value,
        choice(OnDrift),
        help="What to do if a column of the previous run is gone or has another type: ignore, warn or fail",
    )

    def most_pending(self, size: int) -> int:
        """Return how many batches, of `size` bytes each, may be read and not yet answered."""
        ahead = min(_AHEAD * self.max_in_flight, _AHEAD_BYTES // max(size, 1))
        return self.max_in_flight + max(ahead, _AHEAD_LEAST) - 1


class PushOptions(RunOptions, total=False):
    """The settings of `PushSettings` as keywords; one that is left out has its default."""

    mode: Mode | str
    match_by: MatchBy | str | None
    batch_size: int
    batch_bytes: int
    request_budget: int
    canary: int
    verify: int
    on_drift: OnDrift | str
