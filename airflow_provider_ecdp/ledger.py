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
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.orders.extract import ParquetExtract
from airflow_provider_ecdp.outcomes import Outcome, Settled

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

#: Protocols of fsspec under which a file is there once its upload has ended, and not before.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "oss", "oci", "memory"})

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
        self.path = os.fspath(path)
        self._folder = self.path
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

    def begin(self) -> None:
        """Leave a sign that a run has begun, if there is none: one that is killed early has written nothing else.

        :raises ConfigurationError: nothing can be written here
        """
        if self.exists():
            return
        try:
            self._write(SCHEMA.empty_table())
        except OSError as error:
            raise ConfigurationError(f"results path {self.path} cannot be written: {error}") from error

    def add(self, settled: Settled, reasons: Sequence[str | None] | None) -> None:
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
        """Flush if the last flush is long ago, or much is pending."""
        if self._pending >= FLUSH_ROWS or (self._pending and self._clock() - self._flushed >= self._flush_seconds):
            self.flush()

    def due_in(self) -> float | None:
        """Return the seconds until a flush is due; None if nothing is pending."""
        return max(0.0, self._flush_seconds - (self._clock() - self._flushed)) if self._pending else None

    def flush(self) -> None:
        """Write what is pending as one file, which is whole or absent."""
        self._flushed = self._clock()
        if not self._pending:
            return
        self._copy()
        self._write(pa.concat_tables(self._rows))
        self._rows, self._pending = [], 0

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
        folder = self._folder.rstrip("/")
        self._filesystem.makedirs(folder, exist_ok=True)
        protocol = self._filesystem.protocol
        if not _OBJECT_STORES.isdisjoint([protocol] if isinstance(protocol, str) else protocol):
            self._filesystem.pipe_file(f"{folder}/{name}", data)
            return
        hidden = f"{folder}/.{name}.part"
        if not isinstance(self._filesystem, LocalFileSystem):
            # SFTP, SMB, HDFS: a file is there from its first byte on
            self._filesystem.pipe_file(hidden, data)
            self._filesystem.mv(hidden, f"{folder}/{name}")
            return
        with open(hidden, "wb") as file:  # noqa: PTH123 - the path is a string of fsspec's
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(hidden, f"{folder}/{name}")  # noqa: PTH105 - as above

    def exists(self) -> bool:
        """Whether an earlier run has written here."""
        return bool(self._files_here())

    def _files_here(self) -> list[str]:
        # listed, not globbed: a folder may be named with brackets. What another process has added since is not cached
        self._filesystem.invalidate_cache(self._folder)
        try:
            found = self._filesystem.ls(self._folder, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = {path: path.rstrip("/").rpartition("/")[2] for path in found}
        return sorted(path for path, name in names.items() if name.endswith(".parquet") and name[0] not in "._")

    def accepted(self) -> pa.Table | None:
        """Return what ECDP holds as far as the ledger knows; None for a new ledger.

        The columns are `order_id`, `content_hash` and `outcome`: accepted or skipped.
        """
        taken = f"'{Outcome.ACCEPTED}', '{Outcome.SKIPPED}'"
        return self._newest("order_id, content_hash, outcome", f"outcome IN ({taken})")

    def unfinished(self) -> pa.Table | None:
        """Return `order_id` of the orders that an earlier run left rejected or unresolved; None for a new ledger."""
        return self._newest("order_id", f"outcome IN ('{Outcome.REJECTED}', '{Outcome.UNRESOLVED}')")

    def _newest(self, columns: str, condition: str) -> pa.Table | None:
        files = self._files_here()
        if not files:
            return None
        needed = ["order_id", "content_hash", "outcome", "at"]
        schema = pa.schema([SCHEMA.field(c) for c in needed])
        batches = ParquetExtract(self.path, tuple(files), self._filesystem, SCHEMA, 0).batches(needed)

        with duckdb.connect(":memory:", config={"threads": 1}) as engine:
            engine.register("rows", pa.RecordBatchReader.from_batches(schema, batches))
            newest = (
                'SELECT order_id, arg_max(content_hash, "at") AS content_hash, arg_max(outcome, "at") AS outcome '
                "FROM rows WHERE order_id IS NOT NULL GROUP BY order_id"
            )
            return engine.sql(f"SELECT {columns} FROM ({newest}) WHERE {condition}").to_arrow_table()
