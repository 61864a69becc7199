"""From settings and extracts to the query: an SQL text or a mapping is bound over no rows, and its columns matched."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError, SqlError
from airflow_provider_ecdp.orders.engine.arrow_types import readable_schema
from airflow_provider_ecdp.orders.engine.connection import statement
from airflow_provider_ecdp.orders.engine.quoting import quote_literal
from airflow_provider_ecdp.orders.execution.catalog import EXTRACT, Catalog
from airflow_provider_ecdp.orders.execution.partitions import keys_of
from airflow_provider_ecdp.orders.mapping.compiler import CompiledMapping, shape
from airflow_provider_ecdp.orders.mapping.spec import ColumnMapping
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.orders.sources.base import Source
from airflow_provider_ecdp.orders.sources.shard import Shard
from airflow_provider_ecdp.orders.sql.fields import match_columns
from airflow_provider_ecdp.orders.sql.json_columns import unfolded
from airflow_provider_ecdp.orders.sql.query import Query
from airflow_provider_ecdp.orders.sql.validation import errors_and_warnings, order_checks

log = logging.getLogger(__name__)

#: A date this much later than the start of the run is odd; clocks and zones make a day harmless.
_FUTURE = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run.

    :param shaped: what became of the mapping, None without one
    :param keys: the column by which each extract can be cut
    """

    query: Query
    shaped: CompiledMapping | None
    keys: dict[str, str]


def bind(engine: duckdb.DuckDBPyConnection, sources: Catalog, settings: OrderSettings) -> Plan:
    """Return the query.

    :raises SqlError: the SQL text does not parse or bind, or asks for what the engine is locked against
    :raises ColumnsError: the columns do not make orders
    :raises ConfigurationError: the settings do not go with the extracts
    """
    if settings.timezone is not None:
        try:
            engine.execute(
                f"SELECT timezone({quote_literal(settings.timezone)}, TIMESTAMP '2000-01-01') IS NULL"
            ).fetchall()
        except duckdb.Error:
            raise ConfigurationError(f"timezone {settings.timezone!r} is no zone that the engine knows") from None
    if settings.sql is None and list(sources.extracts) != [EXTRACT]:
        raise ConfigurationError("extracts with names need an SQL text that selects from them (sql)")
    keys = keys_of(settings.partition_by, sources.extracts)
    source, what, shaped = f"SELECT * FROM {EXTRACT}", "extract", None
    if settings.sql is not None:
        source, what = statement(settings.sql, engine), "SQL text's result"
        schema = _result(engine, source, sources)
    elif settings.mapping is not None:
        mapping = ColumnMapping.parse(settings.mapping)
        known = _result(engine, source, sources)
        own = readable_schema(sources.extracts[EXTRACT].schema).names
        spelled = dict(zip(own, known.names, strict=True))
        named = pa.schema([pa.field(name, f.type) for name, f in zip(own, known, strict=True)])
        shaped = shape(mapping, named, spelled, EXTRACT, sources.held(), timezone=settings.timezone)
        source, what = shaped.sql, "mapping's result"
        schema = _result(engine, source, sources)
        if shaped.key and not keys:
            keys = keys_of(shaped.key, sources.extracts)
    else:
        schema = sources.extracts[EXTRACT].schema
    if settings.sql is not None or (shaped and shaped.lines):
        _look_for_cuts(sources.extracts, keys, shaped)
    if inner := unfolded(source, schema):
        source, schema = inner, _result(engine, inner, sources)
    explained = shaped.explained if shaped else None
    mapping_ = match_columns(schema, timezone=settings.timezone, source=what, explained=explained)
    customer = mapping_.field("customer")
    if settings.matching and customer and not customer.child(settings.matching):
        raise ColumnsError(
            f"the matching mode {settings.matching} requires customer.{settings.matching}, "
            f"and the {what} has no such column; add it, or correct the connection's matching mode (--matching)"
        )
    future = (dt.datetime.now(dt.UTC) + _FUTURE).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    checks = order_checks(mapping_, matching=settings.matching, future=quote_literal(future))
    errors, warnings = errors_and_warnings(checks, settings.promoted)
    return Plan(Query(source, mapping_, errors, warnings), shaped, keys)


def _look_for_cuts(extracts: Mapping[str, Source], keys: Mapping[str, str], shaped: CompiledMapping | None) -> None:
    """Make sure that what puts rows together finds all rows of an order in one shard.

    :param shaped: of a mapping that groups order lines; None for an SQL text
    """
    for name, shard in extracts.items():
        if not isinstance(shard, Shard):
            continue
        key = (shaped and shaped.key) or keys.get(name)
        cut = f"by {shard.order_id}" if shard.order_id else "between any two rows"
        if (key and key != shard.order_id) or (shaped and not shard.order_id):
            raise ConfigurationError(
                f"{shard.name} was cut {cut}, and orders are put together by {key or 'an id that is made'}: a part of "
                "one would replace the others; give order_id to shards(), the column that tells which rows are one "
                "order's"
            )
        if not key and (shaped or not shard.order_id):
            # whether it goes row by row, or makes one id of several values, cannot be seen
            log.warning(
                "%s was cut %s: should %s put rows of several shards together, a part of an order would replace the "
                "others; give order_id to shards(), the column that tells which rows are one order's",
                shard.name,
                cut,
                "the id that the mapping makes" if shaped else "the SQL text",
            )


def _result(engine: duckdb.DuckDBPyConnection, sql: str, sources: Catalog) -> pa.Schema:
    try:
        return engine.sql(f"SELECT * FROM ({sql}\n) LIMIT 0").to_arrow_table().schema
    except duckdb.Error as error:
        # the extracts are empty here: the message can quote nothing but the SQL text
        raise SqlError(f"the SQL text cannot be run: {error}\n{sources.held()}") from None
