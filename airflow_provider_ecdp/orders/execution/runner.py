"""Runs SQL over an extract, one part or segment after the other, within the memory.

A part that does not fit the memory is halved: first by its hash partitions, then by the values of the columns by which
it is cut, which identify the rows of an order. For a single order that does not fit, the caller has other SQL.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import MemoryLimitError
from airflow_provider_ecdp.orders.engine.connection import running
from airflow_provider_ecdp.orders.execution.catalog import Catalog, Columns
from airflow_provider_ecdp.orders.execution.large_orders import KeyedPart
from airflow_provider_ecdp.orders.execution.partitions import Part, Partitions, memory_limit
from airflow_provider_ecdp.orders.execution.segments import Segments

#: Executes SQL over a part, and yields its record batches.
Run = Callable[[Part], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The second run, over orders that do not fit the memory: only `columns` of them can be read."""

    columns: Columns
    run: Run


class PartRunner:
    """One for an engine.

    :param subject: the extract and its SQL text or mapping, for messages
    :param keys: by the name of an extract, the column that identifies the rows of an order
    :param row_by_row: whether each order is made of one row, and of nothing else
    """

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        parts: Partitions,
        *,
        subject: str,
        keys: Mapping[str, str],
        row_by_row: bool,
    ) -> None:
        self.engine = engine
        self.parts = parts
        self.row_by_row = row_by_row
        self._keys = keys
        self._catalog = catalog
        self._subject = subject
        advice = "raise memory_limit (--memory-limit)"
        self._advice = (
            advice
            if keys
            else f"set partition_by (--partition-by) to the column that identifies the rows of an order, or {advice}"
        )

    def run(
        self, columns: Columns, action: str, run: Run, too_large: TooLarge | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the record batches of each part.

        :param columns: those that are read
        :param action: for messages, such as "reading orders"
        :param too_large: instead of `run`, for orders that do not fit the memory
        :raises SqlError: the SQL text fails on the data
        :raises MemoryLimitError: rows do not fit the memory, and no column identifies those of an order
        :raises ExtractError: a file cannot be read
        """
        parts = iter(self.parts)
        while True:
            with self.errors(action):
                part = next(parts, None)
            if part is None:
                return
            yield from self._run_fitting(part, columns, run, too_large)

    def execute(
        self, sql: Callable[[Part], str], columns: Columns, action: str, too_large: TooLarge | None = None
    ) -> None:
        """Execute SQL that returns nothing in each part; it raises the errors of `run`."""

        def run(part: Part) -> Iterator[pa.RecordBatch]:
            with self.errors(action):
                self.engine.execute(sql(part))
            yield from ()

        for _ in self.run(columns, action, run, too_large):
            pass

    def _run_part(self, part: Part, columns: Columns, run: Run, too_large: TooLarge | None) -> Iterator[pa.RecordBatch]:
        if not self.row_by_row:
            self._catalog.show(columns, part.sources)
            yield from run(part)
            return
        ((name, source),) = part.sources.items()
        for segment in Segments(source, columns[name], memory_limit(self.engine)):
            self._catalog.show(columns, {name: segment})
            try:
                yield from run(part)
            except MemoryLimitError:
                if not segment.single or too_large is None:
                    raise
                self._catalog.show(too_large.columns, {name: segment})
                yield from too_large.run(part)

    def _run_fitting(
        self, part: Part, columns: Columns, run: Run, too_large: TooLarge | None
    ) -> Iterator[pa.RecordBatch]:
        """Run a part, or those of its halves that fit the memory; then `too_large` over each order that does not."""
        if not self._keys:
            # nothing can halve it. The ids of the orders of a large extract, kept for `_Repeats`, would take 100 bytes
            # each
            yield from self._run_part(part, columns, run, too_large)
            return
        repeats = _Repeats()
        pieces = [KeyedPart(part, self._keys)]
        while pieces:
            piece = pieces.pop()
            try:
                yield from repeats.new_orders(self._run_part(piece.part, columns, run, too_large))
            except MemoryLimitError:
                repeats.failed()
                if part.divisible and not repeats.any:
                    self.parts.halve(part)
                    return
                if halves := piece.halves():
                    pieces += halves
                elif too_large is None or not piece.is_one_value:
                    raise
                else:
                    self._catalog.show(too_large.columns, piece.part.sources)
                    yield from repeats.new_orders(too_large.run(piece.part))

    @contextlib.contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """Raise the engine's errors as ours, with the action and advice."""
        with self._catalog.own_errors(), running(f"{action} of {self._subject}", self._advice):
            yield


class _Repeats:
    """Leaves out orders that a part has yielded before it failed, and that its halves yield again."""

    def __init__(self) -> None:
        self._before: Counter[str | None] = Counter()
        self._now: list[list[str | None]] = []

    @property
    def any(self) -> bool:
        """Whether there are orders to leave out."""
        return self._before.total() > 0

    def failed(self) -> None:
        """Expect the orders again that the failed part has yielded."""
        for order_ids in self._now:
            self._before.update(order_ids)

    def new_orders(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the orders of a part that were not yielded before."""
        self._now = []
        for batch in batches:
            order_ids = batch.column("order_id").to_pylist()
            self._now.append(order_ids)
            yield batch.filter(pa.array(map(self._is_new, order_ids), pa.bool_())) if self._before else batch

    def _is_new(self, order_id: str | None) -> bool:
        repeated = self._before[order_id] > 0
        self._before[order_id] -= repeated
        return not repeated
