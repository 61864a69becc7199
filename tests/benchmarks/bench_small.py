"""The CPU of one reading of 10 orders: what each sensor, mapped task, check and test pays before its first row.

Nearly all of it is the engine's start, and the binding of the query. It is measured for each form of an extract, as
the least of several readings, and the bytes of the query's text.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.orders.sources.table import TableSource
from airflow_provider_ecdp.orders.sql.query import Duplicates
from airflow_provider_ecdp.sample import Sample

ORDERS = 10

SQL = "SELECT * REPLACE (upper(status) AS status) FROM extract"

MAPPING = {
    "id": "id",
    "date": "date",
    "totalValue": "totalValue",
    "customer.email": "email",
    "products.id": "product",
    "products.name": "name",
    "products.price": "price",
    "products.quantity": "quantity",
}


def extracts(folder):
    """Yield the name of each form of an extract, its table, and its settings."""
    Sample(orders=ORDERS).write(folder / "orders.parquet")
    table = pq.read_table(folder / "orders.parquet")
    yield "columns", table, OrderSettings()
    yield "an SQL text", table, OrderSettings(sql=SQL)
    yield "JSON text", _with_json_text(table), OrderSettings()
    yield "order lines", _lines(table), OrderSettings(mapping=MAPPING)


def _with_json_text(table):
    for name in ("customer", "products", "orderAttributes"):
        text = [None if value is None else json.dumps(value, default=str) for value in table.column(name).to_pylist()]
        table = table.set_column(table.column_names.index(name), name, pa.array(text))
    return table


def _lines(table):
    return pa.Table.from_pylist(
        [
            {
                **{name: order[name] for name in ("id", "date", "totalValue")},
                "email": order["customer"]["email"],
                "product": product["id"],
                **{name: product[name] for name in ("name", "price", "quantity")},
            }
            for order in table.to_pylist()
            for product in order["products"]
        ]
    )


def read(source, settings):
    """Read an extract from the start of the engine to the last order."""
    with OrderReader(source, settings) as orders:
        assert sum(map(len, orders.select().read())) == ORDERS


def query_bytes(source, settings):
    """Return the bytes of the text of the query that reads the orders."""
    with OrderReader(source, settings) as orders:
        sql = orders._query.outgoing(sent_before=False, chosen=False, duplicates=Duplicates.IN_PLACE)
    return len(sql.encode())


def measured(work, repeats):
    """Return the least CPU seconds of `work`."""
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    with TemporaryDirectory() as folder:
        for name, table, settings in extracts(Path(folder)):
            source = TableSource(name, table)
            seconds = measured(partial(read, source, settings), repeats)
            line = f"{name:12} {1000 * seconds:6.1f} ms {query_bytes(source, settings):7,} bytes of SQL"
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
