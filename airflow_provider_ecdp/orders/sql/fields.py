"""Binds the columns of an extract to the fields of the contract, with SQL of each value, raw and encoded.

Columns match fields whatever their case and underscores: `totalValue`, `total_value` and `TOTAL_VALUE` are one name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError
from airflow_provider_ecdp.orders.contract import ORDER, Field, Kind, folded_name, on_one_line
from airflow_provider_ecdp.orders.engine.arrow_types import readable
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.engine.tables import DIFFERS, PROBLEMS, ZONES
from airflow_provider_ecdp.orders.names import likely, listed
from airflow_provider_ecdp.orders.sql.blank_text import unless_blank
from airflow_provider_ecdp.orders.sql.coercion import (
    NOT_FINITE,
    EncodedValue,
    as_text,
    blank,
    encode,
    plain,
    scalar,
    shown,
    why_not,
)

#: The rule that an unknown time zone breaks.
ZONE = "a Windows or IANA time zone"

#: Fields whose values are lists: what is in them is no column that the query could make.
_LISTS = frozenset(field.name for field in ORDER if field.kind is Kind.LIST)

_MISSING = "required, but there is no such column"

_NO_CONTACT = "needs email, phone or crmId; all are missing"


@dataclass(frozen=True, slots=True)
class Node:
    """A field of the contract, found in the extract.

    `raw` and `encoded` are SQL; for an object or a list both are the value itself. `rule` is broken by a value
    that is not NULL and has no encoded value; None if every value has one. `var` names the element of a list. `shown`
    is SQL of the text to show of a value that does not fit, if not the value's own. Where `made` is set, `encoded` is a
    column that the query makes of it: checks and text share it, and the engine binds and computes it once. `blank` is
    SQL of whether the value is blank text, and absent for that; empty if it cannot be. `number` is SQL of the encoded
    value as a number of the engine's; empty if it is text there.
    """

    field: Field
    raw: str
    encoded: str
    rule: str | None = None
    children: tuple[Node, ...] = ()
    var: str = ""
    shown: str = ""
    made: str = ""
    blank: str = ""
    number: str = ""

    @property
    def double(self) -> str:
        """SQL of the encoded value as a DOUBLE."""
        return f"CAST({self.number} AS DOUBLE)" if self.number else f"TRY_CAST({self.encoded} AS DOUBLE)"

    @property
    def below_zero(self) -> str:
        """SQL of whether the encoded value is a number below zero; -0.00 is not."""
        return f"{self.number or self.double} < 0"

    def child(self, name: str) -> Node | None:
        """Return the node of a sub-field, None where the extract has no column for it."""
        return next((c for c in self.children if c.field.name == name), None)


@dataclass(frozen=True, slots=True)
class FieldBinding:
    """The order as the extract has it, and the columns that were used and ignored.

    `problems` is SQL of the problems that the source found itself, None where it looks for none. `differs` names the
    flags of DIFFERS.
    """

    nodes: tuple[Node, ...]
    used: tuple[str, ...]
    ignored: tuple[str, ...]
    problems: str | None = None
    differs: tuple[str, ...] = ()

    @property
    def made(self) -> Iterator[Node]:
        """The nodes whose encoded value is a column that the query makes."""
        return (node for parent in self.nodes for node in (parent, *parent.children) if node.made)

    def field(self, name: str) -> Node | None:
        """Return the node of a top-level field, None where the extract has no column for it."""
        return next((n for n in self.nodes if n.field.name == name), None)


def match_columns(
    schema: pa.Schema,
    *,
    timezone: str | None = None,
    source: str = "extract",
    explained: Mapping[str, str] | None = None,
    likely_columns: Callable[[pa.Schema], Mapping[str, Sequence[str]]] | None = None,
) -> FieldBinding:
    """Match the columns of `schema` with the contract.

    :param timezone: IANA name of the zone in which timestamps without a zone are read; None refuses them
    :param explained: where a field comes from, in words, by its path, for messages
    :param likely_columns: returns the columns that a field may be in under another name, by its path, for messages
    :raises ColumnsError: required columns are missing, two columns are one field, or a kind cannot be a field's;
        all of it at once
    """
    matcher = _Matcher(timezone, explained or {})
    columns = [schema.field(i) for i in range(len(schema)) if schema.field(i).name not in (PROBLEMS, DIFFERS)]
    fields, ignored = matcher.match(ORDER, columns, "o", "")
    if matcher.problems:
        shown = listed([f"{c.name} ({c.type})" if not pa.types.is_nested(c.type) else c.name for c in columns])
        columns_by_path = likely_columns(pa.schema(columns)) if likely_columns else {}
        lines = "".join(
            f"\n  - {problem}{likely(columns_by_path.get(path, ())) if problem.endswith(_MISSING) else ''}"
            for path, problem in matcher.problems
        )
        text = (
            f"{lines}\nThe {source} has: {shown or 'no columns'}\n"
            "Name columns like the API's fields (camelCase or snake_case), map them, or transform them with an SQL "
            "text that selects from `extract`. `ecdp mapping suggest EXTRACT` drafts a mapping."
        )
        if all(problem.endswith((_MISSING, _NO_CONTACT)) for _, problem in matcher.problems):
            raise ColumnsError(f"the {source} is missing columns that an order needs:{text}")
        raise ColumnsError(f"the {source} has columns that do not fit an order:{text}")
    used = tuple(c.name for c in columns if c.name not in ignored)
    differs = tuple(flag.name for flag in schema.field(DIFFERS).type) if DIFFERS in schema.names else ()
    return FieldBinding(fields, used, tuple(ignored), f"o.{PROBLEMS}" if PROBLEMS in schema.names else None, differs)


def column_problems(
    schema: pa.Schema, *, timezone: str | None, explained: Mapping[str, str]
) -> Sequence[tuple[str, str]]:
    """Return the problems that `match_columns` would raise: paths of fields, and sentences."""
    matcher = _Matcher(timezone, explained)
    matcher.match(ORDER, list(schema), "o", "")
    return matcher.problems


class _Matcher:
    """Walks the contract and the columns in parallel, and gathers every problem before it is raised."""

    def __init__(self, timezone: str | None, explained: Mapping[str, str]) -> None:
        self.timezone = timezone
        self.explained = explained
        self.problems: list[tuple[str, str]] = []

    def note(self, path: str, problem: str) -> None:
        # a member of an object that is a column comes from that column
        paths = [path[:end] for end, dot in enumerate(path + ".") if dot == "." and path[:end] in self.explained]
        source = f" ({self.explained[paths[-1]]})" if paths else ""
        # types have the names of members, which may have line breaks
        self.problems.append((path, f"{path}{source}: {on_one_line(problem)}"))

    def match(
        self, fields: Sequence[Field], columns: Sequence[pa.Field], base: str, prefix: str
    ) -> tuple[tuple[Node, ...], list[str]]:
        named: dict[str, list[pa.Field]] = {}
        for column in columns:
            named.setdefault(folded_name(column.name), []).append(column)
        nodes = []
        for field in fields:
            path = f"{prefix}{field.name}"
            same_name = named.pop(folded_name(field.name), [])
            if len(same_name) > 1:
                names = " and ".join(repr(c.name) for c in same_name)
                self.note(path, f"{names} both name this field; keep one of them")
            elif same_name:
                count = len(self.problems)
                nodes.append(self.node(field, same_name[0].type, f"{base}.{quote_identifier(same_name[0].name)}", path))
                if not readable(same_name[0].type) and count == len(self.problems):
                    self.note(path, f"the engine does not support all types in {same_name[0].type}")
            elif field.required:
                self.note(path, _MISSING)
        if prefix == "customer." and not nodes and not any(p.startswith(prefix) for p, _ in self.problems):
            self.note("customer", _NO_CONTACT)
        return tuple(nodes), [c.name for left in named.values() for c in left]

    def node(self, field: Field, type_: pa.DataType, raw: str, path: str) -> Node:
        if field.kind is Kind.OBJECT:
            return self.object_node(field, *plain(raw, type_), path)
        if field.kind is Kind.LIST:
            return self.list_node(field, *plain(raw, type_), path)
        raw, type_ = scalar(field, raw, type_)
        raw = as_text(raw, type_)
        encoded = encode(field, raw, type_, self.timezone)
        if encoded is None:
            self.note(path, why_not(field, type_))
            return Node(field, raw, raw)
        absent = "" if field.required else blank(raw, type_)
        unfit = shown(raw, type_)
        if field.name == "timeZone":
            # names are ASCII: other types are cast only to compare with them, and to show them
            raw, encoded, unfit = f"CAST({raw} AS VARCHAR)", EncodedValue(f"{ZONES}.windows", ZONE), ""
        elif field.kind is Kind.TEXT and pa.types.is_floating(type_):
            # of an attribute: no other text takes a float, and every finite one is its text
            unfit = quote_literal(NOT_FINITE)
        node = Node(field, raw, encoded.sql, encoded.rule, shown=unfit, blank=absent, number=encoded.number)
        if path.partition(".")[0] in _LISTS:
            # blank text of lists is left out of the JSON text of the order: an element at a time, it takes much longer
            return node
        made = unless_blank(encoded.sql) if absent and field.any_text else encoded.sql
        return replace(node, encoded=f"o.ecdp_{path.replace('.', '_')}", made=made)

    def object_node(self, field: Field, raw: str, type_: pa.DataType, path: str) -> Node:
        if pa.types.is_null(type_):
            # a writer gives this type to a column without a value: each order gets the problem that it has none
            type_, members = _without_values(field)
            raw = f"CAST({raw} AS {members})"
        if not pa.types.is_struct(type_):
            self.note(path, f"must be a struct, not {type_}")
            return Node(field, raw, raw)
        children, _ = self.match(field.fields, _members(type_), raw, f"{path}.")
        return Node(field, raw, raw, children=children)

    def list_node(self, field: Field, raw: str, type_: pa.DataType, path: str) -> Node:
        var = "a" if field.name.endswith("Attributes") else "p"
        if pa.types.is_map(type_) and var == "a":
            # the key of a MAP of attributes is the attribute's name
            type_ = pa.list_(pa.struct([("name", type_.key_type), ("value", type_.item_type)]))
            raw = f"list_transform(map_entries({raw}), lambda e: {{'name': e.key, 'value': e.value}})"
        is_list = pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
        if pa.types.is_null(type_) or (is_list and pa.types.is_null(type_.value_type)):
            # writers give this type to a column in which no list has an element
            element, members = _without_values(field)
            type_ = pa.list_(element)
            raw = f"CAST({raw} AS {members}[])"
        elif not is_list or not pa.types.is_struct(type_.value_type):
            self.note(path, f"must be a list of structs, not {type_}")
            return Node(field, raw, raw)
        children, _ = self.match(field.fields, _members(type_.value_type), var, f"{path}.")
        return Node(field, raw, raw, children=children, var=var)


def _without_values(field: Field) -> tuple[pa.DataType, str]:
    """Return the type of a struct whose members have no values, as Arrow's and as SQL."""
    members = ", ".join(f"{quote_identifier(f.name)} VARCHAR" for f in field.fields)
    return pa.struct([(f.name, pa.null()) for f in field.fields]), f"STRUCT({members})"


def _members(type_: pa.DataType) -> list[pa.Field]:
    return [type_.field(i) for i in range(type_.num_fields)]
