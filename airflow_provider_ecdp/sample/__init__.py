"""Made-up orders of a plausible shop as a Parquet file, nested like the API's order or as order lines.

The same seed gives the same orders, faults included.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass

import duckdb

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.sample.shop import LINES, LINES_SQL, ORDERS, SHOP

__all__ = ["LINES_SQL", "Sample"]

_PARQUET = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480"

_MOST_ORDERS = 99_999_999

#: Orders without a day are spread over the year that begins here; a date that is fixed, for the seed to decide all.
_YEAR = dt.date(2025, 1, 1)

_PRODUCT = ("id", "name", "price", "quantity", "returned", "url", "imageUrl", "category", "productAttributes")


@dataclass(frozen=True, slots=True)
class _Change:
    """A fault or an oddity of an order: `column` becomes `value`; `in_lines` is whether order lines can express it."""

    column: str
    value: str
    in_lines: bool = True


def _first(**changed: str) -> str:
    """Return SQL of the products with other values in the first of them."""
    fields = ", ".join(f"'{name}': {changed.get(name, f'products[1].{name}')}" for name in _PRODUCT)
    return f"[{{{fields}}}] || products[2:]"


#: Each breaks one rule of the contract.
_FAULTS = (
    _Change("customer", "{'email': NULL, 'phone': NULL, 'crmId': NULL}"),
    _Change("products", _first(name="repeat('very long name ', 140)")),
    _Change("status", "'shipped'"),
    _Change("currency", "'EURO'"),
    _Change("products", _first(price="NULL")),
    _Change("products", _first(quantity="3000000000")),
    _Change("timeZone", "'Mars/Olympus_Mons'"),
    _Change("date", "NULL"),
    _Change("customer", "{'email': customer.email, 'phone': '+1555' || repeat('0', 20), 'crmId': customer.crmId}"),
    _Change("id", "id || repeat('-LONG', 30)"),
    _Change("customer", "NULL", in_lines=False),
    _Change("products", "NULL", in_lines=False),
    _Change("totalValue", "NULL", in_lines=False),
    _Change("orderAttributes", "[{'name': '', 'value': 'a feature without a name'}]", in_lines=False),
)
#: Each gives one warning.
_ODDITIES = (
    _Change("status", "'cancelled'"),
    _Change("customer", "{'email': 'asked at the counter', 'phone': customer.phone, 'crmId': customer.crmId}"),
    _Change("totalValue", "CAST(totalValue + 5 AS DECIMAL(12, 2))", in_lines=False),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The sample to make up.

    :param orders: how many orders, with the ids `ORD-00000001` and up
    :param seed: the same seed gives the same orders
    :param faulty: how many of them break a rule of the contract, spread over the file, one kind after the other
    :param odd: how many of them give a warning, spread in the same way
    :param lines: one row per order line, in columns that `LINES_SQL` shapes, instead of one per order
    :param day: all orders are placed on this day (UTC); None spreads them over the year 2025
    :raises ConfigurationError: more faulty and odd orders than orders, fewer than none, or more than 99,999,999
    """

    orders: int = 10_000
    seed: int = 1
    faulty: int = 0
    odd: int = 0
    lines: bool = False
    day: dt.date | None = None

    def __post_init__(self) -> None:
        """Refuse samples that cannot be made."""
        if self.orders > _MOST_ORDERS:
            raise ConfigurationError(
                f"a sample has at most {_MOST_ORDERS:,} orders, not {self.orders:,}: their ids have eight digits"
            )
        if min(self.orders, self.faulty, self.odd) < 0 or self.faulty + self.odd > self.orders:
            raise ConfigurationError(
                f"{self.orders:,} orders cannot have {self.faulty:,} faulty and {self.odd:,} odd ones among them"
            )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the Parquet file `path`, and replace an existing one.

        :raises ConfigurationError: the file cannot be written
        """
        target = os.fspath(path).replace("'", "''")
        with duckdb.connect(":memory:") as engine:
            engine.execute("SET TimeZone = 'UTC'")
            engine.execute(f"CREATE TABLE shop AS SELECT {', '.join(f'${name} AS {name}' for name in SHOP)}", SHOP)
            engine.execute("CREATE MACRO pick(choices, number) AS choices[1 + number % len(choices)]")
            try:
                engine.execute(f"COPY ({self._sql()}) TO '{target}' ({_PARQUET})")
            except duckdb.IOException as error:
                raise ConfigurationError(f"the sample cannot be written: {error}") from None

    def _sql(self) -> str:
        orders = ORDERS.format(
            seed=self.seed,
            orders=self.orders,
            customers=self.orders // 3 + 1,
            start=self.day or _YEAR,
            milliseconds=(1 if self.day else 365) * 86_400_000,
        )
        orders = f"SELECT * EXCLUDE (i) {self._changes()} FROM ({orders})"
        return LINES.format(orders=orders) if self.lines else orders

    def _changes(self) -> str:
        """Return the REPLACE clause that makes some of the orders faulty or odd."""
        due = [
            ((k + 0.5) / count, changes[k % len(changes)])
            for changes, count in ((self._possible(_FAULTS), self.faulty), (self._possible(_ODDITIES), self.odd))
            for k in range(count)
        ]
        # both kinds spread over the whole file, whatever their numbers
        due.sort(key=lambda pair: pair[0])
        places: dict[_Change, list[int]] = {}
        for j, (_, change) in enumerate(due):
            places.setdefault(change, []).append((2 * j + 1) * self.orders // (2 * len(due)))
        columns: dict[str, list[str]] = {}
        for change, at in places.items():
            case = f"WHEN i IN ({', '.join(map(str, at))}) THEN {change.value}"
            columns.setdefault(change.column, []).append(case)
        replaced = [f'CASE {" ".join(cases)} ELSE "{name}" END AS "{name}"' for name, cases in columns.items()]
        return f"REPLACE ({', '.join(replaced)})" if replaced else ""

    def _possible(self, changes: tuple[_Change, ...]) -> list[_Change]:
        return [c for c in changes if c.in_lines or not self.lines]
