"""Orders of an extract, checked and encoded: one query over a stream of record batches, in bounded memory."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError, SqlError
from airflow_provider_ecdp.orders.checks import errors_and_warnings, order_checks
from airflow_provider_ecdp.orders.contract import WARNINGS
from airflow_provider_ecdp.orders.engine import locked_engine, running, statement
from airflow_provider_ecdp.orders.extract import Extract
from airflow_provider_ecdp.orders.mapping import ZONES, Mapping, match_columns, text
from airflow_provider_ecdp.orders.query import ACCEPTED, CHOSEN, DUPLICATES, EXTRACT, Query
from airflow_provider_ecdp.orders.zones import zone_table

#: Orders of one record batch: the engine's own vector, so that nothing is copied to make larger ones.
ROWS = 2048

#: A date this much later than the start of the run is odd; clocks and zones make a day harmless.
_FUTURE = dt.timedelta(days=1)

_REPEATED = "ecdp_repeated"
_ROWS = "ecdp_rows"


@dataclass(frozen=True, slots=True)
class OrderSettings:
    """How an extract becomes orders.

    :param sql: one SELECT from `extract` that returns columns named as the API's fields; None takes them as they are
    :param timezone: IANA name of the zone in which timestamps without a zone are read
    :param matching: the customer's field that the business unit matches by (`email`, `phone`, `crmId`), if required
    :param warnings_as_errors: names of warnings (`contract.WARNINGS`) that make an order invalid; `all` for each
    :param memory_limit: of the engine, such as "256MB"; beyond it, it spills to disk
    :param threads: of the engine; more than one gives up the order of rows
    :raises ConfigurationError: a value that cannot be meant
    """

    sql: str | None = None
    timezone: str | None = None
    matching: str | None = None
    warnings_as_errors: frozenset[str] = frozenset()
    memory_limit: str = "256MB"
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.timezone is not None:
            try:
                ZoneInfo(self.timezone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ConfigurationError(
                    f"timezone {self.timezone!r} is no IANA time zone, such as Europe/Warsaw"
                ) from None
        if self.matching not in (None, "email", "phone", "crmId"):
            raise ConfigurationError(f"matching {self.matching!r} is none of email, phone, crmId")
        if unknown := self.warnings_as_errors - WARNINGS.keys() - {"all"}:
            raise ConfigurationError(
                f"no warning is called {', '.join(sorted(unknown))}; there are {', '.join(WARNINGS)}, and all"
            )

    @property
    def promoted(self) -> frozenset[str]:
        """The names of the warnings that count as errors."""
        return frozenset(WARNINGS) if "all" in self.warnings_as_errors else self.warnings_as_errors


class Orders:
    """The orders of one extract. A context manager: it holds the engine and its spill folder.

    Record batches have the columns

    - `order_id` string, NULL if the extract has none; cut at 256 characters
    - `content_hash` string, MD5 of the order's JSON text: tells changed from unchanged, protects from nothing
    - `json` string: the order's JSON text and a comma, so that the buffer of neighbouring rows is the inside of a
      JSON array but for its last character; of no characters for an order that is not to be sent
    - `problems`, `warnings`: lists of {field, rule, got}, NULL for none
    - `known` string: why an order is not to be sent though it is good: the word that `skip` was given, or "repeated"
      for the same order again in this extract; NULL for the others
    """

    def __init__(self, extract: Extract, settings: OrderSettings | None = None) -> None:
        """Connect the engine, run the SQL text over no rows, and match the columns.

        :raises SqlError: the SQL text does not parse or bind, or asks for what the engine is locked against
        :raises ColumnsError: the columns do not make orders
        """
        self.settings = settings or OrderSettings()
        self.name = extract.name
        self.rows = extract.rows
        self._accepted = self._chosen = self._duplicates = False
        self._stack = contextlib.ExitStack()
        try:
            self._engine = self._stack.enter_context(
                locked_engine(memory_limit=self.settings.memory_limit, threads=self.settings.threads)
            )
            self._engine.register(ZONES, zone_table())
            self._engine.register(EXTRACT, extract.schema.empty_table())
            self._query = _bound(self._engine, extract.schema, self.settings)
            self._ids = _Stream(extract, _columns_read(self._engine, self._query.ids, extract.schema))
            self._all = _Stream(extract, _columns_read(self._engine, self._query.hashed, extract.schema))
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
    def mapping(self) -> Mapping:
        """Which columns are which fields."""
        return self._query.mapping

    def skip(self, accepted: pa.Table, known: str) -> None:
        """Do not send what `accepted` (columns `order_id`, `content_hash`) holds with the same content.

        `known` is what the column of this name then says. Where two calls hold an order, the first counts.
        """
        rows = f"SELECT DISTINCT order_id, content_hash, {text(known)} AS known FROM {_ROWS}"
        if self._accepted:
            self._keep(accepted, f"INSERT INTO {ACCEPTED} {rows} ANTI JOIN {ACCEPTED} USING (order_id, content_hash)")
        else:
            self._keep(accepted, f"CREATE TEMP TABLE {ACCEPTED} AS {rows}")
        self._accepted = True

    def choose(self, ids: pa.Table) -> None:
        """Read no other orders than those of `ids` (column `order_id`)."""
        self._keep(ids, f"CREATE OR REPLACE TEMP TABLE {CHOSEN} AS SELECT DISTINCT order_id FROM {_ROWS}")
        self._chosen = True

    def find_duplicates(self) -> int:
        """Read the ids once, and note those that stand more than once; return how many ids do.

        Orders with one id and one content are then sent once; with different contents, none of them can be sent, for
        no order between them is defined. Without this call, `read` returns each as it comes.
        """
        self._engine.register(EXTRACT, self._ids)
        with self._reading(self._ids, "finding ids that stand twice"):
            self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {_REPEATED} AS {self._query.repeated}")
            count = self._engine.execute(f"SELECT count(*) FROM {_REPEATED}").fetchall()[0][0]
        if count:
            self._engine.register(EXTRACT, self._all)
            with self._reading(self._all, "comparing orders with one id"):
                self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {DUPLICATES} AS {self._query.contents(_REPEATED)}")
        self._duplicates = bool(count)
        return int(count)

    def read(self) -> Iterator[pa.RecordBatch]:
        """Yield every order once, in the extract's order; ids that stand twice with one content come last.

        :raises SqlError: the SQL text fails on the data
        :raises ExtractError: a file cannot be read
        """
        self._engine.register(EXTRACT, self._all)
        passes = (False, True) if self._duplicates else (None,)
        for duplicates in passes:
            sql = self._query.outgoing(accepted=self._accepted, chosen=self._chosen, duplicates=duplicates)
            with self._reading(self._all, "reading orders"):
                reader = self._engine.sql(sql).to_arrow_reader(ROWS)
            while True:
                with self._reading(self._all, "reading orders"):
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        break
                yield batch

    def _keep(self, rows: pa.Table, sql: str) -> None:
        # a table of the engine's own can spill; an Arrow table cannot
        self._engine.register(_ROWS, rows)
        self._engine.execute(sql)
        self._engine.unregister(_ROWS)

    @contextlib.contextmanager
    def _reading(self, stream: _Stream, what: str) -> Iterator[None]:
        subject = self.name if self.settings.sql is None else f"{self.name}, shaped by the SQL text"
        try:
            with running(f"{what} of {subject}"):
                yield
        except (SqlError, OSError):
            if stream.error is not None:
                # the engine reports a file that cannot be read as text of its own; this is the error itself
                raise stream.error from None
            raise


class _Stream:
    """An extract as an Arrow stream that can be scanned more than once, as a self-join does.

    It has all columns of the extract, so that every SQL text binds, and reads only `columns`: the others are null.
    """

    def __init__(self, extract: Extract, columns: list[str]) -> None:
        self.extract = extract
        self.columns = columns
        self.error: Exception | None = None

    def __arrow_c_schema__(self) -> object:
        return self.extract.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self.extract.schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        schema = self.extract.schema
        place = {name: i for i, name in enumerate(self.columns)}
        most, nulls = -1, []
        try:
            for batch in self.extract.batches(self.columns):
                rows = batch.num_rows
                if rows > most:
                    most, nulls = rows, [pa.nulls(0 if f.name in place else rows, f.type) for f in schema]
                yield pa.RecordBatch.from_arrays(
                    [
                        batch.column(place[f.name]) if f.name in place else null.slice(0, rows)
                        for f, null in zip(schema, nulls, strict=True)
                    ],
                    schema=schema,
                )
        except Exception as error:
            self.error = error
            raise


def _bound(engine: duckdb.DuckDBPyConnection, schema: pa.Schema, settings: OrderSettings) -> Query:
    source, what = f"SELECT * FROM {EXTRACT}", "extract"
    if settings.sql is not None:
        source, what = statement(settings.sql, engine), "SQL text's result"
        try:
            schema = engine.sql(f"SELECT * FROM ({source}\n) LIMIT 0").to_arrow_table().schema
        except duckdb.Error as error:
            # the extract is empty here: the message can quote nothing but the SQL text
            raise SqlError(f"the SQL text cannot be run: {error}\nThe extract has: {', '.join(schema.names)}") from None
    mapping = match_columns(schema, timezone=settings.timezone, source=what)
    customer = mapping.field("customer")
    if settings.matching and customer and not customer.child(settings.matching):
        raise ColumnsError(
            f"the matching mode {settings.matching} requires customer.{settings.matching}, "
            f"and the {what} has no such column; add it, or correct the connection's matching mode"
        )
    future = (dt.datetime.now(dt.UTC) + _FUTURE).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    checks = order_checks(mapping, matching=settings.matching, future=text(future))
    errors, warnings = errors_and_warnings(checks, settings.promoted)
    return Query(source, mapping, errors, warnings)


def _columns_read(engine: duckdb.DuckDBPyConnection, sql: str, schema: pa.Schema) -> list[str]:
    """Return the extract's columns that `sql` reads, as the engine plans it over an extract of no rows."""
    plan = engine.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()[0][1]
    found: set[str] = set()
    pending: list[dict[str, Any]] = list(json.loads(plan))
    while pending:
        step = pending.pop()
        pending += step.get("children", [])
        if "ARROW_SCAN" in step["name"]:
            columns = step["extra_info"].get("Projections", [])
            found.update([columns] if isinstance(columns, str) else columns)
    # a query that counts rows reads no column, and a stream needs one
    return [name for name in schema.names if name in found] or schema.names[:1]
