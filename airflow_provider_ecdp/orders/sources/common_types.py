"""The common type of a column in several files: it holds every value with all its digits, or there is none.

Timestamps meet in microseconds, which reach every year that an order may have. A time beyond them becomes the
engine's infinity, which the checks refuse as a problem of its order.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.orders.engine.arrow_types import is_text

#: Bits of whole numbers that a double, and a float, holds exactly.
_EXACT_BITS = {64: 53, 32: 24, 16: 11}

#: Digits of the largest whole number of a width.
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19}

_WIDEST_DECIMAL = 38

#: How many microseconds are one unit, or how many units are one microsecond.
_MICROSECONDS = {"s": 1_000_000, "ms": 1000}
_PER_MICROSECOND = {"ns": 1000}

_MOST = 2**63 - 1


class CannotMeetError(Exception):
    """Two types have no common one; `path` leads to the member of the column where that is."""

    def __init__(self, first: pa.DataType, second: pa.DataType, path: str = "") -> None:
        super().__init__(f"{first} and {second}")
        self.first = first
        self.second = second
        self.path = path


def common_type(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of both.

    :raises CannotMeetError: there is none
    """
    if first == second or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    first, second = _decoded(first), _decoded(second)
    common = first if first == second else _number(first, second) or _time(first, second) or _nested(first, second)
    if common is None:
        common = _of_arrow(first, second)
    return common


def cast(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Return `values` as the common type of a column."""
    if values.type == type_:
        return values
    if pa.types.is_dictionary(values.type) and not pa.types.is_dictionary(type_):
        return cast(values.dictionary_decode(), type_)
    if pa.types.is_timestamp(type_) and (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
        return _cast_times(values, type_)
    if pa.types.is_float64(type_) and pa.types.is_floating(values.type):
        # by its text: 0.1 of 32 bits is 0.1, and not 0.10000000149011612
        return values.cast(pa.float32()).cast(pa.string()).cast(type_)
    if not type_.num_fields or not _holds_inexact(type_) or pa.types.is_null(values.type):
        return values.cast(type_)
    nested = _cast_struct if pa.types.is_struct(type_) else _cast_map if pa.types.is_map(type_) else _cast_list
    return nested(values, type_)


def _decoded(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _number(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    pair = (first, second)
    if not all(pa.types.is_integer(t) or pa.types.is_floating(t) or pa.types.is_decimal(t) for t in pair):
        return None
    if all(map(pa.types.is_floating, pair)):
        return max(pair, key=lambda type_: int(type_.bit_width))
    if any(map(pa.types.is_floating, pair)):
        return _floating(*sorted(pair, key=pa.types.is_floating))
    if all(map(pa.types.is_integer, pair)) and (integer := _integer(first, second)):
        return integer
    scale = max(_scale(first), _scale(second))
    digits = scale + max(_whole_digits(first), _whole_digits(second))
    if digits > _WIDEST_DECIMAL:
        raise CannotMeetError(first, second)
    return pa.decimal128(digits, scale)


def _floating(number: pa.DataType, floating: pa.DataType) -> pa.DataType:
    bits = number.bit_width if pa.types.is_integer(number) else None
    if bits is None or bits > _EXACT_BITS[64]:
        # digits would be lost silently
        raise CannotMeetError(number, floating)
    return floating if bits <= _EXACT_BITS[floating.bit_width] else pa.float64()


def _integer(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    signed = [t for t in (first, second) if pa.types.is_signed_integer(t)]
    unsigned = [t for t in (first, second) if not pa.types.is_signed_integer(t)]
    if not signed or not unsigned:
        return max(first, second, key=lambda type_: int(type_.bit_width))
    bits = max(signed[0].bit_width, 2 * unsigned[0].bit_width)
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(bits)


def _scale(type_: pa.DataType) -> int:
    return int(type_.scale) if pa.types.is_decimal(type_) else 0


def _whole_digits(type_: pa.DataType) -> int:
    if pa.types.is_decimal(type_):
        return int(type_.precision - type_.scale)
    return 20 if type_ == pa.uint64() else _DIGITS[type_.bit_width]


def _time(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    pair = (first, second)
    if all(map(pa.types.is_timestamp, pair)) and bool(first.tz) == bool(second.tz):
        # a zone decides how an instant is shown, not which instant it is
        return pa.timestamp("us", first.tz if first.tz == second.tz else first.tz and "UTC")
    dates = [t for t in pair if pa.types.is_date(t)]
    if len(dates) == 1 and any(pa.types.is_timestamp(t) and not t.tz for t in pair):
        return pa.timestamp("us")
    return None


def _nested(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    if pa.types.is_struct(first) and pa.types.is_struct(second):
        names = dict.fromkeys([*(f.name for f in first), *(f.name for f in second)])
        member_types = {n: [t.field(n).type for t in (first, second) if t.get_field_index(n) >= 0] for n in names}
        return pa.struct([(name, _member(f".{name}", *types)) for name, types in member_types.items()])
    if pa.types.is_map(first) and pa.types.is_map(second):
        return pa.map_(
            _member(".key", first.key_type, second.key_type), _member(".value", first.item_type, second.item_type)
        )
    if _is_list(first) and _is_list(second):
        large = pa.types.is_large_list(first) or pa.types.is_large_list(second)
        element = _member("[]", first.value_type, second.value_type)
        return pa.large_list(element) if large else pa.list_(element)
    return None


def _member(path: str, first: pa.DataType, second: pa.DataType | None = None) -> pa.DataType:
    try:
        return common_type(first, first if second is None else second)
    except CannotMeetError as error:
        raise CannotMeetError(error.first, error.second, path + error.path) from None


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_))


def _of_arrow(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    if is_text(first) and is_text(second):
        return pa.large_string()
    try:
        schemas = [pa.schema([("column", type_)]) for type_ in (first, second)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        raise CannotMeetError(first, second) from None


def _holds_inexact(type_: pa.DataType) -> bool:
    """Whether `type_` holds times or doubles, to which Arrow's own cast changes some values."""
    inner = (type_.field(i).type for i in range(type_.num_fields))
    return bool(pa.types.is_timestamp(type_) or pa.types.is_float64(type_)) or any(map(_holds_inexact, inner))


def _cast_times(values: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s" if pa.types.is_date32(values.type) else "ms"))
    unit, numbers = values.type.unit, values.cast(pa.int64())
    if factor := _MICROSECONDS.get(unit):
        bound = _MOST // factor
        beyond, before = pc.greater(numbers, bound), pc.less(numbers, -bound)
        numbers = pc.multiply(pc.if_else(pc.or_(beyond, before), 0, numbers), factor)
        numbers = pc.if_else(beyond, _MOST, pc.if_else(before, -_MOST, numbers))
    elif divisor := _PER_MICROSECOND.get(unit):
        # division goes towards zero, and the last moment of 1969 would be the first of 1970
        floor = pc.divide(numbers, divisor)
        numbers = pc.subtract(floor, pc.cast(pc.less(numbers, pc.multiply(floor, divisor)), pa.int64()))
    return numbers.cast(pa.timestamp("us")).view(type_)


def _cast_struct(values: pa.Array, type_: pa.DataType) -> pa.Array:
    members_by_name = {field.name: values.field(i) for i, field in enumerate(values.type)}
    members = [cast(members_by_name.get(f.name, pa.nulls(len(values))), f.type) for f in type_]
    return pa.StructArray.from_arrays(members, fields=list(type_), mask=values.is_null())


def _cast_map(values: pa.Array, type_: pa.DataType) -> pa.Array:
    keys, items = cast(values.keys, type_.key_type), cast(values.items, type_.item_type)
    return pa.MapArray.from_arrays(_offsets(values), keys, items).cast(type_)


def _cast_list(values: pa.Array, type_: pa.DataType) -> pa.Array:
    large = pa.types.is_large_list(type_)
    kind, array = (pa.large_list, pa.LargeListArray) if large else (pa.list_, pa.ListArray)
    values = values.cast(kind(values.type.value_type))
    return array.from_arrays(_offsets(values), cast(values.values, type_.value_type)).cast(type_)


def _offsets(values: pa.Array) -> pa.Array:
    """Return the offset of each list, NULL for one that is NULL; a mask does not work with a slice."""
    absent = pa.concat_arrays([values.is_null(), pa.array([False])])
    return pc.if_else(absent, None, values.offsets)
