"""Orders that are Python dicts, as an extract: from XCom, or from a callable.

Every value becomes text, and the checks read it from there: one order with a price of "n/a" does not decide the type of
the column for all, as it does where the types are inferred.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import functools
import math
import numbers
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from airflow_provider_ecdp.errors import ExtractError
from airflow_provider_ecdp.orders.contract import ORDER, Field, Kind, folded_name, is_blank_text
from airflow_provider_ecdp.orders.engine.marks import ONE_KEY
from airflow_provider_ecdp.orders.engine.tables import PROBLEMS
from airflow_provider_ecdp.orders.sources.base import problems_field
from airflow_provider_ecdp.orders.sources.table import TableSource

#: Types of pandas' missing values, which are neither None nor numbers.
_MISSING = {"NaTType", "NAType"}

#: Digits before the point of the largest double.
_DOUBLE_DIGITS = 309


def source_from_records(records: Iterable[Mapping[str, Any]], name: str = "the list of orders") -> TableSource:
    """Return `records` as an extract. Keys match fields whatever their case and underscores; others are ignored.

    A value that cannot be its field's, such as products that are a dict, is a problem of that order.

    :raises ExtractError: `records` is not a list of dicts
    """
    if isinstance(records, Mapping | str | bytes) or not isinstance(records, Iterable):
        raise ExtractError(f"{name} is {type(records).__name__}, not a list of dicts")
    rows = []
    for i, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise ExtractError(f"{name}: element {i} is {type(record).__name__}, not a dict of an order")
        problems: list[dict[str, str]] = []
        row = _object(ORDER, record, "", problems)
        rows.append(row | {PROBLEMS: problems})
    fields = [field for field in ORDER if field.required or any(row[field.name] is not None for row in rows)]
    schema = pa.schema([*(pa.field(field.name, _type(field)) for field in fields), problems_field()])
    return TableSource(name, pa.Table.from_pylist(rows, schema))


def _type(field: Field) -> pa.DataType:
    if not field.fields:
        return pa.string()
    members = pa.struct([(f.name, _type(f)) for f in field.fields])
    return pa.list_(members) if field.kind is Kind.LIST else members


def _object(
    fields: tuple[Field, ...], record: Mapping[str, Any], prefix: str, problems: list[dict[str, str]]
) -> dict[str, Any]:
    folded: dict[str, Any] = {}
    names = _folded_names(fields)
    for key, value in record.items():
        name = folded_name(str(key))
        # other keys are ignored
        if name in folded and name in names:
            problems.append(_problem(f"{prefix}{key}", ONE_KEY, "two spellings of it"))
        folded[name] = value
    return {f.name: _value(f, folded.get(folded_name(f.name)), f"{prefix}{f.name}", problems) for f in fields}


@functools.cache
def _folded_names(fields: tuple[Field, ...]) -> frozenset[str]:
    return frozenset(folded_name(field.name) for field in fields)


def _value(field: Field, value: Any, path: str, problems: list[dict[str, str]]) -> Any:
    if _is_missing(value) or (field.fields and not field.required and is_blank_text(value)):
        return None
    if field.kind is Kind.OBJECT:
        if isinstance(value, Mapping):
            return _object(field.fields, value, f"{path}.", problems)
    elif field.kind is Kind.LIST:
        if (elements := _elements(field, value)) is not None:
            return [_element(field, element, f"{path}[{i}]", problems) for i, element in enumerate(elements)]
    elif (text := _text(field, value)) is not None:
        try:
            text.encode()
        except UnicodeEncodeError:
            problems.append(_problem(path, "text in UTF-8", "half of a surrogate pair"))
            return None
        return text
    if field.name == "value" and _is_infinite(value):
        problems.append(_problem(path, "a finite number", "NaN or infinity"))
    else:
        problems.append(_problem(path, _rule(field), type(value).__name__))
    return None


def _elements(field: Field, value: Any) -> list[Any] | tuple[Any, ...] | None:
    """Return the elements of a list, of an array of numpy or Arrow, or of attributes by their names; None of others."""
    if isinstance(value, Mapping) and field.name.endswith("Attributes"):
        return [{"name": name, "value": of_name} for name, of_name in value.items()]
    to_list = getattr(value, "tolist", None)
    elements = to_list() if callable(to_list) and not isinstance(value, type) else value
    return elements if isinstance(elements, list | tuple) else None


def _element(field: Field, value: Any, path: str, problems: list[dict[str, str]]) -> dict[str, Any] | None:
    if _is_missing(value):
        return None
    if isinstance(value, Mapping):
        return _object(field.fields, value, f"{path}.", problems)
    problems.append(_problem(path, Kind.OBJECT.value, type(value).__name__))
    return None


def _is_missing(value: Any) -> bool:
    """Whether `value` is None, or one of the values that pandas and numpy have in place of None: NaN, NaT and NA."""
    if value is None or type(value).__name__ in _MISSING:
        return True
    if isinstance(value, decimal.Decimal):
        return value.is_nan()
    return isinstance(value, numbers.Real) and bool(value != value)  # noqa: PLR0124 - nothing but NaN differs from itself


def _rule(field: Field) -> str:
    return "text or a whole number" if _is_free_text(field) else field.kind.value


def _is_free_text(field: Field) -> bool:
    """Whether `field` is text of any form, and no attribute's value, which may be any single value."""
    return field.kind is Kind.TEXT and not field.choices and field.name != "value"


def _text(field: Field, value: Any) -> str | None:
    """Return a value as text, which the checks read; None if it cannot be the field's, or not with all its digits."""
    if _is_free_text(field) and not _is_text_or_whole(value):
        return None
    if field.name == "value" and _is_infinite(value):
        # the checks find infinity in the text of a number, and take any text for an attribute
        return None
    return _as_text(value)


def _is_infinite(value: Any) -> bool:
    return isinstance(value, decimal.Decimal | numbers.Real) and value in (math.inf, -math.inf)


def _is_text_or_whole(value: Any) -> bool:
    if isinstance(value, decimal.Decimal):
        return value.is_finite() and value.as_tuple().exponent in range(1 + _DOUBLE_DIGITS)
    # numpy's whole numbers are Integral too, and a fraction has lost the form of an id
    return isinstance(value, str | numbers.Integral | uuid.UUID)


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        # not 1E+2, which is valid JSON but hard to search for; beyond doubles, digits would fill the memory
        return format(value, "f") if abs(value.adjusted()) <= _DOUBLE_DIGITS else str(value)
    if isinstance(value, numbers.Real | uuid.UUID):
        # numpy's numbers are Real too; more digits than Python writes are not an amount
        with contextlib.suppress(ValueError):
            return str(value)
    return None


def _problem(field: str, rule: str, got: str) -> dict[str, str]:
    return {"field": field, "rule": rule, "got": got}
