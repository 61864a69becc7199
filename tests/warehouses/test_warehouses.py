"""What each warehouse writes is pushed, unchanged, by the example of its page, and is the same orders every time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from warehouse_files import MAKERS, SPARK
from warehouse_pages import PAGES, blocks
from warehouse_shop import LINES, ORDERS, expected

from airflow_provider_ecdp.cli import main

#: Digits after the point that a warehouse gives amounts, where they are others.
PLACES = {"bigquery": 9}


@pytest.mark.parametrize(("page", "example", "shape"), MAKERS)
def test_the_files_of_a_warehouse_are_pushed_by_the_example_of_its_page(pushed, bucket, page, example, shape):
    MAKERS[page, example, shape](bucket)
    assert pushed(page, example) == expected(PLACES.get(page, 2))


def arguments(operator, folder):
    """The arguments of `ecdp push` that are those of an operator."""
    given = [str(operator.path)] if operator.path else [f"{name}={path}" for name, path in operator.extracts.items()]
    given += [f"--partition={column}={value}" for column, value in (operator.partitions or {}).items()]
    given += ["--timezone", operator.timezone] if operator.timezone else []
    for option, content in (("mapping", operator.mapping), ("sql", operator.sql)):
        if content:
            file = folder / option
            file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
            given += [f"--{option}", str(file)]
    return given


@pytest.mark.parametrize(("page", "example"), {(page, example): 0 for page, example, _ in MAKERS})
def test_the_command_line_makes_the_same_orders(
    operator, arrived, sandbox, bucket, monkeypatch, tmp_path, page, example
):
    next(make for (name, kind, _), make in MAKERS.items() if (name, kind) == (page, example))(bucket)
    monkeypatch.setenv("ECDP_API_KEY", "sandbox-key")
    assert main(["push", *arguments(operator(page, example), tmp_path), "--base-url", sandbox.url, "--quiet"]) == 0
    assert arrived() == expected(PLACES.get(page, 2))


@pytest.fixture
def tables():
    """Connect to the tables of the shop, in DuckDB, under the name that the statements of a page give the database."""

    def connect(database, setup=""):
        engine = duckdb.connect()
        engine.execute("SET TimeZone = 'Europe/Warsaw'")
        engine.execute(setup)
        engine.execute(f"CREATE SCHEMA {database}")
        types = {
            "orders": "order_id BIGINT, ordered_at TIMESTAMPTZ, status VARCHAR, currency VARCHAR, customer_no BIGINT,"
            " email VARCHAR, phone VARCHAR, channel VARCHAR",
            "order_lines": "order_id BIGINT, line_no INTEGER, sku VARCHAR, title VARCHAR, unit_price DECIMAL(12, 2),"
            " quantity INTEGER, category VARCHAR",
        }
        for name, rows in (("orders", ORDERS), ("order_lines", LINES)):
            engine.execute(f"CREATE TABLE {database}.{name} ({types[name]})")
            marks = ", ".join("?" * len(rows[0]))
            engine.executemany(f"INSERT INTO {database}.{name} VALUES ({marks})", [list(r.values()) for r in rows])
        return engine

    return connect


@pytest.mark.parametrize("example", ["orders", "lines"])
@pytest.mark.parametrize("page", ["duckdb", "postgres"])
def test_what_the_statements_for_duckdb_write_is_pushed_by_the_examples_beside_them(
    pushed, bucket, tables, page, example
):
    text = blocks(page, "sql")[f"statement {example}"].replace("s3://warehouse", str(bucket))
    if page == "postgres":
        # a database in memory in the place of the server
        text = re.sub(r"ATTACH .*;\n", "", text)
        engine = tables("pg.shop", "ATTACH ':memory:' AS pg")
    else:
        engine = tables("shop")
    folder = re.search(r"TO '([^']*)'", text)[1]
    # an object storage has no folders to be made
    (Path(folder).parent if folder.endswith(".parquet") else Path(folder)).mkdir(parents=True)
    engine.execute(text)
    assert pushed(page, example) == expected(2)


def test_the_files_that_spark_wrote_are_of_the_shapes_that_they_stand_for():
    def schema(folder):
        (file,) = (SPARK / folder).glob("*.parquet")
        return str(pq.ParquetFile(file).schema)

    assert "int96" in schema("lines")
    assert "int96" not in schema("lines_micros")
    assert "repeated group field_id=-1 list" in schema("orders")
    assert "repeated group field_id=-1 array" in schema("orders_legacy")
    assert "repeated group field_id=-1 bag" in schema("orders_bag")


def test_every_page_has_statements_and_examples_for_orders_and_for_lines():
    pages = {path.stem for path in PAGES.glob("*.md")}
    assert pages == {page for page, *_ in MAKERS} | {"duckdb"}
    for page in pages:
        examples = set(blocks(page, "python"))
        assert {"orders", "lines"} <= examples
        assert examples == {example for name, example, _ in MAKERS if name == page} or page == "duckdb"
        text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
        assert text.count("```sql") >= len(examples)
        # an example that no test reads would be one that is not marked
        assert text.count("```python") == len(examples)
