"""The ledger: the outcome of each order, in Parquet files that are complete or absent.

The newest row of an order id counts, in the order of writing. To resume, a run asks which orders the ledger lists as
accepted, and with which content. A position in the extract would not do: it changes when the extract is written again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import EcdpError
from airflow_provider_ecdp.ledger.atomic_write import accessing, put_whole
from airflow_provider_ecdp.ledger.buffer import BackgroundWriter, RowBuffer
from airflow_provider_ecdp.ledger.reader import COLUMNS, files_in, newest_failed, read_file, read_rows, results_folder
from airflow_provider_ecdp.ledger.schema import SCHEMA
from airflow_provider_ecdp.ledger.write_clock import WriteClock
from airflow_provider_ecdp.orders.sources.storage import display_path
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome

__all__ = ["FLUSH_ROWS", "FLUSH_SECONDS", "SCHEMA", "Ledger"]

log = logging.getLogger(__name__)

#: Seconds between flushes: after a kill, the orders of this period and of one write are sent again.
FLUSH_SECONDS = 1.0

#: The same for remote storage, where each file is an upload.
REMOTE_FLUSH_SECONDS = 5.0

#: Rows that are flushed without waiting; about 10 MB.
FLUSH_ROWS = 100_000

#: Small files of this run that are merged into one.
_MERGED_FILES = 16

#: Bytes above which a ledger is not loaded into memory as a whole: half a million rows, which take 100 MB there.
LARGE = 10_000_000


#: Name of the note whose time later writers must pass.
_CLOCK = "clock"

#: An order and its content.
_KEY = pa.schema([SCHEMA.field("order_id"), SCHEMA.field("content_hash")])


class Ledger:
    """A folder of Parquet files. Not safe for threads; safe for several processes that write into one folder.

    :param path: folder, or fsspec URL of one; it is made when the first row is written
    :param filesystem: fsspec file system of `path`; None finds it from the URL
    :param flush_seconds: between two files; None is 1 on a local disk, 5 elsewhere
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        filesystem: Any = None,
        *,
        flush_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = os.fspath(path)
        self.path = display_path(filesystem, self._folder) if filesystem else self._folder
        self._filesystem, self._folder = results_folder(self._folder, filesystem)
        self._local = isinstance(self._filesystem, LocalFileSystem)
        usual = FLUSH_SECONDS if self._local else REMOTE_FLUSH_SECONDS
        self._flush_seconds = usual if flush_seconds is None else flush_seconds
        self._clock = clock
        self._flushed = clock()
        self._times: WriteClock | None = None
        # two processes never share a name
        self._run = uuid.uuid4().hex[:8]
        self._files = 0
        self._small: list[str] = []
        self._small_rows = 0
        self._buffer = RowBuffer()
        self._writer = BackgroundWriter(self._write)
        #: writes in a row that have failed
        self.failures = 0

    def begin(self) -> None:
        """Mark that a run has begun, once: a run that is killed early has written nothing else.

        :raises ConfigurationError: nothing can be written here
        :raises StorageError: nothing can be written now
        """
        if not self.exists():
            with accessing(self.path):
                self._write(SCHEMA.empty_table())
        self._times = self._write_clock()

    def add(self, batch: BatchOutcome, reasons: Sequence[str | None] | None) -> None:
        """Note the outcome of orders; written at the next flush."""
        orders, count = batch.orders, len(batch.orders)
        columns = [
            orders.column("order_id"),
            orders.column("content_hash"),
            pa.repeat(pa.scalar(batch.outcome.value), count),
            pa.nulls(count, pa.string()) if reasons is None else pa.array(reasons, pa.string()),
            pa.nulls(count, pa.int32())
            if batch.http_status is None
            else pa.repeat(pa.scalar(batch.http_status, pa.int32()), count),
            pa.repeat(pa.scalar(batch.attempts, pa.int32()), count),
            pa.repeat(pa.scalar(self._write_clock().next(), SCHEMA.field("at").type), count),
        ]
        self._buffer.add(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))

    def note_deleted(self, order_ids: Iterable[str]) -> None:
        """Note that ECDP may no longer have these orders: with a content that no order has, so they are sent again."""
        ids = list(order_ids)
        content = hashlib.md5(b"deleted", usedforsecurity=False).hexdigest()
        orders = pa.RecordBatch.from_pydict({"order_id": ids, "content_hash": [content] * len(ids)}, _KEY)
        self.add(BatchOutcome(orders, Outcome.ACCEPTED), ["deleted"] * len(ids))

    def flush_if_due(self) -> None:
        """Begin to write in the background, if the last time is long ago or much is pending.

        :raises StorageError: an earlier write has failed; its rows are pending again
        """
        if self._writer.ended:
            self._written()
        now = self._clock()
        full = len(self._buffer) >= FLUSH_ROWS
        if not full and (not len(self._buffer) or now - self._flushed < self._flush_seconds):
            return
        self._flushed = now
        if not self._writer.idle:
            if not full:
                return
            # the storage is slower than the run: wait for it, before rows fill the memory
            self._written()
        self._writer.start(self._buffer.take())

    def due_in(self) -> float | None:
        """Return the seconds until a flush is due; None if nothing is pending."""
        return max(0.0, self._flush_seconds - (self._clock() - self._flushed)) if len(self._buffer) else None

    def flush(self) -> None:
        """Write the pending rows as one file, which is whole or absent, and wait for it.

        :raises StorageError: it could not be written, and is still pending
        :raises ConfigurationError: the same, and trying again cannot help
        """
        self._flushed = self._clock()
        with contextlib.suppress(EcdpError):
            # rows of an earlier write that has failed are pending again
            self._written()
        if len(self._buffer):
            self._writer.start(self._buffer.take())
            self._written()

    def write_note(self, name: str, note: bytes) -> None:
        """Write a note beside the outcomes; the newest with its name counts.

        :raises ConfigurationError: nothing can be written here
        :raises StorageError: nothing can be written now
        """
        with accessing(self.path):
            self._put(f"_{name}-{self._stamp()}.json", note)

    def share_clock(self, other: Ledger) -> None:
        """Share one clock between two ledgers: the next row of either is newer than all rows of both.

        :raises StorageError: the storage does not answer
        """
        clock = self._write_clock()
        clock.see(other._all_files())
        other._times = clock

    def mark_time(self) -> None:
        """Leave a note of the time, for later writers that do not know the ledger with the same clock.

        :raises ConfigurationError: nothing can be written here
        :raises StorageError: nothing can be written now
        """
        earlier = self._files_here(f"_{_CLOCK}-", ".json")
        self.write_note(_CLOCK, b"{}")
        with accessing(self.path):
            for file in earlier:
                # another run may have been first
                with contextlib.suppress(FileNotFoundError):
                    self._filesystem.rm_file(file)

    def read_note(self, name: str) -> bytes | None:
        """Return the newest note of a name, None if there is none."""
        notes = self._files_here(f"_{name}-", ".json")
        with accessing(self.path, "read"):
            return bytes(self._filesystem.cat_file(list(notes)[-1])) if notes else None

    def exists(self) -> bool:
        """Whether an earlier run has written here."""
        return bool(self._files_here())

    def has_accepted(self) -> bool:
        """Whether ECDP has accepted any order that is listed here.

        :raises StorageError: the storage does not answer
        """
        sent = pa.array([outcome.value for outcome in Outcome if outcome.counts_as_sent])
        return any(pc.any(pc.is_in(rows.column(0), sent)).as_py() for rows in self.rows(["outcome"]) or ())

    @property
    def large(self) -> bool:
        """Whether it is too large to be loaded into memory as a whole."""
        return sum(self._files_here().values()) > LARGE

    def replayable_orders(self) -> tuple[pa.Table, int] | None:
        """Return `order_id` of the orders that failed in earlier runs, and the number of all; None without runs.

        Ledgers in subfolders count too: mapped tasks write into subfolders of one folder.
        """
        rows = self._rows(COLUMNS, deep=True)
        return None if rows is None else newest_failed(rows, [outcome for outcome in Outcome if outcome.replayable])

    def rows(self, columns: Sequence[str]) -> pa.RecordBatchReader | None:
        """Return these columns of all rows, older ones of an order too; None for a new ledger."""
        return self._rows(columns)

    def _rows(self, columns: Sequence[str], *, deep: bool = False) -> pa.RecordBatchReader | None:
        if not self._files_here(deep=deep):
            return None
        batches = read_rows(self._filesystem, self.path, lambda: self._files_here(deep=deep), columns)
        return pa.RecordBatchReader.from_batches(pa.schema([SCHEMA.field(c) for c in columns]), batches)

    def _files_here(self, start: str = "", end: str = ".parquet", *, deep: bool = False) -> dict[str, int]:
        return files_in(self._filesystem, self._folder, self.path, start=start, end=end, deep=deep)

    def _all_files(self) -> dict[str, int]:
        return files_in(self._filesystem, self._folder, self.path, end="", notes=True)

    def _write_clock(self) -> WriteClock:
        if self._times is None:
            self._times = WriteClock()
            self._times.see(self._all_files())
        return self._times

    def _stamp(self) -> str:
        return f"{self._write_clock().stamp()}-{self._run}"

    def _written(self) -> None:
        """Wait for the current write; rows that could not be written are pending again."""
        if self._writer.idle:
            return
        try:
            with accessing(self.path):
                self._writer.finish(self._buffer.give_back)
        except EcdpError:
            self.failures += 1
            raise
        self.failures = 0

    def _write(self, rows: pa.Table) -> None:
        file = self._put_rows(rows)
        if not self._local or len(rows) >= FLUSH_ROWS:
            return
        self._small.append(file)
        self._small_rows += len(rows)
        # of a fast run, a few files are many rows: more of them would be 100 MB in memory
        if len(self._small) >= _MERGED_FILES or self._small_rows >= FLUSH_ROWS:
            self._merge_small()

    def _merge_small(self) -> None:
        """Write one file with the rows of this run's small files, and then remove them: a kill between leaves both."""
        files, self._small, self._small_rows = self._small, [], 0
        try:
            batches = [rows for file in files for rows in read_file(self._filesystem, self.path, file, SCHEMA.names)]
            merged = pa.Table.from_batches(batches, SCHEMA)
            file = self._put_rows(merged)
            for merged_file in files:
                self._filesystem.rm_file(merged_file)
        except (OSError, EcdpError) as error:
            # every row is in a file; a compaction merges them another time
            log.info("small files in %s were not merged: %s", self.path, error)
            return
        if len(merged) < FLUSH_ROWS:
            self._small.append(file)
            self._small_rows = len(merged)

    def _put_rows(self, rows: pa.Table) -> str:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        name = f"{self._stamp()}-{self._files:06d}.parquet"
        self._put(name, sink.getvalue().to_pybytes())
        self._files += 1
        return f"{self._folder.rstrip('/')}/{name}"

    def _put(self, name: str, data: bytes) -> None:
        put_whole(self._filesystem, self._folder, name, data)
