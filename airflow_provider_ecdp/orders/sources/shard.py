"""A shard is opened as an extract that knows by which column it was cut: what groups rows must not tear orders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from airflow_provider_ecdp.errors import ConfigurationError, ExtractError
from airflow_provider_ecdp.orders.sources.base import Source
from airflow_provider_ecdp.orders.sources.hash_shards import HashShard
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.storage import told


@dataclass(frozen=True, slots=True)
class Shard:
    """Some of an extract's rows.

    :param order_id: all rows with one value in this column are in one shard; None if a cut may be between any two rows
    """

    extract: Source
    order_id: str | None

    @property
    def name(self) -> str:
        """What the user called it, for messages."""
        return self.extract.name

    @property
    def schema(self) -> pa.Schema:
        """Columns and their types."""
        return self.extract.schema

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.extract.rows

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given."""
        return self.extract.batches(columns)


def open_shard(shard: Mapping[str, Any], path: str, filesystem: Any) -> Shard:
    """Open one of the shards that `shards.cut` has made.

    :param path: that of the shard, as `filesystem` knows it
    :raises ConfigurationError: this is no shard
    :raises ExtractError: its files cannot be read, or are no longer those that were cut
    """
    try:
        name, order_id = f"{shard['path']} (shard {shard['shard']} of {shard['shards']})", shard["order_id"]
        if "share" in shard:
            whole = ParquetSource.open(path, filesystem=filesystem, partitions=shard.get("partitions"))
            _check(name, size_of(whole.row_groups), shard["of"])
            number, count = shard["share"]
            return Shard(HashShard(name, whole, order_id, number, count, shard["rows"]), order_id)
        pieces = {piece["file"]: (range(*piece["rows"]), piece["of"]) for piece in shard["files"]}
        # as in the whole extract, whose files are in the order of their names: the common types depend on it
        files = sorted({*pieces, *shard.get("like", ())})
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"path: a shard as shards() lists them, or a path, not an object that differs in {error}"
        ) from None
    extract = ParquetSource.open(*files, filesystem=filesystem)
    ranges = []
    for file, groups in zip(files, extract.row_groups, strict=True):
        rows, listed = pieces.get(file, (range(0), None))
        if listed is not None:
            _check(told(filesystem, file), size_of([groups]), listed)
        ranges.append(rows)
    return Shard(replace(extract, name=name, rows=sum(map(len, ranges)), ranges=tuple(ranges)), order_id)


def size_of(files: Iterable[Iterable[tuple[int, int]]]) -> list[int]:
    """Return the rows and bytes of files, from those of their row groups: another content has another size."""
    groups = [group for groups in files for group in groups]
    return [sum(rows for rows, _ in groups), sum(size for _, size in groups)]


def _check(name: str, size: list[int], listed: list[int]) -> None:
    if size != listed:
        raise ExtractError(
            f"{name} was written again since its shards were listed: {size[0]} rows and {size[1]} bytes, not "
            f"{listed[0]} and {listed[1]}; clear the task that lists them, to list them again"
        )
