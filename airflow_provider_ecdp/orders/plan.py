"""From settings and sources to the query: columns, a mapping or an SQL text become one SELECT of the contract's fields.

Nothing is read: the SELECT is bound over no rows, which tells the columns of its result.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError
from airflow_provider_ecdp.orders.engine.arrow_types import readable_schema
from airflow_provider_ecdp.orders.engine.connection import statement
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.engine.tables import PROBLEMS, is_reserved
from airflow_provider_ecdp.orders.execution.catalog import EXTRACT, Catalog
from airflow_provider_ecdp.orders.execution.partitions import keys_of
from airflow_provider_ecdp.orders.mapping.assembler import CompiledMapping, compile_mapping
from airflow_provider_ecdp.orders.mapping.spec import ColumnMapping
from airflow_provider_ecdp.orders.mapping.suggestion import likely_columns
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.orders.sources.base import Source, notes_problems
from airflow_provider_ecdp.orders.sources.shard import as_shard
from airflow_provider_ecdp.orders.sql.fields import FieldBinding, match_columns
from airflow_provider_ecdp.orders.sql.json_columns import unfolded
from airflow_provider_ecdp.orders.sql.query import Query
from airflow_provider_ecdp.orders.sql.validation import errors_and_warnings, order_checks

log = logging.getLogger(__name__)

#: A date this much later than the start of the run is odd; clocks and zones make a day harmless.
_FUTURE = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """The query, and how the extracts become it.

    :param compiled: the mapping, None without one
    :param keys: the column by which each extract can be cut into partitions
    :param row_by_row: whether each order is made of one row, and of nothing else
    """

    query: Query
    compiled: CompiledMapping | None
    keys: dict[str, str]
    row_by_row: bool


@dataclass(frozen=True, slots=True)
class _Shaped:
    """One SELECT that returns the columns of orders.

    :param subject: the owner of these columns, for messages
    :param hidden: columns whose names are reserved: the SELECT leaves them out
    """

    sql: str
    schema: pa.Schema
    subject: str
    compiled: CompiledMapping | None = None
    hidden: tuple[str, ...] = ()


def bind(engine: duckdb.DuckDBPyConnection, catalog: Catalog, settings: OrderSettings) -> Plan:
    """Return the query.

    :raises SqlError: the SQL text does not parse or bind, or needs files, extensions or settings, which are locked
    :raises ColumnsError: the columns cannot be read as orders
    :raises ConfigurationError: the settings do not go with the extracts
    """
    _check_settings(engine, catalog, settings)
    keys = keys_of(settings.partition_by, catalog.extracts)
    shaped = _shaped(engine, catalog, settings)
    if shaped.compiled and shaped.compiled.key and not keys:
        keys = keys_of(shaped.compiled.key, catalog.extracts)
    row_by_row = settings.sql is None and not (shaped.compiled and shaped.compiled.lines)
    if not row_by_row:
        _refuse_torn_orders(catalog.extracts, keys, shaped.compiled)
    plain, shaped = shaped, _with_json_read(shaped)
    fields = _matched(shaped, settings)
    future = (dt.datetime.now(dt.UTC) + _FUTURE).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    checks = order_checks(fields, matching=settings.matching, future=quote_literal(future))
    errors, warnings = errors_and_warnings(checks, settings.promoted)
    return Plan(Query(shaped.sql, fields, errors, warnings, plain.sql), shaped.compiled, keys, row_by_row)


def _check_settings(engine: duckdb.DuckDBPyConnection, catalog: Catalog, settings: OrderSettings) -> None:
    if settings.timezone is not None:
        zone = quote_literal(settings.timezone)
        try:
            engine.execute(f"SELECT timezone({zone}, TIMESTAMP '2000-01-01') IS NULL").fetchall()
        except duckdb.Error:
            raise ConfigurationError(
                f"timezone {settings.timezone!r} is not an IANA time zone; use, for example, Europe/Warsaw"
            ) from None
    if settings.sql is None and list(catalog.extracts) != [EXTRACT]:
        raise ConfigurationError("extracts with names need an SQL text that selects from them (sql)")


def _shaped(engine: duckdb.DuckDBPyConnection, catalog: Catalog, settings: OrderSettings) -> _Shaped:
    if settings.sql is not None:
        return _of_sql(engine, catalog, settings.sql)
    if settings.mapping is not None:
        return _of_mapping(engine, catalog, ColumnMapping.parse(settings.mapping), settings.timezone)
    return _of_columns(engine, catalog)


def _of_columns(engine: duckdb.DuckDBPyConnection, catalog: Catalog) -> _Shaped:
    schema = catalog.extracts[EXTRACT].schema
    shaped = _Shaped(f"SELECT * FROM {EXTRACT}", schema, "extract")
    return _without_reserved(engine, catalog, shaped)


def _of_mapping(
    engine: duckdb.DuckDBPyConnection, catalog: Catalog, mapping: ColumnMapping, timezone: str | None
) -> _Shaped:
    # the user's names stay out of the SQL: columns are read by their codes
    table, codes = catalog.coded(EXTRACT)
    types = readable_schema(catalog.extracts[EXTRACT].schema).types
    schema = pa.schema(list(zip(codes, types, strict=True)))
    problems = codes[PROBLEMS] if notes_problems(catalog.extracts[EXTRACT].schema) else None
    compiled = compile_mapping(
        mapping, schema, codes, table, catalog.columns_text(), timezone=timezone, problems=problems
    )
    return _Shaped(compiled.sql, _result(engine, compiled.sql, catalog), "mapping's result", compiled)


def _of_sql(engine: duckdb.DuckDBPyConnection, catalog: Catalog, sql: str) -> _Shaped:
    query = statement(sql, engine)
    shaped = _Shaped(query, _result(engine, query, catalog), "SQL text's result")
    return _without_reserved(engine, catalog, shaped)


def _without_reserved(engine: duckdb.DuckDBPyConnection, catalog: Catalog, shaped: _Shaped) -> _Shaped:
    """Leave out columns that are called as ours are, other than the problems that a source notes."""
    noted = {PROBLEMS} if any(notes_problems(source.schema) for source in catalog.extracts.values()) else set()
    hidden = [column.name for column in shaped.schema if is_reserved(column.name) and column.name not in noted]
    if not hidden:
        return shaped
    kept = pa.schema([column for column in shaped.schema if column.name not in hidden])
    names = [name for name in _result(engine, shaped.sql, catalog).names if is_reserved(name) and name not in noted]
    left_out = ", ".join(map(quote_identifier, names))
    # without any column that is kept, the columns that orders need are missing, which is said when they are matched
    sql = f"SELECT * EXCLUDE ({left_out}) FROM ({shaped.sql}\n)" if len(kept) else shaped.sql
    return replace(shaped, sql=sql, schema=kept, hidden=tuple(hidden))


def _with_json_read(shaped: _Shaped) -> _Shaped:
    """Read the JSON text in columns where an order has an object or a list."""
    read = unfolded(shaped.sql, shaped.schema)
    return replace(shaped, sql=read[0], schema=read[1]) if read else shaped


def _matched(shaped: _Shaped, settings: OrderSettings) -> FieldBinding:
    explained = shaped.compiled.explained if shaped.compiled else None
    fields = match_columns(
        shaped.schema,
        timezone=settings.timezone,
        source=shaped.subject,
        explained=explained,
        likely_columns=likely_columns,
    )
    customer = fields.field("customer")
    if settings.matching and customer and not customer.child(settings.matching):
        raise ColumnsError(
            f"the matching mode {settings.matching} requires customer.{settings.matching}, and the {shaped.subject} "
            "has no such column; add it, or correct the connection's matching mode (--matching)"
        )
    return replace(fields, ignored=(*fields.ignored, *shaped.hidden))


def _refuse_torn_orders(
    sources: Mapping[str, Source], keys: Mapping[str, str], compiled: CompiledMapping | None
) -> None:
    """Make sure that grouping or joining rows finds all rows of an order in one shard.

    :param compiled: a mapping that groups order lines; None for an SQL text
    """
    for name, source in sources.items():
        shard = as_shard(source)
        if shard is None:
            continue
        key = (compiled and compiled.key) or keys.get(name)
        cut = f"by {shard.order_id}" if shard.order_id else "between any two rows"
        if (key and key != shard.order_id) or (compiled and not shard.order_id):
            raise ConfigurationError(
                f"{shard.name} was cut {cut}, and orders are put together by {key or 'an id that is made'}: a part of "
                "one would replace the others; give order_id to shards(), the column that tells which rows are one "
                "order's"
            )
        if not key and (compiled or not shard.order_id):
            # whether it goes row by row, or makes one id of several values, cannot be seen
            log.warning(
                "%s was cut %s: should %s put rows of several shards together, a part of an order would replace the "
                "others; give order_id to shards(), the column that tells which rows are one order's",
                shard.name,
                cut,
                "the id that the mapping makes" if compiled else "the SQL text",
            )


def _result(engine: duckdb.DuckDBPyConnection, sql: str, catalog: Catalog) -> pa.Schema:
    try:
        return engine.sql(f"SELECT * FROM ({sql}\n) LIMIT 0").to_arrow_table().schema
    except duckdb.Error as error:
        # the extracts are empty here: the message can quote nothing but the SQL text
        raise catalog.sql_error(error) from None
