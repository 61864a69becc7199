"""The settings common to all runs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TypedDict

from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import MaxFailed
from airflow_provider_ecdp.settings import Kind, boolean, check, duration, same, setting, whole


def _max_failed(value: MaxFailed | str | float) -> MaxFailed:
    return value if isinstance(value, MaxFailed) else MaxFailed.parse(value)


_MAX_FAILED = Kind("a count (10) or a share (1%)", _max_failed, "N")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How a run sends, and how it ends.

    :param resumed: whether an earlier try of this run may have sent something; a ledger with rows implies it
    :param count_resumed_as: outcome of orders accepted in the ledger: SKIPPED for a new run over an old ledger,
        ACCEPTED where the run that wrote it is continued
    :raises ConfigurationError: a value is not allowed
    """

    max_in_flight: int = same(ClientSettings, "max_in_flight", connection=True)
    max_failed: MaxFailed = setting(
        0, _MAX_FAILED, help="How many orders may fail without failing the run: a count (10) or a percentage (1%)"
    )
    results_limit: int = setting(1000, whole(), help="Maximum results in the report, failures first")
    max_duration: float | None = setting(
        None,
        duration(),
        help="Maximum duration of a run, such as 90m; after it nothing more is sent, and a retry resumes",
    )
    allow_empty: bool = setting(default=False, kind=boolean(), help="Accept an extract that has no rows")
    resumed: bool = False
    count_resumed_as: Outcome = Outcome.SKIPPED

    def __post_init__(self) -> None:
        """Parse the settings."""
        check(self)


class RunOptions(TypedDict, total=False):
    """The settings of `RunSettings` that callers give by keyword; the client has `max_in_flight`."""

    max_failed: MaxFailed | str | float
    results_limit: int
    max_duration: float | str | dt.timedelta | None
    allow_empty: bool
