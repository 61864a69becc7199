"""What earlier runs hold of the orders that are read: in the engine's own tables, which spill, where Arrow's cannot.

An order's text begins with its id. So orders with one hash of their text are one order with one content, and 16 bytes
of each are all that has to be kept.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.orders.engine.connection import reading_from
from airflow_provider_ecdp.orders.engine.quoting import quote_literal
from airflow_provider_ecdp.orders.engine.tables import ACCEPTED, CHOSEN, LEDGER_ROWS

_WHAT = "noting what earlier runs hold"


class AlreadySent:
    """Tables in an engine: ACCEPTED is what need not be sent, CHOSEN the only orders that are read."""

    def __init__(self, engine: duckdb.DuckDBPyConnection) -> None:
        self._engine = engine
        #: whether the tables are there
        self.accepted = self.chosen = False

    def hold(self, rows: pa.RecordBatchReader, words: Mapping[str, str], among: str | None = None) -> None:
        """Take an order for known where its newest row has one of some outcomes, with the same content.

        Where two calls hold an order, the first counts.

        :param rows: with the columns `order_id`, `content_hash`, `outcome` and `at`
        :param words: what the column `known` then says, by the outcome
        :param among: a table of hashes of ids (`id_hash`) beside which no others are of use; None takes all
        """
        # of one width, so that the groups can spill: DuckDB cannot write out what an aggregate holds of text
        code = " ".join(f"WHEN {quote_literal(outcome)} THEN {i}" for i, outcome in enumerate(words, 1))
        some = f"AND hash(order_id) IN (SELECT id_hash FROM {among})" if among else ""
        newest = (
            'SELECT arg_max(TRY_CAST(content_hash AS UUID), "at") AS content, '
            f'arg_max((CASE outcome {code} ELSE 0 END)::UTINYINT, "at") AS code '
            f"FROM {LEDGER_ROWS} WHERE order_id IS NOT NULL {some} GROUP BY order_id"
        )
        known = f"[{', '.join(map(quote_literal, words.values()))}][code]"
        self._engine.execute(f"CREATE TEMP TABLE IF NOT EXISTS {ACCEPTED} (content UUID, known VARCHAR)")
        self._take(
            rows,
            f"INSERT INTO {ACCEPTED} SELECT content, {known} FROM ({newest}) ANTI JOIN {ACCEPTED} USING (content) "
            "WHERE code > 0",
        )
        self.accepted = True

    def choose(self, ids: pa.Table) -> None:
        """Read no other orders than those of `ids` (column `order_id`)."""
        sql = f"CREATE OR REPLACE TEMP TABLE {CHOSEN} AS SELECT DISTINCT order_id FROM {LEDGER_ROWS}"
        self._take(ids.select(["order_id"]).to_reader(), sql)
        self.chosen = True

    def _take(self, rows: pa.RecordBatchReader, sql: str) -> None:
        with reading_from(self._engine, LEDGER_ROWS, rows, _WHAT):
            self._engine.execute(sql)
