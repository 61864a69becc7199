"""SQL of single values: a column with its changes and default, a constant, a sum, an attribute list."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ATTRIBUTE
from airflow_provider_ecdp.orders.mapping import Constant, Value
from airflow_provider_ecdp.orders.scope import Expression
from airflow_provider_ecdp.orders.wires import is_bytes, is_text, text, wire

#: The engine's widest decimal, in digits.
_WIDEST = 38

_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}

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
    if not value.changes and default is not None and number and _width(column.type):
        return Expression(f"coalesce({column.sql}, {_as_text(default)})", column.type)
    as_text = attribute_text(column) or column.sql
    other = None if default is None else text(_as_text(default))
    if not value.changes:
        return Expression(f"coalesce({as_text}, {other})", pa.string())
    folded = f"lower({as_text})"
    cases = " ".join(f"WHEN {folded} {_matching(found)} THEN {text(_as_text(sent))}" for found, sent in value.changes)
    return Expression(f"CASE {cases} ELSE {other or as_text} END", pa.string())


def attribute_text(found: Expression) -> str | None:
    """Return SQL of a value as the text that an attribute would have; None if it is nested."""
    return wire(_ATTRIBUTE_VALUE, found.sql, found.type, None)[0]


def decoded(found: Expression) -> Expression:
    """Return bytes as the text that they are: the engine takes no aggregate of them inside of what decodes them."""
    if not is_bytes(found.type):
        return found
    return Expression(attribute_text(found) or found.sql, pa.string(), found.constant)


def features(values: Sequence[tuple[str, Expression]]) -> Expression:
    """Return the list of attributes with these names and texts; those without a value are left out, NULL if all are."""
    made = ", ".join(f"{{'name': {text(name)}, 'value': {attribute_text(found)}}}" for name, found in values)
    given = f"list_filter([{made}], lambda ecdp_a: ecdp_a.value IS NOT NULL)"
    constant = all(found.constant for _, found in values)
    return Expression(f"CASE WHEN len({given}) > 0 THEN {given} END", _ATTRIBUTES, constant)


def summed(factors: Sequence[Expression]) -> Expression | None:
    """Return the sum, over the rows of a group, of the product of `factors`; None if one of them is no number.

    It is NULL if a row lacks a factor: a total without one of its lines is none.
    """
    widths = [_width(f.type) for f in factors]
    if not all(widths):
        return None
    if any(pa.types.is_floating(f.type) for f in factors):
        product = " * ".join(f"CAST({f.sql} AS DOUBLE)" for f in factors)
        # doubles add up to another sum in another order
        total = f"list_sum(list_sort(list({product})))"
        return Expression(f"CASE WHEN count({product}) = count(*) THEN {total} END", pa.float64())
    limit = _WIDEST if sum(widths) <= _WIDEST else _WIDEST // len(factors)
    casts = []
    for factor, width in zip(factors, widths, strict=True):
        scale = factor.type.scale if pa.types.is_decimal(factor.type) else 0
        # NULL where a number of more digits than the engine can multiply stands in a column that has room for it
        casts.append(f"TRY_CAST({factor.sql} AS DECIMAL({max(min(width, limit), scale)}, {scale}))")
    product = " * ".join(casts)
    return Expression(f"CASE WHEN count({product}) = count(*) THEN sum({product}) END", pa.decimal128(_WIDEST, 0))


def _width(type_: pa.DataType) -> int:
    """Return the most digits of a number of `type_`; 0 if it is no number."""
    if pa.types.is_floating(type_):
        return 1
    if pa.types.is_decimal(type_):
        return int(type_.precision)
    return _DIGITS[type_.bit_width] if pa.types.is_integer(type_) else 0


def _literal(constant: Constant) -> Expression:
    if isinstance(constant, str):
        return Expression(text(constant), pa.string(), constant=True)
    type_ = pa.bool_() if isinstance(constant, bool) else pa.decimal128(_WIDEST, 0)
    return Expression(_as_text(constant), type_, constant=True)


def _as_text(constant: Constant) -> str:
    if isinstance(constant, bool):
        return "true" if constant else "false"
    return format(constant, "f") if isinstance(constant, Decimal) else str(constant)


def _matching(pattern: str) -> str:
    if "*" not in pattern:
        return f"= {text(pattern)}"
    for special in "\\%_":
        pattern = pattern.replace(special, "\\" + special)
    return f"LIKE {text(pattern.replace('*', '%'))} ESCAPE '\\'"
