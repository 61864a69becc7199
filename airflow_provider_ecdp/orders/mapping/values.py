"""SQL of single values: a column with its changes and default, a constant, an attribute list."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ATTRIBUTE
from airflow_provider_ecdp.orders.engine.arrow_types import is_bytes, is_text
from airflow_provider_ecdp.orders.engine.quoting import quote_literal
from airflow_provider_ecdp.orders.mapping.spec import Constant, Value
from airflow_provider_ecdp.orders.mapping.sums import WIDEST, digits
from airflow_provider_ecdp.orders.names import Expression
from airflow_provider_ecdp.orders.sql.coercion import encode

_ATTRIBUTES = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))

_ATTRIBUTE_VALUE = ATTRIBUTE[1]


def plain(found: Expression) -> Expression:
    """Return a column without its dictionary: the engine compares values of a dictionary by their place in it."""
    if not pa.types.is_dictionary(found.type):
        return found
    type_ = found.type.value_type
    return Expression(f"CAST({found.sql} AS VARCHAR)" if is_text(type_) else found.sql, type_, found.constant)


def single(column: Expression | None, value: Value) -> Expression:
    """Return `value`, whose column, if it has one, is `column` and no nested one if the value is changed."""
    default = value.default
    if column is None:
        assert default is not None  # noqa: S101 - a value has a column or is a constant
        return _literal(default)
    if not value.changes and default is None:
        return column
    number = isinstance(default, int | float | Decimal) and not isinstance(default, bool)
    if not value.changes and default is not None and number and digits(column.type):
        return Expression(f"coalesce({column.sql}, {_as_text(default)})", column.type)
    as_text = attribute_text(column) or column.sql
    other = None if default is None else quote_literal(_as_text(default))
    if not value.changes:
        return Expression(f"coalesce({as_text}, {other})", pa.string())
    folded = f"lower({as_text})"
    cases = " ".join(
        f"WHEN {folded} {_matching(found)} THEN {quote_literal(_as_text(sent))}" for found, sent in value.changes
    )
    return Expression(f"CASE {cases} ELSE {other or as_text} END", pa.string())


def attribute_text(found: Expression) -> str | None:
    """Return SQL of a value as the text that an attribute would have; None if it is nested."""
    return encode(_ATTRIBUTE_VALUE, found.sql, found.type, None)[0]


def decoded(found: Expression) -> Expression:
    """Return bytes as the text that they are: the engine takes no aggregate of them inside of what decodes them."""
    if not is_bytes(found.type):
        return found
    return Expression(attribute_text(found) or found.sql, pa.string(), found.constant)


def features(values: Sequence[tuple[str, Expression]]) -> Expression:
    """Return the list of attributes with these names and texts; those without a value are left out, NULL if all are."""
    made = ", ".join(f"{{'name': {quote_literal(name)}, 'value': {attribute_text(found)}}}" for name, found in values)
    given = f"list_filter([{made}], lambda ecdp_a: ecdp_a.value IS NOT NULL)"
    constant = all(found.constant for _, found in values)
    return Expression(f"CASE WHEN len({given}) > 0 THEN {given} END", _ATTRIBUTES, constant)


def _literal(constant: Constant) -> Expression:
    if isinstance(constant, str):
        return Expression(quote_literal(constant), pa.string(), constant=True)
    type_ = pa.bool_() if isinstance(constant, bool) else pa.decimal128(WIDEST, 0)
    return Expression(_as_text(constant), type_, constant=True)


def _as_text(constant: Constant) -> str:
    if isinstance(constant, bool):
        return "true" if constant else "false"
    return format(constant, "f") if isinstance(constant, Decimal) else str(constant)


def _matching(pattern: str) -> str:
    if "*" not in pattern:
        return f"= {quote_literal(pattern)}"
    for special in "\\%_":
        pattern = pattern.replace(special, "\\" + special)
    return f"LIKE {quote_literal(pattern.replace('*', '%'))} ESCAPE '\\'"
