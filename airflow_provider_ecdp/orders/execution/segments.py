"""An extract in segments, each read by a query of its own, so that large orders do not exceed the memory.

The engine computes whole vectors of rows, and hands over 2048 orders at a time: both are bounded in rows and not in
bytes. Where each order is made of one row, the rows reach the engine in small pieces, and its query ends and restarts
before the orders that it returns at once grow too large. An extract of ordinary orders is one segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_ecdp.orders.sources.base import Source, bytes_of

#: Orders of one record batch: the engine's own vector, so that nothing is copied to make larger ones.
ROWS = 2048

#: Rows that the engine processes at a time take this share of its memory limit. It takes about ten times their bytes.
PIECE_SHARE = 64

#: Rows of the orders that are handed over at once: a share of the engine's memory limit.
_SEGMENT_SHARE = 16

#: Halves with this share of the bytes of the whole share their buffers, as dictionaries do: cutting saves nothing.
_SHARED = 1.5


def pieces(batch: pa.RecordBatch, max_bytes: int) -> Iterator[pa.RecordBatch]:
    """Cut a batch into pieces of at most `max_bytes`; a larger one is a single row, or shares its buffers."""
    size = bytes_of(batch)
    if size <= max_bytes or len(batch) < 2:
        yield batch
        return
    middle = len(batch) // 2
    halves = (batch.slice(0, middle), batch.slice(middle))
    if sum(bytes_of(half) for half in halves) > _SHARED * size:
        yield batch
        return
    for half in halves:
        yield from pieces(half, max_bytes)


@dataclass(frozen=True, slots=True)
class Segment:
    """A source of some neighbouring rows of an extract.

    :param read: the rows; they can be read once, unless it is one row
    :param single: whether it is one row that is larger than a piece
    """

    name: str
    schema: pa.Schema
    rows: int | None
    read: Iterable[pa.RecordBatch]
    single: bool = False

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given."""
        for batch in self.read:
            yield batch.select(list(columns))


class Segments:
    """The segments of a source, to be iterated over once.

    :param columns: those that are read
    :param memory_limit: bytes of the engine's memory
    """

    def __init__(self, source: Source, columns: Sequence[str], memory_limit: int) -> None:
        self._source = source
        self._max_piece = memory_limit // PIECE_SHARE
        self._max_bytes = memory_limit // _SEGMENT_SHARE
        self._pieces = (p for batch in source.batches(columns) for p in pieces(batch, self._max_piece))
        self._next: pa.RecordBatch | None = None

    def __iter__(self) -> Iterator[Segment]:
        """Yield one segment after the other."""
        self._advance()
        while (piece := self._next) is not None:
            if self._is_large(piece):
                self._advance()
                yield Segment(self._source.name, self._source.schema, 1, (piece,), single=True)
                continue
            stream = self._stream()
            yield Segment(self._source.name, self._source.schema, None, stream)
            for _ in stream:
                # the engine does not read rows that it has nothing to join with
                pass

    def _advance(self) -> None:
        self._next = next(self._pieces, None)

    def _is_large(self, piece: pa.RecordBatch) -> bool:
        return len(piece) == 1 and bytes_of(piece) > self._max_piece

    def _stream(self) -> Iterator[pa.RecordBatch]:
        rows = size = 0
        while (piece := self._next) is not None:
            piece_size = bytes_of(piece)
            size += piece_size
            if self._is_large(piece) or (size > self._max_bytes and size > piece_size):
                return
            self._advance()
            yield piece
            rows += len(piece)
            if rows >= ROWS:
                rows = size = 0
