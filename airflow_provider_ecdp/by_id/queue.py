"""The changes of an extract, all read and checked before the first is sent, in the sequence in which they are sent.

Changes are sent in rounds: the first round holds the first change of every order, the second round the second change,
and so on. A round holds at most one change of an order, so all of its changes can be sent side by side; a round ends
before the next begins. An example, with the rows of an extract on the left:

    n  order_id  status        round  repeated  content_hash
    0  A         paid            1              h1 = hash(1 paid)
    1  B         paid            1              h1
    2  A         paid            1    yes       h1
    3  A         canceled        2              h2 = hash(1 paid, 2 canceled)
    4  A         paid            3              h3 = hash(1 paid, 2 canceled, 3 paid)

Row 2 repeats the order's previous change and is not sent. A `content_hash` covers the changes of an order up to and
including its own, so that the `paid` of row 4 is not mistaken for the `paid` of row 0. If a ledger holds h1 and h2 of A
as accepted, a resumed run knows that it has sent 2 changes of A, and sends row 4 only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Self

import pyarrow as pa

from airflow_provider_ecdp.by_id.rows import ChangeRows
from airflow_provider_ecdp.by_id.settings import ChangeRowSettings, Operation
from airflow_provider_ecdp.by_id.validation import checked_id, checked_website, listed_status, refused_id
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.engine.connection import locked_engine, reading_from, record_batches, running
from airflow_provider_ecdp.orders.engine.marks import BROKEN
from airflow_provider_ecdp.orders.sources.base import Source
from airflow_provider_ecdp.results.outcome import Outcome

#: Why a change is not sent: this run's ledger lists it as accepted, or it repeats the order's previous change.
RESUMED, REPEATED = "resumed", "repeated"

#: Rows of one record batch.
_ROWS = 2048

_SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("order_id", pa.string()),
        ("status", pa.string()),
        ("website_id", pa.int64()),
        ("problem", pa.string()),
    ]
)

_UP_TO_THIS = "OVER (PARTITION BY order_id ORDER BY n ROWS UNBOUNDED PRECEDING)"

#: From `checked_rows`: the number of each change among its order's changes (`nth`), and the hash up to it.
_MAKE_CHANGES = f"""
CREATE TEMP TABLE changes AS
WITH valid AS (
    SELECT *, concat_ws('|', $operation, status, website_id) AS content FROM checked_rows WHERE problem IS NULL
), compared AS (
    SELECT *, coalesce(content = lag(content) OVER (PARTITION BY order_id ORDER BY n), FALSE) AS repeated FROM valid
), numbered AS (
    SELECT *, count(*) FILTER (NOT repeated) {_UP_TO_THIS} AS nth FROM compared
), hashed AS (
    -- each hash has its number in it, so that the sum depends on the sequence
    SELECT *,
        sum(CASE WHEN repeated THEN 0 ELSE md5_number_lower(concat(nth, '|', content)) END) {_UP_TO_THIS} AS digest
    FROM numbered
)
SELECT n, order_id, status, website_id, problem, repeated, nth, md5(CAST(digest AS VARCHAR)) AS content_hash FROM hashed
UNION ALL
SELECT n, order_id, status, website_id, problem, FALSE, 0, NULL FROM checked_rows WHERE problem IS NOT NULL
"""

#: From `ledger_rows`: the last outcome of each change that may have reached ECDP; others have changed nothing there.
_MAKE_ARRIVED = f"""
CREATE TEMP TABLE arrived AS
SELECT order_id, content_hash, arg_max(outcome, "at") AS outcome, max("at") AS "at" FROM ledger_rows
WHERE order_id IS NOT NULL AND content_hash IS NOT NULL
AND outcome IN ({", ".join(f"'{o}'" for o in Outcome if o.may_have_arrived)}) GROUP BY ALL
"""

#: How many of an order's changes need not be sent: those up to the last that arrived, if all of them were accepted.
_FILL_SENT = f"""
INSERT INTO sent
WITH last_arrived AS (
    SELECT order_id, arg_max(content_hash, "at") AS content_hash FROM arrived GROUP BY order_id
), reached AS (
    SELECT order_id, max(nth) AS upto FROM changes JOIN last_arrived USING (order_id, content_hash)
    WHERE NOT repeated GROUP BY order_id
), accepted AS (
    SELECT order_id, nth FROM changes JOIN arrived USING (order_id, content_hash)
    WHERE NOT repeated AND outcome = '{Outcome.ACCEPTED}'
)
SELECT order_id, upto FROM reached JOIN accepted USING (order_id)
WHERE nth BETWEEN 1 AND upto GROUP BY order_id, upto HAVING count(*) = upto
"""

#: Changes without a definite answer, and when each was sent last.
_FILL_LEFT_OPEN = f"""
INSERT INTO left_open
SELECT order_id, content_hash, epoch_us("at") FROM arrived WHERE outcome = '{Outcome.UNRESOLVED}'
"""

#: Orders that an earlier run left open come last, those that were sent longest ago first: should they fail again and
#: stop the run, the others were sent before, and the next run does not begin with the same ones.
_QUEUE = f"""
WITH last AS (SELECT order_id, max(sent_at) AS left_at FROM left_open GROUP BY order_id)
SELECT order_id, content_hash, CAST(NULL AS VARCHAR) AS warnings, status, website_id, problem, nth AS round,
CASE WHEN repeated THEN '{REPEATED}' WHEN nth BETWEEN 1 AND upto THEN '{RESUMED}' END AS skip_reason,
sent_at IS NOT NULL AS left_open
FROM changes LEFT JOIN sent USING (order_id) LEFT JOIN left_open USING (order_id, content_hash)
LEFT JOIN last USING (order_id) ORDER BY left_at IS NOT NULL, nth, left_at, n
"""


class ChangeQueue:
    """The changes of one extract. A context manager: it holds an engine and its spill folder.

    `len` is the number of rows of the extract, or of the result of its SQL text. `name` is the user's name for it.
    """

    def __init__(
        self,
        extract: Source,
        operation: Operation,
        settings: ChangeRowSettings | None = None,
    ) -> None:
        """Read the extract to its end, and check each row.

        :param operation: UPDATE_STATUS, or DELETE, which needs only ids
        :raises ConfigurationError: the mapping is malformed
        :raises ExtractError: the extract cannot be read, or lacks columns of a change
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
        """Close the engine and remove its spill files."""
        self._stack.close()

    def __len__(self) -> int:
        return self._count

    def recall(self, ledger: Ledger | None) -> None:
        """Exclude the changes that this run's ledger lists as accepted."""
        earlier = ledger.rows(["order_id", "content_hash", "outcome", "at"]) if ledger else None
        if earlier is None:
            return
        with reading_from(self._engine, "ledger_rows", earlier, "reading the results of earlier runs"):
            self._engine.execute(_MAKE_ARRIVED)
            self._engine.execute("DELETE FROM sent")
            self._engine.execute(_FILL_SENT)
            self._engine.execute("DELETE FROM left_open")
            self._engine.execute(_FILL_LEFT_OPEN)
            self._engine.execute("DROP TABLE arrived")

    def read(self) -> Iterator[pa.RecordBatch]:
        """Return every change once, round by round; those that cannot be sent come first, in round 0.

        The rounds of orders that an earlier run left open follow those of the others.

        Columns: `order_id`, `content_hash`, `warnings` (always NULL), `status`, `website_id`, `problem` (why it cannot
        be sent, or NULL), `round`, `skip_reason` (why it need not be sent, or NULL), and `left_open` (whether an
        earlier run sent it and got no definite answer).
        """
        step = f"sorting the changes of {self.name}"
        return record_batches(self._engine, _QUEUE, _ROWS, lambda: running(step))

    def _take(self, rows: ChangeRows) -> None:
        self._engine.execute(
            "CREATE TEMP TABLE checked_rows "
            "(n BIGINT, order_id VARCHAR, status VARCHAR, website_id BIGINT, problem VARCHAR)"
        )
        self._engine.execute("CREATE TEMP TABLE sent (order_id VARCHAR, upto BIGINT)")
        self._engine.execute("CREATE TEMP TABLE left_open (order_id VARCHAR, content_hash VARCHAR, sent_at BIGINT)")
        step = f"storing the changes of {self.name}"
        for batch in rows.read():
            checked = [self._checked(*row) for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)]
            numbers = range(self._count, self._count + len(checked))
            columns = [pa.array(numbers, pa.int64())]
            columns += [pa.array(c, f.type) for c, f in zip(zip(*checked, strict=True), list(_SCHEMA)[1:], strict=True)]
            self._engine.register("batch", pa.RecordBatch.from_arrays(columns, schema=_SCHEMA))
            with running(step):
                self._engine.execute("INSERT INTO checked_rows FROM batch")
            self._count += len(checked)
        with running(step):
            self._engine.execute(_MAKE_CHANGES.replace("$operation", f"'{self.operation}'"))
            self._engine.execute("DROP TABLE checked_rows")

    def _checked(
        self, order_id: str | None, status: str | None, website_id: str | None
    ) -> tuple[str | None, str | None, int | None, str | None]:
        """Return the id, status and website to send, and why the row cannot be sent, None if it can."""
        if order_id is not None and BROKEN in order_id:
            return None, None, None, refused_id(order_id)
        try:
            checked = checked_id(order_id, in_path=self.operation is Operation.DELETE)
            if self.operation is Operation.DELETE:
                return checked, None, None, None
            return checked, listed_status(status), checked_website(website_id), None
        except ConfigurationError as error:
            return order_id, None, None, str(error)
