"""Runs SQL over an extract, one part after the other; a part that does not fit the memory is halved."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import MemoryLimitError, SqlError
from airflow_provider_ecdp.orders.engine.connection import running
from airflow_provider_ecdp.orders.execution.catalog import Catalog, Columns
from airflow_provider_ecdp.orders.execution.partitions import Part, Partitions


class PartRunner:
    """One for an engine.

    :param subject: the extract and its SQL text or mapping, for messages
    :param partitioned: whether a column tells which rows are one order's
    """

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        parts: Partitions,
        *,
        subject: str,
        partitioned: bool,
    ) -> None:
        self.engine = engine
        self.parts = parts
        self._catalog = catalog
        self._subject = subject
        advice = "raise memory_limit (--memory-limit)"
        self._advice = (
            advice
            if partitioned
            else f"set partition_by (--partition-by) to the column that tells which rows are one order's, or {advice}"
        )

    def run(
        self, columns: Columns, action: str, run: Callable[[Part], Iterator[pa.RecordBatch]]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the record batches of each part. A part of which some were yielded is not halved.

        :param columns: those that are read
        :param action: for messages, such as "reading orders"
        :param run: executes SQL and yields its record batches
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
            self._catalog.show(columns, part.sources)
            begun = False
            try:
                for batch in run(part):
                    begun = True
                    yield batch
            except MemoryLimitError:
                if begun or not part.divisible:
                    raise
                self.parts.halve(part)

    def execute(self, sql: Callable[[Part], str], columns: Columns, action: str) -> None:
        """Execute SQL that returns nothing in each part; it raises the errors of `run`."""

        def run(part: Part) -> Iterator[pa.RecordBatch]:
            with self.errors(action):
                self.engine.execute(sql(part))
            yield from ()

        for _ in self.run(columns, action, run):
            pass

    @contextlib.contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """Raise the engine's errors as ours: what it was doing, and what helps."""
        try:
            with running(f"{action} of {self._subject}", self._advice):
                yield
        except SqlError:
            if self._catalog.error is not None:
                # the engine reports a file that cannot be read as text of its own; this is the error itself
                raise self._catalog.error from None
            raise
