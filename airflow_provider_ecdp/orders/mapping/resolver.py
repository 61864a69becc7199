"""From what a mapping names to SQL over one row, with everything that is wrong on the way gathered.

In order lines, one row each, a value of the order is the smallest of its lines, and it is noted whether they differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ATTRIBUTE, STATUSES, Field
from airflow_provider_ecdp.orders.engine.arrow_types import WIDEST
from airflow_provider_ecdp.orders.engine.tables import ROWS
from airflow_provider_ecdp.orders.mapping.spec import FIELDS, ColumnMapping, Features, Value, folded_path
from airflow_provider_ecdp.orders.mapping.suggestion import likely_columns
from airflow_provider_ecdp.orders.mapping.sums import Sum, digits, scale, summed
from airflow_provider_ecdp.orders.mapping.values import attribute_text, decoded, features, single, undictionaried
from airflow_provider_ecdp.orders.names import Expression, Scope, likely, nearest
from airflow_provider_ecdp.orders.sql import json_columns
from airflow_provider_ecdp.orders.sql.coercion import why_not
from airflow_provider_ecdp.orders.sql.timezones import is_zone


class ColumnResolver:
    """Finds the columns that a mapping names, or that have a field's name.

    `problems` are sentences; `explained` tells where each field comes from, by its path. `computed` is SQL, by name,
    of what is made once for each row beside its columns: JSON texts that are read. `told` names those of them that are
    problems of the row. `sums`, by path, are those that are to be added up when they are gathered. `differing` is SQL,
    by path, that is true if a value differs between the lines of an order.
    """

    def __init__(
        self, mapping: ColumnMapping, schema: pa.Schema, spelled: Mapping[str, str], timezone: str | None = None
    ) -> None:
        self._schema = schema
        self._timezone = timezone
        self._sources = mapping.sources
        self._named: dict[str, list[str]] = {}
        for name in schema.names:
            self._named.setdefault(folded_path(name.replace(".", "")), []).append(name)
        self.rows = Scope(ROWS, {f.name: f.type for f in schema}, spelled)
        fields = [path for path, _ in FIELDS.values()]
        self.problems = [f"{name} is no field of the API{nearest(name, fields)}" for name in mapping.unknown]
        self.explained: dict[str, str] = {}
        self.computed: dict[str, str] = {}
        self.told: list[str] = []
        self.sums: dict[str, Sum] = {}
        self.differing: dict[str, str] = {}
        #: whether a row is an order line
        self.lines = self.source("products") is None and any(path.startswith("products.") for path in mapping.sources)

    def mapped(self, path: str) -> Value | Features | None:
        """Return what the mapping says of a field."""
        return self._sources.get(path)

    def source(self, path: str) -> Value | Features | None:
        """Return where a field comes from: what the mapping says, or else the column that has its name."""
        if path in self._sources:
            return self._sources[path]
        found = self._named.get(folded_path(path.replace(".", "")), [])
        if members := self._mapped_members(path):
            found = [name for name in found if self._has_members(name, members)]
        if len(found) > 1:
            self.note(f"{path}: {' and '.join(map(repr, found))} are both named as this field; map one of them")
        return Value((found[0],)) if found else None

    def _mapped_members(self, path: str) -> list[Value]:
        """Return what the mapping names for the members of an object or a list."""
        values = (value for name, value in self._sources.items() if name.startswith(f"{path}."))
        return [value for value in values if isinstance(value, Value)]

    def _has_members(self, name: str, members: Sequence[Value]) -> bool:
        """Whether a column can be an object or a list of objects: a name or a number of the same name is another thing.

        Of text that is so if the mapping names a member that is not a column: a key of the JSON in it.
        """
        type_ = self.rows.types[name]
        if pa.types.is_nested(type_):
            return True
        columns = [value.columns[0] for value in members if value.columns]
        of_text = not all(self.rows.find(column) for column in columns)
        return json_columns.may_be_json(type_) and of_text

    def find(self, path: str, source: Value | Features, *scopes: Scope, each: bool = False) -> Expression | None:
        """Return the SQL of a value or of attributes; None, and a problem, if a column is not there.

        :param scopes: beside the rows, where names may be; the first that has one counts
        :param each: the value is one of a product, not of the order
        """
        self.explained[path] = str(source)
        scopes = (*scopes, self.rows)
        if isinstance(source, Value):
            found = self._value(path, source, scopes)
            return found if each or found is None else self.of_order(path, found)
        made = []
        for name, value in source.values:
            of = f"{path}.{name}"
            found = self._value(of, value, scopes)
            if found and attribute_text(found) is None:
                self.note(f"{of}: an attribute is a single value, not {found.type}")
            elif found:
                made.append((name, found if each else self.of_order(of, decoded(found))))
        return features(made) if made else None

    def whole(self, field: Field, path: str, source: Value, members: Mapping[str, Field]) -> Expression | None:
        """Return the SQL, over one row, of an object or a list that is a column, or JSON text in one.

        :param members: names that the mapping reads of it, which are keys if it is JSON, with the fields that they are
        """
        self.explained[path] = str(source)
        found = self._value(path, source, (self.rows,))
        if found is None or not json_columns.may_be_json(found.type):
            return found
        sql, type_ = json_columns.parsed(field, found.sql, members)
        name, told = f"ecdp_json_{len(self.told)}", f"ecdp_told_{len(self.told)}"
        self.computed[name] = sql
        self.computed[told] = json_columns.problem(path, field, found.sql, name)
        self.told.append(told)
        return Expression(f"{ROWS}.{name}", type_)

    def sum(self, path: str, source: Value) -> Expression | None:
        """Return the SQL of a sum over the lines of an order."""
        self.explained[path] = str(source)
        if not self.lines:
            self.note(f"{path}: a sum goes over order lines, one row each; here a row is an order")
            return None
        factors = [f for name in source.columns if (f := self.column(path, name, (self.rows,)))]
        if len(factors) < len(source.columns):
            return None
        told = ", ".join(f"{name} is {f.type}" for name, f in zip(source.columns, factors, strict=True))
        if not all(digits(f.type) for f in factors):
            self.note(f"{path}: only numbers can be summed, and {told}")
            return None
        if len(factors) > 1 and scale(factors) >= WIDEST:
            self.note(
                f"{path}: the product would have {scale(factors)} digits behind the point, of {WIDEST} in all: {told}; "
                "cast them to smaller scales where the extract is made, or shape the orders with an SQL text"
            )
            return None
        found = summed(factors)
        if found.scale is not None:
            self.sums[path] = found
        return found.gathered

    def column(self, path: str, name: str, scopes: tuple[Scope, ...]) -> Expression | None:
        """Return the SQL of a column; the first scope that has it counts."""
        for scope in scopes:
            if found := scope.find(name):
                return undictionaried(found)
        known = [known for scope in scopes for known in scope.names()]
        self.note(f"{path}: there is no column {name!r}{_constant(path, name)}{nearest(name, known)}")
        return None

    def missing(self, path: str) -> None:
        """Note a required field that nothing gives, unless more is known of it."""
        named = "a column's name" if "." not in path else f"a column named {path.replace('.', '_')}"
        hint = likely(self._likely_columns.get(path, ()))
        self.add(path, f"{path}: required, and neither the mapping nor {named} gives it{hint}")

    @cached_property
    def _likely_columns(self) -> dict[str, list[str]]:
        """The columns that fields may be in, by path, without those that the mapping names."""
        mapped = {name for source in self._sources.values() if isinstance(source, Value) for name in source.columns}
        columns = likely_columns(self._schema).items()
        return {path: [name for name in names if name not in mapped] for path, names in columns}

    def add(self, path: str, problem: str) -> None:
        """Note a problem of a field, unless one is known of it, or of what is in it: this one may come of that."""
        if not any(known.startswith((f"{path}:", f"{path}.", f"{path} (")) for known in self.problems):
            self.note(problem)

    def note(self, problem: str) -> None:
        """Note a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def _value(self, path: str, source: Value, scopes: tuple[Scope, ...]) -> Expression | None:
        column = self.column(path, source.columns[0], scopes) if source.columns else None
        if source.columns and column is None:
            return None
        if column and (source.changes or source.default is not None) and attribute_text(column) is None:
            self.note(f"{path}: map and default are for single values, and {source.columns[0]} is {column.type}")
            return None
        field = FIELDS.get(folded_path(path), ("", ATTRIBUTE[1]))[1]
        found = single(field, column, source, self._timezone)
        if column and found is None:
            self.note(f"{path} ({source}): {why_not(field, column.type)}")
        return found

    def of_order(self, path: str, found: Expression) -> Expression:
        """Return the value of an order from that of its rows."""
        if not self.lines or found.constant:
            return found
        # a line without the value says nothing against the others
        self.differing[path] = f"min({found.sql}) <> max({found.sql})"
        return Expression(f"min({found.sql})", found.type)


def _constant(path: str, name: str) -> str:
    """Return what to write if not a column's name, but a value of the field was meant; or nothing."""
    meant = {
        "currency": re.fullmatch("[A-Z]{3}", name) is not None,
        "status": name.lower() in STATUSES,
        "timeZone": is_zone(name),
    }
    return f"; for a constant write {json.dumps({'value': name}, ensure_ascii=False)}" if meant.get(path) else ""
