"""Files made to the shape that each warehouse writes; docs/warehouses has the sources.

A maker writes into the folder that stands for the bucket, under the paths of the documentation's examples.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from warehouse_shop import DAY, LINES, ORDERS, joined, lines_of, total

#: What Spark 4.3.0 wrote; `spark_files.py` has how.
SPARK = Path(__file__).parent / "spark"

_TEXT = pa.string()
_PRICE = pa.decimal128(12, 2)
_UTC = pa.timestamp("us", tz="UTC")
_INT = pa.int64()

COLUMNS = {
    "order_id": _INT,
    "ordered_at": _UTC,
    "status": _TEXT,
    "currency": _TEXT,
    "customer_no": _INT,
    "email": _TEXT,
    "phone": _TEXT,
    "channel": _TEXT,
    "line_no": pa.int32(),
    "sku": _TEXT,
    "title": _TEXT,
    "unit_price": _PRICE,
    "quantity": pa.int32(),
    "category": _TEXT,
}


@dataclass(frozen=True)
class Shape:
    """What a warehouse makes of the common types.

    `types` are those of columns, where they are others. `options` are those of pyarrow's writer.
    """

    types: dict[str, pa.DataType] = field(default_factory=dict)
    upper: bool = False
    options: dict[str, object] = field(default_factory=dict)

    def type(self, name):
        return self.types.get(name, COLUMNS[name])

    def table(self, rows, names):
        """Rows in the types of the warehouse."""
        columns = {name: column([row[name] for row in rows], self.type(name)) for name in names}
        return pa.table({name.upper() if self.upper else name: made for name, made in columns.items()})

    def write(self, table, folder, names):
        """Spread the rows over files, in a folder with these names in it; without Arrow's own schema in the footer."""
        folder.mkdir(parents=True)
        size = -(-table.num_rows // len(names))
        for number, name in enumerate(names):
            part = table.slice(number * size, size)
            pq.write_table(part, folder / name, **{"store_schema": False, **self.options})


def column(values, type_):
    """An array of a type; instants lose their zone where the type has none, and keep what a UTC clock shows."""
    if pa.types.is_timestamp(type_):
        return pa.array(values, _UTC).cast(pa.timestamp("us")).cast(pa.timestamp(type_.unit), safe=False).cast(type_)
    if pa.types.is_dictionary(type_):
        return pa.array(values, type_.value_type).dictionary_encode().cast(type_)
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        values = [None if value is None else str(value) for value in values]
    if pa.types.is_binary(type_):
        values = [None if value is None else value.encode() for value in values]
    return pa.array(values, type_)


def lines(shape, *names, to=f"order_lines/dt={DAY}"):
    """A maker of files with one row an order line."""
    return lambda bucket: shape.write(shape.table(joined(), list(COLUMNS)), bucket / to, names)


def nested(shape, *names):
    """A maker of files with one row an order, named as the API's fields: products are a list of structs."""
    price = shape.type("unit_price")
    product = pa.struct(
        [
            ("id", shape.type("sku")),
            ("name", shape.type("title")),
            ("price", price),
            ("quantity", shape.type("quantity")),
            ("category", shape.type("category")),
        ]
    )
    customer = pa.struct([("crmId", shape.type("customer_no")), ("email", _TEXT), ("phone", _TEXT)])

    def make(bucket):
        found = [
            [
                {
                    "id": line["sku"],
                    "name": line["title"],
                    "price": line["unit_price"],
                    "quantity": line["quantity"],
                    "category": line["category"],
                }
                for line in lines_of(order["order_id"])
            ]
            for order in ORDERS
        ]
        people = [{"crmId": o["customer_no"], "email": o["email"], "phone": o["phone"]} for o in ORDERS]
        shape.write(
            _orders(shape, pa.array(people, customer), pa.array(found, pa.list_(product))),
            bucket / f"orders/dt={DAY}",
            names,
        )

    return make


def _orders(shape, customer, products):
    table = shape.table(ORDERS, ["order_id", "ordered_at", "status", "currency", "channel"])
    scale = shape.type("unit_price").scale
    totals = pa.array([total(order["order_id"]) for order in ORDERS], pa.decimal128(38, scale))
    names = ["id", "date", "status", "currency", "channel", "total_value", "customer", "products"]
    return pa.Table.from_arrays(
        [*table.columns, totals, customer, products], [n.upper() if shape.upper else n for n in names]
    )


def snowflake_documents(shape, *names):
    """A maker of files with one row an order, and JSON text as OBJECT_CONSTRUCT makes it: without what is NULL."""

    def make(bucket):
        people = [_object(crmId=o["customer_no"], email=o["email"], phone=o["phone"]) for o in ORDERS]
        found = [
            [
                _object(
                    id=line["sku"],
                    name=line["title"],
                    price=str(line["unit_price"]),
                    quantity=line["quantity"],
                    category=line["category"],
                )
                for line in lines_of(order["order_id"])
            ]
            for order in ORDERS
        ]
        texts = [pa.array([json.dumps(one, ensure_ascii=False) for one in given]) for given in (people, found)]
        shape.write(_orders(shape, *texts), bucket / f"orders/dt={DAY}", names)

    return make


def _object(**members):
    return {name: value for name, value in members.items() if value is not None}


def redshift_documents(shape, *names):
    """A maker of files with one row an order, and a SUPER column as JSON text, nulls and all."""
    keys = ("sku", "title", "unit_price", "quantity", "category")

    def make(bucket):
        found = [
            json.dumps([{k: str(v) if k == "unit_price" else v for k in keys for v in [line[k]]} for line in given])
            for order in ORDERS
            for given in [lines_of(order["order_id"])]
        ]
        table = shape.table(ORDERS, list(ORDERS[0]))
        table = table.append_column("total", pa.array([total(o["order_id"]) for o in ORDERS], pa.decimal128(38, 2)))
        shape.write(table.append_column("items", pa.array(found)), bucket / f"orders/dt={DAY}", names)

    return make


def redshift_tables(shape):
    """A maker of an extract for each table."""

    def make(bucket):
        orders = shape.table(ORDERS, list(ORDERS[0])).rename_columns(
            [{"ordered_at": "ordered_utc"}.get(name, name) for name in ORDERS[0]]
        )
        shape.write(orders, bucket / f"orders/dt={DAY}", ["0000_part_00.parquet", "0001_part_00.parquet"])
        shape.write(shape.table(LINES, list(LINES[0])), bucket / f"lines/dt={DAY}", ["0000_part_00.parquet"])

    return make


def spark(name, to):
    """A maker that copies what Spark wrote, `_SUCCESS` and hidden files too."""
    return lambda bucket: shutil.copytree(SPARK / name, bucket / to / f"dt={DAY}")


_NAIVE = {"ordered_at": pa.timestamp("us")}
_WHOLE = pa.decimal128(38, 0)
_SNOWFLAKE = Shape(_NAIVE | dict.fromkeys(("order_id", "customer_no", "line_no", "quantity"), _WHOLE), upper=True)
_SNOWFLAKE_CAST = Shape({"ordered_at": pa.timestamp("ms"), "quantity": pa.int16()}, upper=True)
_BIGQUERY = Shape({"unit_price": pa.decimal128(38, 9), "line_no": _INT, "quantity": _INT})
_REDSHIFT = Shape(_NAIVE, options={"version": "1.0"})
_INT96 = {"use_deprecated_int96_timestamps": True}
_REDSHIFT_96 = Shape(_NAIVE, options={"version": "1.0", **_INT96})
_OLD_SPARK = Shape(_NAIVE, options={"version": "1.0", "use_compliant_nested_type": False, **_INT96})
_PG_PARQUET = Shape({"ordered_at": _UTC}, options={"compression": "none"})
_THREE = ("data_0_0_0.snappy.parquet", "data_0_1_0.snappy.parquet", "data_0_2_0.snappy.parquet")
_SLICES = ("0000_part_00.parquet", "0001_part_00.parquet")
_PART = "part-00000-tid-1-c000.snappy.parquet"

#: Makers by the page, the example on it, and what is special.
MAKERS: dict[tuple[str, str, str], Callable[[Path], object]] = {
    ("snowflake", "lines", "numbers of 38 digits"): lines(_SNOWFLAKE, *_THREE),
    ("snowflake", "lines", "numbers that are cast, milliseconds"): lines(_SNOWFLAKE_CAST, *_THREE),
    ("snowflake", "orders", "JSON text"): snowflake_documents(_SNOWFLAKE, *_THREE),
    ("bigquery", "lines", "NUMERIC"): lines(_BIGQUERY, "000000000000.parquet", "000000000001.parquet"),
    ("bigquery", "orders", "lists"): nested(_BIGQUERY, "000000000000.parquet"),
    ("redshift", "lines", "INT64"): lines(_REDSHIFT, *_SLICES, to=f"order_lines/dt={DAY}"),
    ("redshift", "lines", "INT96"): lines(_REDSHIFT_96, *_SLICES, to=f"order_lines/dt={DAY}"),
    ("redshift", "two", "joined"): redshift_tables(_REDSHIFT),
    ("redshift", "orders", "SUPER"): redshift_documents(_REDSHIFT, *_SLICES),
    ("databricks", "lines", "Spark 4.3"): spark("lines", "order_lines"),
    ("databricks", "lines", "Spark 4.3, microseconds"): spark("lines_micros", "order_lines"),
    ("databricks", "lines", "INT96"): lines(_OLD_SPARK, _PART),
    ("databricks", "orders", "Spark 4.3"): spark("orders", "orders"),
    ("databricks", "orders", "Spark 4.3, legacy lists of two levels"): spark("orders_legacy", "orders"),
    ("databricks", "orders", "Spark 4.3, legacy lists of three levels"): spark("orders_bag", "orders"),
    ("databricks", "orders", "INT96, lists of old names"): nested(_OLD_SPARK, _PART),
    ("postgres", "lines", "pg_parquet"): lines(_PG_PARQUET, "lines.parquet"),
    ("postgres", "orders", "pg_parquet"): nested(_PG_PARQUET, "orders.parquet"),
}
