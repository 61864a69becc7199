"""The extracts of a run, by their names in an SQL text.

To the engine a column is known by a number as well: so the plan of a query shows which columns of which table it reads.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError, SqlError
from airflow_provider_ecdp.orders.contract import folded_name
from airflow_provider_ecdp.orders.engine.arrow_types import engine_schema, readable, readable_schema
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier
from airflow_provider_ecdp.orders.engine.tables import SPELLINGS, is_reserved, source_table
from airflow_provider_ecdp.orders.execution.scan import Scan
from airflow_provider_ecdp.orders.names import listed, nearest
from airflow_provider_ecdp.orders.sources.base import Source, is_usable, refuse_unusable
from airflow_provider_ecdp.orders.sql.timezones import ZONE_COLUMNS

#: The name of the extract in an SQL text, if there is only one.
EXTRACT = "extract"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: A column in a plan, or a member of one: `0.5`, `0.5.contact.email`.
_CODE = re.compile(r"([0-9]+)\.([0-9]+)(\..*)?", re.DOTALL)
#: The engine's message about a missing table.
_NO_TABLE = re.compile(r"Catalog Error: Table with name (.+?) does not exist")

#: The end of the name that the engine gives to a second column of one name.
_RENAMED = re.compile(r"_[0-9]+$")

#: Columns by the name of their extract.
Columns = Mapping[str, list[str]]

#: Steps of a plan that make each row of one row; should another engine call them otherwise, nothing is row by row.
_ROW_BY_ROW = ("PROJECTION", "FILTER", "PYTHON_ARROW_SCAN")


class Catalog:
    """Extracts, registered with an engine; without rows until `show` is called."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, extracts: Source | Mapping[str, Source]) -> None:
        """Register the extracts.

        :param extracts: one, or several by their names
        :raises ConfigurationError: a name that SQL would not take without quotes
        :raises ColumnsError: an extract has no columns
        """
        self._engine = engine
        self._scans: list[Scan] = []
        self.extracts = dict(extracts) if isinstance(extracts, Mapping) else {EXTRACT: extracts}
        if isinstance(extracts, Mapping):
            self._check_names()
        for i, (name, extract) in enumerate(self.extracts.items()):
            schema = engine_schema(extract.schema)
            if not len(schema):
                unknown = f" of a type that the engine knows: {extract.schema.names}" if len(extract.schema) else ""
                raise ColumnsError(f"{extract.name} has no columns{unknown}, so nothing can be read from it")
            coded = _coded(i, schema)
            engine.register(source_table(i), pa.Table.from_batches([], coded))
            columns = ", ".join(
                f"{quote_identifier(code)} AS {quote_identifier(own)}"
                for code, own in zip(coded.names, self._spelled(schema), strict=True)
            )
            engine.execute(f"CREATE TEMP VIEW {quote_identifier(name)} AS SELECT {columns} FROM {source_table(i)}")

    @property
    def name(self) -> str:
        """The user's name for the extracts, for messages."""
        if list(self.extracts) == [EXTRACT]:
            return self.extracts[EXTRACT].name
        return ", ".join(f"{name} ({extract.name})" for name, extract in self.extracts.items())

    @property
    def rows(self) -> int | None:
        """Number of rows of all extracts; None where that of one is not known."""
        counts = [extract.rows for extract in self.extracts.values()]
        return None if None in counts else sum(rows for rows in counts if rows is not None)

    @contextlib.contextmanager
    def own_errors(self) -> Iterator[None]:
        """Raise the error of an extract itself, of which the engine reports the text only, as SqlError."""
        try:
            yield
        except SqlError:
            error = next((scan.error for scan in self._scans if scan.error is not None), None)
            if error is not None:
                raise error from None
            raise

    def columns_read(self, sql: str) -> dict[str, list[str]]:
        """Return the columns that `sql` reads, as the engine plans it.

        :raises ColumnsError: two columns that it reads have the same name
        :raises ExtractError: a column that it reads differs between files, or appears twice in one
        """
        plan = self._engine.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()[0][1]
        codes = [_CODE.fullmatch(column) for column in _scanned(json.loads(plan)) if column not in ZONE_COLUMNS]
        numbers = {(int(code[1]), int(code[2])) for code in codes if code}
        # a column that is not read is null: should another engine write plans in another way, all are read
        unclear = None in codes
        return self._checked(lambda i, j, _: unclear or (i, j) in numbers)

    def named(self, columns: Container[str]) -> dict[str, list[str]]:
        """Return the columns with these names; it raises the errors of `columns_read`."""
        return self._checked(lambda _i, _j, column: column in columns)

    def _checked(self, is_read: Callable[[int, int, str], bool]) -> dict[str, list[str]]:
        """Return the columns that are read, unless one of them cannot be.

        :param is_read: of the number of an extract, and of the number and the name of a column
        """
        read = {}
        for i, (name, extract) in enumerate(self.extracts.items()):
            names = readable_schema(extract.schema).names
            read[name] = [column for j, column in enumerate(names) if is_read(i, j, column)]
            for column in read[name]:
                if names.count(column) > 1:
                    raise ColumnsError(
                        f"{_called(name)} has more than one column that is called {column!r}; rename one of them"
                    )
            refuse_unusable(extract.schema, read[name])
            # a query that counts rows reads no column, but a stream needs one
            read[name] = read[name] or [next(filter(partial(is_usable, extract.schema), names), names[0])]
        return read

    def is_row_by_row(self, sql: str) -> bool:
        """Whether each row of the result is made of one row of one extract, as the engine plans `sql`."""
        plan = json.loads(self._engine.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()[0][1])
        return len(self.extracts) == 1 and all(name in _ROW_BY_ROW for name in _steps(plan))

    def columns_of(self, columns: Columns) -> dict[str, tuple[pa.Schema, list[str]]]:
        """Return, of each extract, the columns that are among `columns`, and the names of the others."""
        by_extract = {}
        for name, extract in self.extracts.items():
            schema = extract.schema
            others = [column for column in schema.names if column not in columns[name]]
            by_extract[name] = (pa.schema([schema.field(column) for column in columns[name]]), others)
        return by_extract

    def show(self, columns: Columns, extracts: Mapping[str, Source] | None = None) -> None:
        """Let the engine read `columns`, from the extracts or from their stand-ins."""
        self._scans = []
        for i, name in enumerate(self.extracts):
            extract = (extracts or self.extracts)[name]
            scan = Scan(extract, columns[name], _coded(i, readable_schema(extract.schema)).names)
            self._scans.append(scan)
            self._engine.register(source_table(i), scan)

    def coded(self, name: str) -> tuple[str, dict[str, str]]:
        """Return the table of an extract whose columns are called by codes, and the codes by the user's names."""
        number = list(self.extracts).index(name)
        schema = readable_schema(self.extracts[name].schema)
        return source_table(number), dict(zip(schema.names, _coded(number, schema).names, strict=True))

    def columns_text(self) -> str:
        """Return the columns of the extracts, for messages."""
        lines = []
        for name, extract in self.extracts.items():
            left = [f"{f.name} ({f.type})" for f in extract.schema if not readable(f.type)]
            named = listed(readable_schema(extract.schema).names)
            further = f"; and in types that the engine does not know: {listed(left)}" if left else ""
            lines.append(f"{_called(name, capital=True)} has: {named}{further}")
        return "\n".join(lines)

    def sql_error(self, error: duckdb.Error) -> SqlError:
        """Return the error of an SQL text that the engine cannot bind: why, and which columns there are."""
        cause = str(error)
        if missing := _NO_TABLE.match(cause):
            # the engine itself suggests tables of its own, such as pg_type
            name = missing[1].strip('"')
            hint = nearest(name, self.extracts) or f"; select from {' or '.join(self.extracts)}"
            cause = f"there is no table {name!r}{hint}"
        return SqlError(f"the SQL text cannot be run: {cause}\n{self.columns_text()}")

    def refuse_repeated(self, sql: str, columns: Sequence[str], needed: Container[str]) -> None:
        """Refuse an SQL text whose result has a column more than once, since the name is ambiguous.

        :param columns: of the result, as the engine names them: the second `id` is `id_1`
        :param needed: names in the form of `folded_name`; other columns may be repeated
        :raises SqlError: one of these is
        """
        if not any(map(_RENAMED.search, columns)):
            return
        names = [name.lower() for name in self._engine.sql(sql).columns]
        if repeated := [n for n in dict.fromkeys(names) if names.count(n) > 1 and folded_name(n) in needed]:
            raise SqlError(
                f"the SQL text's result has more than one column called {', '.join(repeated)}; keep one: "
                f"SELECT * REPLACE (... AS {repeated[0]}) or SELECT * EXCLUDE ({repeated[0]}), ... AS {repeated[0]}"
            )

    def _spelled(self, schema: pa.Schema) -> list[str]:
        # the engine renames columns that differ in case only: `id` and `ID` are `id` and `ID_1`
        self._engine.register(SPELLINGS, pa.Table.from_batches([], schema))
        names = [name for name, *_ in self._engine.execute(f"SELECT * FROM {SPELLINGS} LIMIT 0").description]
        self._engine.unregister(SPELLINGS)
        return names

    def _check_names(self) -> None:
        if not self.extracts:
            raise ConfigurationError("extracts: at least one is needed")
        reserved = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
        words = {word for (word,) in self._engine.execute(reserved).fetchall()}
        folded = [name.lower() for name in self.extracts if isinstance(name, str)]
        for name in self.extracts:
            if not isinstance(name, str) or not _NAME.fullmatch(name) or is_reserved(name):
                raise ConfigurationError(
                    f"extracts: {name!r} is not a name of an extract: use letters, digits and _, not ecdp_ at its start"
                )
            if name.lower() in words:
                raise ConfigurationError(
                    f"extracts: {name!r} is a reserved SQL keyword; choose another name, such as {name}s"
                )
            if folded.count(name.lower()) > 1:
                raise ConfigurationError(f"extracts: {name!r} appears twice; SQL names are not case-sensitive")


def _called(name: str, *, capital: bool = False) -> str:
    article = "The" if capital else "the"
    return f"{article} extract" if name == EXTRACT else f"{article} extract {name}"


def _coded(number: int, schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(f"{number}.{i}", f.type) for i, f in enumerate(schema)])


def _steps(steps: list[dict[str, Any]]) -> Iterator[str]:
    for step in steps:
        yield step["name"]
        yield from _steps(step.get("children", []))


def _scanned(steps: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the columns that the scans of a plan project."""
    for step in steps:
        yield from _scanned(step.get("children", []))
        if "ARROW_SCAN" in step["name"]:
            columns = step["extra_info"].get("Projections", [])
            yield from [columns] if isinstance(columns, str) else columns
