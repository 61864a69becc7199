"""The ledger: what became of each order, in Parquet files that are whole or absent. Files are added, never changed.

The newest row of an order id counts. Resume is the question which orders the ledger holds as accepted, and with which
content: never a position in the extract, which changes when the extract is written again.
"""

from __future__ import annotations

import datetime as dt
import os
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.atomic_write import first_write, put_whole
from airflow_provider_ecdp.ledger.listing import files_in
from airflow_provider_ecdp.ledger.newest_rows import COLUMNS, newest
from airflow_provider_ecdp.orders.sources.parquet import FileInfo, ParquetSource
from airflow_provider_ecdp.orders.sources.storage import display_path, reading
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome

SCHEMA = pa.schema(
    [
        ("order_id", pa.string()),
        ("content_hash", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("http_status", pa.int32()),
        ("attempts", pa.int32()),
        ("at", pa.timestamp("us", tz="UTC")),
    ]
)

#: Seconds between flushes: what a kill can make a run send again.
FLUSH_SECONDS = 5.0

#: Rows that are flushed without waiting; about 10 MB.
FLUSH_ROWS = 100_000

#: Bytes from which a ledger is not held in memory as a whole: half a million rows, which take 100 MB there.
LARGE = 10_000_000

#: An id that is noted keeps the whole record batch that it came in alive, order texts and all, until it is copied.
_COPY_ROWS = 4096


class Ledger:
    """A folder of Parquet files. Not safe for threads; safe for several processes that write into one folder.

    :param path: folder, or fsspec URL of one; it is made when the first row is written
    :param filesystem: fsspec file system of `path`; None finds it from the URL
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        filesystem: Any = None,
        *,
        flush_seconds: float = FLUSH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = os.fspath(path)
        self.path = display_path(filesystem, self._folder) if filesystem else self._folder
        if filesystem is None:
            try:
                filesystem, self._folder = fsspec.url_to_fs(self.path)
            except (ImportError, ValueError) as error:
                raise ConfigurationError(f"results path {self.path}: {error}") from None
        self._filesystem = filesystem
        self._flush_seconds = flush_seconds
        self._clock = clock
        self._fresh: list[pa.RecordBatch] = []
        self._rows: list[pa.Table] = []
        self._pending = 0
        self._flushed = clock()
        # sorts by time, and two processes never share a name
        self._run = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"
        self._files = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ecdp-ledger")
        self._writing: tuple[Future[None], pa.Table] | None = None

    def begin(self) -> None:
        """Leave a sign that a run has begun, if there is none: one that is killed early has written nothing else.

        :raises ConfigurationError: nothing can be written here
        """
        if not self.exists():
            with first_write(self.path):
                self._write(SCHEMA.empty_table())

    def add(self, settled: BatchOutcome, reasons: Sequence[str | None] | None) -> None:
        """Note the outcome of orders; written at the next flush."""
        orders, count = settled.orders, len(settled.orders)
        now = dt.datetime.now(dt.UTC)
        columns = [
            orders.column("order_id"),
            orders.column("content_hash"),
            pa.repeat(pa.scalar(settled.outcome.value), count),
            pa.nulls(count, pa.string()) if reasons is None else pa.array(reasons, pa.string()),
            pa.nulls(count, pa.int32())
            if settled.http_status is None
            else pa.repeat(pa.scalar(settled.http_status, pa.int32()), count),
            pa.repeat(pa.scalar(settled.attempts, pa.int32()), count),
            pa.repeat(pa.scalar(now, SCHEMA.field("at").type), count),
        ]
        self._fresh.append(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
        self._pending += count
        if self._pending - sum(map(len, self._rows)) >= _COPY_ROWS:
            self._copy()

    def flush_if_due(self) -> None:
        """Begin to write, in a thread of its own, if the last time is long ago or much is pending.

        :raises OSError: what was begun before could not be written; it is pending again
        """
        if self._writing is not None and self._writing[0].done():
            self._written()
        now = self._clock()
        full = self._pending >= FLUSH_ROWS
        if not (full or (self._pending and now - self._flushed >= self._flush_seconds)):
            return
        self._flushed = now
        if self._writing is not None:
            if not full:
                return
            # the storage is slower than the run, and memory is no place to wait
            self._written()
        rows = self._take()
        self._writing = self._writer.submit(self._write, rows), rows

    def due_in(self) -> float | None:
        """Return the seconds until a flush is due; None if nothing is pending."""
        return max(0.0, self._flush_seconds - (self._clock() - self._flushed)) if self._pending else None

    def flush(self) -> None:
        """Write what is pending as one file, which is whole or absent, and wait for it.

        :raises OSError: it could not be written, and is still pending
        """
        self._flushed = self._clock()
        if self._writing is not None:
            self._written()
        if self._pending:
            rows = self._take()
            self._writing = self._writer.submit(self._write, rows), rows
            self._written()

    def _take(self) -> pa.Table:
        self._copy()
        rows = pa.concat_tables(self._rows)
        self._rows, self._pending = [], 0
        return rows

    def _written(self) -> None:
        """Wait for what is being written; what could not be written is pending again."""
        if self._writing is None:
            return
        (future, rows), self._writing = self._writing, None
        try:
            future.result()
        except BaseException:
            self._rows.insert(0, rows)
            self._pending += len(rows)
            raise

    def _write(self, rows: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        self._put(f"{self._run}-{self._files:06d}.parquet", sink.getvalue().to_pybytes())
        self._files += 1

    def _copy(self) -> None:
        if self._fresh:
            self._rows.append(pa.Table.from_batches(self._fresh, SCHEMA).combine_chunks())
            self._fresh = []

    def _put(self, name: str, data: bytes) -> None:
        put_whole(self._filesystem, self._folder, name, data)

    def keep(self, what: str, note: bytes) -> None:
        """Keep a note beside the outcomes; the newest of its kind counts.

        :raises ConfigurationError: nothing can be written here
        """
        with first_write(self.path):
            self._put(f"_{what}-{self._run}.json", note)

    def kept(self, what: str) -> bytes | None:
        """Return the newest note of its kind, None if there is none."""
        found = self._files_here(f"_{what}-", ".json")
        with reading(self._filesystem, f"results path {self.path}"):
            return bytes(self._filesystem.cat_file(found[-1])) if found else None

    def exists(self) -> bool:
        """Whether an earlier run has written here."""
        return bool(self._files_here())

    def _files_here(self, start: str = "", end: str = ".parquet", *, deep: bool = False) -> list[str]:
        return files_in(self._filesystem, self._folder, self.path, start=start, end=end, deep=deep)

    @property
    def large(self) -> bool:
        """Whether it is so large that what is not needed of it is not kept in memory."""
        return sum(self._filesystem.size(file) or 0 for file in self._files_here()) > LARGE

    def accepted(self) -> pa.Table | None:
        """Return what ECDP holds as far as the ledger knows; None for a new ledger.

        The columns are `order_id`, `content_hash` and `outcome`: accepted or skipped.
        """
        taken = f"'{Outcome.ACCEPTED}', '{Outcome.SKIPPED}'"
        return self._newest("order_id, content_hash, outcome", f"outcome IN ({taken})")

    def unfinished(self) -> pa.Table | None:
        """Return `order_id` of the orders that failed in earlier runs; None if there were no runs.

        Ledgers in folders inside count too: those of mapped tasks have one above them all.
        """
        replayable = ", ".join(f"'{outcome}'" for outcome in Outcome if outcome.replayable)
        return self._newest("order_id", f"outcome IN ({replayable})", deep=True)

    def rows(self, columns: Sequence[str]) -> pa.RecordBatchReader | None:
        """Return these columns of all rows, older ones of an order too; None for a new ledger."""
        return self._rows_of(self._files_here(), columns)

    def _rows_of(self, files: list[str], columns: Sequence[str]) -> pa.RecordBatchReader | None:
        if not files:
            return None
        infos = tuple(FileInfo(file, SCHEMA) for file in files)
        batches = ParquetSource(self.path, infos, self._filesystem, SCHEMA).batches(columns)
        return pa.RecordBatchReader.from_batches(pa.schema([SCHEMA.field(c) for c in columns]), batches)

    def _newest(self, columns: str, condition: str, *, deep: bool = False) -> pa.Table | None:
        rows = self._rows_of(self._files_here(deep=deep), COLUMNS)
        return None if rows is None else newest(rows, columns, condition)
