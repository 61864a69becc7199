"""Shards by a hash of the order ids: each shard reads all rows, and keeps its own.

MD5 decides the shard of an id: it is the same in every version of every engine, so that all workers agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.orders.engine.connection import locked_engine, running
from airflow_provider_ecdp.orders.sources.base import BATCH_ROWS, Source, gathered

#: Memory limit of the engine that hashes: it holds the ids of a few record batches.
_MEMORY = "64MB"

_NUMBER = "md5_number_lower(coalesce(CAST(id AS VARCHAR), '')) % {count}"


@dataclass(frozen=True, slots=True)
class HashShard:
    """The `rows` rows of `source` whose hashed id, from the column `order_id`, falls to shard `number` of `count`."""

    name: str
    source: Source
    order_id: str
    number: int
    count: int
    rows: int

    @property
    def schema(self) -> pa.Schema:
        """Columns and their types."""
        return self.source.schema

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given."""
        read = list(columns) if self.order_id in columns else [*columns, self.order_id]
        own = f"SELECT {_NUMBER.format(count=self.count)} = {self.number} AS own FROM ids"
        with locked_engine(memory_limit=_MEMORY, threads=1) as engine:
            for batch in gathered(self.source.batches(read)):
                rows = batch.filter(_hashed(engine, batch, self.order_id, own)["own"].combine_chunks())
                for start in range(0, len(rows), BATCH_ROWS):
                    yield rows.slice(start, BATCH_ROWS).select(list(columns))


def sizes_of_shards(source: Source, order_id: str, count: int) -> dict[int, int]:
    """Return the number of rows of each shard that has any."""
    sizes: Counter[int] = Counter()
    sql = f"SELECT {_NUMBER.format(count=count)} AS shard, count(*) AS times FROM ids GROUP BY shard"
    with locked_engine(memory_limit=_MEMORY, threads=1) as engine:
        for batch in gathered(source.batches([order_id])):
            counts = _hashed(engine, batch, order_id, sql)
            sizes.update({int(row["shard"]): row["times"] for row in counts.to_pylist()})
    return dict(sizes)


def _hashed(engine: duckdb.DuckDBPyConnection, batch: pa.RecordBatch, order_id: str, sql: str) -> pa.Table:
    engine.register("ids", pa.table({"id": batch.column(order_id)}))
    with running("assigning orders to shards"):
        table = engine.sql(sql).to_arrow_table()
    engine.unregister("ids")
    return table
