"""Rewrites the files of results: many small files into few, and files without an order that must be erased.

New files are written, whole, before old ones are removed. A kill in between leaves rows twice, which changes no
answer; a run that reads or writes at the same time finds each row in an old file or in a new one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.atomic_write import UNFINISHED, accessing, put_whole
from airflow_provider_ecdp.ledger.reader import MEMORY_LIMIT, files_in, read_file, read_rows, results_folder
from airflow_provider_ecdp.ledger.schema import SCHEMA
from airflow_provider_ecdp.ledger.write_clock import WriteClock, newest_time
from airflow_provider_ecdp.orders.engine.connection import locked_engine, reading_from, record_batches, running
from airflow_provider_ecdp.orders.sources.storage import below, display_path
from airflow_provider_ecdp.results.folders import is_of_run

#: Rows of one file that a compaction writes; about 50 MB in memory.
_FILE_ROWS = 500_000

#: Maximum time that writing one file takes.
_WRITING = dt.timedelta(minutes=10)

_COLUMNS = ", ".join(f'"{name}"' for name in SCHEMA.names)


@dataclass(frozen=True, slots=True)
class Compacted:
    """The result of a compaction: files before and after, rows kept, and old rows dropped."""

    files_before: int
    files_after: int
    rows: int
    dropped: int

    def __add__(self, other: Compacted) -> Compacted:
        """Return the sums."""
        return Compacted(
            self.files_before + other.files_before,
            self.files_after + other.files_after,
            self.rows + other.rows,
            self.dropped + other.dropped,
        )


def compact(path: str | os.PathLike[str], filesystem: Any = None, *, keep_days: float | None = None) -> Compacted:
    """Merge the files of each ledger in a folder into few. Files that do not hold outcomes stay.

    :param path: a run's folder, or one with many of them inside
    :param keep_days: older rows are removed, except the newest of each order; None keeps all rows
    :raises ConfigurationError: there are no results, or `keep_days` is negative
    :raises StorageError: the storage does not answer, or is full
    """
    if keep_days is not None and not keep_days >= 0:
        raise ConfigurationError(f"keep_days must be 0 or more, not {keep_days}")
    storage = _Storage.of(path, filesystem)
    done = Compacted(0, 0, 0, 0)
    for folder in storage.ledgers():
        done += _compact_one(storage, folder, keep_days)
    return done


def prune(
    path: str | os.PathLike[str],
    filesystem: Any = None,
    *,
    keep_days: float,
    belongs: Callable[[str], bool] | None = None,
) -> int:
    """Remove the folders of operators' runs that have written nothing for `keep_days`; return their number.

    A run's folder ends in its epoch, a number. Histories, deletions and lists of failed orders stay.

    :param belongs: whether a folder, by its path below `path`, may be removed; None is all of them
    :raises ConfigurationError: `keep_days` is less than 1, or there are no results
    :raises StorageError: the storage does not answer
    """
    if not keep_days >= 1:
        raise ConfigurationError(f"keep_days must be 1 or more, not {keep_days}: a run may last as long")
    storage = _Storage.of(path, filesystem)
    oldest = _days_ago(keep_days)
    removed = 0
    for folder, files in storage.folders().items():
        inside = storage.below(folder)
        written = newest_time(files)
        if written is None or written >= oldest or not is_of_run(inside) or not (belongs is None or belongs(inside)):
            continue
        # only what was listed: a task that is cleared may write here meanwhile
        for file in files:
            storage.remove(file)
        storage.remove_if_empty(folder)
        removed += 1
    return removed


def _days_ago(days: float) -> dt.datetime:
    """Return the time of this many days ago, or the earliest possible time."""
    try:
        return dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    except OverflowError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def forget(path: str | os.PathLike[str], order_id: str, filesystem: Any = None) -> int:
    """Erase all rows of an order from all files in a folder, and in folders inside; return how many there were.

    Each file is replaced at once by one without the order. If this is interrupted, call it again. Unfinished files of
    killed processes are removed. A run in progress may still write the order afterwards.

    :raises ConfigurationError: there are no results
    :raises StorageError: the storage does not answer, or is full
    """
    storage = _Storage.of(path, filesystem)
    storage.remove_unfinished()
    erased = 0
    seen: set[str] = set()
    # a run or a compaction merges files meanwhile: the order may be in the new one
    while files := [file for file in storage.all_files() if file not in seen]:
        seen.update(files)
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                erased += _forget_in(storage, file, order_id)
    return erased


@dataclass(frozen=True, slots=True)
class _Storage:
    """A folder of ledgers, as its file system knows it."""

    filesystem: Any
    folder: str
    name: str

    @classmethod
    def of(cls, path: str | os.PathLike[str], filesystem: Any) -> _Storage:
        filesystem, folder = results_folder(path, filesystem)
        return cls(filesystem, folder, display_path(filesystem, os.fspath(path)))

    def files(self, folder: str) -> list[str]:
        return list(files_in(self.filesystem, folder, self.name))

    def all_files(self) -> list[str]:
        """Return the files of all ledgers."""
        files = files_in(self.filesystem, self.folder, self.name, deep=True)
        if not files:
            raise ConfigurationError(f"{self.name} has no results of a run")
        return list(files)

    def ledgers(self) -> list[str]:
        return list(dict.fromkeys(file.rpartition("/")[0] for file in self.all_files()))

    def remove_unfinished(self) -> None:
        """Remove the unfinished files of killed processes."""
        oldest = dt.datetime.now(dt.UTC) - _WRITING
        for file in files_in(self.filesystem, self.folder, self.name, end=UNFINISHED, deep=True, notes=True):
            written = newest_time([file.rpartition("/")[2].removeprefix(".")])
            if written is not None and written < oldest:
                self.remove(file)

    def folders(self) -> dict[str, list[str]]:
        """Return all files, hidden ones too, by their folder."""
        listed = files_in(self.filesystem, self.folder, self.name, end="", deep=True, notes=True)
        if not listed:
            raise ConfigurationError(f"{self.name} has no results of a run")
        folders: dict[str, list[str]] = {}
        for file in listed:
            folders.setdefault(file.rpartition("/")[0], []).append(file)
        return folders

    def below(self, folder: str) -> str:
        """Return the path of a folder below this one."""
        return below(self.filesystem, self.folder, folder)

    def remove_if_empty(self, folder: str) -> None:
        """Remove a folder of a local disk, and those above it up to this one; an object store has none."""
        if not isinstance(self.filesystem, LocalFileSystem):
            return
        with contextlib.suppress(OSError):
            for _ in self.below(folder).split("/"):
                self.filesystem.rmdir(folder)
                folder = folder.rpartition("/")[0]

    def put(self, folder: str, name: str, rows: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        with accessing(self.name):
            put_whole(self.filesystem, folder, name, sink.getvalue().to_pybytes())

    def remove(self, file: str) -> None:
        # another compaction may have removed it
        with accessing(self.name, "changed"), contextlib.suppress(FileNotFoundError):
            self.filesystem.rm_file(file)


def _compact_one(storage: _Storage, folder: str, keep_days: float | None) -> Compacted:
    read: dict[str, None] = {}

    def listed() -> list[str]:
        files = storage.files(folder)
        read.update(dict.fromkeys(files))
        return files

    before = len(listed())
    if before == 1 and keep_days is None:
        return Compacted(1, 1, 0, 0)
    foreign: set[str] = set()
    batches = read_rows(storage.filesystem, storage.name, listed, SCHEMA.names, foreign)
    rows = pa.RecordBatchReader.from_batches(SCHEMA, batches)
    action = f"merging the files of {storage.name}"
    with locked_engine(memory_limit=MEMORY_LIMIT, threads=1) as engine:
        with reading_from(engine, "incoming", rows, action):
            engine.execute(f"CREATE TABLE all_rows AS SELECT DISTINCT {_COLUMNS} FROM incoming")
        # files of others may be there by mistake, or the folder be that of the extracts
        own = [file for file in read if file not in foreign]
        if not own:
            return Compacted(0, 0, 0, 0)
        condition = "TRUE"
        if keep_days is not None:
            oldest = _days_ago(keep_days)
            with running(action):
                engine.execute(
                    'CREATE TABLE newest AS SELECT order_id, max("at") AS "at" FROM all_rows GROUP BY order_id'
                )
            condition = f'"at" >= TIMESTAMPTZ \'{oldest.isoformat()}\' OR (order_id, "at") IN (FROM newest)'
        (total,) = engine.execute("SELECT count(*) FROM all_rows").fetchall()[0]
        times = WriteClock()
        times.see(read)
        kept = files = 0
        ordered = f'SELECT {_COLUMNS} FROM all_rows WHERE {condition} ORDER BY "at"'
        for table in _tables(record_batches(engine, ordered, 65_536, lambda: running(action))):
            storage.put(folder, f"{times.stamp()}-{uuid.uuid4().hex[:8]}-{files:06d}.parquet", table)
            files, kept = files + 1, kept + len(table)
    for file in own:
        storage.remove(file)
    return Compacted(before - len(foreign), files, kept, total - kept)


def _tables(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield tables of about as many rows as one file has; one without rows if there are none: a run has begun."""
    taken: list[pa.RecordBatch] = []
    any_yet = False
    for batch in batches:
        taken.append(batch)
        if sum(map(len, taken)) >= _FILE_ROWS:
            yield pa.Table.from_batches(taken).cast(SCHEMA)
            taken, any_yet = [], True
    if taken or not any_yet:
        yield pa.Table.from_batches(taken, None if taken else SCHEMA).cast(SCHEMA)


def _forget_in(storage: _Storage, file: str, order_id: str) -> int:
    folder, _, name = file.rpartition("/")
    ids = read_file(storage.filesystem, storage.name, file, ["order_id"])
    if not any(pc.any(pc.equal(batch.column(0), order_id)).as_py() for batch in ids):
        return 0
    rows = pa.Table.from_batches(read_file(storage.filesystem, storage.name, file, SCHEMA.names), SCHEMA)
    others = rows.filter(pc.invert(pc.fill_null(pc.equal(rows["order_id"], order_id), False)))
    storage.put(folder, name, others)
    return len(rows) - len(others)
