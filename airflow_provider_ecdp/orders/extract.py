"""Extracts: where order data is read from, as Arrow record batches, only the columns needed.

A batch is read only when the engine asks for it. pyarrow's dataset scanner is not used: its read-ahead took 1.4 GB
where `ParquetFile.iter_batches` took 345 MB of the same file.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Any, Protocol

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ExtractError
from airflow_provider_ecdp.orders import hive
from airflow_provider_ecdp.orders.broken_text import marked

#: Rows of one record batch. Orders with hundreds of lines make a batch of some 100 MB at 8,192 rows.
BATCH_ROWS = 4096

_GLOB = re.compile(r"[*?\[]")
_SUFFIXES = (".parquet", ".parq", ".pq")


class Extract(Protocol):
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


@dataclass(frozen=True, slots=True)
class TableExtract:
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


@dataclass(frozen=True, slots=True)
class ParquetExtract:
    """Parquet files of one schema, read in the order of their names."""

    name: str
    files: tuple[str, ...]
    filesystem: Any
    schema: pa.Schema
    rows: int
    #: columns that the files' paths hold, with a row for each file; None for none
    folders: pa.Table | None = None

    @classmethod
    def open(
        cls, *paths: str | os.PathLike[str], filesystem: Any = None, partitions: hive.Wanted | None = None
    ) -> ParquetExtract:
        """Find the files behind `paths` (each a file, a folder, a glob, or an fsspec URL) and read their footers.

        In a folder, every file that ends in .parquet, .parq or .pq counts, at any depth, but for names that start
        with `_` or `.`, which writers use for what is not data; a glob matches those only if it spells them out, and
        takes what is in the folders that it matches. One file system serves all paths. Folders that are called
        `name=value` are columns too, unless the files have a column of that name.

        :param partitions: values of such columns, one or a list for each; no other files are looked at
        :raises ExtractError: nothing is there, it is no Parquet, or the files' columns do not go together
        """
        name = ", ".join(str(path) for path in paths)
        files: list[str] = []
        for path in paths:
            inner = os.fspath(path)
            if not inner.strip():
                # the working directory, to a file system
                raise ExtractError("the path of the extract holds no characters; does a template give nothing?")
            if filesystem is None:
                try:
                    filesystem, inner = fsspec.url_to_fs(inner)
                except (ImportError, ValueError) as error:
                    raise ExtractError(f"{path}: {error}") from None
            inner = filesystem._strip_protocol(inner)  # noqa: SLF001 - fsspec has no public name for it
            if partitions and not _GLOB.search(inner):
                inner = hive.narrowed(filesystem, inner, partitions)
            files += _find(filesystem, inner, str(path))
        if not files:
            raise ExtractError("no path of an extract was given")
        if partitions:
            files = hive.chosen(files, partitions, name)
        schemas = []
        rows = 0
        for file in files:
            with _parquet(filesystem, file) as parquet:
                schema = parquet.schema_arrow.remove_metadata()
                rows += parquet.metadata.num_rows
            if twice := [column for column, times in Counter(schema.names).items() if times > 1]:
                raise ExtractError(f"{file}: more than one column is called {', '.join(twice)}; rename them")
            schemas.append(schema)
        schema = _one_schema(name, schemas)
        folders = hive.partition_columns(files, schema.names)
        return cls(name, tuple(files), filesystem, pa.schema([*schema, *folders.schema]), rows, folders)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given; a file that lacks one gives nulls."""
        wanted = pa.schema([self.schema.field(column) for column in columns])
        folders = [c for c in columns if self.folders is not None and c in self.folders.column_names]
        for i, file in enumerate(self.files):
            constants = {c: self.folders.column(c)[i] for c in folders} if self.folders is not None else {}
            with _parquet(self.filesystem, file) as parquet:
                held = set(parquet.schema_arrow.names)
                for group in range(parquet.num_row_groups):
                    # group by group: with pre_buffer, all row groups that are named are fetched ahead
                    for batch in parquet.iter_batches(
                        BATCH_ROWS, row_groups=[group], columns=[c for c in columns if c in held]
                    ):
                        yield _aligned(marked(batch, file), wanted, constants)


def _one_schema(name: str, schemas: Sequence[pa.Schema]) -> pa.Schema:
    try:
        schema = pa.unify_schemas(list(schemas), promote_options="permissive")
        for one in set(schemas):
            # what cannot be read as the common type, such as int64 as decimal(19, 2), is known before the first order
            _aligned(pa.RecordBatch.from_arrays([pa.nulls(1, f.type) for f in one], schema=one), schema)
    except pa.ArrowException as error:
        raise ExtractError(
            f"{name}: its {len(schemas)} files have columns of different types that do not go together ({error}); "
            "write them with one schema"
        ) from None
    return schema


def _find(filesystem: Any, path: str, name: str) -> list[str]:
    try:
        if filesystem.isfile(path):
            return [path]
        if filesystem.isdir(path):
            if files := sorted(_data_files(filesystem, path)):
                return files
            others = len(filesystem.find(path))
            held = f"it holds {others} other files" if others else "it is empty"
            raise ExtractError(f"{name}: no Parquet file in this folder ({held}; looked for {', '.join(_SUFFIXES)})")
        # after the others: brackets may stand in a name
        if _GLOB.search(path):
            return _matching(filesystem, path, name)
    except OSError as error:
        raise ExtractError(f"{name}: cannot be read: {error}") from error
    raise ExtractError(f"{name}: no such file or folder")


def _matching(filesystem: Any, pattern: str, name: str) -> list[str]:
    files: set[str] = set()
    fixed = _GLOB.split(pattern, maxsplit=1)[0].rpartition("/")[0]
    # a pattern that names what is hidden means it
    meant = _hidden(pattern, fixed)
    for match, info in filesystem.glob(pattern, detail=True).items():
        if _hidden(match, fixed) and not meant:
            continue
        inside = info["type"] == "directory"
        files.update(_data_files(filesystem, match) if inside else [match])
    if not files:
        raise ExtractError(f"{name}: no file matches")
    return sorted(files)


def _data_files(filesystem: Any, folder: str) -> list[str]:
    return [f for f in filesystem.find(folder) if f.lower().endswith(_SUFFIXES) and not _hidden(f, folder)]


def _hidden(path: str, folder: str) -> bool:
    return any(part[:1] in ("_", ".") for part in path[len(folder.rstrip("/")) :].split("/") if part)


@contextlib.contextmanager
def _parquet(filesystem: Any, path: str) -> Iterator[pq.ParquetFile]:
    local = isinstance(filesystem, LocalFileSystem)
    try:
        source: str | IO[bytes] = path if local else filesystem.open(path, "rb")
        with (
            contextlib.nullcontext() if isinstance(source, str) else source,
            pq.ParquetFile(source, pre_buffer=not local) as parquet,
        ):
            yield parquet
    except pa.ArrowInvalid as error:
        raise ExtractError(f"{path}: cannot be read as Parquet: {error}") from None
    except OSError as error:
        raise ExtractError(f"{path}: cannot be read: {error}") from error


def _aligned(
    batch: pa.RecordBatch, wanted: pa.Schema, constants: Mapping[str, pa.Scalar] = MappingProxyType({})
) -> pa.RecordBatch:
    """Return the columns of `wanted`; what the batch lacks is a constant, or null."""
    if batch.schema.equals(wanted):
        return batch
    held = set(batch.schema.names)
    absent = {f.name: constants.get(f.name, pa.scalar(None, f.type)) for f in wanted if f.name not in held}
    arrays = [
        pa.repeat(absent[f.name], batch.num_rows) if f.name in absent else batch.column(f.name).cast(f.type)
        for f in wanted
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)
