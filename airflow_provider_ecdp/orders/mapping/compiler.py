"""Compiles a mapping for the columns of an extract: each field of the contract by itself, into an immutable value.

Order lines, one row each, are grouped by the order's id. The result does not depend on the position of the lines: an
order's own values are the smallest of its lines, and its products are sorted. Values that belong
to each other, as those of a customer do, come from one line where the lines do not agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ATTRIBUTE, ORDER, Field, Kind, folded_name
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.mapping.compiled import CompiledField
from airflow_provider_ecdp.orders.mapping.resolver import ColumnResolver
from airflow_provider_ecdp.orders.mapping.spec import Features, Value
from airflow_provider_ecdp.orders.names import Expression, Scope

#: The time of an order: in another zone it is another time.
_MOMENT = ("date", "timeZone")


class FieldCompiler:
    """Walks the contract; every method returns its result, and changes nothing else.

    :param order_by: columns that order lines are sorted by
    """

    def __init__(self, resolver: ColumnResolver, order_by: tuple[str, ...]) -> None:
        self.resolver = resolver
        self.order_by = order_by

    def fields(self) -> dict[str, CompiledField]:
        """Return each field of an order, with or without a value."""
        fields = {field.name: self.field(field) for field in ORDER}
        moment = {name: fields[name] for name in _MOMENT}
        return fields | self.of_one_line("", moment, _MOMENT[-1:])

    def field(self, field: Field) -> CompiledField:
        """Compile a field of the order."""
        compiled = self._field(field)
        return CompiledField.of(compiled.value, (self.resolver.ambiguous(field.name), compiled))

    def _field(self, field: Field) -> CompiledField:
        if field.name == "id" and self.resolver.lines:
            return self.id()
        if field.name == "products":
            return self.lines(field) if self.resolver.lines else self.column(field)
        source = self.resolver.source(field.name)
        if field.kind is Kind.OBJECT and source is None:
            return self.members_of_rows(field)
        if field.kind is Kind.OBJECT or (field.kind is Kind.LIST and isinstance(source, Value)):
            return self.column(field)
        return self.single(field, source)

    def single(self, field: Field, source: Value | Features | None) -> CompiledField:
        """Compile a single value of the order, or attributes that are made of columns."""
        if source is None:
            return self.resolver.missing(field.name) if field.required else CompiledField()
        if isinstance(source, Value) and source.summed:
            return self.resolver.sum(field.name, source)
        return self.resolver.find(field.name, source, each=field.name in _MOMENT)

    def id(self) -> CompiledField:
        """Compile the id of an order whose lines are rows."""
        source = self.resolver.source("id")
        if not isinstance(source, Value):
            return self.resolver.missing("id")
        compiled = self.resolver.find("id", source, each=True)
        if compiled.value and compiled.value.constant:
            failed = CompiledField.failed("id", "id: order lines are grouped by it, so it cannot be a constant")
            return CompiledField.of(compiled.value, (compiled, failed))
        return compiled

    def key(self) -> str | None:
        """Return the column that order lines are grouped by; None if it is not a plain column."""
        source = self.resolver.source("id")
        if not self.resolver.lines or not isinstance(source, Value):
            return None
        plain = source.columns and not source.changes and source.default is None
        return self.resolver.rows.column(source.columns[0]) if plain else None

    def column(self, field: Field) -> CompiledField:
        """Compile an object or a list that is a column, with the mapping of its members."""
        source = self.resolver.source(field.name)
        if not isinstance(source, Value):
            return self.resolver.missing(field.name)
        mapped = {child: self.resolver.mapped(f"{field.name}.{child.name}") for child in field.fields}
        names = {v.columns[0]: child for child, v in mapped.items() if isinstance(v, Value) and v.columns}
        names |= {name: ATTRIBUTE[1] for v in mapped.values() if isinstance(v, Features) for name in self._keys(v)}
        whole = self.resolver.whole(field, field.name, source, names)
        if whole.value is None:
            return whole
        column = whole.value
        members = column.type if field.kind is Kind.OBJECT else getattr(column.type, "value_type", pa.null())
        if not pa.types.is_struct(members) or not (self.resolver.lines or any(mapped.values())):
            # unchanged: a wrong type is reported when columns are matched with fields
            return self.resolver.of_order(field.name, whole)
        if field.kind is Kind.LIST:
            inner = _struct(self.members(field, Scope.of_struct("ecdp_p", members)))
            struct = _required(inner)
            each = f"lambda ecdp_p: CASE WHEN ecdp_p IS NOT NULL THEN {struct.sql} END"
            value = Expression(f"list_transform({column.sql}, {each})", pa.list_(struct.type))
            return self.resolver.of_order(field.name, CompiledField.of(value, (whole, inner)))
        inner = _struct(self.members(field, Scope.of_struct(column.sql, members)))
        struct = _required(inner)
        sql = struct.sql if self.resolver.lines else f"CASE WHEN {column.sql} IS NOT NULL THEN {struct.sql} END"
        return CompiledField.of(Expression(sql, struct.type), (whole, inner))

    def _keys(self, features: Features) -> list[str]:
        """Return the names that attributes are made of and that are not columns of the extract: keys, if it is JSON."""
        names = [value.columns[0] for _, value in features.values if value.columns]
        return [name for name in names if self.resolver.rows.find(name) is None]

    def members(self, field: Field, inner: Scope) -> dict[str, CompiledField]:
        """Compile the members of an object: those that the mapping names, and those that `inner` has by name."""
        by_name = {folded_name(name): name for name in inner.types}
        members = {}
        for child in field.fields:
            path = f"{field.name}.{child.name}"
            name = by_name.get(folded_name(child.name))
            source = self.resolver.mapped(path) or (Value((name,)) if name else None)
            if source:
                members[child.name] = self.resolver.find(path, source, inner, each=True)
        return members if field.kind is Kind.LIST else self.of_one_line(f"{field.name}.", members, members)

    def members_of_rows(self, field: Field) -> CompiledField:
        """Compile an object whose members are columns of the extract."""
        members, ambiguous = {}, []
        for child in field.fields:
            path = f"{field.name}.{child.name}"
            ambiguous.append(self.resolver.ambiguous(path))
            if source := self.resolver.source(path):
                members[child.name] = self.resolver.find(path, source, each=True)
        struct = _struct(self.of_one_line(f"{field.name}.", members, members))
        missing = [] if struct.value else [self.resolver.missing(field.name)]
        return CompiledField.of(struct.value, (*ambiguous, struct, *missing))

    def of_one_line(
        self, prefix: str, rows: Mapping[str, CompiledField], apart: Iterable[str]
    ) -> dict[str, CompiledField]:
        """Return the values of an order from those of its rows: all from one line, where one in `apart` differs.

        :param prefix: of their paths
        """
        merged = {name: self.resolver.of_order(f"{prefix}{name}", row) for name, row in rows.items()}
        paths = {f"{prefix}{name}" for name in apart}
        flags = [flag for field in merged.values() for path, flag in field.differing if path in paths]
        struct = _struct(rows).value
        if struct is None or len(struct.type) < 2 or not flags:
            return merged
        line, differ = f"min({struct.sql})", " OR ".join(flags)
        return {
            name: field.with_value(
                Expression(
                    f"CASE WHEN {differ} THEN ({line}).{quote_identifier(name)} ELSE {field.value.sql} END",
                    field.value.type,
                )
            )
            if field.value
            else field
            for name, field in merged.items()
        }

    def lines(self, field: Field) -> CompiledField:
        """Compile the products of an order whose lines are rows."""
        # lists are sorted by their first member first; members without a field's name are not sent
        members = {
            f"ecdp_order_{i}": self.resolver.column("products.order_by", name, (self.resolver.rows,))
            for i, name in enumerate(self.order_by)
        }
        for child in field.fields:
            path = f"{field.name}.{child.name}"
            source = self.resolver.source(path)
            if isinstance(source, Value) and child.kind is Kind.LIST:
                member = self.resolver.whole(child, path, source, {})
            elif source:
                member = self.resolver.find(path, source, each=True)
            else:
                member = self.resolver.missing(path) if child.required else CompiledField()
            members[child.name] = CompiledField.of(member.value, (self.resolver.ambiguous(path), member))
        struct = _struct(members)
        by = ", ".join(self.order_by) or "all of a product's values"
        origin = CompiledField().from_origin(field.name, f"lines with the same id, sorted by {by}")
        product = _required(struct)
        # sorted when it is whole: an aggregate with ORDER BY takes more memory
        value = Expression(f"list_sort(list({product.sql}))", pa.list_(product.type))
        return CompiledField.of(value, (struct, origin))


def _struct(members: Mapping[str, CompiledField]) -> CompiledField:
    """Return a struct of the members that have a value; without any, it has none."""
    values = {name: member.value for name, member in members.items() if member.value is not None}
    sql = ", ".join(f"{quote_literal(name)}: {value.sql}" for name, value in values.items())
    type_ = pa.struct([(name, value.type) for name, value in values.items()])
    return CompiledField.of(Expression(f"{{{sql}}}", type_) if values else None, members.values())


def _required(struct: CompiledField) -> Expression:
    """Return the value of a struct; of one without members, which is refused later, an empty one."""
    return struct.value or Expression("{}", pa.struct([]))
