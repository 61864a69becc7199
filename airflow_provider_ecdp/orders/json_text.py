"""Columns of text that hold JSON where an order has an object or a list, as warehouses write their VARIANT and JSON.

Every value inside becomes text, which the checks read like any text. A text that is not the JSON that is asked for is a
problem of its order. The engine reads numbers as doubles: 12.50 becomes 12.5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ORDER, Field, Kind
from airflow_provider_ecdp.orders.mapping import PROBLEMS, folded_name
from airflow_provider_ecdp.orders.wires import is_text, text

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")

_ATTRIBUTES = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))


def may_be_json(type_: pa.DataType) -> bool:
    """Whether a column of `type_` can hold JSON: text, or the engine's own type JSON."""
    if pa.types.is_dictionary(type_):
        return may_be_json(type_.value_type)
    return is_text(type_) or str(type_).startswith("extension<arrow.json")


def parsed(field: Field, raw: str, further: Iterable[str] = ()) -> tuple[str, pa.DataType]:
    """Return SQL and type of the object or list of `field` that the text `raw` holds; NULL where it holds another.

    Keys are those of the contract, in camelCase or snake_case; for attributes, an object's keys are their names too.

    :param further: keys that are read beside those of the contract
    """
    raw = f"CAST({raw} AS VARCHAR)"
    if field.name.endswith("Attributes"):
        return _attributes(f"CASE WHEN json_valid({raw}) THEN {raw} END"), _ATTRIBUTES
    structure: dict[str, str] = {}
    members: dict[str, str] = {}
    for child in field.fields:
        snake = _HUMP.sub("_", child.name).lower()
        spellings = [child.name] if snake == child.name else [child.name, snake]
        kind = "JSON" if child.kind is Kind.LIST else "VARCHAR"
        structure |= dict.fromkeys(spellings, kind)
        found = ", ".join(f"e.{_identifier(s)}" for s in spellings)
        found = f"coalesce({found})" if len(spellings) > 1 else found
        members[child.name] = _attributes(f"CAST({found} AS VARCHAR)") if child.kind is Kind.LIST else found
    known = {name.lower() for name in structure}
    for key in further:
        # the engine tells the names of a struct's members apart by more than their case
        if key.lower() not in known:
            structure[key] = "VARCHAR"
            members[key] = f"e.{_identifier(key)}"
    whole: object = structure if field.kind is Kind.OBJECT else [structure]
    found = f"TRY(json_transform({raw}, {text(json.dumps(whole))}))"
    struct = ", ".join(f"{text(name)}: {sql}" for name, sql in members.items())
    type_ = pa.struct([(name, _ATTRIBUTES if name.endswith("Attributes") else pa.string()) for name in members])
    # an array that is read as an object gives an object of nothing
    asked = "OBJECT" if field.kind is Kind.OBJECT else "ARRAY"
    found = f"CASE WHEN TRY(json_type({raw})) = '{asked}' THEN {found} END"
    if field.kind is Kind.OBJECT:
        return f"list_transform([{found}], lambda e: CASE WHEN e IS NOT NULL THEN {{{struct}}} END)[1]", type_
    return f"list_transform({found}, lambda e: CASE WHEN e IS NOT NULL THEN {{{struct}}} END)", pa.list_(type_)


def unfolded(source: str, schema: pa.Schema) -> str | None:
    """Return SQL of `source` in which columns of text that are named as objects or lists are such.

    :param source: a SELECT, of the columns of `schema`
    """
    found = []
    for field in ORDER:
        named = [f for f in schema if field.fields and folded_name(f.name) == folded_name(field.name)]
        # two columns of one name are the matcher's to tell
        if len(named) == 1 and may_be_json(named[0].type):
            found.append((field, f"e.{_identifier(named[0].name)}", _identifier(named[0].name)))
    if not found:
        return None
    read = ", ".join(f"{parsed(field, raw)[0]} AS ecdp_json_{i}" for i, (field, raw, _) in enumerate(found))
    told = ", ".join(problem(field.name, field, raw, f"e.ecdp_json_{i}") for i, (field, raw, _) in enumerate(found))
    problems = f"list_filter([{told}], lambda x: x IS NOT NULL)"
    left = ", ".join(f"ecdp_json_{i}" for i in range(len(found)))
    replaced = ", ".join(f"ecdp_json_{i} AS {name}" for i, (*_, name) in enumerate(found))
    if PROBLEMS in schema.names:
        replaced += f", {problems} || coalesce(e.{PROBLEMS}, []) AS {PROBLEMS}"
        problems = ""
    else:
        problems = f", {problems} AS {PROBLEMS}"
    inner = f"SELECT e.*, {read} FROM ({source}\n) AS e"
    return f"SELECT e.* EXCLUDE ({left}) REPLACE ({replaced}){problems} FROM ({inner}) AS e"


def problem(path: str, field: Field, raw: str, found: str) -> str:
    """Return SQL of the problem of a text that is not what is asked for, NULL where all is well.

    :param found: SQL of what `parsed` made of `raw`
    """
    rule = f"JSON text of {'an object' if field.kind is Kind.OBJECT else 'a list of objects'}"
    # JSON null is a value that is absent
    given = f"{raw} IS NOT NULL AND {found} IS NULL AND coalesce(TRY(json_type({raw})), '') <> 'NULL'"
    got = f"'text of ' || length(CAST({raw} AS VARCHAR)) || ' characters'"
    return f"CASE WHEN {given} THEN {{'field': {text(path)}, 'rule': {text(rule)}, 'got': {got}}} END"


def _attributes(raw: str) -> str:
    listed = f"""TRY(json_transform({raw}, '[{{"name":"VARCHAR","value":"VARCHAR"}}]'))"""
    keyed = f"""map_entries(TRY(json_transform({raw}, '"MAP(VARCHAR, VARCHAR)"')))"""
    return (
        f"CASE TRY(json_type({raw})) WHEN 'ARRAY' THEN {listed} "
        f"WHEN 'OBJECT' THEN list_transform({keyed}, lambda a: {{'name': a.key, 'value': a.value}}) END"
    )


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
