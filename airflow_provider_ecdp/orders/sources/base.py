"""The protocol of sources: tabular data, read as Arrow record batches, only the columns needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from airflow_provider_ecdp.errors import ExtractError
from airflow_provider_ecdp.orders.engine.tables import PROBLEMS

#: Rows of one record batch. Orders with hundreds of lines make a batch of some 100 MB at 8,192 rows.
BATCH_ROWS = 4096

#: Bytes of one record batch, estimated before it is read, and of those that `gathered` makes.
BATCH_BYTES = 16_000_000

#: Marks the column in which a source notes problems of orders: a user's column may have its name.
_NOTED = {b"ecdp": b"problems"}

#: Key of the reason for which a column cannot be read.
_UNUSABLE = b"ecdp.unusable"

_PROBLEM = pa.struct([(part, pa.string()) for part in ("field", "rule", "got")])


class Source(Protocol):
    """Tabular data that can be read more than once. Text that is not UTF-8 is marked, see `utf8`."""

    @property
    def name(self) -> str:
        """The user's name for it, for messages."""

    @property
    def schema(self) -> pa.Schema:
        """Columns and their types."""

    @property
    def rows(self) -> int | None:
        """Number of rows; None where it is unknown before they are read."""

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given; a new iterator starts from the first row."""


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source over the rows of another one."""

    source: Source

    @property
    def name(self) -> str:
        """The user's name for it, for messages."""
        return self.source.name

    @property
    def schema(self) -> pa.Schema:
        """Columns and their types."""
        return self.source.schema

    @property
    def rows(self) -> int | None:
        """Number of rows, if known."""
        return self.source.rows

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given."""
        return self.source.batches(columns)


def problems_field() -> pa.Field:
    """Return the column in which a source notes problems that it found itself: for each order a list of them."""
    return pa.field(PROBLEMS, pa.list_(_PROBLEM), metadata=_NOTED)


def notes_problems(schema: pa.Schema) -> bool:
    """Whether a source of these columns notes problems of orders."""
    return PROBLEMS in schema.names and schema.field(PROBLEMS).metadata == _NOTED


def unusable(column: pa.Field, reason: str) -> pa.Field:
    """Return a column that a run can do without, but not read, for `reason`."""
    return column.with_metadata({_UNUSABLE: reason})


def is_usable(schema: pa.Schema, name: str) -> bool:
    """Whether one column has this name, and it can be read."""
    columns = [column for column in schema if column.name == name]
    return len(columns) == 1 and _UNUSABLE not in (columns[0].metadata or {})


def refuse_unusable(schema: pa.Schema, columns: Sequence[str]) -> None:
    """Check the columns that are to be read.

    :raises ExtractError: a column cannot be read
    """
    for column in schema:
        if column.name in columns and _UNUSABLE in (column.metadata or {}):
            raise ExtractError(column.metadata[_UNUSABLE].decode())


def bytes_of(batch: pa.RecordBatch) -> int:
    """Return the bytes of a batch in memory; of a slice, those of its rows."""
    try:
        return int(batch.nbytes)
    except pa.ArrowTypeError:
        # pyarrow 19 does not measure views of text and of lists
        return int(pa.ipc.get_record_batch_size(batch))


def gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in larger batches, of 16 MB or a little more."""
    pending: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        pending.append(batch)
        size += bytes_of(batch)
        if size >= BATCH_BYTES:
            yield pa.concat_batches(pending)
            pending, size = [], 0
    if pending:
        yield pa.concat_batches(pending)
