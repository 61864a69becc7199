"""Assembles the compiled fields of an order into one SELECT, which later steps treat like a user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.engine.tables import DIFFERS, PROBLEMS, ROWS
from airflow_provider_ecdp.orders.mapping.compiled import CompiledField, Problem, texts
from airflow_provider_ecdp.orders.mapping.compiler import FieldCompiler
from airflow_provider_ecdp.orders.mapping.resolver import ColumnResolver, unknown_fields
from airflow_provider_ecdp.orders.mapping.spec import ColumnMapping
from airflow_provider_ecdp.orders.mapping.sums import Sum, total
from airflow_provider_ecdp.orders.names import Expression
from airflow_provider_ecdp.orders.sql.fields import column_problems


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """A mapping as SQL.

    :param sql: one SELECT that returns columns named as the API's fields
    :param key: the column that order lines are grouped by; None if it is not a plain column, or a row is an order
    :param lines: whether a row is an order line
    :param explained: where each field comes from, in words, by its path
    """

    sql: str
    key: str | None
    lines: bool
    explained: dict[str, str]


def compile_mapping(
    mapping: ColumnMapping,
    schema: pa.Schema,
    spelled: Mapping[str, str],
    source: str,
    columns_text: str,
    *,
    timezone: str | None,
    problems: str | None = None,
) -> CompiledMapping:
    """Compile `mapping` for an extract with the columns of `schema`.

    Fields that the mapping does not name are matched by the columns' names; `customer_email` is `customer.email`.

    :param schema: names as in the extract, types as the engine has them
    :param spelled: by the name of a column, its name in SQL
    :param source: SQL that can stand after FROM
    :param columns_text: the columns of the extract, for messages
    :param timezone: IANA name of the zone in which timestamps without a zone are read
    :param problems: SQL name of the column in which the source notes problems of orders, if there is one
    :raises ColumnsError: the mapping names missing columns, leaves out required fields, or a column's type cannot
        serve; all of it at once
    """
    resolver = ColumnResolver(mapping, schema, spelled, timezone)
    compiler = FieldCompiler(resolver, mapping.order_by)
    fields = compiler.fields()
    order = CompiledField.of(None, (_of_mapping(mapping, resolver), *fields.values()))
    values = {name: field.value for name, field in fields.items() if field.value is not None}
    result = pa.schema([(name, value.type) for name, value in values.items()])
    explained = dict(order.origins)
    unfit = column_problems(result, timezone=timezone, explained=explained)
    reasons = texts([*order.problems, *(Problem(path, text, consequence=True) for path, text in unfit)])
    if reasons:
        lines = "".join(f"\n  - {reason}" for reason in reasons)
        raise ColumnsError(f"the mapping does not fit the columns of the extract:{lines}\n{columns_text}")
    group = values["id"].sql if resolver.lines else None
    select = _select(values, order, source, group, problems)
    return CompiledMapping(select, compiler.key(), resolver.lines, explained)


def _of_mapping(mapping: ColumnMapping, resolver: ColumnResolver) -> CompiledField:
    """Return the problems of the mapping as a whole."""
    unknown = unknown_fields(mapping)
    if not mapping.order_by or resolver.lines:
        return unknown
    message = "products.order_by needs order lines, one per row; here each row is an order"
    return CompiledField.of(None, (unknown, CompiledField.failed("products.order_by", message)))


def _select(
    values: Mapping[str, Expression], order: CompiledField, source: str, group: str | None, noted: str | None
) -> str:
    """Return the SELECT.

    :param values: of the order, by the names of its fields
    :param group: SQL that order lines are grouped by, None if a row is an order
    :param noted: the column in which the source notes problems
    """

    def of_row(name: str) -> str:
        return f"any_value({ROWS}.{name})" if group else f"{ROWS}.{name}"

    columns = [f"{value.sql} AS {quote_identifier(name)}" for name, value in values.items()]
    noticed = of_row(quote_identifier(noted)) if noted else None
    problems = _problems([of_row(parsed.problem_name) for parsed in order.parsed], noticed)
    if problems:
        columns.append(f"{problems} AS {PROBLEMS}")
    if order.differing:
        flags = ", ".join(f"{quote_literal(path)}: {sql}" for path, sql in order.differing)
        columns.append(f"{{{flags}}} AS {DIFFERS}")
    if order.parsed:
        more = ", ".join(f"{p.sql} AS {p.name}, {p.problem_sql} AS {p.problem_name}" for p in order.parsed)
        source = f"(SELECT {ROWS}.*, {more} FROM {source} AS {ROWS})"
    sql = f"SELECT {', '.join(columns)} FROM {source} AS {ROWS}{f' GROUP BY {group}' if group else ''}"
    return _added_up(sql, order.sums, bool(problems)) if order.sums else sql


def _added_up(sql: str, sums: Sequence[tuple[str, Sum]], has_problems: bool) -> str:
    """Return `sql` with the values of its sums added up.

    :param has_problems: whether it has the column PROBLEMS
    """
    gathered = {path: f"{ROWS}.{quote_identifier(path)}" for path, _ in sums}
    replaced = [f"{total(column)} AS {quote_identifier(path)}" for path, column in gathered.items()]
    of_sums = [of.problem(path, gathered[path]) for path, of in sums]
    problems = f"{_problems(of_sums, f'{ROWS}.{PROBLEMS}' if has_problems else None)} AS {PROBLEMS}"
    if has_problems:
        return f"SELECT {ROWS}.* REPLACE ({', '.join([*replaced, problems])}) FROM ({sql}) AS {ROWS}"
    return f"SELECT {ROWS}.* REPLACE ({', '.join(replaced)}), {problems} FROM ({sql}) AS {ROWS}"


def _problems(problems: Iterable[str], noted: str | None) -> str:
    """Return SQL of the list of problems that are not NULL, after those in the list `noted`; nothing without any."""
    elements = ", ".join(problems)
    lists = [f"coalesce({noted}, [])"] if noted else []
    return " || ".join([*lists, f"list_filter([{elements}], lambda ecdp_x: ecdp_x IS NOT NULL)"] if elements else lists)
