"""Text that is not UTF-8, and keys that a MAP holds more than once: marked here, so that the checks report them.

Neither Parquet nor the engine checks: a broken byte would make JSON that no server reads, or stop the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.errors import ExtractError
from airflow_provider_ecdp.orders.contract import on_one_line
from airflow_provider_ecdp.orders.engine.arrow_types import is_bytes, is_text
from airflow_provider_ecdp.orders.engine.marks import BROKEN, REPEATED_KEY

_ESCAPED = re.compile("[\udc80-\udcff]+")


def marked(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Return `batch` with BROKEN in place of text that is not UTF-8; unchanged if all of it is.

    The check costs 0.1 us for an order. It also checks the values around a slice of lists: give it whole batches.

    :param name: of the extract, for the message
    :raises ExtractError: the batch is broken in another way
    """
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        pass
    else:
        return _with_unique_keys(batch, name)
    columns = [
        _marked(column, f"{name}: column {on_one_line(f.name)}")
        for column, f in zip(batch.columns, batch.schema, strict=True)
    ]
    return _with_unique_keys(pa.RecordBatch.from_arrays(columns, schema=batch.schema), name)


def _marked(column: pa.Array, subject: str) -> pa.Array:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        pass
    else:
        return column
    type_ = column.type
    try:
        values = column.cast(_as_bytes(type_)).to_pylist()
        whole = pa.array([_decoded(value, type_) for value in values], type_)
        whole.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise ExtractError(f"{subject} cannot be read: {error}") from None
    return whole


def _as_bytes(type_: pa.DataType) -> pa.DataType:
    result = type_
    if is_text(type_):
        result = pa.large_binary()
    elif pa.types.is_dictionary(type_):
        result = _as_bytes(type_.value_type)
    elif pa.types.is_struct(type_):
        result = pa.struct([f.with_type(_as_bytes(f.type)) for f in type_])
    elif pa.types.is_map(type_):
        result = pa.map_(_as_bytes(type_.key_type), _as_bytes(type_.item_type))
    elif pa.types.is_fixed_size_list(type_):
        result = pa.list_(_as_bytes(type_.value_type), type_.list_size)
    elif pa.types.is_list(type_) or pa.types.is_large_list(type_):
        result = pa.large_list(_as_bytes(type_.value_type))
    return result


def _decoded(value: Any, type_: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    result = value
    if is_text(type_):
        result = _ESCAPED.sub(BROKEN, value.decode("utf-8", "surrogateescape"))
    elif pa.types.is_struct(type_):
        result = {f.name: _decoded(value[f.name], f.type) for f in type_}
    elif pa.types.is_map(type_):
        result = [(_decoded(key, type_.key_type), _decoded(item, type_.item_type)) for key, item in value]
    elif pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        result = [_decoded(element, type_.value_type) for element in value]
    return result


def _with_unique_keys(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Return `batch` with a mark for each key that its MAP holds already; unchanged if there is none.

    :param name: of the source, for the message
    :raises ExtractError: neither keys nor values of such a MAP are text or bytes, so that they cannot hold a mark
    """
    repeated = [i for i, f in enumerate(batch.schema) if any(map(_repeats, _maps(batch.column(i), f.type)))]
    for i in repeated:
        field = batch.schema.field(i)
        try:
            array = pa.array(
                [_with_marked_keys(value, field.type) for value in batch.column(i).to_pylist()], field.type
            )
        except TypeError:
            raise ExtractError(
                f"{name}: column {on_one_line(field.name)}: a MAP holds a key more than once, and neither keys nor "
                f"values of {on_one_line(str(field.type))} are text, so the order cannot be marked; write each key "
                "once, or its keys as text"
            ) from None
        batch = batch.set_column(i, field, array)
    return batch


def _maps(array: pa.Array, type_: pa.DataType) -> Iterator[pa.Array]:
    """Yield the MAPs of a column, those inside of its lists and structs too."""
    if pa.types.is_map(type_):
        yield array
        yield from _maps(array.items, type_.item_type)
    elif pa.types.is_struct(type_):
        for i in range(type_.num_fields):
            yield from _maps(array.field(i), type_.field(i).type)
    elif not _holds_map(type_):
        return
    elif pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        yield from _maps(array.flatten(), type_.value_type)


def _holds_map(type_: pa.DataType) -> bool:
    return pa.types.is_map(type_) or any(_holds_map(type_.field(i).type) for i in range(type_.num_fields))


def _repeats(maps: pa.Array) -> bool:
    """Whether a MAP of `maps` holds a key more than once."""
    entries = maps.cast(pa.list_(pa.struct([("key", maps.type.key_type), ("value", maps.type.item_type)])))
    keys = pc.struct_field(entries.flatten(), 0)
    if pa.types.is_dictionary(keys.type):
        keys = keys.dictionary_decode()
    codes = keys.dictionary_encode()
    of = pc.cast(pc.list_parent_indices(entries), pa.int64())
    numbers = pc.add(pc.multiply(of, len(codes.dictionary) + 1), pc.cast(codes.indices, pa.int64()))
    return bool(pc.count_distinct(numbers).as_py() < len(numbers))


def _with_marked_keys(value: Any, type_: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_map(type_):
        return _marked_entries([(key, _with_marked_keys(item, type_.item_type)) for key, item in value], type_)
    if pa.types.is_struct(type_):
        return {f.name: _with_marked_keys(value[f.name], f.type) for f in type_}
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        return [_with_marked_keys(element, type_.value_type) for element in value]
    return value


def _marked_entries(entries: list[tuple[Any, Any]], type_: pa.DataType) -> list[tuple[Any, Any]]:
    """Return entries with different keys, and a mark in each repeated key.

    Where a key cannot hold a mark, the value of its first entry is the mark, and its other entries are left out.

    :raises TypeError: neither keys nor values can hold a mark
    """
    result: dict[Any, Any] = {}
    for i, (key, item) in enumerate(entries):
        if key not in result:
            result[key] = item
        elif mark := _mark(type_.key_type):
            result[key + mark + str(i).encode() if isinstance(mark, bytes) else f"{key}{mark}{i}"] = item
        elif mark := _mark(type_.item_type):
            result[key] = mark
        else:
            raise TypeError
    return list(result.items())


def _mark(type_: pa.DataType) -> str | bytes | None:
    """Return REPEATED_KEY as a value of `type_`, None if that is neither text nor bytes."""
    if pa.types.is_dictionary(type_):
        return _mark(type_.value_type)
    if is_text(type_):
        return REPEATED_KEY
    return REPEATED_KEY.encode() if is_bytes(type_) else None
