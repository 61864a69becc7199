"""Lists and reads the files of a ledger, and finds the newest row of each order, while other processes write there."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.atomic_write import accessing
from airflow_provider_ecdp.ledger.schema import SCHEMA
from airflow_provider_ecdp.orders.engine.connection import locked_engine, reading_from
from airflow_provider_ecdp.orders.sources.storage import file_system, stripped, without_credentials

log = logging.getLogger(__name__)

#: Columns that are read to find the newest row of each order.
COLUMNS = ("order_id", "content_hash", "outcome", "at")

#: Memory limit of an engine over ledgers; beyond it, it spills to disk.
MEMORY_LIMIT = "256MB"

#: Rows of one record batch.
_ROWS = 65_536

#: Files below a folder of the local disk that are not results; with more, it is not the folder of results.
_MOST_FOREIGN = 10_000


def results_folder(path: str | os.PathLike[str], filesystem: Any = None) -> tuple[Any, str]:
    """Return the file system of a folder of results, found from its URL if none is given, and the folder in it.

    :raises ConfigurationError: the path is empty, or there is no file system for its URL
    :raises StorageError: the storage cannot be reached
    """
    folder = os.fspath(path)
    if filesystem is not None:
        return filesystem, folder
    if not folder.strip():
        # the working directory, to a file system
        raise ConfigurationError(f"results path {folder!r} is empty")
    with accessing(folder, "read"):
        try:
            filesystem, folder = file_system(folder)
        except (ImportError, ValueError) as error:
            raise ConfigurationError(without_credentials(f"results path {path}: {error}", os.fspath(path))) from None
    return filesystem, stripped(filesystem, folder)


def files_in(
    filesystem: Any,
    folder: str,
    name: str,
    *,
    start: str = "",
    end: str = ".parquet",
    deep: bool = False,
    notes: bool = False,
) -> dict[str, int]:
    """Return the sizes of the files in a folder, by their paths, sorted; empty if there is no such folder.

    :param name: the user's name for the folder, for messages
    :param start: of the names; without it, names that begin with `.` or `_` are left out
    :param deep: whether files in folders inside count too
    :param notes: whether files whose names begin with `.` or `_` are included
    :raises ConfigurationError: the folder is a file
    :raises StorageError: the storage does not answer
    """
    # files that another process has added since are not in the cache
    filesystem.invalidate_cache(folder)
    with accessing(name, "read"):
        try:
            entries = _found(filesystem, folder, name) if deep else filesystem.ls(folder, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
    _refuse_file(filesystem, folder, name, entries)
    above = stripped(filesystem, folder).rstrip("/") + "/"
    hidden = () if start or notes else (".", "_")
    files = {}
    for entry in entries:
        path = entry["name"]
        parts = stripped(filesystem, path).removeprefix(above).split("/")
        if parts[-1].startswith(start) and parts[-1].endswith(end) and not any(p.startswith(hidden) for p in parts):
            files[path] = entry.get("size") or 0
    return dict(sorted(files.items()))


def _found(filesystem: Any, folder: str, name: str) -> list[dict[str, Any]]:
    """Return the entries of all files in a folder and in the folders inside it.

    :raises ConfigurationError: on the local disk, too many of them are not files of results: the folder is another one
    """
    if not isinstance(filesystem, LocalFileSystem):
        return list(filesystem.find(folder, detail=True).values())
    entries: list[dict[str, Any]] = []
    foreign = 0
    for _, _, files in filesystem.walk(folder, detail=True):
        entries += files.values()
        foreign += sum(not file.startswith((".", "_")) and not file.endswith(".parquet") for file in files)
        if foreign > _MOST_FOREIGN:
            raise ConfigurationError(
                f"{name} holds more than {_MOST_FOREIGN:,} files that are not results; name the folder of the results"
            )
    return entries


def _refuse_file(filesystem: Any, folder: str, name: str, entries: Sequence[dict[str, Any]]) -> None:
    """Refuse a path that is a file.

    :param entries: of the files in it; a file lists itself, and so does the empty marker of a folder in an object store
    :raises ConfigurationError: it is one
    """
    own = stripped(filesystem, folder).rstrip("/")
    for entry in entries if len(entries) == 1 else ():
        if stripped(filesystem, entry["name"]) == own and entry.get("size") and entry["type"] == "file":
            raise ConfigurationError(f"{name} is a file; name the folder that holds the results")


def folders_in(filesystem: Any, folder: str, name: str) -> list[str]:
    """Return the names of the folders directly in a folder; none if there is no such folder.

    :param name: the user's name for the folder, for messages
    :raises ConfigurationError: the folder is a file
    :raises StorageError: the storage does not answer
    """
    filesystem.invalidate_cache(folder)
    with accessing(name, "read"):
        try:
            entries = filesystem.ls(folder, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
    _refuse_file(filesystem, folder, name, entries)
    return [entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == "directory"]


def read_rows(
    filesystem: Any,
    name: str,
    listed: Callable[[], Iterable[str]],
    columns: Sequence[str],
    foreign: set[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield these columns of all rows. A row can come twice where a compaction has moved it meanwhile.

    :param name: the user's name for the folder, for messages
    :param listed: lists the files
    :param foreign: gets the files that do not hold outcomes
    :raises ConfigurationError: a file is damaged
    :raises StorageError: the storage does not answer
    """
    seen: set[str] = set()
    missed = True
    while missed:
        # a file that a compaction has removed meanwhile: its rows are in a file that was written before
        missed = False
        for file in [file for file in listed() if file not in seen]:
            seen.add(file)
            try:
                yield from read_file(filesystem, name, file, columns, foreign)
            except FileNotFoundError:
                missed = True


def read_file(
    filesystem: Any, name: str, file: str, columns: Sequence[str], foreign: set[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield these columns of one file; none if the file does not hold outcomes, which `foreign` then gets.

    :raises FileNotFoundError: the file is gone
    """
    schema = pa.schema([SCHEMA.field(column) for column in columns])
    local = isinstance(filesystem, LocalFileSystem)
    with accessing(name, "read", expected=(FileNotFoundError,)), _refusing_damage(name, file, local=local):
        source: str | IO[bytes] = file if local else filesystem.open(file, "rb", cache_type="none")
        with (
            # ParquetFile does not close a file that was opened by its caller
            contextlib.nullcontext() if isinstance(source, str) else source,
            pq.ParquetFile(source, pre_buffer=not local) as parquet,
        ):
            names = set(parquet.schema_arrow.names)
            if not {"order_id", "outcome"} <= names:
                log.warning("%s: %s has no outcomes of orders and is ignored", name, file)
                if foreign is not None:
                    foreign.add(file)
                return
            for batch in parquet.iter_batches(_ROWS, columns=[c for c in columns if c in names], use_threads=False):
                yield _aligned(batch, schema)


@contextlib.contextmanager
def _refusing_damage(name: str, file: str, *, local: bool) -> Iterator[None]:
    """Turn errors about the content of a file into ConfigurationError."""
    try:
        yield
    except pa.ArrowInvalid as error:
        raise _damaged(name, file, error) from None
    except (FileNotFoundError, ValueError):
        raise
    except Exception as error:
        # for damaged pages Arrow raises an OSError without an errno
        if local and getattr(error, "errno", None) is None:
            raise _damaged(name, file, error) from None
        raise


def _damaged(name: str, file: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"results path {name}: {file} is damaged or is not a results file ({error}); move it to another folder"
    )


def _aligned(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    if batch.schema.equals(schema):
        return batch
    arrays = [
        batch.column(f.name).cast(f.type) if f.name in batch.schema.names else pa.nulls(batch.num_rows, f.type)
        for f in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def newest(rows: pa.RecordBatchReader, columns: str, condition: str) -> pa.Table:
    """Return `columns` of the newest row of each order, where it meets the condition.

    :param rows: with the columns `COLUMNS`
    :param columns: SQL
    :param condition: SQL
    """
    action = "reading the results of earlier runs"
    with locked_engine(memory_limit=MEMORY_LIMIT, threads=1) as engine, reading_from(engine, "rows", rows, action):
        per_order = (
            'SELECT order_id, arg_max(content_hash, "at") AS content_hash, arg_max(outcome, "at") AS outcome '
            "FROM rows WHERE order_id IS NOT NULL GROUP BY order_id"
        )
        return engine.sql(f"SELECT {columns} FROM ({per_order}) WHERE {condition}").to_arrow_table()


def newest_failed(rows: pa.RecordBatchReader, outcomes: Iterable[str]) -> tuple[pa.Table, int]:
    """Return `order_id` of the orders whose newest row has one of some outcomes, and the number of all orders."""
    action = "reading the results of earlier runs"
    with locked_engine(memory_limit=MEMORY_LIMIT, threads=1) as engine:
        with reading_from(engine, "rows", rows, action):
            engine.execute(
                'CREATE TABLE newest AS SELECT order_id, arg_max(outcome, "at") AS outcome '
                "FROM rows WHERE order_id IS NOT NULL GROUP BY order_id"
            )
        (total,) = engine.execute("SELECT count(*) FROM newest").fetchall()[0]
        texts = ", ".join(f"'{outcome}'" for outcome in outcomes)
        return engine.sql(f"SELECT order_id FROM newest WHERE outcome IN ({texts})").to_arrow_table(), total
