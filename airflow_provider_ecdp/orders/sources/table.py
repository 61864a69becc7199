"""Rows that are already in memory, as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_ecdp.orders.sources.base import BATCH_ROWS
from airflow_provider_ecdp.orders.sources.utf8 import marked


@dataclass(frozen=True, slots=True)
class TableSource:
    """Rows that are already in memory."""

    name: str
    table: pa.Table

    @property
    def schema(self) -> pa.Schema:
        """Columns and their types."""
        return self.table.schema

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given."""
        for chunk in self.table.select(list(columns)).to_batches():
            whole = marked(chunk, self.name)
            for start in range(0, len(whole), BATCH_ROWS):
                yield whole.slice(start, BATCH_ROWS)
