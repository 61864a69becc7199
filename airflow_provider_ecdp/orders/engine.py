"""DuckDB, locked in: it sees only what is registered with it. An SQL text reads no file and loads no extension."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator

import duckdb

from airflow_provider_ecdp.errors import SqlError

#: A value that an error message of the engine quotes can be personal: `Could not convert string 'a@b.c' to INT32`.
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")


@contextlib.contextmanager
def locked_engine(*, memory_limit: str, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory engine that spills beyond `memory_limit` (such as "256MB") to a folder that is removed.

    One thread keeps the order of rows, and with it the content of `list(...)` without ORDER BY, the same in every run.
    """
    spill = tempfile.mkdtemp(prefix="ecdp-spill-")
    try:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "temp_directory": spill,
            "threads": threads,
        }
        with duckdb.connect(":memory:", config=config) as engine:
            for setting in (
                "python_enable_replacements = false",  # a table name must not reach a Python variable
                "autoinstall_known_extensions = false",
                "autoload_known_extensions = false",
                "TimeZone = 'UTC'",
                "enable_external_access = false",
                "lock_configuration = true",
            ):
                engine.execute(f"SET {setting}")
            yield engine
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def statement(sql: str, engine: duckdb.DuckDBPyConnection) -> str:
    """Return `sql` without a closing semicolon; SqlError unless it is exactly one SELECT."""
    try:
        statements = engine.extract_statements(sql)
    except duckdb.Error as error:
        raise SqlError(f"the SQL text does not parse: {error}") from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(str(s.type).rpartition(".")[2] for s in statements) or "nothing"
        raise SqlError(f"the SQL text must be one SELECT from the extract, not {kinds}")
    return statements[0].query.strip().rstrip(";")


@contextlib.contextmanager
def running(what: str) -> Iterator[None]:
    """Turn the engine's errors while data flows into SqlError, without the values that they quote."""
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError):
        raise SqlError(f"{what} needs more memory than its limit; raise memory_limit, or split the extract") from None
    except duckdb.Error as error:
        text = _QUOTED.sub("'…'", str(error).split("\n\n", maxsplit=1)[0])
        # `from None`: the chained error would print the value in the traceback
        raise SqlError(f"{what} failed on the data: {text}") from None
