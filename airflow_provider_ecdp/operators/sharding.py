"""Splits an extract into shards for mapped tasks on any executor, and combines their reports.

Functions, for TaskFlow: call `shards` in a task, expand `ParquetToEcdpOperator` over its result, and call
`summarise` in a task that takes the output of the operator.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.operators.results import open_storage
from airflow_provider_ecdp.results.merge import summarise

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_ecdp.orders.sources.base import Source

__all__ = ["open_extract", "shards", "summarise"]

log = logging.getLogger(__name__)


def shards(
    path: str | ObjectStoragePath,
    most: int,
    *,
    object_storage_conn_id: str | None = None,
    order_id: str | None = None,
    scattered: bool = False,
    partitions: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Cut an extract into at most `most` shards of about the same size, each of whole orders, to be given as `path`.

    Footers are read, and the column `order_id` if it is given; no shard is empty, unless the whole extract is.

    :param path: a Parquet file, a folder or a glob: a path on the workers, or a URL of an object storage
    :param most: how many at most; Airflow maps over 1,024 unless `[core] max_map_length` says otherwise
    :param object_storage_conn_id: Airflow's connection for the storage, if the URL of `path` names none
    :param order_id: the column that identifies the rows of an order; None where each row is an order
    :param scattered: the rows of an order may be anywhere: each shard reads all rows, and keeps its share of the ids
    :param partitions: values of the Hive partitions to read, one or a list for each, such as `{"dt": "2026-11-22"}`
    :raises ConfigurationError: a setting is invalid
    :raises ExtractError: the extract cannot be read, or a cut would split an order
    """
    from airflow_provider_ecdp.orders.sources.parquet import ParquetSource  # noqa: PLC0415  # Arrow, at parse time
    from airflow_provider_ecdp.orders.sources.sharding import cut  # noqa: PLC0415  # as above

    url, inner, filesystem = open_storage(path, object_storage_conn_id)
    extract = ParquetSource.open(inner, filesystem=filesystem, partitions=partitions)
    return cut(extract, most, path=url, order_id=order_id, scattered=scattered, partitions=partitions)


def open_extract(
    path: str | ObjectStoragePath | Mapping[str, Any] | Sequence[str | ObjectStoragePath],
    conn_id: str | None = None,
    partitions: Mapping[str, Any] | None = None,
) -> tuple[list[str], Source]:
    """Open a path, several paths that are read in turn, or a shard; return the URLs to show, and the extract.

    :param partitions: values of the Hive partitions to read; those of a shard were chosen when it was cut
    :raises ConfigurationError: Airflow has no file system for this URL, several paths are in different storages, or
        this is not a shard
    :raises ExtractError: the files cannot be read
    """
    from airflow_provider_ecdp.orders.sources.parquet import ParquetSource  # noqa: PLC0415  # Arrow, at parse time
    from airflow_provider_ecdp.orders.sources.shard import open_shard  # noqa: PLC0415  # as above

    if isinstance(path, Mapping):
        url, inner, filesystem = open_storage(path.get("path", ""), conn_id)
        log.info("Opening %s", url)
        return [url], open_shard(path, inner, filesystem)
    paths = list(path) if isinstance(path, Sequence) and not isinstance(path, str) else [path]
    storages = [open_storage(path, conn_id) for path in paths]
    urls, inners, filesystems = (list(parts) for parts in zip(*storages, strict=True))
    if any(other != filesystems[0] for other in filesystems):
        raise ConfigurationError(f"path: all files of one extract must be in one storage, not {urls[0]} and others")
    # the footers of thousands of files take their time
    log.info("Opening %s", _name(urls))
    source = ParquetSource.open(*inners, filesystem=filesystems[0], partitions=partitions)
    return urls, replace(source, name=_name(urls))


def _name(urls: Sequence[str]) -> str:
    return urls[0] if len(urls) == 1 else f"{urls[0]} and {len(urls) - 1} more"
