"""How an extract becomes orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.orders.contract import WARNINGS
from airflow_provider_ecdp.orders.mapping.spec import ColumnMapping


@dataclass(frozen=True, slots=True)
class OrderSettings:
    """How an extract becomes orders.

    :param sql: one SELECT from `extract`, or from several extracts by their names, that returns columns named as the
        API's fields; None takes the columns as they are
    :param mapping: which column is which field (see `ColumnMapping`), a dict or its JSON text, instead of `sql`
    :param partition_by: the column by whose values the rows of an order go together, for extracts larger than memory:
        its name, or a name for each extract; None takes the order's id where `mapping` groups order lines
    :param timezone: IANA name of the zone in which timestamps without a zone are read
    :param matching: the customer's field that the business unit matches by (`email`, `phone`, `crmId`), if required
    :param warnings_as_errors: names of warnings (`contract.WARNINGS`) that make an order invalid; `all` for each
    :param memory_limit: of the engine, such as "256MB"; beyond it, it spills to disk
    :param threads: of the engine; more than one gives up the order of rows
    :raises ConfigurationError: a value that cannot be meant
    """

    sql: str | None = None
    mapping: Mapping[str, Any] | str | None = None
    partition_by: str | Mapping[str, str] | None = None
    timezone: str | None = None
    matching: str | None = None
    warnings_as_errors: frozenset[str] = frozenset()
    memory_limit: str = "256MB"
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.sql is not None and self.mapping is not None:
            raise ConfigurationError("sql and mapping both say what an order is made of; keep one of them")
        if self.mapping is not None:
            ColumnMapping.parse(self.mapping)
        if self.timezone is not None:
            try:
                ZoneInfo(self.timezone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ConfigurationError(
                    f"timezone {self.timezone!r} is no IANA time zone, such as Europe/Warsaw"
                ) from None
        if self.matching not in (None, "email", "phone", "crmId"):
            raise ConfigurationError(f"matching {self.matching!r} is none of email, phone, crmId")
        if unknown := self.warnings_as_errors - WARNINGS.keys() - {"all"}:
            raise ConfigurationError(
                f"no warning is called {', '.join(sorted(unknown))}; there are {', '.join(WARNINGS)}, and all"
            )

    @property
    def promoted(self) -> frozenset[str]:
        """The names of the warnings that count as errors."""
        return frozenset(WARNINGS) if "all" in self.warnings_as_errors else self.warnings_as_errors
