"""Kinds of Arrow types, and the types in which the engine gets them.

The engine has no type for halves of floats and for decimals beyond 38 digits, and fails on a time that its microseconds
cannot hold, and on malformed text in a column of JSON. Of a dictionary inside of lists of a fixed size, it reads the
indices in place of the values. Such columns reach it in another type, with the same values.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from duckdb.sqltypes import DuckDBPyType

#: Digits of the engine's widest decimal.
WIDEST = 38

#: Digits of Arrow's decimals, by their bits.
_DECIMAL_DIGITS = {32: 9, 64: 18, 128: 38, 256: 76}

#: Types of the engine whose Arrow types are no other type's: what binds over columns of an extract binds over them.
_COMMON = frozenset(
    {"boolean", "varchar", "date", "timestamp", "timestamp with time zone", "decimal", "float", "double"}
)
_COMMON |= {f"{sign}{size}" for sign in ("", "u") for size in ("tinyint", "smallint", "integer", "bigint")}
_COMMON_NESTED = frozenset({"list", "struct", "map"})

#: The engine's infinite time: replaces a time that its microseconds cannot hold.
_INFINITY = 2**63 - 1

#: Microseconds of a unit of time.
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000}


def engine_type(type_: pa.DataType, *, dictionaries: bool = True) -> pa.DataType | None:
    """Return the type in which the engine gets a column of `type_`; None if it has none for it, or for a part of it.

    :param dictionaries: whether it can be a dictionary, or have one in it
    """
    if is_json(type_):
        return type_.storage_type
    if pa.types.is_dictionary(type_):
        inner = engine_type(type_.value_type)
        return type_ if dictionaries and inner == type_.value_type else inner
    if pa.types.is_decimal(type_):
        return _engine_decimal(type_)
    if pa.types.is_float16(type_):
        return pa.float32()
    if pa.types.is_timestamp(type_):
        return type_ if type_.unit == "ns" else pa.timestamp("us", type_.tz)
    nested = type_.num_fields or pa.types.is_struct(type_)
    return _engine_nested(type_, dictionaries=dictionaries) if nested else type_


def readable(type_: pa.DataType) -> bool:
    """Whether the engine has a type for `type_`, and for all that is in it."""
    return engine_type(type_) is not None


def engine_array(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """Return `array` in its engine type."""
    if array.type == type_:
        return array
    if wide(array.type):
        return _digits(array)
    try:
        if not _holds_wide(array.type):
            return array.cast(type_)
    except pa.ArrowInvalid:
        pass
    # a copy without offsets: it has nothing of the buffers around a slice
    return _by_parts(array.take(pa.array(range(len(array)))), type_)


def is_common(type_: DuckDBPyType) -> bool:
    """Whether the engine reads the Arrow type of `type_`, and of all that is in it, as the same type again.

    Others, such as BIT and JSON, come as text or bytes.
    """
    if type_.id in _COMMON_NESTED:
        return all(isinstance(inner, DuckDBPyType) and is_common(inner) for _, inner in type_.children)
    return type_.id in _COMMON and str(type_) != "JSON"


def wide(type_: pa.DataType) -> bool:
    """Whether `type_` is a decimal that the engine gets as text, for it has too many digits."""
    return bool(pa.types.is_decimal(type_) and _engine_decimal(type_) == pa.string())


def is_text(type_: pa.DataType) -> bool:
    """Whether `type_` is one of Arrow's three kinds of text."""
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def is_json(type_: pa.DataType) -> bool:
    """Whether `type_` is Arrow's or the engine's own type JSON, whose values are text."""
    # pyarrow 18 has no class for it
    return str(type_).startswith("extension<arrow.json")


def is_bytes(type_: pa.DataType) -> bool:
    """Whether `type_` is one of Arrow's three kinds of bytes."""
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_))


def readable_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of which the engine knows the types."""
    return pa.schema([f for f in schema if readable(f.type)])


def engine_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of `readable_schema` in the types in which the engine gets them."""
    return pa.schema([f.with_type(engine_type(f.type)) for f in readable_schema(schema)])


def _engine_decimal(type_: pa.DataType) -> pa.DataType | None:
    if type_.scale > _DECIMAL_DIGITS[type_.bit_width]:
        # Arrow itself has no text for it
        return None
    # the engine has no scale below zero, and none beyond the precision
    digits, scale = max(type_.precision - min(type_.scale, 0), type_.scale), max(type_.scale, 0)
    if digits > WIDEST:
        return pa.string()
    changed = pa.types.is_decimal256(type_) or (digits, scale) != (type_.precision, type_.scale)
    return pa.decimal128(digits, scale) if changed else type_


def _engine_nested(type_: pa.DataType, *, dictionaries: bool) -> pa.DataType | None:
    dictionaries = dictionaries and not pa.types.is_fixed_size_list(type_)
    fields = [type_.field(i) for i in range(type_.num_fields)]
    types = [engine_type(field.type, dictionaries=dictionaries) for field in fields]
    if not types or None in types or pa.types.is_union(type_):
        return None
    if types == [field.type for field in fields]:
        return type_
    members = [field.with_type(inner) for field, inner in zip(fields, types, strict=True)]
    if pa.types.is_struct(type_):
        return pa.struct(members)
    if pa.types.is_map(type_):
        entries = members[0].type
        return pa.map_(entries.field(0).type, entries.field(1).type)
    if pa.types.is_fixed_size_list(type_):
        return pa.list_(members[0], type_.list_size)
    return pa.large_list(members[0]) if pa.types.is_large_list(type_) else pa.list_(members[0])


def _holds_wide(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        return wide(type_.value_type)
    return any(wide(inner) or _holds_wide(inner) for inner in (type_.field(i).type for i in range(type_.num_fields)))


def _digits(array: pa.Array) -> pa.Array:
    """Return the text of decimals without exponents."""
    text = array.cast(pa.string())
    if not pc.any(pc.match_substring(text, "E")).as_py():
        return text
    return pa.array([None if value is None else format(value, "f") for value in array.to_pylist()], pa.string())


def _by_parts(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """Return an array in its engine type where a cast fails: it holds wide decimals, or a time that does not fit."""
    if pa.types.is_timestamp(array.type):
        most = _INFINITY // _MICROSECONDS[array.type.unit]
        numbers = array.cast(pa.int64())
        fits = pc.and_(pc.less_equal(numbers, most), pc.greater_equal(numbers, -most))
        scaled = pc.multiply(pc.if_else(fits, numbers, 0), _MICROSECONDS[array.type.unit])
        return pc.if_else(fits, scaled, pa.scalar(_INFINITY)).cast(type_)
    if pa.types.is_struct(array.type):
        children = [engine_array(array.field(i), field.type) for i, field in enumerate(type_)]
        return pa.StructArray.from_arrays(children, fields=list(type_), mask=array.is_null())
    if pa.types.is_dictionary(array.type):
        return engine_array(array.dictionary_decode(), type_)
    mask = array.is_null()
    if pa.types.is_map(array.type):
        keys, items = engine_array(array.keys, type_.key_type), engine_array(array.items, type_.item_type)
        return pa.MapArray.from_arrays(array.offsets, keys, items, type=type_, mask=mask)
    values = engine_array(array.values, type_.value_type)
    if pa.types.is_fixed_size_list(array.type):
        return pa.FixedSizeListArray.from_arrays(values, type=type_, mask=mask)
    kind = pa.LargeListArray if pa.types.is_large_list(array.type) else pa.ListArray
    return kind.from_arrays(array.offsets, values, type=type_, mask=mask)
