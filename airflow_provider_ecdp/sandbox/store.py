"""The orders of the sandbox in SQLite: a batch is stored completely, with its original text, or not at all.

The text of a batch is one row and an order is a position in it, so that storing a batch costs little; an order is cut
out of the text only when it is read.
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from itertools import count, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.sandbox.models import Mode
from airflow_provider_ecdp.sandbox.requestlog import RequestLog, RequestRecord
from airflow_provider_ecdp.sandbox.wire import order_spans, parse_decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: marks a database as one of the sandbox: "ECDP" in ASCII
_APPLICATION_ID = 0x45434450
_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA cache_size = -65536;
PRAGMA application_id = {_APPLICATION_ID};
CREATE TABLE IF NOT EXISTS batches (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, batch INTEGER NOT NULL, position INTEGER NOT NULL,
    status_change TEXT, deleted INTEGER NOT NULL DEFAULT 0, writes INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
"""
_UPSERT = """
INSERT INTO orders (id, batch, position) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE
SET batch = excluded.batch, position = excluded.position, status_change = NULL, deleted = 0, writes = writes + 1
"""


class Store:
    """Orders by id, and a log of the requests since it was opened.

    `database` is the file to keep them in; None makes a temporary one that `close` removes. Raises ConfigurationError
    if the file cannot be opened or is something other than a database of the sandbox.
    """

    def __init__(self, database: Path | str | None = None) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if database is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ecdp-sandbox-")
            path = Path(self._folder.name) / "orders.sqlite3"
        else:
            path = Path(database)
        # the server's thread writes while the thread of a test reads: one connection behind one lock
        self._lock = threading.RLock()
        self._connection = _open(path)
        # a file outlives a killed process either way, and a temporary file needs no fsync at all
        self._connection.execute(f"PRAGMA synchronous = {'OFF' if database is None else 'NORMAL'}")
        self._cut = lru_cache(maxsize=4)(self._cut_batch)
        self.log = RequestLog()

    def close(self) -> None:
        """Close the database; a temporary one is gone."""
        with self._lock:
            self._connection.close()
        if self._folder is not None:
            self._folder.cleanup()

    def reset(self) -> None:
        """Forget all orders and all requests."""
        with self._transaction():
            self._connection.execute("DELETE FROM orders")
            self._connection.execute("DELETE FROM batches")
            self._cut.cache_clear()
            self.log.clear()

    def conflicts(self, mode: Mode, ids: Sequence[str]) -> list[tuple[int, str]]:
        """Return the positions that the mode forbids, each with the reason; a deleted order counts as absent."""
        if mode is Mode.ADD_OR_REPLACE:
            return []
        adding, seen, broken = mode is Mode.ADD, set[str](), []
        with self._lock:
            for position, order_id in enumerate(ids):
                if adding and order_id in seen:
                    broken.append((position, ".id: is in this batch twice, which Add does not allow"))
                elif self._is_stored(order_id) is adding:
                    rule = ".id: already exists, which Add does not allow" if adding else ".id: there is no such order"
                    broken.append((position, rule))
                seen.add(order_id)
        return broken

    def write(self, ids: Sequence[str], body: bytes) -> None:
        """Store a batch in one transaction: its text, and the id of each of its orders; the last of equal ids wins."""
        with self._transaction():
            batch = self._connection.execute("INSERT INTO batches (body) VALUES (?)", (body,)).lastrowid
            self._connection.executemany(_UPSERT, zip(ids, repeat(batch), count()))

    def change_status(self, order_id: str, body: str) -> bool:
        """Keep the text of a PUT with its order; False if there is no such order."""
        return self._update("status_change = ?", body, order_id)

    def delete(self, order_id: str) -> bool:
        """Mark an order as deleted; False if there is no such order."""
        return self._update("deleted = ?", 1, order_id)

    def count(self) -> int:
        """Count the orders that are stored and not deleted."""
        return self._one("SELECT count(*) FROM orders WHERE NOT deleted")

    def count_deleted(self) -> int:
        """Count the orders that are marked as deleted."""
        return self._one("SELECT count(*) FROM orders WHERE deleted")

    def ids(self, limit: int = -1, offset: int = 0) -> list[str]:
        """List the ids of the orders that are not deleted, in the order of their last write; -1 is no limit."""
        sql = "SELECT id FROM orders WHERE NOT deleted ORDER BY batch, position LIMIT ? OFFSET ?"
        return [row[0] for row in self._rows(sql, limit, offset)]

    def writes(self, order_id: str) -> int:
        """Count how often an order was stored, deleted or not; 0 if never."""
        rows = self._rows("SELECT writes FROM orders WHERE id = ?", order_id)
        return int(rows[0][0]) if rows else 0

    def repeated_writes(self, limit: int = -1) -> dict[str, int]:
        """Return the orders that were stored more than once, and how often; -1 is no limit."""
        return dict(self._rows("SELECT id, writes FROM orders WHERE writes > 1 ORDER BY id LIMIT ?", limit))

    def total_writes(self) -> int:
        """Count how often any order was stored."""
        return self._one("SELECT coalesce(sum(writes), 0) FROM orders")

    def raw(self, order_id: str) -> str:
        """Return the JSON text of an order as it was sent last, deleted or not. Raises KeyError if it never was."""
        rows = self._rows("SELECT batch, position FROM orders WHERE id = ?", order_id)
        if not rows:
            raise KeyError(order_id)
        batch, position = rows[0]
        texts: list[str] = self._cut(batch)
        return texts[int(position)]

    def get(self, order_id: str, *, parse: Callable[[str], Any] = parse_decimal) -> dict[str, Any] | None:
        """Return an order with the status that a PUT gave it, None if absent or deleted.

        Numbers with a point or an exponent are Decimal, the others int, unless `parse` reads them otherwise.
        """
        with self._lock:
            if not self._is_stored(order_id):
                return None
            order: dict[str, Any] = parse(self.raw(order_id))
            change = self.status_change(order_id)
        return order if change is None else order | {"status": change["orderStatus"]}

    def status_change(self, order_id: str) -> dict[str, Any] | None:
        """Return the body of the last PUT for an order; None if there was none since the order was stored."""
        rows = self._rows("SELECT status_change FROM orders WHERE id = ? AND status_change IS NOT NULL", order_id)
        return parse_decimal(rows[0][0]) if rows else None

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests to the Orders API, oldest first."""
        return list(self.log.entries)

    @property
    def post_count(self) -> int:
        """How many POST requests arrived, whatever the answer."""
        return self.log.by_method["POST"]

    def _is_stored(self, order_id: str) -> bool:
        return bool(self._rows("SELECT 1 FROM orders WHERE id = ? AND NOT deleted", order_id))

    def _cut_batch(self, batch: int) -> list[str]:
        body = bytes(self._rows("SELECT body FROM batches WHERE id = ?", batch)[0][0]).decode()
        return [body[start:end] for start, end in order_spans(body)]

    def _update(self, assignment: str, value: object, order_id: str) -> bool:
        with self._lock:
            sql = f"UPDATE orders SET {assignment} WHERE id = ? AND NOT deleted"
            return self._connection.execute(sql, (value, order_id)).rowcount == 1

    def _one(self, sql: str) -> int:
        return int(self._rows(sql)[0][0])

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _open(path: Path) -> sqlite3.Connection:
    try:
        with ExitStack() as undo:
            connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            undo.callback(connection.close)
            # before anything is written: the path may be that of another database, given by mistake
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            if tables and application != _APPLICATION_ID:
                raise ConfigurationError(f"{path} is another program's database: give the sandbox its own file")
            connection.executescript(_SCHEMA)
            undo.pop_all()
    except sqlite3.Error as error:
        raise ConfigurationError(f"the sandbox cannot keep its orders in {path}: {error}") from error
    return connection
