"""Kinds of Arrow types, and which of them the engine knows."""

from __future__ import annotations

import pyarrow as pa


def readable(type_: pa.DataType) -> bool:
    """Whether the engine has a type for `type_`, and for all that is in it."""
    if pa.types.is_dictionary(type_):
        return readable(type_.value_type)
    if pa.types.is_struct(type_) and not type_.num_fields:
        return False
    if pa.types.is_decimal(type_):
        return not pa.types.is_decimal256(type_) and type_.scale >= 0
    inner = all(readable(type_.field(i).type) for i in range(type_.num_fields))
    return inner and not (pa.types.is_float16(type_) or pa.types.is_union(type_))


def is_text(type_: pa.DataType) -> bool:
    """Whether `type_` is one of Arrow's three kinds of text."""
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def is_bytes(type_: pa.DataType) -> bool:
    """Whether `type_` is one of Arrow's three kinds of bytes."""
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_))


def readable_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of which the engine knows the types."""
    return pa.schema([f for f in schema if readable(f.type)])
