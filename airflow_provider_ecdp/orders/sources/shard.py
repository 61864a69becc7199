"""Opens a shard as a source that records the column by which it was cut, so that grouping cannot split orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_ecdp.errors import ConfigurationError, SourceChangedError
from airflow_provider_ecdp.orders.sources.base import Source, SourceView
from airflow_provider_ecdp.orders.sources.discovery import natural_key
from airflow_provider_ecdp.orders.sources.hash_shards import HashShard
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.storage import display_path


@dataclass(frozen=True, slots=True)
class Shard(SourceView):
    """Some of the rows of a source.

    :param order_id: all rows with the same value in this column are in one shard; None if a cut may be between any two
        rows
    """

    order_id: str | None


def as_shard(source: Source) -> Shard | None:
    """Return `source` if other runs read the rest of its rows, else None."""
    return source if isinstance(source, Shard) else None


def open_shard(shard: Mapping[str, Any], path: str, filesystem: Any) -> Shard:
    """Open one of the shards that `shards.cut` has made.

    :param path: that of the shard, as `filesystem` knows it
    :raises ConfigurationError: this is not a shard
    :raises ExtractError: its files cannot be read, or are no longer those that were cut
    """
    try:
        name, order_id = f"{shard['path']} (shard {shard['shard']} of {shard['shards']})", shard["order_id"]
        if "share" in shard:
            whole = ParquetSource.open(path, filesystem=filesystem, partitions=shard.get("partitions"))
            _check(name, size_of(file.row_groups for file in whole.files), shard["of"])
            number, count = shard["share"]
            return Shard(HashShard(name, whole, order_id, number, count, shard["rows"]), order_id)
        pieces = {piece["file"]: (range(*piece["rows"]), piece["of"]) for piece in shard["files"]}
        # as in the whole extract, whose files are in the order of their names: the common types depend on it
        files = sorted({*pieces, *shard.get("like", ())}, key=natural_key)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"path: must be a path, or a shard from shards(), not an object that differs in {error}"
        ) from None
    source = ParquetSource.open(*files, filesystem=filesystem)
    selected = []
    for file in source.files:
        rows, listed = pieces.get(file.path, (range(0), None))
        if listed is not None:
            _check(display_path(filesystem, file.path), size_of([file.row_groups]), listed)
        selected.append(replace(file, selected=rows))
    return Shard(replace(source, name=name, files=tuple(selected)), order_id)


def size_of(files: Iterable[Iterable[tuple[int, int]]]) -> list[int]:
    """Return the rows and bytes of files, from their row groups: files with other content have other sizes."""
    groups = [group for groups in files for group in groups]
    return [sum(rows for rows, _ in groups), sum(size for _, size in groups)]


def _check(name: str, size: list[int], listed: list[int]) -> None:
    if size != listed:
        raise SourceChangedError(
            f"{name} was rewritten after its shards were listed: {size[0]:,} rows and {size[1]:,} bytes, not "
            f"{listed[0]} and {listed[1]}; clear the task that lists them"
        )
