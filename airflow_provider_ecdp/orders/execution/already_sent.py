"""Orders that earlier runs have sent, in tables of the engine, which can spill to disk.

An order's text begins with its id. So orders whose texts have the same hash have the same id and content, and 16 bytes
of each are all that has to be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.orders.engine.connection import reading_from
from airflow_provider_ecdp.orders.engine.quoting import quote_literal
from airflow_provider_ecdp.orders.engine.tables import ACCEPTED, CHOSEN, LEDGER_ROWS

_ACTION = "reading the outcomes of earlier runs"


@dataclass(frozen=True, slots=True)
class SentOrders:
    """Orders of a ledger that need not be sent again with the same content.

    :param rows: of the ledger, with the columns `order_id`, `content_hash`, `outcome` and `at`; the newest row of an
        order counts. They are read once
    :param skip_reasons: by the outcome in the ledger, the value of the column `skip_reason`; None sends the order,
        after all others. Other outcomes are ignored
    :param many: whether the ledger is large: then the ids of the extract are read first, and only their rows are kept
    """

    rows: pa.RecordBatchReader
    skip_reasons: Mapping[str, str | None]
    many: bool = False


class AlreadySent:
    """Tables in an engine: ACCEPTED has the content of orders that need not be sent, CHOSEN the ids that are read."""

    def __init__(self, engine: duckdb.DuckDBPyConnection) -> None:
        self._engine = engine
        #: whether the tables exist
        self.accepted = self.chosen = False

    def add(self, orders: SentOrders, among: str | None = None) -> None:
        """Add the orders of a ledger. An order that is already there is left unchanged.

        :param among: a table of hashes of ids (`id_hash`); other ids are left out. None takes all
        """
        reasons = orders.skip_reasons
        # of one width, so that the groups can spill: DuckDB cannot spill text in the state of an aggregate
        code = " ".join(f"WHEN {quote_literal(outcome)} THEN {i}" for i, outcome in enumerate(reasons, 1))
        some = f"AND hash(order_id) IN (SELECT id_hash FROM {among})" if among else ""
        newest = (
            'SELECT arg_max(TRY_CAST(content_hash AS UUID), "at") AS content, '
            f'arg_max((CASE outcome {code} ELSE 0 END)::UTINYINT, "at") AS code '
            f"FROM {LEDGER_ROWS} WHERE order_id IS NOT NULL {some} GROUP BY order_id"
        )
        texts = ", ".join("NULL" if reason is None else quote_literal(reason) for reason in reasons.values())
        if not self.accepted:
            self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {ACCEPTED} (content UUID, skip_reason VARCHAR)")
        self._take(
            orders.rows,
            f"INSERT INTO {ACCEPTED} SELECT content, [{texts}][code] FROM ({newest}) "
            f"ANTI JOIN {ACCEPTED} USING (content) WHERE code > 0",
        )
        self.accepted = True

    def choose(self, ids: pa.Table) -> None:
        """Read no other orders than those of `ids` (column `order_id`)."""
        sql = f"CREATE OR REPLACE TEMP TABLE {CHOSEN} AS SELECT DISTINCT order_id FROM {LEDGER_ROWS}"
        self._take(ids.select(["order_id"]).to_reader(), sql)
        self.chosen = True

    def _take(self, rows: pa.RecordBatchReader, sql: str) -> None:
        with reading_from(self._engine, LEDGER_ROWS, rows, _ACTION):
            self._engine.execute(sql)
