"""Of many rows of a ledger, the newest of each order."""

from __future__ import annotations

import pyarrow as pa

from airflow_provider_ecdp.orders.engine.connection import locked_engine, reading_from

#: What is read of a ledger for this.
COLUMNS = ("order_id", "content_hash", "outcome", "at")

_MEMORY = "256MB"


def newest(rows: pa.RecordBatchReader, columns: str, condition: str) -> pa.Table:
    """Return `columns` of the newest row of each order, where it meets the condition.

    :param rows: with the columns `COLUMNS`
    :param columns: SQL
    :param condition: SQL
    """
    what = "reading the results of earlier runs"
    with locked_engine(memory_limit=_MEMORY, threads=1) as engine, reading_from(engine, "rows", rows, what):
        found = (
            'SELECT order_id, arg_max(content_hash, "at") AS content_hash, arg_max(outcome, "at") AS outcome '
            "FROM rows WHERE order_id IS NOT NULL GROUP BY order_id"
        )
        return engine.sql(f"SELECT {columns} FROM ({found}) WHERE {condition}").to_arrow_table()
