"""Unwritten rows, and the thread that writes them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa

from airflow_provider_ecdp.ledger.schema import SCHEMA

#: Rows that are copied at once. Until then they keep the batch in memory that their ids came in, with all its texts.
_COPY_ROWS = 4096


class RowBuffer:
    """Rows in the order in which they were added. `len` is their number."""

    def __init__(self) -> None:
        self._fresh: list[pa.RecordBatch] = []
        self._fresh_rows = 0
        self._copied: list[pa.Table] = []

    def __len__(self) -> int:
        return self._fresh_rows + sum(map(len, self._copied))

    def add(self, rows: pa.RecordBatch) -> None:
        """Append rows."""
        self._fresh.append(rows)
        self._fresh_rows += len(rows)
        if self._fresh_rows >= _COPY_ROWS:
            self._copy()

    def take(self) -> pa.Table:
        """Remove and return all rows."""
        self._copy()
        rows = pa.concat_tables(self._copied)
        self._copied = []
        return rows

    def give_back(self, rows: pa.Table) -> None:
        """Put back rows that were taken, before all others."""
        self._copied.insert(0, rows)

    def _copy(self) -> None:
        if self._fresh:
            self._copied.append(pa.Table.from_batches(self._fresh, SCHEMA).combine_chunks())
            self._fresh, self._fresh_rows = [], 0


class BackgroundWriter:
    """Writes one table at a time, in a thread of its own.

    :param write: writes a table; called in that thread
    """

    def __init__(self, write: Callable[[pa.Table], None]) -> None:
        self._write = write
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ecdp-ledger")
        self._writing: tuple[Future[None], pa.Table] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is being written, and the result of every write has been taken."""
        return self._writing is None

    @property
    def ended(self) -> bool:
        """Whether a write has ended and its result has not been taken."""
        return self._writing is not None and self._writing[0].done()

    def start(self, rows: pa.Table) -> None:
        """Begin to write; no other write may be in progress."""
        self._writing = self._pool.submit(self._write, rows), rows

    def finish(self, give_back: Callable[[pa.Table], None]) -> None:
        """Wait until the current write has ended; if it failed, put its rows back and raise its error."""
        if self._writing is None:
            return
        (future, rows), self._writing = self._writing, None
        try:
            future.result()
        except BaseException:
            give_back(rows)
            raise
