"""Extracts: where order data is read from, as Arrow record batches, only the columns needed.

A batch is read only when the engine asks for it. pyarrow's dataset scanner is not used: its read-ahead took 1.4 GB
where `ParquetFile.iter_batches` took 345 MB of the same file.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ExtractError
from airflow_provider_ecdp.orders.names import listed
from airflow_provider_ecdp.orders.sources import hive
from airflow_provider_ecdp.orders.sources.base import BATCH_ROWS
from airflow_provider_ecdp.orders.sources.discovery import GLOB, find
from airflow_provider_ecdp.orders.sources.storage import reading, told, without_credentials
from airflow_provider_ecdp.orders.sources.utf8 import marked


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """Parquet files of one schema, read in the order of their names."""

    name: str
    files: tuple[str, ...]
    filesystem: Any
    schema: pa.Schema
    rows: int
    #: columns that the files' paths hold, with a row for each file; None for none
    folders: pa.Table | None = None
    #: of each file, the rows and the bytes of its row groups, as its footer tells
    row_groups: tuple[tuple[tuple[int, int], ...], ...] = ()
    #: of each file, the number of the first that has the same columns
    alike: tuple[int, ...] = ()
    #: of each file, the rows that are read; None for all
    ranges: tuple[range, ...] | None = None

    @classmethod
    def open(
        cls, *paths: str | os.PathLike[str], filesystem: Any = None, partitions: hive.Wanted | None = None
    ) -> ParquetSource:
        """Find the files behind `paths` (each a file, a folder, a glob, or an fsspec URL) and read their footers.

        In a folder, every file that ends in .parquet, .parq or .pq counts, at any depth, but for names that start
        with `_` or `.`, which writers use for what is not data; a glob matches those only if it spells them out, and
        takes what is in the folders that it matches. One file system serves all paths. Folders that are called
        `name=value` are columns too, unless the files have a column of that name.

        :param partitions: values of such columns, one or a list for each; no other files are looked at
        :raises ExtractError: nothing is there, it is no Parquet, or the files' columns do not go together
        """
        names = [told(filesystem, str(p)) if filesystem else without_credentials(str(p)) for p in paths]
        name = ", ".join(names)
        files: list[str] = []
        for path, called in zip(paths, names, strict=True):
            filesystem, inner = _located(path, filesystem)
            if partitions and not GLOB.search(inner):
                with reading(filesystem, called):
                    inner = hive.narrowed(filesystem, inner, partitions)
            files += find(filesystem, inner, called)
        if not files:
            raise ExtractError("no path of an extract was given")
        if partitions:
            files = hive.chosen(files, partitions, name)
        schemas, groups = zip(*(_footer(filesystem, file) for file in files), strict=True)
        schema = _one_schema(name, schemas)
        folders = hive.partition_columns(files, schema.names)
        first: dict[Any, int] = {}
        kinds = [
            (one, hive.partition_columns([file], schema.names).schema) for one, file in zip(schemas, files, strict=True)
        ]
        return cls(
            name,
            tuple(files),
            filesystem,
            pa.schema([*schema, *folders.schema]),
            sum(rows for each in groups for rows, _ in each),
            folders,
            groups,
            tuple(first.setdefault(kind, i) for i, kind in enumerate(kinds)),
        )

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given; a file that lacks one gives nulls."""
        wanted = pa.schema([self.schema.field(column) for column in columns])
        folders = [c for c in columns if self.folders is not None and c in self.folders.column_names]
        for i, file in enumerate(self.files):
            if self.ranges and not self.ranges[i]:
                continue
            constants = {c: self.folders.column(c)[i] for c in folders} if self.folders is not None else {}
            with _parquet(self.filesystem, file) as parquet:
                held = set(parquet.schema_arrow.names)
                for batch in _rows(parquet, self.ranges[i] if self.ranges else None, [c for c in columns if c in held]):
                    yield _aligned(marked(batch, told(self.filesystem, file)), wanted, constants)


def _located(path: str | os.PathLike[str], filesystem: Any) -> tuple[Any, str]:
    """Return the file system of a path, found from its URL if none is given, and the path as it knows it."""
    inner = os.fspath(path)
    if not inner.strip():
        # the working directory, to a file system
        raise ExtractError("the path of the extract holds no characters; does a template give nothing?")
    if filesystem is None:
        try:
            filesystem, inner = fsspec.url_to_fs(inner)
        except (ImportError, ValueError) as error:
            raise ExtractError(f"{without_credentials(inner)}: {error}") from None
    # Airflow keeps file systems, and they keep listings: an earlier task of this process may have read them
    filesystem.invalidate_cache()
    return filesystem, filesystem._strip_protocol(inner)  # noqa: SLF001 - fsspec has no public name for it


def _footer(filesystem: Any, file: str) -> tuple[pa.Schema, tuple[tuple[int, int], ...]]:
    """Return the columns of a file, and the rows and bytes of each of its row groups."""
    with _parquet(filesystem, file) as parquet:
        schema, footer = parquet.schema_arrow.remove_metadata(), parquet.metadata
        groups = (footer.row_group(i) for i in range(footer.num_row_groups))
        sizes = tuple((group.num_rows, group.total_byte_size) for group in groups)
    if twice := [column for column, times in Counter(schema.names).items() if times > 1]:
        raise ExtractError(f"{told(filesystem, file)}: more than one column is called {listed(twice)}; rename them")
    return schema, sizes


def _one_schema(name: str, schemas: Sequence[pa.Schema]) -> pa.Schema:
    try:
        # the common type depends on the order of types and on repetitions: shards have the first of each, in this order
        kinds = list(dict.fromkeys(schemas))
        schema = pa.unify_schemas(kinds, promote_options="permissive")
        for one in kinds:
            # what cannot be read as the common type, such as int64 as decimal(19, 2), is known before the first order
            _aligned(pa.RecordBatch.from_arrays([pa.nulls(1, f.type) for f in one], schema=one), schema)
    except pa.ArrowException as error:
        raise ExtractError(
            f"{name}: its {len(schemas)} files have columns of different types that do not go together ({error}); "
            "write them with one schema"
        ) from None
    return schema


@contextlib.contextmanager
def _parquet(filesystem: Any, path: str) -> Iterator[pq.ParquetFile]:
    local = isinstance(filesystem, LocalFileSystem)
    with reading(filesystem, called := told(filesystem, path)):
        # pyarrow knows what it needs; fsspec would read 50 MB beyond each of its reads
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


def _rows(parquet: pq.ParquetFile, wanted: range | None, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows `wanted` of a file, None for all; row groups without any of them are not read."""
    end = 0
    for group in range(parquet.num_row_groups):
        start, end = end, end + parquet.metadata.row_group(group).num_rows
        if wanted is not None and (end <= wanted.start or wanted.stop <= start):
            continue
        # group by group: with pre_buffer, all row groups that are named are fetched ahead
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
            if wanted is None:
                yield batch
                continue
            first, start = start, start + len(batch)
            if first >= wanted.stop:
                break
            if start > wanted.start:
                skipped = max(0, wanted.start - first)
                yield batch.slice(skipped, min(start, wanted.stop) - first - skipped)


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
