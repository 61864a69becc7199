"""How an extract becomes orders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.orders.contract import WARNINGS
from airflow_provider_ecdp.orders.mapping.spec import ColumnMapping
from airflow_provider_ecdp.settings import Kind, check, choice, literal, setting, text

#: Bytes of memory with which the engine ends its work: joins of up to six extracts of 400,000 rows, one that joins
#: itself three times. With 24 MB and less some of them did not end within minutes.
LEAST_MEMORY = 32_000_000

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]I?)?B", re.IGNORECASE)

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def _memory(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    size = _SIZE.fullmatch(value.strip())
    if size is None or not LEAST_MEMORY <= float(size[1]) * _UNITS[(size[2] or "").upper()] < 2**60:
        raise ValueError
    return value


def _mapping(value: Any) -> Mapping[str, Any] | str:
    if not isinstance(value, Mapping | str):
        raise TypeError
    ColumnMapping.parse(value)
    return value


def _partition_by(value: Any) -> str | Mapping[str, str]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = literal(value)
    columns = [*value, *value.values()] if isinstance(value, Mapping) else [value]
    if not all(isinstance(column, str) and column for column in columns):
        raise TypeError
    return value  # type: ignore[no-any-return]  # narrowed by the loop


def _zone(value: Any) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, TypeError, OSError):
        raise ValueError from None
    return str(value)


def _warnings(value: Any) -> frozenset[str]:
    if isinstance(value, str):
        value = literal(value) if value.startswith("[") else [name.strip() for name in value.split(",")]
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise TypeError
    names = frozenset(value) - {""}
    if unknown := names - WARNINGS.keys() - {"all"}:
        raise ConfigurationError(
            f"there is no warning {', '.join(sorted(map(str, unknown)))}; there are {', '.join(WARNINGS)}, and all"
        )
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSettings:
    """How an extract becomes orders.

    :raises ConfigurationError: a value is not allowed
    """

    sql: str | None = setting(
        None,
        text(metavar="SQL"),
        help="One SELECT from `extract`, or from several extracts by their names, that returns the API's fields",
    )
    mapping: Mapping[str, Any] | str | None = setting(
        None, Kind("a dict, or its JSON text", _mapping, "JSON"), help="Which column is which field, instead of sql"
    )
    partition_by: str | Mapping[str, str] | None = setting(
        None,
        Kind("the name of a column, or a name for each extract", _partition_by, "COLUMN"),
        help="For extracts larger than memory: a column with the same value in all rows of an order",
    )
    timezone: str | None = setting(
        None,
        Kind("an IANA time zone, such as Europe/Warsaw", _zone, "ZONE"),
        help="IANA time zone of timestamps without a zone; without it they are refused",
    )
    matching: str | None = setting(
        None,
        choice(("email", "phone", "crmId")),
        help="The business unit's matching mode, a customer field that every order must have: email, phone or crmId",
        connection=True,
    )
    warnings_as_errors: frozenset[str] = setting(
        (),
        Kind("names of warnings, or all", _warnings, "NAMES"),
        help="Names of warnings that make an order invalid, or all",
    )
    memory_limit: str = setting(
        "256MB",
        Kind("a size of at least 32MB, such as 256MB or 1GiB", _memory, "SIZE"),
        help="Memory limit of the SQL engine, at least 32MB; beyond it, the engine spills to disk",
    )

    def __post_init__(self) -> None:
        """Parse the settings, and refuse those that exclude each other."""
        check(self)
        refuse_both(self.sql, self.mapping)

    @property
    def promoted(self) -> frozenset[str]:
        """The names of the warnings that count as errors."""
        return frozenset(WARNINGS) if "all" in self.warnings_as_errors else self.warnings_as_errors


def refuse_both(sql: object, mapping: object) -> None:
    """Refuse an SQL text together with a mapping.

    :raises ConfigurationError: both are given
    """
    if sql is not None and mapping is not None:
        raise ConfigurationError("sql and mapping exclude each other; keep one of them")


class OrderOptions(TypedDict, total=False):
    """The settings of `OrderSettings` as keywords; one that is left out has its default."""

    sql: str | None
    mapping: Mapping[str, Any] | str | None
    partition_by: str | Mapping[str, str] | None
    timezone: str | None
    matching: str | None
    warnings_as_errors: Iterable[str]
    memory_limit: str
