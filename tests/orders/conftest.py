"""Orders in memory, and what the core makes of them."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.table import TableSource

ATTRIBUTES = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))
PRODUCT = pa.struct(
    [
        ("id", pa.string()),
        ("name", pa.string()),
        ("price", pa.decimal128(18, 4)),
        ("quantity", pa.int64()),
        ("returned", pa.int64()),
        ("url", pa.string()),
        ("imageUrl", pa.string()),
        ("category", pa.string()),
        ("productAttributes", ATTRIBUTES),
    ]
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("date", pa.timestamp("us", tz="UTC")),
        ("timeZone", pa.string()),
        ("websiteId", pa.int64()),
        ("status", pa.string()),
        ("currency", pa.string()),
        ("totalValue", pa.decimal128(18, 4)),
        ("returnsValue", pa.float64()),
        ("customer", pa.struct([("email", pa.string()), ("phone", pa.string()), ("crmId", pa.string())])),
        ("products", pa.list_(PRODUCT)),
        ("orderAttributes", ATTRIBUTES),
    ]
)


@dataclass(frozen=True)
class Row:
    """An order as the query gave it."""

    order_id: str | None
    content_hash: str | None
    text: str
    problems: list[dict[str, str]]
    warnings: list[dict[str, str]]
    skip_reason: str | None

    @property
    def sent(self) -> dict[str, Any]:
        """The order as a server reads it; numbers stay the text that they are."""
        assert self.text.endswith(","), f"not sent: {self.problems}, {self.skip_reason}"
        return json.loads(self.text[:-1], parse_float=str, parse_int=str)

    @property
    def faults(self) -> dict[str, str]:
        """Field and rule of each problem."""
        return {p["field"]: p["rule"] for p in self.problems}

    @property
    def named_warnings(self) -> set[str]:
        return {w["rule"].partition(":")[0] for w in self.warnings}


def rows_of(orders):
    return [
        Row(
            order_id=row["order_id"],
            content_hash=row["content_hash"],
            text=row["json"],
            problems=row["problems"] or [],
            warnings=row["warnings"] or [],
            skip_reason=row["skip_reason"],
        )
        for batch in orders.read()
        for row in batch.to_pylist()
    ]


def good_order():
    return {
        "id": "A-1",
        "date": dt.datetime(2026, 1, 2, 10, 30, tzinfo=dt.UTC),
        "totalValue": Decimal("20.50"),
        "customer": {"email": "customer@example.com", "phone": None, "crmId": None},
        "products": [{"id": "p-1", "name": "Mug", "price": Decimal("10.25"), "quantity": 2}],
    }


@pytest.fixture
def good():
    """An order without fault; a test changes its own copy."""
    return good_order()


@pytest.fixture(scope="session")
def table():
    """Make a table of orders, with every column of the contract."""
    return lambda *orders, schema=SCHEMA: pa.Table.from_pylist(list(orders), schema=schema)


@pytest.fixture(scope="session")
def open_orders():
    """Make an OrderReader of a table or of an extract."""

    def make(source, **settings):
        extract = TableSource("the extract", source) if isinstance(source, pa.Table) else source
        return OrderReader(extract, OrderSettings(**settings))

    return make


@pytest.fixture(scope="session")
def read(open_orders):
    """Read a table or an extract to its end."""

    def run(source, **settings):
        with open_orders(source, **settings) as orders:
            return rows_of(orders)

    return run


@pytest.fixture(scope="session")
def judge(read, table):
    """Read named orders together, for a reading takes a tenth of a second; return the rows by name."""
    return lambda orders, **settings: dict(zip(orders, read(table(*orders.values()), **settings), strict=True))


@pytest.fixture(scope="session")
def with_columns():
    """Make a table of good orders, of which some columns are the given arrays."""

    def make(**arrays):
        plain = pa.Table.from_pylist([good_order()]).take(pa.repeat(0, len(next(iter(arrays.values())))))
        for name, array in arrays.items():
            at = plain.schema.get_field_index(name)
            plain = plain.append_column(name, array) if at < 0 else plain.set_column(at, name, array)
        return plain

    return make


@pytest.fixture(scope="session")
def read_column(read, with_columns):
    """Read orders of which one column is the given array."""
    return lambda name, array, **settings: read(with_columns(**{name: array}), **settings)


@pytest.fixture(scope="session")
def as_ledger():
    """Return rows as a ledger has them, all accepted, of a table of `order_id` and `content_hash`."""

    def make(table):
        count = len(table)
        table = table.append_column("outcome", pa.array(["accepted"] * count, pa.string()))
        at = pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * count, pa.timestamp("us", tz="UTC"))
        return table.append_column("at", at).to_reader()

    return make
