"""Extracts for measurements: orders of about 525 bytes of JSON, with 3 lines and 2 attributes; or their lines.

Amounts are decimals, as a warehouse has money, or floating-point numbers, which cost Python less.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

#: orders of a row group
_GROUP = 50_000

_NAMES = ("Coffee cup, blue", "Linen table cloth", "Oak cutting board", "Tea towel, set of 3")
_AMOUNT = pa.decimal128(12, 2)
_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

#: How the lines become orders.
MAPPING = {
    "id": "order_id",
    "date": "ordered_at",
    "status": "status",
    "currency": "currency",
    "totalValue": {"sum": ["price", "quantity"]},
    "customer": {"email": "email", "crmId": "crm_id"},
    "products": {"id": "sku", "name": "product", "price": "price", "quantity": "quantity", "orderBy": "line"},
    "orderAttributes": {"channel": "channel", "shipping": "shipping"},
}


def line_columns(first, count):
    """Return the columns of `count` orders' lines from number `first` on, three neighbouring rows for an order."""
    dice = random.Random(first)
    numbers = range(first, first + count)
    price = [Decimal(dice.randrange(100, 9999)) / 100 for _ in range(3 * count)]
    quantity = [dice.randrange(1, 4) for _ in range(3 * count)]
    order = pa.array([index // 3 for index in range(3 * count)])

    def each(values):
        return pa.array(values).take(order)

    return {
        "order_id": each([f"ORD-{number:09d}" for number in numbers]),
        "ordered_at": each([_START + dt.timedelta(seconds=number) for number in numbers]),
        "status": each(["Completed"] * count),
        "currency": each(["PLN"] * count),
        "email": each([f"c{number:09d}@example.com" for number in numbers]),
        "crm_id": each([f"CRM-{number:09d}" for number in numbers]),
        "channel": each(["web-shop"] * count),
        "shipping": each(["parcel locker"] * count),
        "line": pa.array([1, 2, 3] * count),
        "sku": pa.array([f"SKU-{dice.randrange(10**6):06d}" for _ in range(3 * count)]),
        "product": pa.array([_NAMES[dice.randrange(4)] for _ in range(3 * count)]),
        "price": pa.array(price, _AMOUNT),
        "quantity": pa.array(quantity),
    }


def orders(first, count):
    """Return a table of `count` orders, one row each, its columns named as the API's fields."""
    lines = line_columns(first, count)
    heads = pa.array(range(0, 3 * count, 3))
    ends = pa.array(range(0, 3 * count + 1, 3), pa.int32())
    amounts = zip(lines["price"].to_pylist(), lines["quantity"].to_pylist(), strict=True)
    worth = [price * quantity for price, quantity in amounts]
    products = pa.StructArray.from_arrays(
        [lines["sku"], lines["product"], lines["price"], lines["quantity"]], ["id", "name", "price", "quantity"]
    )
    head = {name: lines[name].take(heads) for name in lines}
    names = pa.array(["channel", "shipping"] * count)
    values = pc.if_else(pc.equal(names, "channel"), "web-shop", "parcel locker")
    attributes = pa.StructArray.from_arrays([names, values], ["name", "value"])
    return pa.table(
        {
            "id": head["order_id"],
            "date": head["ordered_at"],
            "status": head["status"],
            "currency": head["currency"],
            "totalValue": pa.array([sum(worth[at : at + 3]) for at in range(0, 3 * count, 3)], _AMOUNT),
            "customer": pa.StructArray.from_arrays([head["email"], head["crm_id"]], ["email", "crmId"]),
            "products": pa.ListArray.from_arrays(ends, products),
            "orderAttributes": pa.ListArray.from_arrays(pa.array(range(0, 2 * count + 1, 2), pa.int32()), attributes),
        }
    )


def floats(table):
    """Return a table of orders with amounts as floating-point numbers."""
    products = table.column("products").type.value_type
    fields = [f if f.name != "price" else f.with_type(pa.float64()) for f in products]
    schema = table.schema
    for name, type_ in (("totalValue", pa.float64()), ("products", pa.list_(pa.struct(fields)))):
        schema = schema.set(schema.get_field_index(name), pa.field(name, type_))
    return table.cast(schema)


def write(path, count, made=orders):
    """Write `count` orders, unless the file is there."""
    if Path(path).exists():
        return
    half = Path(f"{path}.half")
    with pq.ParquetWriter(half, made(1, 1).schema) as writer:
        for first in range(1, count + 1, _GROUP):
            writer.write_table(made(first, min(_GROUP, count + 1 - first)))
    half.rename(path)


def write_lines(path, count):
    """Write the lines of `count` orders in no order at all, unless the file is there."""
    if Path(path).exists():
        return
    half, sorted_ = Path(f"{path}.half"), Path(path).with_suffix(".sorted.parquet")
    with pq.ParquetWriter(sorted_, pa.table(line_columns(1, 1)).schema) as writer:
        for first in range(1, count + 1, _GROUP):
            writer.write_table(pa.table(line_columns(first, min(_GROUP, count + 1 - first))))
    with duckdb.connect() as engine:
        lines = f"SELECT * FROM '{sorted_}' ORDER BY hash(order_id || line)"
        engine.execute(f"COPY ({lines}) TO '{half}' (FORMAT parquet, ROW_GROUP_SIZE 122880)")
    sorted_.unlink()
    half.rename(path)


KINDS = {
    "orders": write,
    "floats": lambda path, count: write(path, count, lambda *span: floats(orders(*span))),
    "lines": write_lines,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("path", type=Path)
    parser.add_argument("orders", type=int)
    given = parser.parse_args()
    KINDS[given.kind](given.path, given.orders)


if __name__ == "__main__":
    main()
