"""The changes of an extract, all of them read and checked before the first is sent, in the order in which to send them.

They are sent in rounds: the first holds the first change of every order, the second the second, and so on. Within a
round no order appears more than once, so its changes can be sent side by side; between rounds nothing is in flight.

A change is known by the order's id and a hash of the order's changes up to it. So the last that a ledger holds as
accepted tells how far an earlier run has come with this order, whatever the same status did before and after.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Self

import pyarrow as pa

from airflow_provider_ecdp.by_id.rows import ChangeRows
from airflow_provider_ecdp.by_id.settings import ChangeRowSettings, Operation
from airflow_provider_ecdp.by_id.validation import checked_id, checked_website, listed_status
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.engine.connection import locked_engine, reading_from, record_batches, running
from airflow_provider_ecdp.orders.engine.marks import BROKEN
from airflow_provider_ecdp.orders.sources.base import Source
from airflow_provider_ecdp.results.outcome import Outcome

#: Why a change is not sent: this run's ledger holds it as accepted, or it says what the order's change before it says.
RESUMED, REPEATED = "resumed", "repeated"

#: Rows of one record batch.
_ROWS = 2048

_READ = pa.schema(
    [
        ("n", pa.int64()),
        ("order_id", pa.string()),
        ("status", pa.string()),
        ("website_id", pa.int64()),
        ("problem", pa.string()),
    ]
)

_OF_ORDER = "OVER (PARTITION BY order_id ORDER BY n ROWS UNBOUNDED PRECEDING)"

#: What would be sent, once for each time that it differs from the change of the order before it.
_ORDERED = f"""
CREATE TEMP TABLE ordered AS
SELECT n, order_id, status, website_id, problem, repeated, nth, md5(CAST(digest AS VARCHAR)) AS content_hash FROM (
    SELECT *, sum(CASE WHEN repeated THEN 0 ELSE md5_number_lower(concat(nth, '|', content)) END) {_OF_ORDER} AS digest
    FROM (
        SELECT *, count(*) FILTER (NOT repeated) {_OF_ORDER} AS nth FROM (
            SELECT *, coalesce(content = lag(content) OVER (PARTITION BY order_id ORDER BY n), FALSE) AS repeated
            FROM (SELECT *, concat_ws('|', $operation, status, website_id) AS content FROM given WHERE problem IS NULL)
        )
    )
)
UNION ALL SELECT n, order_id, status, website_id, problem, FALSE, 0, NULL FROM given WHERE problem IS NOT NULL
"""

#: What was never sent has changed nothing: the row before it still tells what ECDP has.
_HELD = f"""
CREATE TEMP TABLE held AS
SELECT order_id, content_hash, arg_max(outcome, "at") AS outcome, max("at") AS "at" FROM earlier
WHERE order_id IS NOT NULL AND content_hash IS NOT NULL
AND outcome IN ({", ".join(f"'{o}'" for o in Outcome if o.may_have_arrived)}) GROUP BY ALL
"""

#: How many of an order's changes, from the first, the ledger holds as accepted, where it holds no other since.
_KNOWN = f"""
INSERT INTO known
SELECT order_id, upto FROM (
    SELECT order_id, max(nth) AS upto FROM ordered JOIN (
        SELECT order_id, arg_max(content_hash, "at") AS content_hash FROM held GROUP BY order_id
    ) USING (order_id, content_hash) WHERE NOT repeated GROUP BY order_id
) JOIN ordered USING (order_id) JOIN held USING (order_id, content_hash)
WHERE nth BETWEEN 1 AND upto AND NOT repeated AND outcome = '{Outcome.ACCEPTED}'
GROUP BY order_id, upto HAVING count(*) = upto
"""

_QUEUE = f"""
SELECT order_id, content_hash, CAST(NULL AS VARCHAR) AS warnings, status, website_id, problem, nth AS round,
CASE WHEN repeated THEN '{REPEATED}' WHEN nth BETWEEN 1 AND upto THEN '{RESUMED}' END AS known
FROM ordered LEFT JOIN known USING (order_id) ORDER BY nth, n
"""


class ChangeQueue:
    """The changes of one extract. A context manager: it holds an engine and its spill folder.

    `len` is the number of rows of the extract, or of what its SQL text returns. `name` is what the user called it.
    """

    def __init__(
        self,
        extract: Source,
        operation: Operation,
        settings: ChangeRowSettings | None = None,
    ) -> None:
        """Read the extract to its end, and check each row.

        :param operation: UPDATE_STATUS or DELETE, which needs nothing but ids
        :raises ConfigurationError: the mapping is not shaped as one
        :raises ExtractError: the extract cannot be read, or its columns do not make changes
        """
        settings = settings or ChangeRowSettings()
        self.operation = operation
        self._count = 0
        self._stack = contextlib.ExitStack()
        try:
            self._engine = self._stack.enter_context(locked_engine(memory_limit=settings.memory_limit, threads=1))
            with_status = operation is Operation.UPDATE_STATUS
            with ChangeRows(extract, with_status=with_status, settings=settings) as rows:
                self.name = rows.name
                self._take(rows)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        """Return the queue itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the engine and remove what it has spilled."""
        self._stack.close()

    def __len__(self) -> int:
        return self._count

    def recall(self, ledger: Ledger | None) -> None:
        """Learn what this run's ledger holds as accepted."""
        earlier = ledger.rows(["order_id", "content_hash", "outcome", "at"]) if ledger else None
        if earlier is None:
            return
        with reading_from(self._engine, "earlier", earlier, "noting what earlier runs hold"):
            self._engine.execute(_HELD)
            self._engine.execute("DELETE FROM known")
            self._engine.execute(_KNOWN)
            self._engine.execute("DROP TABLE held")

    def read(self) -> Iterator[pa.RecordBatch]:
        """Return every change once, round by round; those that cannot be sent come first, in round 0.

        Columns: `order_id`, `content_hash`, `warnings` (always NULL), `status`, `website_id`, `problem` (why it cannot
        be sent, or NULL), `round`, and `known` (why it need not be sent, or NULL).
        """
        what = f"putting the changes of {self.name} into their order"
        return record_batches(self._engine, _QUEUE, _ROWS, lambda: running(what))

    def _take(self, rows: ChangeRows) -> None:
        self._engine.execute(
            "CREATE TEMP TABLE given (n BIGINT, order_id VARCHAR, status VARCHAR, website_id BIGINT, problem VARCHAR)"
        )
        self._engine.execute("CREATE TEMP TABLE known (order_id VARCHAR, upto BIGINT)")
        what = f"keeping the changes of {self.name}"
        for batch in rows.read():
            checked = [self._checked(*row) for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)]
            numbers = range(self._count, self._count + len(checked))
            columns = [pa.array(numbers, pa.int64())]
            columns += [pa.array(c, f.type) for c, f in zip(zip(*checked, strict=True), list(_READ)[1:], strict=True)]
            self._engine.register("batch", pa.RecordBatch.from_arrays(columns, schema=_READ))
            with running(what):
                self._engine.execute("INSERT INTO given FROM batch")
            self._count += len(checked)
        with running(what):
            self._engine.execute(_ORDERED.replace("$operation", f"'{self.operation}'"))
            self._engine.execute("DROP TABLE given")

    def _checked(
        self, order_id: str | None, status: str | None, website_id: str | None
    ) -> tuple[str | None, str | None, int | None, str | None]:
        """Return id, status and website as they are sent, and why the row cannot be sent, if so."""
        if order_id is not None and BROKEN in order_id:
            return None, None, None, "order id: text in UTF-8, got bytes that are none"
        try:
            checked = checked_id(order_id, in_path=self.operation is Operation.DELETE)
            if self.operation is Operation.DELETE:
                return checked, None, None, None
            return checked, listed_status(status), checked_website(website_id), None
        except ConfigurationError as error:
            return order_id, None, None, str(error)
