"""From the columns of an extract to the fields of the contract: each gets the SQL of its value and of its wire text.

Columns match fields whatever their case and underscores: `totalValue`, `total_value` and `TOTAL_VALUE` are one name.
A wire text is what stands in the JSON, before quoting; it is NULL where the value is absent or does not fit its kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError
from airflow_provider_ecdp.orders.contract import ORDER, STATUS_SPELLINGS, Field, Kind

#: The column in which a source tells of problems that it found itself: a list of {field, rule, got}.
PROBLEMS = "ecdp_problems"

#: The table of `zones.py` that the query joins where an order has a time zone.
ZONES = "ecdp_zones"

_JSON_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_OFFSET = r".*:[0-9]{2}([.,][0-9]+)? ?(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"


@dataclass(frozen=True, slots=True)
class Node:
    """A field of the contract, found in the extract.

    `raw` and `wire` are SQL; for an object or a list both are the value itself. `fits` says that every value that is
    not NULL has a wire text, so that no row needs a check of its kind. `var` names the element of a list.
    """

    field: Field
    raw: str
    wire: str
    fits: bool = True
    children: tuple[Node, ...] = ()
    var: str = ""

    def child(self, name: str) -> Node | None:
        """Return the node of a sub-field, None where the extract has no column for it."""
        return next((c for c in self.children if c.field.name == name), None)


@dataclass(frozen=True, slots=True)
class Mapping:
    """The order as the extract has it, and what became of the extract's columns.

    `problems` is SQL of the problems that the source found itself, None where it looks for none.
    """

    fields: tuple[Node, ...]
    used: tuple[str, ...]
    ignored: tuple[str, ...]
    problems: str | None = None

    def field(self, name: str) -> Node | None:
        """Return the node of a top-level field, None where the extract has no column for it."""
        return next((n for n in self.fields if n.field.name == name), None)


def match_columns(schema: pa.Schema, *, timezone: str | None = None, source: str = "extract") -> Mapping:
    """Match the columns of `schema` with the contract.

    :param timezone: IANA name of the zone in which timestamps without a zone are read; None refuses them
    :raises ColumnsError: required columns are missing, two columns are one field, or a kind cannot be a field's;
        all of it at once
    """
    matcher = _Matcher(timezone)
    columns = [schema.field(i) for i in range(len(schema)) if schema.field(i).name != PROBLEMS]
    fields, ignored = matcher.match(ORDER, columns, "o", "")
    if matcher.problems:
        held = ", ".join(f"{c.name} ({c.type})" if not pa.types.is_nested(c.type) else c.name for c in columns)
        lines = "".join(f"\n  - {problem}" for problem in matcher.problems)
        raise ColumnsError(
            f"the columns of the {source} do not make orders:{lines}\n"
            f"The {source} has: {held or 'no columns'}\n"
            "Name columns as the API's fields (camelCase or snake_case), or shape them with an SQL text "
            "that selects from `extract`."
        )
    used = tuple(c.name for c in columns if c.name not in ignored)
    return Mapping(fields, used, tuple(ignored), f"o.{PROBLEMS}" if PROBLEMS in schema.names else None)


class _Matcher:
    """Walks contract and columns together and gathers every problem before anyone is told."""

    def __init__(self, timezone: str | None) -> None:
        self.timezone = timezone
        self.problems: list[str] = []

    def match(
        self, fields: Sequence[Field], columns: Sequence[pa.Field], base: str, prefix: str
    ) -> tuple[tuple[Node, ...], list[str]]:
        named: dict[str, list[pa.Field]] = {}
        for column in columns:
            named.setdefault(folded_name(column.name), []).append(column)
        nodes = []
        for field in fields:
            path = f"{prefix}{field.name}"
            found = named.pop(folded_name(field.name), [])
            if len(found) > 1:
                names = " and ".join(repr(c.name) for c in found)
                self.problems.append(f"{path}: {names} are both this field; keep one of them")
            elif found:
                nodes.append(self.node(field, found[0].type, f"{base}.{quoted(found[0].name)}", path))
            elif field.required:
                self.problems.append(f"{path}: required, and no column has this name")
        if prefix == "customer." and not nodes:
            self.problems.append("customer: at least one of email, phone, crmId is required, and none is there")
        return tuple(nodes), [c.name for left in named.values() for c in left]

    def node(self, field: Field, type_: pa.DataType, raw: str, path: str) -> Node:
        if pa.types.is_dictionary(type_):
            type_, raw = type_.value_type, f"CAST({raw} AS VARCHAR)"
        if field.kind is Kind.OBJECT:
            return self.object_node(field, type_, raw, path)
        if field.kind is Kind.LIST:
            return self.list_node(field, type_, raw, path)
        wire, fits = _WIRES[field.kind](raw, type_, self.timezone)
        if pa.types.is_null(type_):
            wire, fits = "CAST(NULL AS VARCHAR)", True
        elif wire is None and field.name == "value" and not pa.types.is_nested(type_):
            # a feature has no type of its own: 1.5 and 2026-11-01 are good values
            wire, fits = f"CAST({raw} AS VARCHAR)", True
        if wire is None:
            self.problems.append(f"{path}: {_why_not(field.kind, type_)}")
            return Node(field, raw, raw)
        if field.choices:
            wire, fits = _choice(wire, field), False
        if field.name == "timeZone":
            wire, fits = f"{ZONES}.windows", False
        return Node(field, raw, wire, fits)

    def object_node(self, field: Field, type_: pa.DataType, raw: str, path: str) -> Node:
        if not pa.types.is_struct(type_):
            self.problems.append(f"{path}: must be a struct, not {type_}")
            return Node(field, raw, raw)
        children, _ = self.match(field.fields, _members(type_), raw, f"{path}.")
        return Node(field, raw, raw, children=children)

    def list_node(self, field: Field, type_: pa.DataType, raw: str, path: str) -> Node:
        var = "a" if field.name.endswith("Attributes") else "p"
        if pa.types.is_map(type_) and var == "a":
            # what a MAP of features is called is its key
            type_ = pa.list_(pa.struct([("name", type_.key_type), ("value", type_.item_type)]))
            raw = f"list_transform(map_entries({raw}), lambda e: {{'name': e.key, 'value': e.value}})"
        is_list = pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
        if not is_list or not pa.types.is_struct(type_.value_type):
            self.problems.append(f"{path}: must be a list of structs, not {type_}")
            return Node(field, raw, raw)
        children, _ = self.match(field.fields, _members(type_.value_type), var, f"{path}.")
        return Node(field, raw, raw, children=children, var=var)


def quoted(name: str) -> str:
    """Quote an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Quote an SQL string."""
    return "'" + value.replace("'", "''") + "'"


def folded_name(name: str) -> str:
    """Return the form in which names of columns and fields are compared."""
    return name.replace("_", "").lower()


def _members(type_: pa.DataType) -> list[pa.Field]:
    return [type_.field(i) for i in range(type_.num_fields)]


_Wire = tuple[str | None, bool]


def _text(raw: str, type_: pa.DataType, _: str | None) -> _Wire:
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return raw, True
    whole = pa.types.is_decimal(type_) and type_.scale == 0
    if whole or pa.types.is_integer(type_) or pa.types.is_boolean(type_) or str(type_).startswith("extension"):
        return f"CAST({raw} AS VARCHAR)", True
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        # some writers leave out the mark that says a BYTE_ARRAY is text
        return f"TRY(decode({raw}))", False
    return None, False


def _number(raw: str, type_: pa.DataType, _: str | None) -> _Wire:
    if pa.types.is_integer(type_) or pa.types.is_decimal(type_):
        return f"CAST({raw} AS VARCHAR)", True
    if pa.types.is_floating(type_):
        return f"CASE WHEN isfinite({raw}) THEN CAST({raw} AS VARCHAR) END", False
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        finite = f"isfinite(TRY_CAST({raw} AS DOUBLE))"
        return f"CASE WHEN regexp_full_match({raw}, '{_JSON_NUMBER}') AND {finite} THEN {raw} END", False
    return None, False


def _integer(raw: str, type_: pa.DataType, _: str | None) -> _Wire:
    small = pa.types.is_signed_integer(type_) and type_.bit_width <= 32
    if small or pa.types.is_uint8(type_) or pa.types.is_uint16(type_):
        return f"CAST({raw} AS VARCHAR)", True
    if pa.types.is_integer(type_):
        return f"CAST(TRY_CAST({raw} AS INTEGER) AS VARCHAR)", False
    if pa.types.is_decimal(type_) or pa.types.is_floating(type_):
        # a cast to INTEGER rounds; 1.5 pieces is no quantity
        return f"CASE WHEN {raw} = trunc({raw}) THEN CAST(TRY_CAST({raw} AS INTEGER) AS VARCHAR) END", False
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        whole = f"regexp_full_match({raw}, '[+-]?[0-9]+')"
        return f"CASE WHEN {whole} THEN CAST(TRY_CAST({raw} AS INTEGER) AS VARCHAR) END", False
    return None, False


def _timestamp(raw: str, type_: pa.DataType, timezone: str | None) -> _Wire:
    if pa.types.is_timestamp(type_) and type_.tz:
        return _instant(raw), False
    zone = text(timezone) if timezone else None
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return (_instant(f"timezone({zone}, CAST({raw} AS TIMESTAMP))"), False) if zone else (None, False)
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        naive = f"timezone({zone}, TRY_CAST({raw} AS TIMESTAMP))" if zone else "NULL"
        has_offset = f"regexp_full_match({raw}, '{_OFFSET}')"
        return _instant(f"CASE WHEN {has_offset} THEN TRY_CAST({raw} AS TIMESTAMPTZ) ELSE {naive} END"), False
    return None, False


def _instant(sql: str) -> str:
    # strftime knows infinity, and years that ISO 8601 does not write with four digits
    in_range = f"{sql} BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00Z' AND TIMESTAMPTZ '9999-12-31 23:59:59.999Z'"
    return f"CASE WHEN {in_range} THEN strftime({sql}, '%Y-%m-%dT%H:%M:%S.%gZ') END"


def _choice(wire: str, field: Field) -> str:
    spellings = {choice.lower(): choice for choice in field.choices} | STATUS_SPELLINGS
    cases = " ".join(f"WHEN {text(spelling)} THEN {text(choice)}" for spelling, choice in spellings.items())
    return f"CASE lower({wire}) {cases} END"


def _why_not(kind: Kind, type_: pa.DataType) -> str:
    if kind is Kind.TIMESTAMP and (pa.types.is_timestamp(type_) or pa.types.is_date(type_)):
        return (
            f"the column is {type_}, without a time zone, and none is declared; "
            "declare the zone of its values (timezone), for instance Europe/Warsaw"
        )
    if kind is Kind.TEXT and (pa.types.is_floating(type_) or pa.types.is_decimal(type_)):
        return f"must be text, not {type_}: as a fraction an id has lost its form; cast it where the extract is made"
    return f"must be {kind.value}, not {type_}"


_WIRES = {Kind.TEXT: _text, Kind.NUMBER: _number, Kind.INTEGER: _integer, Kind.TIMESTAMP: _timestamp}
