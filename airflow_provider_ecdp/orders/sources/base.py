"""What every source of rows is: tabular data, read as Arrow record batches, only the columns needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa

#: Rows of one record batch. Orders with hundreds of lines make a batch of some 100 MB at 8,192 rows.
BATCH_ROWS = 4096

#: Bytes of the larger batches that `gathered` makes.
_GATHERED = 16_000_000


class Source(Protocol):
    """Tabular data that can be read more than once. Text that is no UTF-8 is marked, see `broken_text`."""

    @property
    def name(self) -> str:
        """What the user called it, for messages."""

    @property
    def schema(self) -> pa.Schema:
        """Columns and their types."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given; a new iterator starts from the first row."""


def gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in larger batches, of 16 MB or a little more."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= _GATHERED:
            yield pa.concat_batches(held)
            held, size = [], 0
    if held:
        yield pa.concat_batches(held)
