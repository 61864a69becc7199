"""Cuts an extract into shards of whole orders and similar sizes, which tasks push in parallel.

A shard is plain JSON that lists its files and rows; it fits XCom, and any worker can open it. Where one
row is one order, cuts are boundaries of row groups, and footers are all that is read. Where an order has many rows,
the column of the order's id is read too, and each cut moves on to the next order.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.errors import ConfigurationError, ExtractError
from airflow_provider_ecdp.orders.engine.connection import locked_engine, running
from airflow_provider_ecdp.orders.names import Scope, nearest
from airflow_provider_ecdp.orders.sources import hive
from airflow_provider_ecdp.orders.sources.hash_shards import sizes_of_shards
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.shard import size_of

#: Memory limit of the engine that looks for orders with scattered rows; beyond it, it spills to disk.
_MEMORY = "256MB"

#: Ids that a message lists of orders on both sides of a cut.
_TORN = 3


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group with rows: those are `rows` of the file, which begin at `start` of the source."""

    file: int
    rows: range
    start: int
    weight: int

    def piece(self, cut: range) -> range:
        """Return the rows of the file that are among the rows `cut` of the source."""
        first = max(cut.start - self.start, 0)
        return self.rows[first : max(cut.stop - self.start, first)]


def cut(
    source: ParquetSource,
    most: int,
    *,
    path: str,
    order_id: str | None = None,
    scattered: bool = False,
    partitions: hive.Selection | None = None,
) -> list[dict[str, Any]]:
    """Return at most `most` shards, at least one; each row of the extract is in exactly one of them.

    :param path: opens the extract on any worker
    :param order_id: the column that identifies the rows of an order; None where each row is an order
    :param scattered: the rows of an order may be anywhere: each shard reads all rows, and keeps its share of the ids
    :param partitions: those of `path` that the extract has
    :raises ConfigurationError: a setting has a value that is not allowed
    :raises ExtractError: the extract cannot be read, or the rows of an order are on both sides of a cut
    """
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ConfigurationError(
            f"shards: the maximum number of shards must be a whole number, 1 or more, not {most!r}"
        )
    if scattered and order_id is None:
        raise ConfigurationError("shards: scattered needs order_id, the column that identifies the rows of an order")
    column = None if order_id is None else _column(source, order_id)
    groups = list(_groups(source))
    if scattered and column is not None and groups:
        return _numbered(path, column, list(_hash_shards(source, groups, most, column, partitions)))
    cuts = [groups[i].start for i in _balanced([group.weight for group in groups], most)]
    if column is not None and cuts:
        cuts = _at_orders(source, column, cuts)
    return _numbered(path, column, list(_ranges(source, groups, cuts)))


def _column(source: ParquetSource, order_id: str) -> str:
    column = Scope("", {field.name: field.type for field in source.schema}).column(order_id)
    if column is None:
        raise ConfigurationError(f"order_id: there is no column {order_id!r}{nearest(order_id, source.schema.names)}")
    type_ = source.schema.field(column).type
    if pa.types.is_nested(type_):
        raise ConfigurationError(
            f"order_id: {column} is {type_}, which cannot be an id; name a column of text or of numbers"
        )
    return column


def _groups(source: ParquetSource) -> Iterator[_Group]:
    begun = 0
    for file, groups in enumerate(each.row_groups for each in source.files):
        row = 0
        for rows, size in groups:
            if rows:
                # some writers leave out the bytes
                yield _Group(file, range(row, row + rows), begun, max(size, rows))
            row += rows
            begun += rows


def _balanced(weights: Sequence[int], most: int) -> list[int]:
    """Return the items before which to cut; no part is larger than the largest item and the sum divided by `most`."""
    sums = [0, *itertools.accumulate(weights)]
    cuts = set()
    for part in range(1, most):
        ideal = sums[-1] * part // most
        after = bisect_left(sums, ideal)
        cuts.add(after if after == 0 or sums[after] - ideal <= ideal - sums[after - 1] else after - 1)
    return sorted(cuts - {0, len(weights)})


def _ranges(source: ParquetSource, groups: list[_Group], cuts: list[int]) -> Iterator[dict[str, Any]]:
    """Yield the contents of the shards of an extract that is cut before its rows `cuts`."""
    like = _first_of_each_kind(source)
    sizes = [size_of([file.row_groups]) for file in source.files]
    at = 0
    for first, stop in itertools.pairwise([0, *cuts, source.rows]):
        pieces: dict[int, range] = {}
        size = 0
        while at < len(groups) and groups[at].start < stop:
            group = groups[at]
            piece = group.piece(range(first, stop))
            range_before = pieces.get(group.file, piece)
            pieces[group.file] = range(range_before.start, piece.stop)
            size += group.weight * len(piece) // len(group.rows)
            if group.start + len(group.rows) > stop:
                # the next shard has the rest of it
                break
            at += 1
        if not pieces:
            # no rows at all: the pushing task decides whether that is an error
            pieces = {0: range(0)}
        shard = {
            "rows": sum(map(len, pieces.values())),
            "bytes": size,
            "files": [
                {"file": source.files[file].path, "rows": [rows.start, rows.stop], "of": [*sizes[file]]}
                for file, rows in pieces.items()
            ],
        }
        if len(like) > 1:
            # files with other columns than those of the shard: all shards have the columns of the extract
            shard["like"] = [source.files[i].path for i in like]
        yield shard


def _first_of_each_kind(source: ParquetSource) -> list[int]:
    """Return the number of the first file with each set of columns, those of its path included."""
    own = {name for file in source.files for name in file.schema.names}
    first: dict[object, int] = {}
    for i, file in enumerate(source.files):
        first.setdefault((file.schema, file.repeated, hive.partition_columns([file.path], own).schema), i)
    return list(first.values())


def _hash_shards(
    source: ParquetSource, groups: list[_Group], most: int, column: str, partitions: hive.Selection | None
) -> Iterator[dict[str, Any]]:
    selection = {"partitions": hive.as_texts(partitions)} if partitions else {}
    size = sum(group.weight for group in groups)
    for number, rows in sorted(sizes_of_shards(source, column, most).items()):
        yield {
            "rows": rows,
            "bytes": size * rows // source.rows,
            "share": [number, most],
            "of": size_of(file.row_groups for file in source.files),
            **selection,
        }


def _numbered(path: str, order_id: str | None, shards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    common = {"path": path, "shards": len(shards), "order_id": order_id}
    return [{**common, "shard": i, **shard} for i, shard in enumerate(shards, 1)]


def _at_orders(source: ParquetSource, column: str, cuts: list[int]) -> list[int]:
    """Move each cut to where the next order begins, and make sure that no order has rows on both sides of one."""
    moved: list[int] = []
    with (
        locked_engine(memory_limit=_MEMORY, threads=1) as engine,
        running(f"looking for orders with scattered rows in {source.name}", "give more disk"),
    ):
        engine.execute("CREATE TEMP TABLE runs (id VARCHAR, shard INTEGER)")
        for begins, ids in _runs(source, column):
            while cuts and begins[-1] >= cuts[0]:
                moved.append(begins[bisect_left(begins, cuts[0])])
                cuts = [later for later in cuts if later > moved[-1]]
            before = bisect_right(moved, begins[0])
            edges = [bisect_left(begins, row) for row in moved[before:]]
            for shard, (start, stop) in enumerate(itertools.pairwise([0, *edges, len(begins)]), before):
                if start < stop:
                    engine.register("ids", pa.table({"id": ids.slice(start, stop - start)}))
                    engine.execute(f"INSERT INTO runs SELECT CAST(id AS VARCHAR), {shard} FROM ids")
                    engine.unregister("ids")
        torn = engine.execute(
            "SELECT id, count(*) OVER () FROM runs WHERE id IS NOT NULL GROUP BY id "
            f"HAVING min(shard) < max(shard) ORDER BY id LIMIT {_TORN}"
        ).fetchall()
    if torn:
        raise ExtractError(
            f"{source.name}: the rows of {torn[0][1]:,} orders are scattered, and a cut would split them: "
            f"{', '.join(order for order, _ in torn)}; sort the export by {column}, or set scattered, with which "
            "each shard reads all rows and keeps its share of the orders"
        )
    return moved


def _runs(source: ParquetSource, column: str) -> Iterator[tuple[list[int], pa.Array]]:
    """Yield rows at which another order begins than in the row before, in ascending order, with its ids."""
    row = 0
    last: pa.Array | None = None
    for batch in source.batches([column]):
        ids = batch.column(0)
        if pa.types.is_dictionary(ids.type):
            ids = ids.dictionary_decode()
        before = pa.concat_arrays([ids[:1] if last is None else last, ids[:-1]])
        same = pc.fill_null(pc.equal(ids, before), pc.and_(ids.is_null(), before.is_null()))
        begins = pc.indices_nonzero(pc.invert(same))
        if last is None:
            begins = pa.concat_arrays([pa.array([0], begins.type), begins])
        if len(begins):
            yield [row + at for at in begins.to_pylist()], ids.take(begins)
        row, last = row + len(ids), ids[-1:]
