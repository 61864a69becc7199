"""SQL of a sum over the lines of an order: exact to the last digit, or a problem of the order, never a rounded one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_ecdp.orders.engine.arrow_types import WIDEST, engine_type, wide
from airflow_provider_ecdp.orders.engine.quoting import quote_literal
from airflow_provider_ecdp.orders.names import Expression

#: Digits that the number of lines of an order may add to a sum.
_LINES = 10

_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a product over the rows of a group.

    :param gathered: the sum; where it could have too many digits, the list of its terms, for `total`
    :param scale: decimal places of the terms; None if `gathered` is the sum
    """

    gathered: Expression
    scale: int | None = None

    def problem(self, path: str, gathered: str) -> str:
        """Return SQL of the problem of a sum that has too many digits, NULL where it has not.

        :param gathered: SQL of the column with the terms
        """
        rule = quote_literal(f"a sum of at most {WIDEST - (self.scale or 0)} digits before the point")
        value = f"{{'field': {quote_literal(path)}, 'rule': {rule}, 'got': 'more digits'}}"
        return f"CASE WHEN {gathered} IS NOT NULL AND ({total(gathered)}) IS NULL THEN {value} END"


def total(gathered: str) -> str:
    """Return SQL of the sum of gathered terms; NULL if it has too many digits.

    The engine stops at such a number, and an aggregate cannot be tried: so it is a list.
    """
    # sorted: an overflow on the way must not depend on the position of the lines
    added = f"TRY(list_sum(list_sort({gathered})))"
    return f"CASE WHEN list_aggregate({gathered}, 'count') = len({gathered}) THEN {added} END"


def digits(type_: pa.DataType) -> int:
    """Return the most digits of a number of `type_`; 0 if the engine does not compute with it."""
    if pa.types.is_floating(type_):
        return 1
    if pa.types.is_decimal(type_):
        return 0 if wide(type_) else int(_engine_decimal(type_).precision)
    return _DIGITS[type_.bit_width] if pa.types.is_integer(type_) else 0


def number(factor: Expression) -> Expression:
    """Return a factor of a sum; a column without any value, whose type is null, as one of numbers."""
    if not pa.types.is_null(factor.type):
        return factor
    return Expression(f"CAST({factor.sql} AS DECIMAL(1, 0))", pa.decimal128(1, 0))


def scale(factors: Sequence[Expression]) -> int:
    """Return the digits after the decimal point of the product of `factors`; 0 if it is floating."""
    if any(pa.types.is_floating(f.type) for f in factors):
        return 0
    return sum(_engine_decimal(f.type).scale for f in factors if pa.types.is_decimal(f.type))


def summed(factors: Sequence[Expression]) -> Sum:
    """Return the sum, over the rows of a group, of the product of `factors`, which are numbers.

    It is NULL if a row lacks a factor: a total must include every line.
    """
    if any(pa.types.is_floating(f.type) for f in factors):
        product = " * ".join(map(_double, factors))
        # doubles add up to another sum in another order
        added = f"list_sum(list_sort(list({product})))"
        return Sum(Expression(f"CASE WHEN count({product}) = count(*) THEN {added} END", pa.float64()))
    product = " * ".join(_decimal(f) for f in factors)
    type_ = pa.decimal128(WIDEST, scale(factors))
    if sum(digits(f.type) for f in factors) + _LINES <= WIDEST:
        return Sum(Expression(f"CASE WHEN count({product}) = count(*) THEN sum({product}) END", type_))
    present = " AND ".join(f"{f.sql} IS NOT NULL" for f in factors)
    gathered = f"CASE WHEN bool_and({present}) THEN list(TRY({product})) END"
    return Sum(Expression(gathered, type_), scale(factors))


def _double(factor: Expression) -> str:
    # by its text: 0.1 of 32 bits is sent as 0.1, and counts as 0.1 in a sum
    narrow = pa.types.is_floating(factor.type) and not pa.types.is_float64(factor.type)
    return f"CAST({f'CAST({factor.sql} AS VARCHAR)' if narrow else factor.sql} AS DOUBLE)"


def _engine_decimal(type_: pa.DataType) -> pa.DataType:
    """Return a decimal as the engine has it: with no scale below zero, and none beyond the precision."""
    return engine_type(type_) or type_


def _decimal(factor: Expression) -> str:
    # the engine multiplies decimals with their own digits, and takes those of the product from both
    if pa.types.is_decimal(factor.type):
        return factor.sql
    return f"CAST({factor.sql} AS DECIMAL({digits(factor.type)}, 0))"
