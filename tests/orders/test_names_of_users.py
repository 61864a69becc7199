"""Columns and extracts with the names that our own SQL uses: they change nothing, or are refused in a sentence."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError
from airflow_provider_ecdp.orders import reader
from airflow_provider_ecdp.orders.engine.connection import locked_engine
from airflow_provider_ecdp.orders.execution.catalog import Catalog
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.orders.sources.table import TableSource

PACKAGE = Path(reader.__file__).parent
SOURCE = "\n".join(path.read_text() for path in sorted(PACKAGE.rglob("*.py")))

#: Every name that the SQL of this package uses: with our prefix, as a variable of a lambda, as an alias.
OURS = sorted(
    {
        *re.findall(r"\becdp_[a-z_]+[a-z]\b", SOURCE),
        *(f"{name}{i}" for name in re.findall(r"\b(ecdp_[a-z]+_)\{", SOURCE) for i in (0, 1)),
        *re.findall(r"\blambda (\w+)(?=[:,])", SOURCE),
        *re.findall(r"\bAS ([a-z_]+)\b", SOURCE),
    }
)


def test_the_names_are_found():
    assert {"ecdp_row", "ecdp_problems", "ecdp_unusual", "ecdp_json_0", "ecdp_source_0", "ecdp_x", "o", "h"} <= {*OURS}
    assert len(OURS) > 50


def with_columns(table, names, value):
    for name in names:
        if name not in table.column_names:
            table = table.append_column(name, pa.array([value] * len(table)))
    return table


VALUES = {"text": "text", "struct": {"id": "x", "ecdp_e": "y"}}


@pytest.fixture(params=VALUES.values(), ids=VALUES)
def value(request):
    return request.param


def texts(rows):
    return [(row.order_id, row.text, row.problems) for row in rows]


@pytest.mark.parametrize(("value", "upper"), [(VALUES["text"], False), (VALUES["struct"], True)], ids=VALUES)
def test_columns_called_as_ours_are_ignored(read, table, good, value, upper):
    orders = table(good, {**good, "id": "A-2"})
    names = [name.upper() if upper else name for name in OURS]
    assert texts(read(with_columns(orders, names, value))) == texts(read(orders))


def test_columns_of_json_beside_columns_called_as_ours(read, table, good, value):
    orders = table(good)
    customer = orders.column_names.index("customer")
    orders = orders.set_column(customer, "customer", pa.array(['{"email": "customer@example.com"}']))
    assert texts(read(with_columns(orders, OURS, value))) == texts(read(orders))


LINES = pa.table(
    {
        "no": ["1", "1", "2"],
        "at": ["2026-11-22T10:00:00Z"] * 3,
        "price": pa.array([Decimal("1.50")] * 3, pa.decimal128(38, 2)),
        "mail": ["a@example.com"] * 3,
        "attributes": ['{"colour": "red"}'] * 3,
    }
)
MAPPING = {
    "id": "no",
    "date": "at",
    "totalValue": {"sum": "price"},
    "customer": {"email": "mail"},
    "products": {
        "id": "no",
        "name": "mail",
        "price": "price",
        "quantity": {"value": 1},
        "productAttributes": "attributes",
        "order_by": "price",
    },
}


@pytest.fixture(scope="module")
def mapped(read):
    """The orders of the lines, without any other column."""
    return texts(read(LINES, mapping=MAPPING))


def test_a_mapping_beside_columns_called_as_ours(read, mapped, value):
    assert texts(read(with_columns(LINES, OURS, value), mapping=MAPPING)) == mapped


def test_a_mapping_may_name_columns_called_as_ours(read):
    names = [name for name in OURS if name.startswith("ecdp_")]
    mapping = {**MAPPING, "orderAttributes": {name: name for name in names}}
    for row in read(with_columns(LINES, names, "text"), mapping=mapping):
        assert row.sent["orderAttributes"] == [{"name": name, "value": "text"} for name in names]


def test_an_sql_text_may_return_and_read_columns_called_as_ours(read, table, good, value):
    orders, plain = with_columns(table(good), OURS, value), texts(read(table(good)))
    assert texts(read(orders, sql="SELECT * FROM extract")) == plain
    named = ", ".join(f'"{name}" AS "{name}_too"' for name in OURS)
    assert texts(read(orders, sql=f"SELECT *, {named} FROM extract")) == plain


def test_columns_called_as_ours_and_no_others_are_reported_as_missing_columns(read):
    rows = pa.table({name: ["x"] for name in OURS if name.startswith("ecdp_")})
    for settings in ({}, {"sql": "SELECT * FROM extract"}):
        with pytest.raises(ColumnsError, match="id: required"):
            read(rows, **settings)


def test_extracts_called_as_ours_are_refused_or_read(table, good):
    source = TableSource("t", table(good))
    read = []
    with locked_engine(memory_limit="64MB", threads=1) as engine:
        for i, name in enumerate(OURS):
            try:
                Catalog(engine, {name: source, f"other_{i}": source})
            except ConfigurationError:
                continue
            read.append(name)
    assert {name for name in OURS if name.startswith("ecdp_")}.isdisjoint(read)
    tables = " UNION ALL ".join(f"SELECT * FROM {name}" for name in read)
    with OrderReader(dict.fromkeys(read, source), OrderSettings(sql=tables)) as orders:
        assert sum(len(batch) for batch in orders.read()) == len(read) > 10


def test_records_keep_the_problems_that_they_note(read):
    source = source_from_records([{"id": "A-1", "products": "none"}])
    for settings in ({}, {"sql": "SELECT * FROM extract"}, {"mapping": {"customer": {"crmId": "id"}}}):
        (row,) = read(source, **settings)
        assert "products" in row.faults


# columns called as objects and lists, beside a mapping of their members


@pytest.mark.parametrize("value", ["Jan Kowalski", 3, 2.5, True, None])
def test_a_column_called_customer_or_products_is_not_what_the_mapping_names(read, mapped, value):
    beside = LINES.append_column("customer", pa.array([value] * 3)).append_column("Products", pa.array([value] * 3))
    assert texts(read(beside, mapping=MAPPING)) == mapped


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("customer", value) for value in ([1], [{"email": "z@example.com"}])),
        *(("products", value) for value in ([1], [[{"id": "z"}]], {"id": "z"})),
    ],
)
def test_a_column_of_another_shape_than_its_name_says_is_not_what_the_mapping_names(read, mapped, name, value):
    beside = LINES.append_column(name, pa.array([value] * 3))
    assert texts(read(beside, mapping=MAPPING)) == mapped


def test_json_in_a_column_called_customer_counts_where_the_mapping_names_its_keys(read, mapped):
    lines = LINES.append_column("customer", pa.array(['{"contact": "a@example.com"}'] * 3))
    found = read(lines, mapping={**MAPPING, "customer": {"email": "contact"}})
    assert texts(found) == mapped


def test_a_name_with_a_line_break_or_a_control_character_stays_on_its_line():
    name, shown = "my\nid\x1b[31m", r"my\nid\x1b[31m"
    unnamed = pa.Table.from_pylist([{name: "A-1", "orderAttributes": {name: "red"}}])
    settings = [
        ({}, f"orderAttributes: must be a list of structs, not struct<{shown}: string>"),
        ({"mapping": {name: "id"}}, f"{shown} is not a field of the API"),
        ({"mapping": {"totalValue": {"sum": name}}}, f"{shown}"),
    ]
    for options, message in settings:
        with pytest.raises(ColumnsError) as raised:
            OrderReader(TableSource("the table", unnamed), OrderSettings(**options))
        assert message in str(raised.value)
        assert name not in str(raised.value)
