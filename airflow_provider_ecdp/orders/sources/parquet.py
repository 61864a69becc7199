"""Parquet files as a source.

A batch is read only when the engine asks for it. pyarrow's dataset scanner is not used: its read-ahead took 1.4 GB
where `ParquetFile.iter_batches` took 345 MB of the same file. One thread decodes all columns: each of Arrow's threads
keeps memory for its next buffers, 100 MB in total on 16 cores, and the CPU is the same.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ExtractError, MissingSourceError, SourceChangedError
from airflow_provider_ecdp.orders.sources import hive
from airflow_provider_ecdp.orders.sources.base import BATCH_BYTES, BATCH_ROWS, refuse_unusable, unusable
from airflow_provider_ecdp.orders.sources.common_types import CannotMeetError, cast, common_type
from airflow_provider_ecdp.orders.sources.discovery import find_files, is_pattern
from airflow_provider_ecdp.orders.sources.storage import (
    Version,
    display_path,
    located,
    reading,
    same_version,
    version_of,
    without_credentials,
)
from airflow_provider_ecdp.orders.sources.utf8 import marked

#: Bytes of a value in memory, as far as its type decides.
_TEXT_BYTES, _NUMBER_BYTES = 24, 8


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file: facts of its footer and its path, and the rows to read.

    :param schema: the file's own columns
    :param row_groups: rows and bytes of each row group
    :param folders: columns that its path holds, and their values
    :param repeated: names of columns that it has more than once; `schema` has the first of each
    :param version: facts that change when the file is replaced; none for a file that is not compared
    :param selected: the rows to read, None for all
    """

    path: str
    schema: pa.Schema
    row_groups: tuple[tuple[int, int], ...] = ()
    folders: Mapping[str, pa.Scalar] = field(default_factory=lambda: MappingProxyType({}))
    version: Version = field(default_factory=lambda: MappingProxyType({}))
    selected: range | None = None
    repeated: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows to read."""
        return sum(rows for rows, _ in self.row_groups) if self.selected is None else len(self.selected)


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """Parquet files that are read one after the other, with the columns of all of them."""

    name: str
    files: tuple[FileInfo, ...]
    filesystem: Any
    schema: pa.Schema

    @classmethod
    def open(
        cls, *paths: str | os.PathLike[str], filesystem: Any = None, partitions: hive.Selection | None = None
    ) -> ParquetSource:
        """Find the files behind `paths` (each a file, a folder, a glob, or an fsspec URL) and read their footers.

        In a folder, every file that ends in .parquet, .parq or .pq counts, at any depth, except names that start
        with `_` or `.`, which writers use for files without data; a glob matches those only if it spells them out, and
        takes the files of folders that it matches. One file system serves all paths. Folders that are called
        `name=value` are columns too, unless the files have a column of that name.

        :param partitions: values of such columns, one or a list for each; no other files are read
        :raises MissingSourceError: there are no such files, or no such partitions
        :raises ExtractError: a file cannot be read as Parquet
        """
        names = [display_path(filesystem, str(p)) if filesystem else without_credentials(str(p), str(p)) for p in paths]
        name = ", ".join(names)
        files: list[str] = []
        for path, called in zip(paths, names, strict=True):
            filesystem, inner = located(path, filesystem)
            if partitions and not is_pattern(inner):
                with reading(filesystem, called):
                    inner = hive.narrowed(filesystem, inner, partitions)
            files += find_files(filesystem, inner, called)
        if not files:
            raise MissingSourceError("no path of an extract was given")
        if partitions:
            files = hive.chosen(files, partitions, name)
        return cls.of_files(name, [_info(filesystem, file) for file in files], filesystem)

    @classmethod
    def of_files(cls, name: str, files: Sequence[FileInfo], filesystem: Any) -> ParquetSource:
        """Return the source of files that were found, with the columns that their paths hold."""
        schema = _common_schema(name, files, filesystem)
        folders = hive.partition_columns([file.path for file in files], schema.names)
        described = [
            replace(file, folders={c: folders.column(c)[i] for c in folders.column_names})
            for i, file in enumerate(files)
        ]
        whole = _with_one_spelling(name, described, filesystem, pa.schema([*schema, *folders.schema]))
        return cls(name, tuple(described), filesystem, whole)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(file.rows for file in self.files)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given; a file that lacks one gives nulls.

        :raises SourceChangedError: a file was replaced since its footer was read
        :raises ExtractError: a file cannot be read, or one of `columns` differs in its type between the files, or
            appears twice in one
        """
        refuse_unusable(self.schema, columns)
        schema = pa.schema([self.schema.field(column) for column in columns])
        for file in self.files:
            if file.selected is not None and not file.selected:
                continue
            self._refuse_replaced(file)
            try:
                yield from self._batches_of(file, columns, schema)
            except ExtractError:
                # of a file into which an export writes, two versions are read
                self._refuse_replaced(file)
                raise

    def _batches_of(self, file: FileInfo, columns: Sequence[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with _parquet(self.filesystem, file.path) as parquet:
            names = set(parquet.schema_arrow.names)
            for batch in _rows(parquet, file.selected, [c for c in columns if c in names]):
                yield _aligned(marked(batch, display_path(self.filesystem, file.path)), schema, file.folders)

    def _refuse_replaced(self, file: FileInfo) -> None:
        if not file.version:
            return
        called = display_path(self.filesystem, file.path)
        try:
            with reading(self.filesystem, called):
                now = version_of(self.filesystem, file.path, fresh=True)
        except ExtractError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            now = {}
        if now and same_version(file.version, now):
            return
        action = "replaced" if now else "removed"
        raise SourceChangedError(
            f"{called} was {action} while the run was reading it; run again when the export has finished, and let each "
            "export write to its own folder"
        )


def _info(filesystem: Any, file: str) -> FileInfo:
    """Return the facts of a file's footer."""
    with reading(filesystem, called := display_path(filesystem, file)):
        version = version_of(filesystem, file, fresh=False)
    if version.get("size") == "0":
        raise ExtractError(f"{called}: cannot be read as Parquet: the file has 0 bytes; did the export fail?")
    with _parquet(filesystem, file) as parquet:
        schema, footer = parquet.schema_arrow.remove_metadata(), parquet.metadata
        groups = (footer.row_group(i) for i in range(footer.num_row_groups))
        sizes = tuple((group.num_rows, group.total_byte_size) for group in groups)
    repeated = tuple(column for column, times in Counter(schema.names).items() if times > 1)
    first = {column.name: column for column in reversed(schema)}
    schema = pa.schema([first[name] for name in dict.fromkeys(schema.names)])
    return FileInfo(file, schema, sizes, version=version, repeated=repeated)


def _common_schema(name: str, files: Sequence[FileInfo], filesystem: Any) -> pa.Schema:
    """Return the columns of all files, each with the type in which the files' values meet.

    A column without such a type, or that a file has twice, is unusable: a run may not need it.
    """
    # thousands of files have a handful of schemas
    kinds = {file.schema: file.path for file in reversed(files)}
    columns = {column.name: column for schema in reversed(kinds) for column in reversed(list(schema))}
    names = dict.fromkeys(column for schema in reversed(kinds) for column in schema.names)
    reasons: dict[str, str] = {}
    if len(kinds) > 1:
        for column in names:
            having = [schema for schema in reversed(kinds) if schema.get_field_index(column) >= 0]
            types = [(schema.field(column).type, kinds[schema]) for schema in having]
            try:
                columns[column] = pa.field(column, _common_type(name, column, types, filesystem))
            except ExtractError as error:
                # the same in every shard, whatever the sequence of its files
                type_ = min((type_ for type_, _ in types), key=str)
                columns[column], reasons[column] = pa.field(column, type_), str(error)
    for file in files:
        for column in file.repeated:
            called = display_path(filesystem, file.path)
            reasons[column] = f"{called}: more than one column is called {column}; rename them"
    fields = [columns[column] for column in names]
    return pa.schema([unusable(f, reasons[f.name]) if f.name in reasons else f for f in fields])


def _with_one_spelling(name: str, files: Sequence[FileInfo], filesystem: Any, schema: pa.Schema) -> pa.Schema:
    """Return `schema`, in which columns are unusable whose names differ in case, one in some files, one in others.

    A warehouse has one such column: each of the two would be NULL in the rows of the other's files. A file that has
    both means two columns.
    """
    spellings: dict[str, list[str]] = {}
    for column in schema.names:
        spellings.setdefault(column.lower(), []).append(column)
    several = [names for names in spellings.values() if len(names) > 1]
    if not several:
        return schema
    kinds = {frozenset(hive.partition_values(file.path)) | frozenset(file.schema.names): file.path for file in files}
    reasons: dict[str, str] = {}
    for names in several:
        if any(len(kind.intersection(names)) > 1 for kind in kinds):
            continue
        example = next((path for kind, path in kinds.items() if names[1] in kind), "")
        reason = (
            f"{name}: one column is spelled {' and '.join(map(repr, names))} in files and folders "
            f"(see {display_path(filesystem, example)}); spell it the same in all of them"
        )
        reasons |= dict.fromkeys(names, reason)
    return pa.schema([unusable(f, reasons[f.name]) if f.name in reasons else f for f in schema])


def _common_type(name: str, column: str, types: Sequence[tuple[pa.DataType, str]], filesystem: Any) -> pa.DataType:
    """Return the type in which the values of a column meet.

    :param types: of the column, each with a file that has it
    :raises ExtractError: there is none
    """
    common = types[0][0]
    for type_, path in types:
        try:
            common = common_type(common, type_)
        except CannotMeetError as error:
            raise ExtractError(
                f"{name}: the files differ in the type of the column {column}{error.path}: {error.first} and "
                f"{error.second} have no common type without loss (see {display_path(filesystem, path)}); "
                "write all files with one type"
            ) from None
    try:
        for type_, _ in types:
            cast(pa.nulls(1, type_), common)
    except pa.ArrowException as error:
        raise ExtractError(
            f"{name}: the files have columns of incompatible types ({error}); write them with one schema"
        ) from None
    return common


@contextlib.contextmanager
def _parquet(filesystem: Any, path: str) -> Iterator[pq.ParquetFile]:
    local = isinstance(filesystem, LocalFileSystem)
    with reading(filesystem, called := display_path(filesystem, path)):
        # pyarrow reads exactly the ranges it needs; fsspec would read 50 MB beyond each
        source: str | IO[bytes] = path if local else filesystem.open(path, "rb", cache_type="none")
        try:
            with (
                contextlib.nullcontext() if isinstance(source, str) else source,
                # INT96 that is read as nanoseconds ends in 2262, and a date of the year 9999 is one of 1816
                pq.ParquetFile(source, pre_buffer=not local, coerce_int96_timestamp_unit="us") as parquet,
            ):
                yield parquet
        except pa.ArrowInvalid as error:
            raise ExtractError(f"{called}: cannot be read as Parquet: {error}") from None


def _rows(parquet: pq.ParquetFile, selected: range | None, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows `selected` of a file, None for all; row groups without any of them are not read."""
    end = 0
    for group in range(parquet.num_row_groups):
        start, end = end, end + parquet.metadata.row_group(group).num_rows
        if selected is not None and (end <= selected.start or selected.stop <= start):
            continue
        rows = _batch_rows(parquet.metadata.row_group(group), columns)
        # group by group: with pre_buffer, all row groups that are named are fetched ahead
        for batch in parquet.iter_batches(rows, row_groups=[group], columns=columns, use_threads=False):
            if selected is None:
                yield batch
                continue
            first, start = start, start + len(batch)
            if first >= selected.stop:
                break
            if start > selected.start:
                skipped = max(0, selected.start - first)
                yield batch.slice(skipped, min(start, selected.stop) - first - skipped)


def _batch_rows(group: pq.RowGroupMetaData, columns: list[str]) -> int:
    """Return how many rows of a row group make a batch of at most 16 MB, according to its footer."""
    begins = tuple(f"{column}." for column in columns)
    size = 0
    for i in range(group.num_columns):
        chunk = group.column(i)
        if f"{chunk.path_in_schema}.".startswith(begins):
            # values that repeat are few bytes in the file, and many in memory
            width = _TEXT_BYTES if chunk.physical_type == "BYTE_ARRAY" else _NUMBER_BYTES
            size += max(chunk.total_uncompressed_size, chunk.num_values * width)
    return max(1, min(BATCH_ROWS, BATCH_BYTES * int(group.num_rows) // max(size, 1)))


def _aligned(
    batch: pa.RecordBatch, schema: pa.Schema, constants: Mapping[str, pa.Scalar] = MappingProxyType({})
) -> pa.RecordBatch:
    """Return the columns of `schema`; those that the batch lacks are constants, or null."""
    if batch.schema.equals(schema):
        return batch
    names = set(batch.schema.names)
    absent = {f.name: constants.get(f.name, pa.scalar(None, f.type)) for f in schema if f.name not in names}
    arrays = [
        pa.repeat(absent[f.name], batch.num_rows) if f.name in absent else cast(batch.column(f.name), f.type)
        for f in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
