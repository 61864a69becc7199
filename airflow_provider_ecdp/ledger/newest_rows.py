"""Of many rows of a ledger, the newest of each order."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pyarrow as pa

#: What is read of a ledger for this.
COLUMNS = ("order_id", "content_hash", "outcome", "at")


def newest(
    rows: pa.RecordBatchReader, columns: str, condition: str, among: Callable[[], pa.Table] | None = None
) -> pa.Table:
    """Return `columns` of the newest row of each order, where it meets the condition.

    :param rows: with the columns `COLUMNS`
    :param columns: SQL
    :param condition: SQL
    :param among: returns the ids (column `order_id`) that are asked for; None asks for all
    """
    with duckdb.connect(":memory:", config={"threads": 1}) as engine:
        # a stream tells no number of rows, and is taken for the small side of a join: all of it would be held
        engine.execute("SET disabled_optimizers = 'build_side_probe_side'")
        engine.register("rows", rows)
        some = ""
        if among is not None:
            engine.register("ids", among())
            some = "SEMI JOIN ids USING (order_id)"
        found = (
            'SELECT order_id, arg_max(content_hash, "at") AS content_hash, arg_max(outcome, "at") AS outcome '
            f"FROM rows {some} WHERE order_id IS NOT NULL GROUP BY order_id"
        )
        return engine.sql(f"SELECT {columns} FROM ({found}) WHERE {condition}").to_arrow_table()
