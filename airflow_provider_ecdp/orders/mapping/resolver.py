"""Resolves the names in a mapping to columns of an extract, and to SQL of single values over one row.

In order lines, one row each, a value of the order is the smallest of its lines, and it is noted whether they differ.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ATTRIBUTE, STATUSES, Field, Kind, folded_name, on_one_line
from airflow_provider_ecdp.orders.engine.arrow_types import WIDEST
from airflow_provider_ecdp.orders.engine.tables import ROWS
from airflow_provider_ecdp.orders.mapping.compiled import CompiledField, ParsedText, Problem
from airflow_provider_ecdp.orders.mapping.spec import FIELDS, ColumnMapping, Features, Value
from airflow_provider_ecdp.orders.mapping.suggestion import likely_columns
from airflow_provider_ecdp.orders.mapping.sums import digits, number, scale, summed
from airflow_provider_ecdp.orders.mapping.values import attribute_text, decoded, features, single, undictionaried
from airflow_provider_ecdp.orders.names import Expression, Scope, likely, nearest
from airflow_provider_ecdp.orders.sql import json_columns
from airflow_provider_ecdp.orders.sql.coercion import present, scalar, why_not
from airflow_provider_ecdp.orders.sql.timezones import is_zone

log = logging.getLogger(__name__)


class ColumnResolver:
    """Finds the columns that a mapping names, or that have a field's name. Nothing that it does changes it."""

    def __init__(
        self, mapping: ColumnMapping, schema: pa.Schema, spelled: Mapping[str, str], timezone: str | None = None
    ) -> None:
        self._schema = schema
        self._timezone = timezone
        self._sources = mapping.sources
        self._named: dict[str, list[str]] = {}
        for name in schema.names:
            self._named.setdefault(folded_name(name.replace(".", "")), []).append(name)
        self.rows = Scope(ROWS, {f.name: f.type for f in schema}, spelled)
        #: whether a row is an order line
        self.lines = self.source("products") is None and any(path.startswith("products.") for path in mapping.sources)

    def mapped(self, path: str) -> Value | Features | None:
        """Return the mapping's source of a field."""
        return self._sources.get(path)

    def source(self, path: str) -> Value | Features | None:
        """Return the source of a field: the mapping's, or else the column that has its name."""
        if path in self._sources:
            return self._sources[path]
        names = self._columns(path)
        return Value((names[0],)) if names else None

    def ambiguous(self, path: str) -> CompiledField:
        """Return the problem of a field that several columns are named as, if so; it has no value."""
        names = () if path in self._sources else self._columns(path)
        if len(names) < 2:
            return CompiledField()
        both = " and ".join(map(repr, names))
        return CompiledField.failed(path, f"{path}: {both} both have the name of this field; map one of them")

    def missing(self, path: str) -> CompiledField:
        """Return a required field that nothing gives."""
        named = "a column's name" if "." not in path else f"a column named {path.replace('.', '_')}"
        hint = likely(self._likely_columns.get(path, ()))
        message = f"{path}: required, but neither the mapping nor {named} provides it{hint}"
        return CompiledField.failed(path, message, consequence=True)

    def find(self, path: str, source: Value | Features, *scopes: Scope, each: bool = False) -> CompiledField:
        """Compile a value or attributes.

        :param scopes: where names are looked up before the rows; the first that has one counts
        :param each: the value is one of a product, not of the order
        """
        scopes = (*scopes, self.rows)
        if isinstance(source, Value):
            compiled = self._value(path, source, scopes)
            return (compiled if each else self.of_order(path, compiled)).from_origin(path, str(source))
        parts = {name: self._attribute(f"{path}.{name}", value, scopes, each) for name, value in source.values}
        values = [(name, part.value) for name, part in parts.items() if part.value is not None]
        compiled = CompiledField.of(features(values) if values else None, parts.values())
        return compiled.from_origin(path, str(source))

    def whole(self, field: Field, path: str, source: Value, members: Mapping[str, Field]) -> CompiledField:
        """Compile, over one row, an object or a list that is a column, or JSON text in one.

        :param members: names that the mapping reads of it, which are keys if it is JSON, with the fields that they are
        """
        compiled = self._value(path, source, (self.rows,)).from_origin(path, str(source))
        column = compiled.value
        if column is None or not json_columns.may_be_json(column.type):
            return compiled
        if both := [name for name, member in members.items() if name != member.name and self.rows.find(name)]:
            log.warning(
                "%s: %s is read as a key of the JSON text in %s, not as the column of that name",
                path,
                " and ".join(map(repr, both)),
                source,
            )
        sql, type_ = json_columns.parsed(field, column.sql, members)
        suffix = path.replace(".", "_")
        name = f"ecdp_json_{suffix}"
        problem = json_columns.problem(path, field, column.sql, name)
        parsed = ParsedText(name, sql, f"ecdp_problem_{suffix}", problem)
        return CompiledField(Expression(f"{ROWS}.{name}", type_), origins=compiled.origins, parsed=(parsed,))

    def sum(self, path: str, source: Value) -> CompiledField:
        """Compile a sum over the lines of an order."""
        return self._sum(path, source).from_origin(path, str(source))

    def column(self, path: str, name: str, scopes: tuple[Scope, ...]) -> CompiledField:
        """Compile a column; the first scope that has it counts."""
        for scope in scopes:
            if column := scope.find(name):
                return CompiledField(undictionaried(column))
        near = nearest(name, [candidate for scope in scopes for candidate in scope.names()])
        return CompiledField.failed(path, f"{path}: there is no column {name!r}{_constant(path, name)}{near}")

    def of_order(self, path: str, compiled: CompiledField) -> CompiledField:
        """Return the value of an order from that of its rows."""
        row = compiled.value
        if not self.lines or row is None or row.constant:
            return compiled
        # a line without the value does not contradict the others
        differing = (path, f"min({row.sql}) <> max({row.sql})")
        flag = CompiledField(differing=(differing,))
        return CompiledField.of(Expression(f"min({row.sql})", row.type), (compiled, flag))

    def _columns(self, path: str) -> list[str]:
        """Return the columns that have a field's name."""
        names = self._named.get(folded_name(path.replace(".", "")), [])
        members = self._mapped_members(path)
        return [name for name in names if self._has_members(path, name, members)] if members else names

    @cached_property
    def _likely_columns(self) -> dict[str, list[str]]:
        """The columns that fields may be in, by path, without those that the mapping names."""
        mapped = {name for source in self._sources.values() if isinstance(source, Value) for name in source.columns}
        columns = likely_columns(self._schema).items()
        return {path: [name for name in names if name not in mapped] for path, names in columns}

    def _mapped_members(self, path: str) -> list[Value]:
        """Return the mapping's sources of the members of an object or a list."""
        values = (value for name, value in self._sources.items() if name.startswith(f"{path}."))
        return [value for value in values if isinstance(value, Value)]

    def _has_members(self, path: str, name: str, members: Sequence[Value]) -> bool:
        """Whether a column can be the object or the list of objects at `path`: another type only shares its name.

        Of text that is so if the mapping names a member that is not a column: a key of the JSON in it.
        """
        type_ = self.rows.types[name]
        if pa.types.is_nested(type_):
            is_list = FIELDS[folded_name(path)][1].kind is Kind.LIST
            return _is_list_of_objects(type_) if is_list else bool(pa.types.is_struct(type_))
        columns = [value.columns[0] for value in members if value.columns]
        of_text = not all(self.rows.find(column) for column in columns)
        return json_columns.may_be_json(type_) and of_text

    def _attribute(self, path: str, source: Value, scopes: tuple[Scope, ...], each: bool) -> CompiledField:
        compiled = self._value(path, source, scopes)
        if compiled.value is None:
            return compiled
        if attribute_text(compiled.value) is None:
            return CompiledField.failed(path, f"{path}: an attribute must be a single value, not {compiled.value.type}")
        return compiled if each else self.of_order(path, compiled.with_value(decoded(compiled.value)))

    def _sum(self, path: str, source: Value) -> CompiledField:
        if not self.lines:
            return CompiledField.failed(
                path, f"{path}: a sum needs order lines, one per row; here each row is an order"
            )
        parts = [self.column(path, name, (self.rows,)) for name in source.columns]
        columns = [part.value for part in parts if part.value is not None]
        if len(columns) < len(parts):
            return CompiledField.of(None, parts)
        types = ", ".join(f"{name} is {column.type}" for name, column in zip(source.columns, columns, strict=True))
        factors = [number(column) for column in columns]
        if not all(digits(f.type) for f in factors):
            return CompiledField.failed(path, f"{path}: only numbers can be summed, and {types}")
        if len(factors) > 1 and scale(factors) >= WIDEST:
            return CompiledField.failed(
                path,
                f"{path}: the product would have {scale(factors)} digits after the decimal point, of {WIDEST} in all: "
                f"{types}; cast them to smaller scales in the export, or compute the sum in an SQL text",
            )
        total = summed(factors)
        return CompiledField(total.gathered, sums=((path, total),) if total.scale is not None else ())

    def _value(self, path: str, source: Value, scopes: tuple[Scope, ...]) -> CompiledField:
        column = self.column(path, source.columns[0], scopes) if source.columns else CompiledField()
        if source.columns and column.value is None:
            return column
        field = FIELDS.get(folded_name(path), ("", ATTRIBUTE[1]))[1]
        if column.value and not field.fields:
            one = Expression(*scalar(field, column.value.sql, column.value.type), column.value.constant)
            column = column.with_value(one)
        type_ = column.value.type if column.value else None
        if column.value and (source.changes or source.default is not None) and attribute_text(column.value) is None:
            message = f"{path}: map and default are for single values, and {source.columns[0]} is {type_}"
            return CompiledField.failed(path, message)
        value = single(field, column.value, source, self._timezone)
        if column.value and value is None:
            return CompiledField.failed(path, f"{path} ({source}): {why_not(field, column.value.type)}")
        # empty text can be a text that is required, but never a number or a date
        empty_is_absent = not (field.required and field.kind is Kind.TEXT) and not field.fields
        if value and self.lines and empty_is_absent and not value.constant:
            # the smallest of the lines' values is taken, and empty text would be smaller than any other
            value = Expression(present(replace(field, required=False), value.sql, value.type), value.type)
        return CompiledField(value)


def _is_list_of_objects(type_: pa.DataType) -> bool:
    if not (pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)):
        return False
    # a column in which no list has an element is written as a list of nulls
    return bool(pa.types.is_struct(type_.value_type) or pa.types.is_null(type_.value_type))


def unknown_fields(mapping: ColumnMapping) -> CompiledField:
    """Return the problems of names in a mapping that are not fields."""
    fields = [path for path, _ in FIELDS.values()]
    return CompiledField(
        problems=tuple(
            Problem("", f"{on_one_line(name)} is not a field of the API{nearest(name, fields)}")
            for name in mapping.unknown
        )
    )


def _constant(path: str, name: str) -> str:
    """Return advice on constants if `name` may be a value of the field; or nothing."""
    meant = {
        "currency": re.fullmatch("[A-Z]{3}", name) is not None,
        "status": name.lower() in STATUSES,
        "timeZone": is_zone(name),
    }
    return f"; for a constant write {json.dumps({'value': name}, ensure_ascii=False)}" if meant.get(path) else ""
