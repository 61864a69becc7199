"""A mapping and the columns of an extract become one SELECT, which everything after it takes like a user's own.

Order lines, one row each, are grouped by the order's id. What comes out does not depend on where the lines stand: an
order's own values are the smallest of its lines, and its products are sorted. Values that mean something only together,
as those of a customer do, come from one line where the lines do not agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError
from airflow_provider_ecdp.orders.contract import ORDER, Field, Kind
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.engine.tables import DIFFERS, PROBLEMS, ROWS
from airflow_provider_ecdp.orders.mapping.resolver import ColumnResolver
from airflow_provider_ecdp.orders.mapping.spec import ColumnMapping, Value, folded_path
from airflow_provider_ecdp.orders.mapping.sums import total
from airflow_provider_ecdp.orders.names import Expression, Scope
from airflow_provider_ecdp.orders.sql.fields import column_problems

#: The time of an order: in another zone it is another time.
_MOMENT = ("date", "timeZone")


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """What became of a mapping.

    :param sql: one SELECT that returns columns named as the API's fields
    :param key: the column by whose values order lines go together; None if it is no plain column, or a row is an order
    :param lines: whether a row is an order line
    :param explained: where each field comes from, in words, by its path
    """

    sql: str
    key: str | None
    lines: bool
    explained: dict[str, str]


def shape(
    mapping: ColumnMapping,
    schema: pa.Schema,
    spelled: Mapping[str, str],
    source: str,
    held: str,
    *,
    timezone: str | None,
    problems: str | None = None,
) -> CompiledMapping:
    """Compile `mapping` for an extract with the columns of `schema`.

    Fields that the mapping does not name are matched by the columns' names; `customer_email` is `customer.email`.

    :param schema: names as in the extract, types as the engine has them
    :param spelled: by the name of a column, its name in SQL
    :param source: SQL that can stand after FROM
    :param held: tells the columns of the extract, for messages
    :param timezone: IANA name of the zone in which timestamps without a zone are read
    :param problems: SQL name of the column in which the source notes problems of orders, if there is one
    :raises ColumnsError: the mapping names what is not there, leaves out what is required, or a column's type cannot
        serve; all of it at once
    """
    shaping = _Shaping(mapping, schema, spelled, timezone)
    fields = shaping.fields()
    result = pa.schema([(name, found.type) for name, found in fields.items()])
    for path, problem in column_problems(result, timezone=timezone, explained=shaping.find.explained):
        shaping.find.add(path, problem)
    if shaping.find.problems:
        lines = "".join(f"\n  - {problem}" for problem in shaping.find.problems)
        raise ColumnsError(f"the mapping and the columns of the extract do not make orders:{lines}\n{held}")
    return CompiledMapping(
        shaping.select(fields, source, problems), shaping.key, shaping.find.lines, shaping.find.explained
    )


class _Shaping:
    """Walks the contract and finds the SQL of each field."""

    def __init__(
        self, mapping: ColumnMapping, schema: pa.Schema, spelled: Mapping[str, str], timezone: str | None
    ) -> None:
        self.find = ColumnResolver(mapping, schema, spelled, timezone)
        self.order_by = mapping.order_by
        #: what order lines are grouped by
        self.group: str | None = None
        self.key: str | None = None
        if self.order_by and not self.find.lines:
            self.find.note("products.order_by goes with order lines, one row each; here a row is an order")

    def fields(self) -> dict[str, Expression]:
        """Return the SQL of each field of the order that something gives."""
        found: dict[str, Expression] = {}
        for field in ORDER:
            if made := self.field(field):
                found[field.name] = made
            if field.name == _MOMENT[-1]:
                moment = {name: found[name] for name in _MOMENT if name in found}
                found |= self.of_one_line("", moment, _MOMENT[-1:])
        return found

    def field(self, field: Field) -> Expression | None:
        """Return the SQL of a field of the order; None if nothing gives it."""
        if field.name == "id" and self.find.lines:
            return self.id()
        if field.name == "products":
            return self.lines(field) if self.find.lines else self.column(field)
        source = self.find.source(field.name)
        if field.kind is Kind.OBJECT:
            return self.members_of_rows(field) if source is None else self.column(field)
        if field.kind is Kind.LIST and isinstance(source, Value):
            return self.column(field)
        if isinstance(source, Value) and source.summed:
            return self.find.sum(field.name, source)
        if source is None and field.required:
            self.find.missing(field.name)
        return self.find.find(field.name, source, each=field.name in _MOMENT) if source else None

    def id(self) -> Expression | None:
        """Return the SQL of the id of an order whose lines are rows, and group by it."""
        source = self.find.source("id")
        if not isinstance(source, Value):
            self.find.missing("id")
            return None
        found = self.find.find("id", source, each=True)
        if found and found.constant:
            self.find.note("id: order lines are grouped by it, so it cannot be a constant")
        if source.columns and not source.changes and source.default is None:
            self.key = self.find.rows.column(source.columns[0])
        self.group = found.sql if found else None
        return found

    def column(self, field: Field) -> Expression | None:
        """Return the SQL of an object or a list that is a column, with what the mapping says of its members."""
        source = self.find.source(field.name)
        if not isinstance(source, Value):
            self.find.missing(field.name)
            return None
        given = {child: self.find.mapped(f"{field.name}.{child.name}") for child in field.fields}
        names = {v.columns[0]: child for child, v in given.items() if isinstance(v, Value) and v.columns}
        found = self.find.whole(field, field.name, source, names)
        if found is None:
            return None
        members = found.type if field.kind is Kind.OBJECT else getattr(found.type, "value_type", pa.null())
        if not pa.types.is_struct(members) or not (self.find.lines or any(given.values())):
            # it is taken as it is; what has a wrong type is the matcher's to tell
            return self.find.of_order(field.name, found)
        if field.kind is Kind.LIST:
            struct = _struct(self.members(field, Scope.of_struct("ecdp_p", members)))
            each = f"lambda ecdp_p: CASE WHEN ecdp_p IS NOT NULL THEN {struct.sql} END"
            made = Expression(f"list_transform({found.sql}, {each})", pa.list_(struct.type))
            return self.find.of_order(field.name, made)
        struct = _struct(self.members(field, Scope.of_struct(found.sql, members)))
        sql = struct.sql if self.find.lines else f"CASE WHEN {found.sql} IS NOT NULL THEN {struct.sql} END"
        return Expression(sql, struct.type)

    def members(self, field: Field, inner: Scope) -> dict[str, Expression]:
        """Return the members of an object: those that the mapping names, and those that `inner` has by name."""
        by_name = {folded_path(name): name for name in inner.types}
        found = {}
        for child in field.fields:
            path = f"{field.name}.{child.name}"
            name = by_name.get(folded_path(child.name))
            source = self.find.mapped(path) or (Value((name,)) if name else None)
            member = self.find.find(path, source, inner, each=True) if source else None
            if member:
                found[child.name] = member
        return found if field.kind is Kind.LIST else self.of_one_line(f"{field.name}.", found, found)

    def members_of_rows(self, field: Field) -> Expression | None:
        """Return the SQL of an object whose members are columns of the extract."""
        paths = {child.name: f"{field.name}.{child.name}" for child in field.fields}
        sources = {name: source for name, path in paths.items() if (source := self.find.source(path))}
        members = {n: found for n, source in sources.items() if (found := self.find.find(paths[n], source, each=True))}
        if not members:
            self.find.missing(field.name)
        return _struct(self.of_one_line(f"{field.name}.", members, members)) if members else None

    def of_one_line(self, prefix: str, rows: dict[str, Expression], apart: Iterable[str]) -> dict[str, Expression]:
        """Return the values of an order from those of its rows: all from one line, where one in `apart` differs.

        :param prefix: what stands before their names in a path
        """
        found = {name: self.find.of_order(f"{prefix}{name}", row) for name, row in rows.items()}
        flags = [flag for name in apart if (flag := self.find.differing.get(f"{prefix}{name}"))]
        if len(rows) < 2 or not flags:
            return found
        line, differ = f"min({_struct(rows).sql})", " OR ".join(flags)
        return {
            name: Expression(
                f"CASE WHEN {differ} THEN ({line}).{quote_identifier(name)} ELSE {merged.sql} END", merged.type
            )
            for name, merged in found.items()
        }

    def lines(self, field: Field) -> Expression:
        """Return the SQL of the products of an order whose lines are rows."""
        members: dict[str, Expression] = {}
        for i, name in enumerate(self.order_by):
            if found := self.find.column("products.order_by", name, (self.find.rows,)):
                # lists are sorted by their first member first; what has no field's name is not sent
                members[f"ecdp_order_{i}"] = found
        for child in field.fields:
            path = f"{field.name}.{child.name}"
            source = self.find.source(path)
            member: Expression | None = None
            if isinstance(source, Value) and child.kind is Kind.LIST:
                member = self.find.whole(child, path, source, {})
            elif source:
                member = self.find.find(path, source, each=True)
            elif child.required:
                self.find.missing(path)
            if member:
                members[child.name] = member
        by = ", ".join(self.order_by) or "all of a product's values"
        self.find.explained["products"] = f"lines with one id, sorted by {by}"
        struct = _struct(members)
        # sorted when it is whole: an aggregate with ORDER BY takes more memory
        return Expression(f"list_sort(list({struct.sql}))", pa.list_(struct.type))

    def select(self, fields: dict[str, Expression], source: str, noted: str | None) -> str:
        """Return the SELECT.

        :param noted: the column in which the source notes problems
        """
        columns = [f"{found.sql} AS {quote_identifier(name)}" for name, found in fields.items()]
        told = [f"any_value({ROWS}.{name})" if self.group else f"{ROWS}.{name}" for name in self.find.told]
        if noted:
            noted = (
                f"any_value({ROWS}.{quote_identifier(noted)})" if self.group else f"{ROWS}.{quote_identifier(noted)}"
            )
        if problems := _problems(told, noted):
            columns.append(f"{problems} AS {PROBLEMS}")
        if self.find.differing:
            flags = ", ".join(f"{quote_literal(path)}: {sql}" for path, sql in self.find.differing.items())
            columns.append(f"{{{flags}}} AS {DIFFERS}")
        made = [f"{sql} AS {name}" for name, sql in self.find.computed.items()]
        if made:
            source = f"(SELECT {ROWS}.*, {', '.join(made)} FROM {source} AS {ROWS})"
        sql = f"SELECT {', '.join(columns)} FROM {source} AS {ROWS}{f' GROUP BY {self.group}' if self.group else ''}"
        return self.added(sql, bool(problems)) if self.find.sums else sql

    def added(self, sql: str, told: bool) -> str:
        """Return `sql` with the sums that it has gathered added up.

        :param told: whether it has the column PROBLEMS
        """
        gathered = {path: f"{ROWS}.{quote_identifier(path)}" for path in self.find.sums}
        replaced = [f"{total(found)} AS {quote_identifier(path)}" for path, found in gathered.items()]
        more = [of.problem(path, gathered[path]) for path, of in self.find.sums.items()]
        problems = f"{_problems(more, f'{ROWS}.{PROBLEMS}' if told else None)} AS {PROBLEMS}"
        columns = f"{ROWS}.* REPLACE ({', '.join([*replaced, problems] if told else replaced)})"
        return f"SELECT {columns}{'' if told else f', {problems}'} FROM ({sql}) AS {ROWS}"


def _problems(told: Iterable[str], given: str | None) -> str:
    """Return SQL of the list of those that are not NULL, behind those that are given; nothing if there are none."""
    made = ", ".join(told)
    lists = [f"coalesce({given}, [])"] if given else []
    return " || ".join([*lists, f"list_filter([{made}], lambda ecdp_x: ecdp_x IS NOT NULL)"] if made else lists)


def _struct(members: dict[str, Expression]) -> Expression:
    sql = ", ".join(f"{quote_literal(name)}: {found.sql}" for name, found in members.items())
    return Expression(f"{{{sql}}}", pa.struct([(name, found.type) for name, found in members.items()]))
