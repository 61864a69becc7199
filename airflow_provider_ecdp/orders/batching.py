"""Batches of encoded orders, by count and by bytes. This is the only place that cuts batches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

import pyarrow as pa


def body(orders: pa.RecordBatch) -> memoryview:
    """Return the JSON texts of `orders`, joined by commas: the column's own buffer without the last comma, no copy."""
    offsets, data = _json(orders)
    return data[offsets[0] : offsets[len(orders)] - 1]


def size(orders: pa.RecordBatch) -> int:
    """Return the bytes of `body`."""
    offsets, _ = _json(orders)
    return offsets[len(orders)] - offsets[0] - 1


def cut(chunks: Iterable[pa.RecordBatch], max_orders: int, max_bytes: int) -> Iterator[pa.RecordBatch]:
    """Cut a stream of orders into batches of at most `max_orders` orders and `max_bytes` bytes.

    A batch is as large as it may be, whatever the size of the chunks. An order that alone has more than `max_bytes` is
    a batch of its own: the server decides whether it is too large.
    """
    rest: pa.RecordBatch | None = None
    for chunk in chunks:
        rows = chunk if rest is None else pa.concat_batches([rest, chunk])
        rest = None
        while len(rows):
            count = _fitting(rows, max_orders, max_bytes)
            if count == len(rows) < max_orders:
                rest = rows
                break
            yield rows.slice(0, count)
            rows = rows.slice(count)
    if rest is not None:
        yield rest


def first(chunks: Iterator[pa.RecordBatch], count: int) -> tuple[list[pa.RecordBatch], list[pa.RecordBatch]]:
    """Take the first `count` orders off a stream; return them, and the rest of the chunk that was cut."""
    taken: list[pa.RecordBatch] = []
    for chunk in chunks:
        # Arrow takes no number beyond 64 bits
        taken.append(chunk.slice(0, min(count, len(chunk))))
        count -= len(taken[-1])
        if not count:
            return taken, [chunk.slice(len(taken[-1]))]
    return taken, []


def halves(orders: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Cut two orders or more in two, as even in bytes as whole orders allow."""
    offsets, _ = _json(orders)
    ends = offsets[0] + offsets[len(orders)]
    before = _rank(offsets, ends // 2, len(orders))
    # the last order that ends before the middle, or the first that ends after it
    nearest = min((before, before + 1), key=lambda count: abs(2 * offsets[count] - ends))
    count = min(max(nearest, 1), len(orders) - 1)
    return orders.slice(0, count), orders.slice(count)


def _fitting(orders: pa.RecordBatch, max_orders: int, max_bytes: int) -> int:
    offsets, _ = _json(orders)
    most = min(len(orders), max_orders)
    if offsets[most] - offsets[0] - 1 <= max_bytes:
        return most
    return max(_rank(offsets, offsets[0] + max_bytes + 1, most), 1)


def _rank(offsets: memoryview, bound: int, most: int) -> int:
    """Return how many orders, of the first `most`, end at `bound` or before."""
    return bisect_right(offsets, bound, 1, most + 1) - 1


def _json(orders: pa.RecordBatch) -> tuple[memoryview, memoryview]:
    column = orders.column("json")
    _, offsets, data = column.buffers()
    # 32 bit offsets are those of pa.string(), which the engine gives
    ends = memoryview(offsets).cast("i")[column.offset : column.offset + len(column) + 1]
    return ends, memoryview(data)
