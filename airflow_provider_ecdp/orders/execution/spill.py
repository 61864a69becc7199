"""Writes the rows of an extract to files on the local disk, partitioned by the values of a column.

Rows with the same value are in one partition, in the order of the extract.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.orders.engine.arrow_types import is_text
from airflow_provider_ecdp.orders.engine.tables import PARTITION_KEYS
from airflow_provider_ecdp.orders.sources.base import Source, bytes_of, gathered

#: Kinds of keys whose texts are compared.
AS_TEXT = ("text", "whole number")


@dataclass(slots=True)
class HashPartition:
    """One file; `size` is the bytes of its rows in memory."""

    file: Path
    rows: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """Some partitions of an extract, read in place of it. They hold some of its columns: no others may be read."""

    name: str
    schema: pa.Schema
    rows: int
    files: tuple[Path, ...]
    columns: tuple[str, ...]

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given."""
        fields = sorted(self.columns.index(column) for column in columns)
        options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
        for file in self.files:
            with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source, options=options) as reader:
                for batch in reader:
                    # the reader has them in the file's order
                    yield batch.select(list(columns))


def stored(extract: Source, columns: list[str], partitions: Sequence[HashPartition]) -> Stored:
    """Return the stand-in for `extract`, with the rows of `partitions`."""
    rows = sum(partition.rows for partition in partitions)
    return Stored(extract.name, extract.schema, rows, tuple(partition.file for partition in partitions), tuple(columns))


def store(
    extract: Source,
    columns: list[str],
    key: str | None,
    partitions: Sequence[HashPartition],
    engine: duckdb.DuckDBPyConnection,
) -> None:
    """Read `columns` of `extract` into the files of `partitions`.

    :param key: the column that decides on the partition; None puts all rows into the first
    :param engine: whose hash is taken
    :raises ExtractError: a file cannot be read
    """
    schema = pa.schema([extract.schema.field(column) for column in columns])
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with contextlib.ExitStack() as files:
        writers = []
        for partition in partitions:
            sink = files.enter_context(pa.OSFile(str(partition.file), "wb"))
            writers.append(files.enter_context(pa.ipc.new_stream(sink, schema, options=options)))
        for batch in gathered(extract.batches(columns)):
            for number, rows in _cut(batch, key, len(partitions), engine):
                writers[number].write_batch(rows)
                partitions[number].rows += len(rows)
                partitions[number].size += bytes_of(rows)


def key_kind(type_: pa.DataType) -> str:
    """Return the kind of types within which equal values go to one partition; those without a kind have their own."""
    if pa.types.is_dictionary(type_):
        return key_kind(type_.value_type)
    if is_text(type_):
        return "text"
    if pa.types.is_integer(type_) or (pa.types.is_decimal(type_) and type_.scale == 0):
        return "whole number"
    return str(type_)


def _cut(
    batch: pa.RecordBatch, key: str | None, count: int, engine: duckdb.DuckDBPyConnection
) -> Iterator[tuple[int, pa.RecordBatch]]:
    if key is None:
        yield 0, batch
        return
    engine.register(PARTITION_KEYS, pa.table({"key": batch.column(key)}))
    value = "CAST(key AS VARCHAR)" if key_kind(batch.schema.field(key).type) in AS_TEXT else "key"
    sql = f"SELECT CAST(hash({value}) % {count} AS INTEGER) AS number FROM {PARTITION_KEYS}"
    numbers = engine.sql(sql).to_arrow_table().column("number").combine_chunks()
    engine.unregister(PARTITION_KEYS)
    # stable: rows of one partition keep their order
    rows = batch.take(pc.array_sort_indices(numbers))
    start = 0
    for number, size in sorted((pair["values"].as_py(), pair["counts"].as_py()) for pair in pc.value_counts(numbers)):
        yield number, rows.slice(start, size)
        start += size
