"""Write the files in `spark/` with the statements of docs/warehouses/databricks.md.

    python -m venv spark-venv
    spark-venv/bin/pip install pyspark==4.3.0
    spark-venv/bin/python tests/warehouses/spark_files.py

It needs a Java of version 17 or newer. No test runs it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pyspark.sql import SparkSession
from warehouse_shop import LINES, ORDERS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "warehouses" / "databricks.md"
LEGACY = {"spark.sql.parquet.writeLegacyFormat": "true"}
MICROS = {"spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS"}

ORDER = (
    "order_id bigint, ordered_at timestamp, status string, currency string, customer_no bigint, email string,"
    " phone string, channel string"
)
LINE = "order_id bigint, line_no int, sku string, title string, unit_price decimal(12,2), quantity int, category string"


def statement(kind):
    """A statement of the page, without where it writes to."""
    found = re.search(rf"<!-- tests/warehouses: statement {kind} -->\n```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return re.sub(r"'s3://[^']*'", "'{}'", found[1])


def main():
    # a session's zone that is not UTC: what is written must not depend on it
    settings = {"spark.sql.session.timeZone": "Europe/Warsaw", "spark.ui.enabled": "false"}
    builder = SparkSession.builder.master("local[1]")
    for name, value in {**settings, "spark.driver.bindAddress": "127.0.0.1"}.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sql("CREATE DATABASE shop")
    for name, rows, schema in (("orders", ORDERS, ORDER), ("order_lines", LINES, LINE)):
        session.createDataFrame(rows, schema).coalesce(1).write.saveAsTable(f"shop.{name}")
    for kind, folder, options in (
        ("lines", "lines", {}),
        ("lines", "lines_micros", MICROS),
        ("orders", "orders", {}),
        ("orders", "orders_legacy", LEGACY),
        ("documents", "orders_bag", LEGACY),
    ):
        shutil.rmtree(HERE / "spark" / folder, ignore_errors=True)
        for name, value in options.items():
            session.conf.set(name, value)
        text = statement("orders") if kind == "documents" else statement(kind)
        if kind == "documents":
            # what comes from a table may be NULL, lists' elements too: so there are three levels, `bag.array`
            session.sql(text.partition("USING parquet")[2]).write.saveAsTable("shop.documents")
            text = "INSERT OVERWRITE DIRECTORY '{}' USING parquet SELECT * FROM shop.documents"
        session.sql(text.replace("{}", str(HERE / "spark" / folder)))
        for name in options:
            session.conf.unset(name)
    session.sql("DROP DATABASE shop CASCADE")


if __name__ == "__main__":
    main()
