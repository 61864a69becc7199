"""SQL of single values: a column with its changes and default, a constant, an attribute list."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ATTRIBUTE, Field, Kind
from airflow_provider_ecdp.orders.engine.arrow_types import WIDEST, is_bytes
from airflow_provider_ecdp.orders.engine.marks import OTHER_KIND
from airflow_provider_ecdp.orders.engine.quoting import quote_literal
from airflow_provider_ecdp.orders.mapping.spec import Constant, Value
from airflow_provider_ecdp.orders.mapping.sums import digits
from airflow_provider_ecdp.orders.names import Expression
from airflow_provider_ecdp.orders.sql.coercion import NOT_FINITE, encode, plain, present, shown

#: Digits that a float of a width keeps, and the exponents in which it keeps them; halves reach the engine as 32 bits.
_FLOAT_DIGITS = {16: (6, 30), 32: (6, 30), 64: (15, 300)}

_ATTRIBUTES = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))

#: The field that takes most types: it encodes a value as the value's text.
_ATTRIBUTE_VALUE = ATTRIBUTE[1]


def undictionaried(column: Expression) -> Expression:
    """Return a column without its dictionary."""
    return Expression(*plain(column.sql, column.type), column.constant)


def single(field: Field, column: Expression | None, value: Value, timezone: str | None) -> Expression | None:
    """Return `value` as `field`; None if its column is changed, and the column's type cannot be the field's.

    A changed value is text, which the checks read like any text. It is the column's value as the field has it.

    :param column: the column that `value` names, if it names one; not nested
    :param timezone: IANA name of the zone in which timestamps without a zone are read
    """
    default = value.default
    if column is None:
        assert default is not None  # noqa: S101 - a value has a column or is a constant
        return _literal(default)
    if not value.changes and default is None:
        return column
    if not value.changes and default is not None and _keeps_type(default, column.type):
        # a number stays one: where the lines of an order differ, the smallest is taken
        return Expression(f"coalesce({column.sql}, {_as_text(default)})", column.type)
    value_present = Expression(present(field, column.sql, column.type), column.type)
    checked_as_text = bool(value.changes) and _checked_as_text(field)
    if not checked_as_text and encode(field, value_present.sql, value_present.type, timezone) is None:
        return None
    as_text = text_or_mark(_ATTRIBUTE_VALUE if checked_as_text or field.choices else field, value_present, timezone)
    other = None if default is None else quote_literal(_as_text(default))
    if not value.changes:
        return Expression(f"coalesce({as_text}, {other})", pa.string())
    folded = f"lower({attribute_text(value_present) or as_text})"
    cases = " ".join(
        f"WHEN {folded} {_matching(pattern)} THEN {quote_literal(_as_text(sent))}" for pattern, sent in value.changes
    )
    return Expression(f"CASE {cases} ELSE {other or as_text} END", pa.string())


def attribute_text(value: Expression) -> str | None:
    """Return SQL of a value as the text that an attribute would have; None if it can have none."""
    encoded = encode(_ATTRIBUTE_VALUE, value.sql, value.type, None)
    return encoded.sql if encoded else None


def text_or_mark(field: Field, value: Expression, timezone: str | None = None) -> str:
    """Return SQL of a value as the text of `field`: where it cannot be the field's, of a mark that the checks find.

    A field that takes only some texts has the value's own text in place of a mark: the checks refuse it, and show it.
    """
    encoded = encode(field, value.sql, value.type, timezone)
    if encoded is not None and not encoded.rule:
        return encoded.sql
    texts = [encoded.sql] if encoded else []
    if encoded and not field.any_text and (own := attribute_text(value)):
        texts.append(own)
    kind = shown(value.sql, value.type) or quote_literal(f"a value of {value.type}")
    if encoded and pa.types.is_floating(value.type):
        kind = quote_literal(NOT_FINITE)
    rule = encoded.rule if encoded and encoded.rule else "text"
    mark = f"{quote_literal(OTHER_KIND)} || {kind} || {quote_literal(OTHER_KIND + rule)}"
    return f"coalesce({', '.join([*texts, f'CASE WHEN {value.sql} IS NOT NULL THEN {mark} END'])})"


def decoded(value: Expression) -> Expression:
    """Return bytes as their text: the engine takes no aggregate of them inside of decoding."""
    if not is_bytes(value.type):
        return value
    return Expression(text_or_mark(_ATTRIBUTE_VALUE, value), pa.string(), value.constant)


def features(values: Sequence[tuple[str, Expression]]) -> Expression:
    """Return the list of attributes with these names and texts; those without a value are left out, NULL if all are."""
    texts = ((name, text_or_mark(_ATTRIBUTE_VALUE, expression)) for name, expression in values)
    elements = ", ".join(f"{{'name': {quote_literal(name)}, 'value': {value}}}" for name, value in texts)
    filled = f"list_filter([{elements}], lambda ecdp_a: ecdp_a.value IS NOT NULL)"
    constant = all(expression.constant for _, expression in values)
    return Expression(f"CASE WHEN len({filled}) > 0 THEN {filled} END", _ATTRIBUTES, constant)


def _checked_as_text(field: Field) -> bool:
    """Whether the checks refuse every text that is not the field's: no type can hide behind it."""
    return field.kind in (Kind.NUMBER, Kind.INTEGER) or (field.kind is Kind.TEXT and not field.any_text)


def _keeps_type(default: Constant, type_: pa.DataType) -> bool:
    """Whether `default` is a number among those of `type_`, so that the engine keeps the type of the column."""
    if isinstance(default, bool | str) or not digits(type_):
        return False
    if pa.types.is_floating(type_):
        return _is_exact(Decimal(str(default)), type_)
    if isinstance(default, float):
        return False
    _, written, exponent = Decimal(default).as_tuple()
    scale = type_.scale if pa.types.is_decimal(type_) else 0
    return isinstance(exponent, int) and -exponent <= scale and len(written) + exponent < digits(type_) - scale


def _is_exact(number: Decimal, type_: pa.DataType) -> bool:
    """Whether a float of `type_` has the digits of `number`."""
    digits_kept, most = _FLOAT_DIGITS[type_.bit_width]
    return len(number.normalize().as_tuple().digits) <= digits_kept and abs(number.adjusted()) <= most


def _literal(constant: Constant) -> Expression:
    if isinstance(constant, str):
        return Expression(quote_literal(constant), pa.string(), constant=True)
    if isinstance(constant, bool):
        return Expression(_as_text(constant), pa.bool_(), constant=True)
    return _number(constant)


def _number(constant: float | Decimal) -> Expression:
    """Return a number with its own digits, as text for the checks; a number that identifies is a whole number."""
    whole = isinstance(constant, int) and len(str(abs(constant))) <= WIDEST
    if whole:
        return Expression(str(constant), pa.decimal128(WIDEST, 0), constant=True)
    return Expression(quote_literal(_as_text(constant)), pa.string(), constant=True)


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
