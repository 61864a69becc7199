"""A mapping: which column, constant or sum is which field of the API, as the user writes it, in a dict or as JSON.

Only its shape is checked here. Which columns an extract has is the compiler's concern (`compiler.py`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.orders.contract import ORDER, Field, Kind, folded_name, on_one_line, walk

#: The types of constants in a mapping.
Constant = str | int | float | bool | Decimal

#: Places after the point at which the smallest number of a double begins.
_DOUBLE_DIGITS = 324

_OPTIONS = {"column", "value", "sum", "map", "default"}
_SHAPES = (
    'a column\'s name, {"value": constant}, {"column": name, "map": {from: to}, "default": constant} '
    'or {"sum": column or list of columns}'
)


@dataclass(frozen=True, slots=True)
class Value:
    """Where a single value comes from: a constant, a column, or a sum over the lines of an order.

    :param columns: names of columns; several are factors of a sum, as price and quantity are
    :param changes: pairs of a column's value (any case; `*` stands for any characters) and the value to send
    :param default: the value to send where the column has no value, or none that `changes` has; the constant, where
        `columns` is empty
    """

    columns: tuple[str, ...] = ()
    summed: bool = False
    changes: tuple[tuple[str, Constant], ...] = ()
    default: Constant | None = None

    def __str__(self) -> str:
        if not self.columns:
            return f"constant {self.default}"
        if self.summed:
            return f"sum of {' * '.join(map(on_one_line, self.columns))} over the lines"
        text = f"column {on_one_line(self.columns[0])}"
        if self.changes:
            text += ", its values mapped"
        return text if self.default is None else f"{text}, else {self.default}"


@dataclass(frozen=True, slots=True)
class Features:
    """Attributes that are made of columns: pairs of an attribute's name and where its value comes from."""

    values: tuple[tuple[str, Value], ...]

    def __str__(self) -> str:
        return "; ".join(f"{name}: {value}" for name, value in self.values)


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """A mapping whose shape is right.

    :param sources: by the path of a field, such as `customer.email`; the path of an object or a list maps a column
        that holds it whole
    :param order_by: columns that sort the products of an order
    :param unknown: names that are not fields of the API
    """

    sources: Mapping[str, Value | Features]
    order_by: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @classmethod
    def parse(cls, mapping: Mapping[str, Any] | str) -> ColumnMapping:
        """Read a mapping: a dict, or the JSON text of one.

        :raises ConfigurationError: it is not shaped as a mapping
        """
        if isinstance(mapping, str):
            mapping = from_json(mapping)
        if not isinstance(mapping, Mapping) or not mapping:
            raise ConfigurationError(f"mapping: must be a dict of field names and their sources, not {_kind(mapping)}")
        sources: dict[str, Value | Features] = {}
        unknown: list[str] = []
        order_by: tuple[str, ...] = ()
        for name, source in _flattened(mapping, ""):
            field = FIELDS.get(folded_name(name))
            if folded_name(name) == "products.orderby":
                order_by = _names(name, source)
            elif field is None:
                unknown.append(name)
            else:
                path, parameter = field
                if path in sources:
                    raise ConfigurationError(f"mapping: {path} appears twice; keep one of them")
                sources[path] = _source(path, parameter, source)
        return cls(sources, order_by, tuple(unknown))


def _mappable() -> Iterator[tuple[str, Field]]:
    for path, field in walk():
        # name and value of an attribute are its key and its source
        if "Attributes." not in path:
            yield path, field


#: The fields that a mapping can name, by folded path.
FIELDS = {folded_name(path): (path, field) for path, field in _mappable()}

_NESTED = {field.name: field for field in ORDER if field.kind is Kind.OBJECT or field.name == "products"}


#: Comments and trailing commas, which are removed before parsing. Strings are matched first, and kept.
_COMMENTS_AND_COMMAS = re.compile(
    r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/|,(?=(?:\s|//[^\n]*(?:\n|$)|/\*.*?\*/)*[}\]])', re.DOTALL
)


def from_json(text: str) -> Any:
    """Read the JSON text of a mapping, which may hold comments; numbers keep their digits.

    :raises ConfigurationError: it is not JSON, or names a field twice
    """
    # replaced by spaces, so that messages give the right line and column
    text = _COMMENTS_AND_COMMAS.sub(lambda match: match[1] or re.sub(r"[^\n]", " ", match[0]), text)
    try:
        return json.loads(text, parse_float=Decimal, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"mapping: not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (ValueError, ArithmeticError, RecursionError):
        # Python refuses such numbers, and about a thousand nested brackets
        raise ConfigurationError(
            "mapping: the JSON has a number with too many digits, or too many brackets inside each other; "
            "write such a number in quotes"
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(
            f"mapping: {', '.join(twice)} appears more than once in one JSON object; keep one of them"
        )
    return dict(pairs)


def _flattened(mapping: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield dotted names: {"customer": {"email": ...}} is {"customer.email": ...}."""
    for name, source in mapping.items():
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"mapping: a field name must be text, not {name!r}")
        nested = not prefix and any(folded_name(name) == nested_name.lower() for nested_name in _NESTED)
        if nested and isinstance(source, Mapping):
            yield from _flattened(source, f"{name}.")
        else:
            yield prefix + name, source


def _source(path: str, field: Field, source: Any) -> Value | Features:
    if field.kind is Kind.LIST and field.name.endswith("Attributes") and isinstance(source, Mapping):
        if not source:
            raise ConfigurationError(f"mapping: {path}: name at least one attribute and its source")
        return Features(tuple((_named(path, name), _feature(f"{path}: {name}", v)) for name, v in source.items()))
    if field.fields:
        if not isinstance(source, str) or not source:
            raise ConfigurationError(f"mapping: {path}: {_nested_shape(field)}, not {_kind(source)}")
        return Value((source,))
    value = _value(path, source)
    if value.summed and (field.kind is not Kind.NUMBER or "." in path):
        raise _no_sum(path)
    if field.kind is Kind.TEXT:
        _refuse_fractions(path, value)
    return value


def _feature(path: str, source: Any) -> Value:
    value = _value(path, source)
    if value.summed:
        raise _no_sum(path)
    return value


def _no_sum(path: str) -> ConfigurationError:
    return ConfigurationError(f"mapping: {path}: only totalValue and returnsValue can be a sum over the lines")


def _refuse_fractions(path: str, value: Value) -> None:
    """Refuse fractions as constants of text: the id 7.0 is not the id 7."""
    for constant in (value.default, *(sent for _, sent in value.changes)):
        if isinstance(constant, float | Decimal):
            raise ConfigurationError(
                f"mapping: {path}: {constant} has a point or an exponent, and the field is text; write it in quotes"
            )


def _nested_shape(field: Field) -> str:
    if field.name.endswith("Attributes"):
        return "must be the name of a column of attributes, or a dict of attribute names and their sources"
    return "must be the name of a column with the whole object, or a dict of its fields"


def _named(path: str, name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"mapping: {path}: an attribute name must be text, not {name!r}")
    _refuse_surrogates(f"{path}: an attribute name", name)
    return name


def _value(path: str, source: Any) -> Value:
    if isinstance(source, str) and source:
        return Value((source,))
    if not isinstance(source, Mapping) or not source:
        raise ConfigurationError(f"mapping: {path}: {_SHAPES}, not {_kind(source)}")
    if unknown := [str(option) for option in source if option not in _OPTIONS]:
        raise ConfigurationError(f"mapping: {path}: {', '.join(unknown)} is not an option here; write {_SHAPES}")
    if len(source.keys() & {"column", "value", "sum"}) != 1:
        raise ConfigurationError(f"mapping: {path}: give exactly one of column, value and sum; write {_SHAPES}")
    if "column" not in source:
        if further := source.keys() & {"map", "default"}:
            raise ConfigurationError(f"mapping: {path}: {', '.join(sorted(further))} is only for a column")
        if "value" in source:
            return Value(default=_constant(path, "value", source["value"]))
        return Value(_names(f"{path}: sum", source["sum"]), summed=True)
    if not isinstance(source["column"], str) or not source["column"]:
        raise ConfigurationError(f"mapping: {path}: column must be the name of a column, not {_kind(source['column'])}")
    default = _constant(path, "default", source["default"]) if "default" in source else None
    return Value((source["column"],), changes=_changes(path, source.get("map", {})), default=default)


def _changes(path: str, entries: Any) -> tuple[tuple[str, Constant], ...]:
    if not isinstance(entries, Mapping):
        raise ConfigurationError(
            f"mapping: {path}: map must be a dict of column values and their replacements, not {_kind(entries)}"
        )
    changes: dict[str, Constant] = {}
    for value, sent in entries.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ConfigurationError(f"mapping: {path}: map: a column value must be text, not {value!r}")
        folded = str(value).lower()
        _refuse_surrogates(f"{path}: map: a column value", folded)
        if folded in changes:
            raise ConfigurationError(
                f"mapping: {path}: map: {value!r} appears more than once, in different case; keys are not "
                "case-sensitive"
            )
        changes[folded] = _constant(path, f"map: {value}", sent)
    return tuple(changes.items())


def _names(path: str, source: Any) -> tuple[str, ...]:
    names = (source,) if isinstance(source, str) else source
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(
            f"mapping: {path}: must be the name of a column or a list of names, not {_kind(source)}"
        )
    return tuple(names)


def _constant(path: str, option: str, value: Any) -> Constant:
    finite = not isinstance(value, float | Decimal) or math.isfinite(value)
    # 1e-9999999 would become a text of that many digits
    tiny = isinstance(value, Decimal) and finite and value.adjusted() < -_DOUBLE_DIGITS
    if not isinstance(value, str | int | float | Decimal) or not finite or tiny:
        raise ConfigurationError(
            f"mapping: {path}: {option} must be text, a finite number, true or false, not {_kind(value)}"
        )
    if isinstance(value, str):
        _refuse_surrogates(f"{path}: {option}", value)
    return value


def _refuse_surrogates(subject: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"mapping: {subject} has half of a surrogate pair; write whole characters") from None


def _kind(value: Any) -> str:
    if value is None or isinstance(value, float | Decimal):
        return str(value)
    if isinstance(value, str | Mapping | list | tuple) and not value:
        return f"an empty {type(value).__name__}"
    return type(value).__name__
