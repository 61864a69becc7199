"""The settings of a run of changes, and the extracts that it refuses."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_provider_ecdp.errors import EmptyExtractError, ExtractError
from airflow_provider_ecdp.orders.settings import OrderSettings, refuse_both
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.runs.settings import RunSettings
from airflow_provider_ecdp.settings import Kind, check, choice, same, setting, whole


class Operation(enum.StrEnum):
    """The operations on an order that is named by its id."""

    GET = "get"
    UPDATE_STATUS = "update_status"
    DELETE = "delete"


class Missing(enum.StrEnum):
    """What to do if ECDP has no such order: count it as failed, or only report it."""

    FAIL = "fail"
    REPORT = "report"


def _mapping(value: Any) -> Mapping[str, Any] | str:
    if not isinstance(value, Mapping | str):
        raise TypeError
    return value


class _Rows(Protocol):
    """The rows of an extract, counted."""

    name: str

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRowSettings:
    """How an extract becomes changes.

    :raises ConfigurationError: a value is not allowed
    """

    sql: str | None = same(
        OrderSettings,
        "sql",
        help="One SELECT from `extract` that returns the columns order_id, status and website_id, as needed",
    )
    mapping: Mapping[str, Any] | str | None = same(
        OrderSettings,
        "mapping",
        kind=Kind("a dict, or its JSON text", _mapping, "JSON"),
        help="Which column is order_id, status or website_id, instead of sql",
    )
    memory_limit: str = same(OrderSettings, "memory_limit")

    def __post_init__(self) -> None:
        """Parse the settings, and refuse those that exclude each other."""
        check(self)
        refuse_both(self.sql, self.mapping)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSettings(RunSettings):
    """How changes are sent.

    :raises ConfigurationError: a value is not allowed
    """

    missing: Missing = setting(
        Missing.FAIL.value, choice(Missing), help="What to do if ECDP has no such order: fail or report"
    )
    max_deletions: int | None = None

    def refuse(self, rows: _Rows) -> None:
        """Refuse an extract that has no rows, or more than it may have.

        :raises EmptyExtractError: there are no rows, and `allow_empty` is not set
        :raises ExtractError: there are more rows than `max_deletions`
        """
        if not len(rows) and not self.allow_empty:
            raise EmptyExtractError(
                f"{rows.name} has no changes; if a run without orders is normal, allow it (on_empty, --allow-empty)"
            )
        if self.max_deletions is not None and len(rows) > self.max_deletions:
            raise ExtractError(
                f"{rows.name} has {number_of(len(rows), 'row')}, more than max_deletions ({self.max_deletions:,}), so "
                "nothing was sent; check that it is the right extract"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionSettings(ChangeSettings):
    """How deletions are sent: an order that is gone is the goal.

    :raises ConfigurationError: a value is not allowed
    """

    missing: Missing = same(ChangeSettings, "missing", default=Missing.REPORT.value)
    max_deletions: int | None = setting(None, whole(), help="Delete nothing if the extract has more rows than this")
