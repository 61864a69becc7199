"""Orders of an extract, checked and encoded: one query over a stream of record batches, in bounded memory."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, Self

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError, MemoryLimitError, SqlError
from airflow_provider_ecdp.orders.engine.connection import locked_engine, record_batches, running
from airflow_provider_ecdp.orders.engine.scratch import scratch_folder
from airflow_provider_ecdp.orders.engine.tables import (
    DUPLICATES,
    LEDGER_AMONG,
    READ_BEFORE,
    READ_NOW,
    REPEATED_CONTENTS,
    REPEATED_IDS,
    ZONES,
)
from airflow_provider_ecdp.orders.execution.already_sent import AlreadySent
from airflow_provider_ecdp.orders.execution.catalog import Catalog, Columns
from airflow_provider_ecdp.orders.execution.deduplication import count_ids, find_repeats
from airflow_provider_ecdp.orders.execution.partitions import Part, Partitions
from airflow_provider_ecdp.orders.plan import bind
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.orders.sources.base import Source
from airflow_provider_ecdp.orders.sources.shard import as_shard
from airflow_provider_ecdp.orders.sql.fields import FieldBinding
from airflow_provider_ecdp.orders.sql.query import CONTENTS, compared, hashed_ids
from airflow_provider_ecdp.orders.sql.timezones import zone_table

__all__ = ["ROWS", "OrderReader", "OrderSettings"]

log = logging.getLogger(__name__)

#: Orders of one record batch: the engine's own vector, so that nothing is copied to make larger ones.
ROWS = 2048


class OrderReader:
    """The orders of one extract, or of several that an SQL text joins.

    A context manager: it holds the engine and its spill folder.

    Record batches have the columns

    - `order_id` string, NULL if the extract has none, or none that is UTF-8; cut at 256 characters
    - `content_hash` string, MD5 of the order's JSON text: tells changed from unchanged, protects from nothing
    - `json` string: the order's JSON text and a comma, so that the buffer of neighbouring rows is the inside of a
      JSON array but for its last character; of no characters for an order that is not to be sent
    - `problems`, `warnings`: lists of {field, rule, got}, NULL for none
    - `known` string: why an order is not to be sent though it is good: the word that `hold` was given, or "repeated"
      for the same order again in this extract; NULL for the others
    """

    def __init__(self, extracts: Source | Mapping[str, Source], settings: OrderSettings | None = None) -> None:
        """Connect the engine, run the SQL text or the mapping over no rows, and match the columns.

        :param extracts: one, which an SQL text finds as `extract`, or several, which it finds by their names
        :raises ConfigurationError: the settings do not go with the extracts
        :raises SqlError: the SQL text does not parse or bind, or asks for what the engine is locked against
        :raises ColumnsError: the columns do not make orders
        """
        self.settings = settings or OrderSettings()
        self._duplicates = False
        self.count: int | None = None  #: orders, repeated ones too, if `find_duplicates` has counted them
        self._stack = contextlib.ExitStack()
        try:
            self._engine = self._stack.enter_context(locked_engine(memory_limit=self.settings.memory_limit, threads=1))
            self._engine.register(ZONES, zone_table())
            self._known = AlreadySent(self._engine)
            self._sources = Catalog(self._engine, extracts)
            self._bound = bind(self._engine, self._sources, self.settings)
            self._query = self._bound.query
            try:
                self._ids = self._sources.columns_read(self._query.ids)
                self._all = self._sources.columns_read(self._query.prepared)
                if self.settings.sql is not None:
                    # an SQL text can return types that Arrow's do not tell, such as BIT
                    self._engine.sql(self._query.hashed)
            except duckdb.Error as error:
                # the extract is empty here: no value is quoted
                raise ColumnsError(f"the columns of {self._subject} do not make orders: {error}") from None
            folder = self._stack.enter_context(scratch_folder("parts"))
            self._parts = Partitions(self._sources.extracts, self._all, self._bound.keys, self._engine, folder)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        """Return the orders themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the engine and remove what it has spilled."""
        self._stack.close()

    @property
    def name(self) -> str:
        """What the user called the extracts, for messages."""
        return self._sources.name

    @property
    def rows(self) -> int | None:
        """Number of rows of the extracts, if known; they are orders only if nothing groups or joins them."""
        return self._sources.rows

    @property
    def sharded(self) -> bool:
        """Whether other runs have the rest of an extract."""
        return any(as_shard(source) for source in self._sources.extracts.values())

    @property
    def mapping(self) -> FieldBinding:
        """Which columns, of the SQL text's or the mapping's result if there is one, are which fields."""
        return self._query.fields

    @property
    def explained(self) -> dict[str, str]:
        """Where each field comes from, in words, by its path; empty without a mapping."""
        return dict(self._bound.compiled.explained) if self._bound.compiled else {}

    @property
    def columns(self) -> dict[str, tuple[pa.Schema, list[str]]]:
        """The columns of each extract: those that are read, and the names of those that are not."""
        return self._sources.columns_of(self._all)

    @property
    def schemas(self) -> dict[str, pa.Schema]:
        """The columns of each extract, read or not."""
        return {name: extract.schema for name, extract in self._sources.extracts.items()}

    def hold(self, rows: pa.RecordBatchReader, words: Mapping[str, str], *, many: bool = False) -> None:
        """Do not send what a ledger holds with the same content: the column `known` then says why.

        Where two calls hold an order, the first counts.

        :param rows: of the ledger, with the columns `order_id`, `content_hash`, `outcome` and `at`; the newest row of
            an order counts
        :param words: what `known` says of an order, by the outcome that the ledger has; no other outcomes count
        :param many: whether the ledger is large: the ids of the extract are read first, and no others are kept
        """
        among = None
        if many:
            self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {LEDGER_AMONG} (id_hash UBIGINT)")
            self._gather(
                lambda _: f"INSERT INTO {LEDGER_AMONG} {hashed_ids(self._query.ids)}", self._ids, "reading ids"
            )
            among = LEDGER_AMONG
        self._known.hold(rows, words, among)
        self._engine.execute(f"DROP TABLE IF EXISTS {LEDGER_AMONG}")

    def choose(self, ids: pa.Table) -> None:
        """Read no other orders than those of `ids` (column `order_id`)."""
        self._known.choose(ids)

    def find_duplicates(self) -> int:
        """Read the ids once, and note those that appear more than once; return how many ids do.

        Orders with one id and one content are then sent once; with different contents, none of them can be sent, for
        no order between them is defined. Without this call, `read` returns each as it comes.
        """
        log.info("Reading the ids of %s", self.name)

        def gather(sql: str, what: str) -> None:
            self._gather(lambda _: sql, self._ids, what)

        if self._bound.compiled and self._bound.compiled.lines:
            # what was grouped by its id has each id once
            self.count = count_ids(self._engine, self._query.ids, gather)
            return 0
        self.count, count = find_repeats(self._engine, self._query.ids, gather, self._reading)
        if count:
            self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {REPEATED_CONTENTS} {CONTENTS}")
            what = "comparing orders with one id"
            self._gather(
                lambda part: f"INSERT INTO {REPEATED_CONTENTS} {self._query.contents(REPEATED_IDS, part)}",
                self._all,
                what,
            )
            with self._reading(what):
                self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {DUPLICATES} AS {compared(REPEATED_CONTENTS)}")
                self._engine.execute(f"DROP TABLE {REPEATED_CONTENTS}")
        self._duplicates = bool(count)
        return count

    def duplicates(self, most: int) -> list[dict[str, Any]]:
        """Return `order_id`, `times` and `contents` of the first ids that `find_duplicates` has found."""
        sql = f"SELECT order_id, times, contents FROM {DUPLICATES} ORDER BY order_id LIMIT {most}"
        return list(self._engine.sql(sql).to_arrow_table().to_pylist()) if self._duplicates else []

    def read(self, *, facts: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield every order once, in the extract's order; ids that appear more than once with one content come last.

        Where the extract is cut into parts, their orders come part after part. One reading at a time, to its end or
        until its iterator is closed.

        :param facts: whether there is a column `facts`, a struct of the encoded values of date, status and currency
        :raises SqlError: the SQL text fails on the data
        :raises ExtractError: a file cannot be read
        """
        self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {READ_BEFORE} (order_id VARCHAR)")
        for duplicates in (False, True) if self._duplicates else (None,):
            sql = self._query.outgoing(
                accepted=self._known.accepted, chosen=self._known.chosen, duplicates=duplicates, facts=facts
            )
            run = partial(self._read_part, sql, duplicates)
            yield from self._run_parts(self._all, "reading orders", run)

    def _read_part(self, sql: str, duplicates: bool | None, _: Part) -> Iterator[pa.RecordBatch]:
        read: list[list[str]] = []
        for batch in record_batches(self._engine, sql, ROWS, lambda: self._reading("reading orders")):
            if duplicates and len(self._parts) > 1:
                # copied: a column of a batch keeps all of it alive, the orders' texts too
                read.append(batch.column("order_id").to_pylist())
            yield batch
        if read:
            self._engine.register(READ_NOW, pa.table({"order_id": pa.array(chain(*read), pa.string())}))
            self._engine.execute(f"INSERT INTO {READ_BEFORE} FROM {READ_NOW}")
            self._engine.unregister(READ_NOW)

    def _gather(self, sql: Callable[[int], str], columns: Columns, what: str) -> None:
        def run(part: Part) -> Iterator[pa.RecordBatch]:
            with self._reading(what):
                self._engine.execute(sql(part.number))
            yield from ()

        for _ in self._run_parts(columns, what, run):
            pass

    def _run_parts(
        self, columns: Columns, what: str, run: Callable[[Part], Iterator[pa.RecordBatch]]
    ) -> Iterator[pa.RecordBatch]:
        """Run one part after the other; one that does not fit the memory is halved, unless some of it was read."""
        parts = iter(self._parts)
        while True:
            with self._reading(what):
                part = next(parts, None)
            if part is None:
                return
            self._sources.show(columns, part.sources)
            begun = False
            try:
                for batch in run(part):
                    begun = True
                    yield batch
            except MemoryLimitError:
                if begun or not part.divisible:
                    raise
                self._parts.halve(part)

    @property
    def _subject(self) -> str:
        by = "the SQL text" if self.settings.sql is not None else "the mapping" if self.settings.mapping else None
        return f"{self.name}, shaped by {by}" if by else self.name

    @contextlib.contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        advice = "raise memory_limit (--memory-limit)"
        if not self._bound.keys:
            advice = (
                f"set partition_by (--partition-by) to the column that tells which rows are one order's, or {advice}"
            )
        try:
            with running(f"{what} of {self._subject}", advice):
                yield
        except SqlError:
            if self._sources.error is not None:
                # the engine reports a file that cannot be read as text of its own; this is the error itself
                raise self._sources.error from None
            raise
