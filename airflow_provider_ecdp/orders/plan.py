"""Builds the query: columns, a mapping or an SQL text become one SELECT of the contract's fields.

Nothing is read: the SELECT is bound over no rows, which yields the columns of its result.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError
from airflow_provider_ecdp.orders.contract import ORDER, folded_name
from airflow_provider_ecdp.orders.engine.arrow_types import is_common, readable_schema
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
from airflow_provider_ecdp.orders.sql.validation import order_checks

log = logging.getLogger(__name__)

#: A date this much later than the start of the run gets a warning; a day is tolerated, for clocks and zones differ.
_FUTURE = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """The query, and how the extracts become it.

    :param compiled: the mapping, None without one
    :param keys: the column by which each extract can be cut into partitions
    :param row_by_row: whether each order is made of one row, and of nothing else
    :param has_common_types: whether the query is sure to bind, once its SELECT does
    :param columns: those of the extract that the query reads; None where only the engine knows them
    """

    query: Query
    compiled: CompiledMapping | None
    keys: dict[str, str]
    row_by_row: bool
    has_common_types: bool
    columns: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class _Relation:
    """One SELECT that returns the columns of orders.

    :param subject: the owner of these columns, for messages
    :param hidden: columns whose names are reserved: the SELECT leaves them out
    :param has_common_types: whether the engine's types of the columns are those of their Arrow types
    """

    sql: str
    schema: pa.Schema
    subject: str
    compiled: CompiledMapping | None = None
    hidden: tuple[str, ...] = ()
    has_common_types: bool = True


def bind(engine: duckdb.DuckDBPyConnection, catalog: Catalog, settings: OrderSettings) -> Plan:
    """Return the query.

    :raises SqlError: the SQL text does not parse or bind, has a field twice, or needs files, extensions or settings,
        which are locked
    :raises ColumnsError: the columns cannot be read as orders
    :raises ConfigurationError: the settings do not fit the extracts
    """
    _check_settings(engine, catalog, settings)
    keys = keys_of(settings.partition_by, catalog.extracts)
    relation = _relation(engine, catalog, settings)
    if relation.compiled and relation.compiled.key and not keys:
        keys = keys_of(relation.compiled.key, catalog.extracts)
    lines = relation.compiled is not None and relation.compiled.lines
    if settings.sql is not None or lines:
        _refuse_torn_orders(catalog.extracts, keys, relation.compiled)
    row_by_row = not lines and (settings.sql is None or catalog.is_row_by_row(relation.sql))
    plain, relation = relation, _with_json_read(relation)
    fields = _matched(relation, settings)
    future = (dt.datetime.now(dt.UTC) + _FUTURE).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    checks = order_checks(fields, matching=settings.matching, future=quote_literal(future))
    query = Query(relation.sql, fields, checks.promote(settings.promoted), plain.sql)
    columns = None
    if settings.sql is None and settings.mapping is None and relation.has_common_types:
        columns = _columns_read(catalog.extracts[EXTRACT], fields)
    return Plan(query, relation.compiled, keys, row_by_row, relation.has_common_types, columns)


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


def _relation(engine: duckdb.DuckDBPyConnection, catalog: Catalog, settings: OrderSettings) -> _Relation:
    if settings.sql is not None:
        return _of_sql(engine, catalog, settings.sql)
    if settings.mapping is not None:
        return _of_mapping(engine, catalog, ColumnMapping.parse(settings.mapping), settings.timezone)
    return _of_columns(engine, catalog)


def _of_columns(engine: duckdb.DuckDBPyConnection, catalog: Catalog) -> _Relation:
    schema = catalog.extracts[EXTRACT].schema
    sql = f"SELECT * FROM {EXTRACT}"
    relation = _Relation(sql, schema, "extract", has_common_types=all(map(is_common, engine.sql(sql).types)))
    return _without_reserved(engine, catalog, relation)


def _of_mapping(
    engine: duckdb.DuckDBPyConnection, catalog: Catalog, mapping: ColumnMapping, timezone: str | None
) -> _Relation:
    # the user's names stay out of the SQL: columns are read by their codes
    table, codes = catalog.coded(EXTRACT)
    types = readable_schema(catalog.extracts[EXTRACT].schema).types
    schema = pa.schema(list(zip(codes, types, strict=True)))
    problems = codes[PROBLEMS] if notes_problems(catalog.extracts[EXTRACT].schema) else None
    compiled = compile_mapping(
        mapping, schema, codes, table, catalog.columns_text(), timezone=timezone, problems=problems
    )
    schema, _ = _result(engine, compiled.sql, catalog)
    return _Relation(compiled.sql, schema, "mapping's result", compiled)


def _of_sql(engine: duckdb.DuckDBPyConnection, catalog: Catalog, sql: str) -> _Relation:
    query = statement(sql, engine)
    schema, types = _result(engine, query, catalog)
    catalog.refuse_repeated(query, schema.names, {folded_name(field.name) for field in ORDER})
    relation = _Relation(query, schema, "SQL text's result", has_common_types=all(map(is_common, types)))
    return _without_reserved(engine, catalog, relation)


def _without_reserved(engine: duckdb.DuckDBPyConnection, catalog: Catalog, relation: _Relation) -> _Relation:
    """Leave out columns with names of ours, except for the problems that a source notes."""
    noted = {PROBLEMS} if any(notes_problems(source.schema) for source in catalog.extracts.values()) else set()
    hidden = [column.name for column in relation.schema if is_reserved(column.name) and column.name not in noted]
    if not hidden:
        return relation
    kept = pa.schema([column for column in relation.schema if column.name not in hidden])
    schema, _ = _result(engine, relation.sql, catalog)
    names = [name for name in schema.names if is_reserved(name) and name not in noted]
    left_out = ", ".join(map(quote_identifier, names))
    # without any column that is kept, the columns that orders need are missing, which is reported when they are matched
    sql = f"SELECT * EXCLUDE ({left_out}) FROM ({relation.sql}\n)" if len(kept) else relation.sql
    return replace(relation, sql=sql, schema=kept, hidden=tuple(hidden))


def _with_json_read(relation: _Relation) -> _Relation:
    """Read the JSON text in columns where an order has an object or a list."""
    read = unfolded(relation.sql, relation.schema)
    return replace(relation, sql=read[0], schema=read[1]) if read else relation


def _matched(relation: _Relation, settings: OrderSettings) -> FieldBinding:
    explained = relation.compiled.explained if relation.compiled else None
    fields = match_columns(
        relation.schema,
        timezone=settings.timezone,
        source=relation.subject,
        explained=explained,
        likely_columns=likely_columns,
    )
    customer = fields.field("customer")
    if settings.matching and customer and not customer.child(settings.matching):
        raise ColumnsError(
            f"the matching mode {settings.matching} requires customer.{settings.matching}, and the {relation.subject} "
            "has no such column; add it, or correct the connection's matching mode (--matching)"
        )
    return replace(fields, ignored=(*fields.ignored, *relation.hidden))


def _columns_read(extract: Source, fields: FieldBinding) -> frozenset[str]:
    return frozenset(fields.used) | ({PROBLEMS} if notes_problems(extract.schema) else set())


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
                f"{shard.name} was cut {cut}, and orders are grouped by {key or 'a computed id'}: part of an order "
                "would replace the rest; pass order_id, the column that identifies the rows of an order, to shards()"
            )
        if not key and (compiled or not shard.order_id):
            # whether it goes row by row, or makes one id of several values, cannot be seen
            log.warning(
                "%s was cut %s: if %s combines rows of several shards, part of an order would replace the rest; pass "
                "order_id, the column that identifies the rows of an order, to shards()",
                shard.name,
                cut,
                "the id that the mapping makes" if compiled else "the SQL text",
            )


def _result(engine: duckdb.DuckDBPyConnection, sql: str, catalog: Catalog) -> tuple[pa.Schema, list[DuckDBPyType]]:
    """Return the columns of the result of `sql`, and their types in the engine."""
    try:
        result = engine.sql(f"SELECT * FROM ({sql}\n) LIMIT 0")
        return result.to_arrow_table().schema, result.types
    except duckdb.Error as error:
        # the extracts are empty here: the message can quote nothing but the SQL text
        raise catalog.sql_error(error) from None
