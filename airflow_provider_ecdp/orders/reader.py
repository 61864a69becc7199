"""Orders of an extract, checked and encoded: one query over a stream of record batches, in bounded memory."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError
from airflow_provider_ecdp.orders.engine.connection import locked_engine
from airflow_provider_ecdp.orders.engine.scratch import scratch_folder
from airflow_provider_ecdp.orders.engine.tables import ZONES
from airflow_provider_ecdp.orders.execution.already_sent import SentOrders
from airflow_provider_ecdp.orders.execution.attribute_names import WARNING as MANY_NAMES
from airflow_provider_ecdp.orders.execution.catalog import Catalog, Columns
from airflow_provider_ecdp.orders.execution.partitions import Partitions
from airflow_provider_ecdp.orders.execution.runner import PartRunner
from airflow_provider_ecdp.orders.execution.segments import ROWS
from airflow_provider_ecdp.orders.execution.selection import Reading, Selection
from airflow_provider_ecdp.orders.plan import bind
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.orders.sources.base import Source
from airflow_provider_ecdp.orders.sources.shard import as_shard
from airflow_provider_ecdp.orders.sql.fields import FieldBinding
from airflow_provider_ecdp.orders.sql.timezones import zone_table

__all__ = ["ROWS", "OrderReader", "OrderSettings", "Selection", "SentOrders"]

log = logging.getLogger(__name__)


class OrderReader:
    """The orders of one extract, or of several that an SQL text joins.

    A context manager: it holds the engine and its spill folder.

    Record batches have the columns

    - `order_id` string, NULL if the extract has none, or none that is UTF-8; cut at 256 characters
    - `content_hash` string, MD5 of the order's JSON text: detects a change; not a security measure
    - `json` string: the order's JSON text and a comma, so that the buffer of neighbouring rows is the inside of a JSON
      array except for its last character; empty for an order that is not sent
    - `problems`, `warnings`: lists of {field, rule, got}, NULL for none
    - `skip_reason` string: why an order is not sent although it has no problems: the reason in `SentOrders`, or
      "repeated" for the same order again in this extract; NULL for the others
    - `send_last` bool: whether an order is sent after the others
    """

    def __init__(self, extracts: Source | Mapping[str, Source], settings: OrderSettings | None = None) -> None:
        """Connect the engine, run the SQL text or the mapping over no rows, and match the columns.

        :param extracts: one, called `extract` in an SQL text, or several by their names there
        :raises ConfigurationError: the settings do not fit the extracts
        :raises SqlError: the SQL text does not parse or bind, or needs files, extensions or settings, which are locked
        :raises ColumnsError: the columns cannot be read as orders
        """
        self.settings = settings or OrderSettings()
        self._selection: Selection | None = None
        self._stack = contextlib.ExitStack()
        try:
            self._engine = self._stack.enter_context(locked_engine(memory_limit=self.settings.memory_limit, threads=1))
            self._engine.register(ZONES, zone_table())
            self._sources = Catalog(self._engine, extracts)
            self._plan = bind(self._engine, self._sources, self.settings)
            self._query = self._plan.query
            ids, self._all = self._columns_read()
            folder = self._stack.enter_context(scratch_folder("parts"))
            self._parts = Partitions(self._sources.extracts, self._all, self._plan.keys, self._engine, folder)
            self._reading = self._prepared(ids)
        except BaseException:
            self._stack.close()
            raise

    def _columns_read(self) -> tuple[Columns, Columns]:
        """Return the columns that ids are made of, and those that orders are made of; bind the query.

        :raises ColumnsError: the columns cannot be read as orders
        """
        try:
            ids = self._sources.columns_read(self._query.ids)
            if self._plan.columns is None:
                of_orders = self._sources.columns_read(self._query.prepared)
            else:
                of_orders = self._sources.named(self._plan.columns)
            if self.settings.sql is not None and not self._plan.has_common_types:
                self._engine.sql(self._query.hashed())
        except duckdb.Error as error:
            # the extract is empty here: no value is quoted
            raise ColumnsError(f"the columns of {self._subject} cannot be read as orders: {error}") from None
        return ids, of_orders

    def _prepared(self, ids: Columns) -> Reading:
        runner = PartRunner(
            self._engine,
            self._sources,
            self._parts,
            subject=self._subject,
            keys=self._plan.keys,
            row_by_row=self._plan.row_by_row,
        )
        return Reading(
            runner,
            self._query,
            ids,
            self._all,
            one_row_per_id=self._plan.compiled is not None and self._plan.compiled.lines,
            memory_limit=self.settings.memory_limit,
            many_names_invalid=MANY_NAMES in self.settings.promoted,
        )

    def __enter__(self) -> Self:
        """Return the orders themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the engine and remove its temporary files."""
        self._stack.close()

    @property
    def name(self) -> str:
        """The user's name for the extracts, for messages."""
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
    def fields(self) -> FieldBinding:
        """Which columns, of the SQL text's or the mapping's result if there is one, are which fields."""
        return self._query.fields

    @property
    def explained(self) -> dict[str, str]:
        """Where each field comes from, in words, by its path; empty without a mapping."""
        return dict(self._plan.compiled.explained) if self._plan.compiled else {}

    @property
    def columns(self) -> dict[str, tuple[pa.Schema, list[str]]]:
        """The columns of each extract: those that are read, and the names of those that are not."""
        return self._sources.columns_of(self._all)

    @property
    def schemas(self) -> dict[str, pa.Schema]:
        """The columns of each extract, read or not."""
        return {name: extract.schema for name, extract in self._sources.extracts.items()}

    def select(
        self, *, sent: Sequence[SentOrders] = (), only: pa.Table | None = None, find_duplicates: bool = True
    ) -> Selection:
        """Return the orders to read. One selection at a time: the next makes the one before invalid.

        With `find_duplicates` the ids are read once. Orders with the same id and content are then sent once; with
        different contents, none of them can be sent, for no order between them is defined.

        :param sent: orders that need not be sent again; where two ledgers have an order, the first counts
        :param only: read no other orders than those of this table (column `order_id`)
        :raises SqlError: the SQL text fails on the data
        :raises ExtractError: a file cannot be read
        """
        if self._selection is not None:
            self._selection.invalidate()
        if find_duplicates:
            log.info("Reading the ids of %s", self.name)
        self._selection = Selection(self._reading, sent=sent, only=only, find_duplicates=find_duplicates)
        return self._selection

    def read(self) -> Iterator[pa.RecordBatch]:
        """Yield all orders in the extract's order, repeated ids included."""
        return self.select(find_duplicates=False).read()

    @property
    def _subject(self) -> str:
        by = "the SQL text" if self.settings.sql is not None else "the mapping" if self.settings.mapping else None
        return f"{self.name} with {by}" if by else self.name
