"""The rows of an extract of changes: an order's id, and its status where that is changed, as text.

The columns are found by their names, by a mapping, or in the result of an SQL text. The rules of a request are not
checked here.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.by_id.settings import ChangeRowSettings
from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError
from airflow_provider_ecdp.orders.contract import Field, Kind, folded_name
from airflow_provider_ecdp.orders.engine.arrow_types import readable_schema
from airflow_provider_ecdp.orders.engine.connection import locked_engine, record_batches, running, statement
from airflow_provider_ecdp.orders.engine.tables import ROWS
from airflow_provider_ecdp.orders.execution.catalog import EXTRACT, Catalog
from airflow_provider_ecdp.orders.mapping.compiled import CompiledField, texts
from airflow_provider_ecdp.orders.mapping.resolver import ColumnResolver, unknown_fields
from airflow_provider_ecdp.orders.mapping.spec import ColumnMapping, Value, from_json
from airflow_provider_ecdp.orders.mapping.values import text_or_mark
from airflow_provider_ecdp.orders.names import Expression
from airflow_provider_ecdp.orders.sources.base import Source
from airflow_provider_ecdp.orders.sql.coercion import encode, present, why_not

#: Rows of one record batch.
_ROWS = 2048

_ID, _STATUS, _WEBSITE = Field("id", Kind.TEXT), Field("status", Kind.TEXT), Field("websiteId", Kind.INTEGER)

#: Name of an order's id in a change, which may have an id of its own.
_ORDER_ID = "order_id"
#: Columns of a change, folded.
_COLUMNS = frozenset({"orderid", "id", "status", "websiteid"})

_OF_ID = re.compile("^id(?=[: ])")


class ChangeRows:
    """Reads the changes of one extract. A context manager: it holds the engine and its spill folder.

    Record batches have the columns `order_id`, `status` and `website_id`, text as in the extract, NULL where
    there is none.
    """

    def __init__(
        self,
        extract: Source,
        *,
        with_status: bool,
        settings: ChangeRowSettings | None = None,
    ) -> None:
        """Connect the engine and find the columns.

        :param with_status: whether a change has a status, and perhaps a website
        :raises ConfigurationError: the mapping has an invalid form
        :raises SqlError: the SQL text does not parse or bind, or needs files, extensions or settings, which are locked
        :raises ColumnsError: the columns do not make changes
        """
        settings = settings or ChangeRowSettings()
        sql, mapping = settings.sql, settings.mapping
        named = None if mapping is None else _named(ColumnMapping.parse(_with_ids(mapping)), with_status=with_status)
        self.name = extract.name
        self._stack = contextlib.ExitStack()
        try:
            self._engine = self._stack.enter_context(locked_engine(memory_limit=settings.memory_limit, threads=1))
            self._sources = Catalog(self._engine, extract)
            source = f"SELECT * FROM {EXTRACT}" if sql is None else statement(sql, self._engine)
            schema = self._result(source)
            spelled = {}
            if sql is not None:
                self._sources.refuse_repeated(source, schema.names, _COLUMNS)
            else:
                # the engine renames columns that differ in case only, and gives JSON as text
                own = readable_schema(extract.schema)
                spelled = dict(zip(own.names, schema.names, strict=True))
                schema = own
            completed = _completed(named, schema)
            self._query = self._select(source, completed, ColumnResolver(completed, schema, spelled), with_status)
            self._columns = self._sources.columns_read(self._query)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        """Return the rows themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the engine and remove its temporary files."""
        self._stack.close()

    def read(self) -> Iterator[pa.RecordBatch]:
        """Return every row once, in the extract's order.

        :raises SqlError: the SQL text fails on the data
        :raises ExtractError: a file cannot be read
        """
        self._sources.show(self._columns)
        return record_batches(self._engine, self._query, _ROWS, self._reading)

    def _result(self, sql: str) -> pa.Schema:
        try:
            return self._engine.sql(f"SELECT * FROM ({sql}\n) LIMIT 0").to_arrow_table().schema
        except duckdb.Error as error:
            # the extract is empty here: the message can quote nothing but the SQL text
            raise self._sources.sql_error(error) from None

    def _select(self, source: str, mapping: ColumnMapping, resolver: ColumnResolver, with_status: bool) -> str:
        fields = {_ORDER_ID: _text(resolver, _ID, _ORDER_ID)}
        if with_status:
            fields |= {"status": _text(resolver, _STATUS, "status"), "website_id": _website(resolver)}
        reasons = texts(CompiledField.of(None, (unknown_fields(mapping), *fields.values())).problems)
        if reasons:
            lines = "".join(f"\n  - {_OF_ID.sub(_ORDER_ID, reason)}" for reason in reasons)
            required = "order ids and statuses" if with_status else "order ids"
            raise ColumnsError(
                f"{self.name}: its columns cannot be read as {required}:{lines}\n{self._sources.columns_text()}"
            )
        values = {name: field.value.sql for name, field in fields.items() if field.value is not None}
        nothing = "CAST(NULL AS VARCHAR)"
        columns = ", ".join(f"{values.get(c, nothing)} AS {c}" for c in (_ORDER_ID, "status", "website_id"))
        return f"SELECT {columns} FROM ({source}\n) AS {ROWS}"

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._sources.own_errors(), running(f"reading changes of {self.name}"):
            yield


def _with_ids(mapping: Mapping[str, Any] | str) -> Mapping[str, Any]:
    if isinstance(mapping, str):
        mapping = from_json(mapping)
    if not isinstance(mapping, Mapping):
        raise ConfigurationError(f"mapping must be a dict of column names, not {type(mapping).__name__}")
    names = {name: "id" if folded_name(str(name)) in ("id", "orderid") else name for name in mapping}
    if list(names.values()).count("id") > 1:
        raise ConfigurationError(f"mapping: {_ORDER_ID} appears twice; keep one of them")
    return {names[name]: source for name, source in mapping.items()}


def _named(mapping: ColumnMapping, *, with_status: bool) -> ColumnMapping:
    fields = {"order_id": "id"} | ({"status": "status", "website_id": "websiteId"} if with_status else {})
    others = [*mapping.unknown, *(path for path in mapping.sources if path not in fields.values())]
    if others:
        raise ConfigurationError(
            f"mapping: a change has no field {', '.join(others)}; its fields are {', '.join(fields)}"
        )
    return mapping


def _completed(mapping: ColumnMapping | None, schema: pa.Schema) -> ColumnMapping:
    """Take the id from the column `order_id` where the mapping does not name another: a change's own id is not it."""
    sources = dict(mapping.sources) if mapping else {}
    named = [name for name in schema.names if folded_name(name) == "orderid"]
    if len(named) > 1 and "id" not in sources:
        raise ColumnsError(
            f"{_ORDER_ID}: the columns {' and '.join(map(repr, named))} have the same meaning; keep one of them"
        )
    if named:
        sources.setdefault("id", Value((named[0],)))
    return ColumnMapping(sources)


def _text(resolver: ColumnResolver, field: Field, name: str) -> CompiledField:
    source = resolver.source(field.name)
    if not isinstance(source, Value):
        message = f"{name}: required, but there is no such column, and the mapping names no other"
        return CompiledField.failed(field.name, message)
    compiled = resolver.find(field.name, source)
    if compiled.value is None:
        return compiled
    return _checked_text(field, f"{name} ({source})", compiled.value, (resolver.ambiguous(field.name), compiled))


def _website(resolver: ColumnResolver) -> CompiledField:
    source = resolver.source(_WEBSITE.name)
    if not isinstance(source, Value):
        return CompiledField()
    compiled = resolver.find(_WEBSITE.name, source)
    if compiled.value is None:
        return compiled
    value = replace(compiled.value, sql=present(_WEBSITE, compiled.value.sql, compiled.value.type))
    return _checked_text(_WEBSITE, f"website_id ({source})", value, (resolver.ambiguous(_WEBSITE.name), compiled))


def _checked_text(field: Field, name: str, value: Expression, parts: Iterable[CompiledField]) -> CompiledField:
    """Return a value as text, with a mark where it is not text: that is not the same as no value."""
    if encode(field, value.sql, value.type, None) is None:
        return CompiledField.failed(field.name, f"{name}: {why_not(field, value.type)}")
    return CompiledField.of(Expression(text_or_mark(field, value), pa.string()), parts)
