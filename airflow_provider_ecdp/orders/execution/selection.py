"""The orders to read from an extract: those sent before are excluded, and repeated ids are marked.

A selection is complete when it is made: it can be counted and read, and nothing can be added to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa

from airflow_provider_ecdp.orders.engine.connection import record_batches
from airflow_provider_ecdp.orders.engine.tables import (
    DUPLICATES,
    LEDGER_AMONG,
    READ_BEFORE,
    READ_NOW,
    REPEATED_CONTENTS,
    REPEATED_IDS,
)
from airflow_provider_ecdp.orders.execution.already_sent import AlreadySent, SentOrders
from airflow_provider_ecdp.orders.execution.attribute_names import AttributeNames
from airflow_provider_ecdp.orders.execution.catalog import Columns
from airflow_provider_ecdp.orders.execution.deduplication import count_ids, find_repeats
from airflow_provider_ecdp.orders.execution.partitions import Part
from airflow_provider_ecdp.orders.execution.runner import PartRunner, TooLarge
from airflow_provider_ecdp.orders.execution.segments import ROWS
from airflow_provider_ecdp.orders.sql.query import CONTENTS, Duplicates, Query, compared, hashed_ids

#: Orders of one record batch where each is made of several rows: their size is not known in advance.
_ROWS_OF_LINES = 256

_READING = "reading orders"


@dataclass(frozen=True, slots=True)
class Reading:
    """An extract that is ready to be read.

    :param ids: the columns that the ids are made of
    :param all: the columns that orders are made of
    :param one_row_per_id: whether the query groups by id, so that no id appears twice
    :param memory_limit: the setting, for messages
    :param many_names_invalid: whether too many names of attributes are an error, and no warning
    """

    runner: PartRunner
    query: Query
    ids: Columns
    all: Columns
    one_row_per_id: bool
    memory_limit: str
    many_names_invalid: bool

    def attribute_names(self) -> AttributeNames:
        """Return the names of attributes of a reading that begins."""
        fields = self.query.fields
        products = fields.field("products")
        kinds = ["orderAttributes"] if fields.field("orderAttributes") else []
        kinds += ["productAttributes"] if products and products.child("productAttributes") else []
        return AttributeNames(kinds, promoted=self.many_names_invalid)


class Selection:
    """Orders to read; made by `OrderReader.select`, and valid until the next is made."""

    def __init__(
        self, reading: Reading, *, sent: Sequence[SentOrders], only: pa.Table | None, find_duplicates: bool
    ) -> None:
        self._reading = reading
        self._engine = reading.runner.engine
        self._prior = AlreadySent(self._engine)
        self._valid = True
        self.count: int | None = None  #: orders of the extract, repeated ones too; None if ids were not read
        self.repeated_ids = 0  #: how many ids appear more than once, 0 if ids were not read
        for orders in sent:
            self._exclude(orders)
        if only is not None:
            self._prior.choose(only)
        if find_duplicates:
            self._find_duplicates()

    def invalidate(self) -> None:
        """Refuse to be read from now on, because the tables are another selection's."""
        self._valid = False

    def duplicates(self, limit: int) -> list[dict[str, Any]]:
        """Return `order_id`, `times` and `contents` of the first ids that appear more than once."""
        if not self.repeated_ids:
            return []
        sql = f"SELECT order_id, times, contents FROM {DUPLICATES} ORDER BY order_id LIMIT {limit}"
        return list(self._engine.sql(sql).to_arrow_table().to_pylist())

    def read(self, *, facts: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield every order once, in the extract's order; ids that are repeated with the same content come last.

        Where the extract is cut into parts, their orders come part after part. One reading at a time, to its end or
        until its iterator is closed.

        :param facts: whether to add the column `facts`, a struct of the fields in `query.FACTS`
        :raises SqlError: the SQL text fails on the data
        :raises ExtractError: a file cannot be read
        :raises RuntimeError: the reader has made another selection since
        """
        if not self._valid:
            raise RuntimeError("this selection is out of date: its reader has made another")
        self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {READ_BEFORE} (order_id VARCHAR)")
        names = self._reading.attribute_names()
        for batch in self._read(facts=facts or bool(names)):
            judged = names.judge(batch) if names else batch
            yield judged if facts or not names else judged.drop_columns(["facts"])

    def _read(self, *, facts: bool) -> Iterator[pa.RecordBatch]:
        passes = (Duplicates.LEFT_OUT, Duplicates.ONLY) if self.repeated_ids else (Duplicates.IN_PLACE,)
        for duplicates in passes:
            sql = self._reading.query.outgoing(
                sent_before=self._prior.accepted, chosen=self._prior.chosen, duplicates=duplicates, facts=facts
            )
            large = self._reading.query.too_large(
                self._reading.memory_limit, chosen=self._prior.chosen, duplicates=duplicates, facts=facts
            )
            yield from self._reading.runner.run(
                self._reading.all,
                _READING,
                partial(self._read_part, sql, duplicates),
                TooLarge(self._reading.ids, partial(self._read_part, large, Duplicates.IN_PLACE)),
            )

    def _read_part(self, sql: str, duplicates: Duplicates, _: Part) -> Iterator[pa.RecordBatch]:
        runner = self._reading.runner
        read: list[list[str]] = []
        rows = ROWS if runner.row_by_row else _ROWS_OF_LINES
        for batch in record_batches(self._engine, sql, rows, lambda: runner.errors(_READING)):
            if duplicates is Duplicates.ONLY and (len(runner.parts) > 1 or runner.row_by_row):
                # copied: a column of a batch keeps all of it alive, the orders' texts too
                read.append(batch.column("order_id").to_pylist())
            yield batch
        if read:
            self._engine.register(READ_NOW, pa.table({"order_id": pa.array(chain(*read), pa.string())}))
            self._engine.execute(f"INSERT INTO {READ_BEFORE} FROM {READ_NOW}")
            self._engine.unregister(READ_NOW)

    def _exclude(self, orders: SentOrders) -> None:
        if not orders.many:
            self._prior.add(orders)
            return
        self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {LEDGER_AMONG} (id_hash UBIGINT)")
        self._execute_on_ids(f"INSERT INTO {LEDGER_AMONG} {hashed_ids(self._reading.query.ids)}", "reading ids")
        self._prior.add(orders, LEDGER_AMONG)
        self._engine.execute(f"DROP TABLE {LEDGER_AMONG}")

    def _find_duplicates(self) -> None:
        reading, engine = self._reading, self._engine
        ids = reading.query.ids
        if reading.one_row_per_id:
            self.count = count_ids(engine, ids, self._execute_on_ids)
            return
        self.count, self.repeated_ids = find_repeats(engine, ids, self._execute_on_ids, reading.runner.errors)
        if not self.repeated_ids:
            return
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {REPEATED_CONTENTS} {CONTENTS}")
        action = "comparing orders with the same id"
        reading.runner.execute(
            lambda part: f"INSERT INTO {REPEATED_CONTENTS} {reading.query.contents(REPEATED_IDS, part.number)}",
            reading.all,
            action,
            TooLarge(reading.ids, lambda part: self._note_unread(part, action)),
        )
        with reading.runner.errors(action):
            engine.execute(f"CREATE OR REPLACE TEMP TABLE {DUPLICATES} AS {compared(REPEATED_CONTENTS)}")
            engine.execute(f"DROP TABLE {REPEATED_CONTENTS}")

    def _note_unread(self, part: Part, action: str) -> Iterator[pa.RecordBatch]:
        with self._reading.runner.errors(action):
            sql = self._reading.query.unread_contents(REPEATED_IDS, part.number)
            self._engine.execute(f"INSERT INTO {REPEATED_CONTENTS} {sql}")
        yield from ()

    def _execute_on_ids(self, sql: str, action: str) -> None:
        self._reading.runner.execute(lambda _: sql, self._reading.ids, action)
