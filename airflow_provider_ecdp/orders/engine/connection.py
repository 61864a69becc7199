"""DuckDB, locked: it sees only registered tables. An SQL text reads no file and loads no extension."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import CancelledError, ConfigurationError, MemoryLimitError, SqlError
from airflow_provider_ecdp.orders.engine.quoting import quote_literal
from airflow_provider_ecdp.orders.engine.scratch import scratch_folder
from airflow_provider_ecdp.orders.engine.tables import QUERY

#: Where an error message of the engine may begin to quote a value, which can be personal: `Could not convert string
#: 'a@b.c' to INT32`, `Type INT64 with value 48600700800 can't be cast`. The word in which this is goes too.
_VALUE = re.compile(r"""\S*(['"`(:@\n]|[0-9]{3})""")

#: The part of a message after the value: the type that it should have had.
_TYPE = re.compile(
    r" (?:to|type) (?:U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?[0-9]*|FLOAT|DOUBLE|DECIMAL\([0-9]+,[0-9]+\)"
    r"|DATE|TIME|TIMESTAMP|INTERVAL|UUID|BOOL(?:EAN)?)(?: when casting from source column \w+)?$"
)

#: The engine's error in place of an exception that the handler of a signal has raised.
_INTERRUPTED = "Query interrupted"


@contextlib.contextmanager
def locked_engine(*, memory_limit: str, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory engine that spills beyond `memory_limit` (such as "256MB") to a folder that is removed.

    One thread keeps the order of rows, and with it the content of `list(...)` without ORDER BY, the same in every run.

    :raises ConfigurationError: `memory_limit` or `threads` is malformed
    """
    with scratch_folder("spill") as spill:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "threads": threads,
        }
        try:
            connection = duckdb.connect(":memory:", config=config)
        except duckdb.Error as error:
            raise ConfigurationError(
                f"the engine refuses memory_limit {memory_limit!r} and threads {threads!r}: {error}"
            ) from None
        with connection as engine:
            for setting in (
                "python_enable_replacements = false",  # a table name must not reach a Python variable
                "enable_progress_bar = false",  # where __main__ has no file, it would go to stdout
                "autoinstall_known_extensions = false",
                "autoload_known_extensions = false",
                "TimeZone = 'UTC'",
                # a stream has no known number of rows, and is taken for the small side of a join: all of it would be
                # kept
                "disabled_optimizers = 'build_side_probe_side'",
                "enable_external_access = false",
                "lock_configuration = true",
            ):
                engine.execute(f"SET {setting}")
            yield engine


def statement(sql: str, engine: duckdb.DuckDBPyConnection) -> str:
    """Return `sql` without a closing semicolon; SqlError unless it is exactly one SELECT."""
    try:
        statements = engine.extract_statements(sql)
    except duckdb.Error as error:
        raise SqlError(f"the SQL text does not parse: {error}") from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(str(s.type).rpartition(".")[2] for s in statements) or "nothing"
        raise SqlError(f"the SQL text must be one SELECT from the extract, not {kinds}")
    query = bytearray(statements[0].query.encode())
    for at, kind in duckdb.tokenize(query.decode()):
        # a semicolon may precede a comment; inside of text and names it does not end a statement
        if kind == duckdb.token_type.operator and query[at : at + 1] == b";":
            query[at : at + 1] = b" "
    return query.decode().strip()


def record_batches(
    engine: duckdb.DuckDBPyConnection, sql: str, rows: int, guarded: Callable[[], AbstractContextManager[None]]
) -> Iterator[pa.RecordBatch]:
    """Yield the result of `sql` in record batches of about `rows` rows, until the end or until the iterator is closed.

    :param guarded: such as `running`, around the engine's work; not around the caller's use of a batch
    """
    with guarded():
        # the engine binds a query where a relation is made of it, and again where that is read: half of what a small
        # extract takes. Here the relation is made of nothing, and reads the query
        engine.execute(f"SET VARIABLE {QUERY} = 'SELECT NULL'")
        relation = engine.sql(f"FROM query(getvariable('{QUERY}'))")
        engine.execute(f"SET VARIABLE {QUERY} = {quote_literal(sql)}")
        reader = relation.to_arrow_reader(rows)
    with contextlib.closing(reader):
        while True:
            with guarded():
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
            yield batch


@contextlib.contextmanager
def running(action: str, advice: str = "raise memory_limit") -> Iterator[None]:
    """Turn the engine's errors while data flows into SqlError, without the values that they quote.

    :param advice: the action if the memory does not suffice
    :raises CancelledError: the handler of a signal has raised an exception, in whose place the engine raises its own
    """
    try:
        yield
    except RuntimeError as error:
        if str(error) != _INTERRUPTED:
            raise
        raise CancelledError(f"{action} was interrupted, by a signal or the task's time limit") from None
    except (duckdb.Error, OSError, pa.ArrowException, MemoryError) as error:
        # after the first rows an error comes through Arrow's stream, as text in an OSError
        if isinstance(error, duckdb.OutOfMemoryException | MemoryError) or "Out of Memory Error" in str(error):
            raise MemoryLimitError(f"{action} needs more memory than its limit; {advice}") from None
        # `from None`: the chained error would print the value in the traceback
        raise SqlError(f"{action} failed on the data: {_without_values(str(error))}") from None


@contextlib.contextmanager
def reading_from(
    engine: duckdb.DuckDBPyConnection, name: str, rows: pa.RecordBatchReader, action: str
) -> Iterator[None]:
    """Let the engine read `rows` as a table; an error of their reader is raised as itself, not as the engine's text."""
    errors: list[Exception] = []

    def watched() -> Iterator[pa.RecordBatch]:
        try:
            yield from rows
        except Exception as error:
            errors.append(error)
            raise

    engine.register(name, pa.RecordBatchReader.from_batches(rows.schema, watched()))
    try:
        with running(action):
            yield
    except SqlError:
        if errors:
            raise errors[0] from None
        raise
    finally:
        engine.unregister(name)


def _without_values(message: str) -> str:
    kind, _, detail = message.split("\n\n", maxsplit=1)[0].partition(": ")
    first = _VALUE.search(detail)
    if first is None:
        return f"{kind}: {detail}"
    type_ = _TYPE.search(detail.rstrip("!. \n"))
    return f"{kind}: {detail[: first.start()]}…{type_.group() if type_ else ''}"
