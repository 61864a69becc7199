"""Runs SQL over an extract, one part or segment after the other, within the memory.

A part that does not fit the memory is halved. For a single order that does not fit it, the caller has other SQL.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import MemoryLimitError, SqlError
from airflow_provider_ecdp.orders.engine.connection import running
from airflow_provider_ecdp.orders.execution.catalog import Catalog, Columns
from airflow_provider_ecdp.orders.execution.large_orders import FilteredSource, largest_order
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
    :param partitioned: whether a column identifies the rows of an order
    :param row_by_row: whether each order is made of one row, and of nothing else
    :param lines_key: the column by which a mapping groups order lines, if it does
    """

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        parts: Partitions,
        *,
        subject: str,
        partitioned: bool,
        row_by_row: bool,
        lines_key: str | None,
    ) -> None:
        self.engine = engine
        self.parts = parts
        self.row_by_row = row_by_row
        self._lines_key = lines_key
        self._catalog = catalog
        self._subject = subject
        advice = "raise memory_limit (--memory-limit)"
        self._advice = (
            advice
            if partitioned
            else f"set partition_by (--partition-by) to the column that identifies the rows of an order, or {advice}"
        )

    def run(
        self, columns: Columns, action: str, run: Run, too_large: TooLarge | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the record batches of each part. A part that has yielded some orders is not halved.

        :param columns: those that are read
        :param action: for messages, such as "reading orders"
        :param too_large: instead of `run`, for orders that do not fit the memory
        :raises SqlError: the SQL text fails on the data
        :raises MemoryLimitError: a part does not fit the memory, and cannot be halved
        :raises ExtractError: a file cannot be read
        """
        parts = iter(self.parts)
        while True:
            with self.errors(action):
                part = next(parts, None)
            if part is None:
                return
            begun = False
            try:
                for batch in self._run_part(part, columns, run, too_large):
                    begun = True
                    yield batch
            except MemoryLimitError:
                if begun:
                    raise
                if part.divisible:
                    self.parts.halve(part)
                elif too_large is not None and self._lines_key is not None:
                    yield from self._run_without_large(part, self._lines_key, columns, run, too_large)
                else:
                    raise

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

    def _run_without_large(
        self, part: Part, key: str, columns: Columns, run: Run, too_large: TooLarge
    ) -> Iterator[pa.RecordBatch]:
        """Run a part without its largest order, or its largest two, and so on; then `too_large` over these."""
        ((name, source),) = part.sources.items()
        large: list[Any] = []
        begun = False
        while True:
            order = largest_order(FilteredSource(source, key, large, among=False), key)
            if order is None:
                raise MemoryLimitError(
                    f"no order of {self._subject} fits memory_limit; raise memory_limit (--memory-limit)"
                )
            large.append(order)
            self._catalog.show(columns, {name: FilteredSource(source, key, large, among=False)})
            try:
                for batch in run(part):
                    begun = True
                    yield batch
                break
            except MemoryLimitError:
                if begun:
                    raise
        self._catalog.show(too_large.columns, {name: FilteredSource(source, key, large, among=True)})
        yield from too_large.run(part)

    @contextlib.contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """Raise the engine's errors as ours, with the action and advice."""
        try:
            with running(f"{action} of {self._subject}", self._advice):
                yield
        except SqlError:
            if self._catalog.error is not None:
                # the engine reports a file that cannot be read as text of its own; this is the error itself
                raise self._catalog.error from None
            raise
