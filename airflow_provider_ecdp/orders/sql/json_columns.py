"""Columns of text that hold JSON where an order has an object or a list, as warehouses write their VARIANT and JSON.

Every value inside becomes text, which the checks read like any text. A text that is not the JSON that is asked for is a
problem of its order. The engine reads numbers as doubles: 12.50 becomes 12.5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ORDER, Field, Kind
from airflow_provider_ecdp.orders.engine.arrow_types import is_text
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.engine.tables import PROBLEMS, ROWS
from airflow_provider_ecdp.orders.names import folded_name
from airflow_provider_ecdp.orders.sql.disclosure import length_sql

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")

#: A text whose first key begins with a capital letter. To read keys in any case takes longer.
_CAPITAL = r"^\s*\[?\s*\{\s*\"[A-Z]"

_ATTRIBUTES = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))


def may_be_json(type_: pa.DataType) -> bool:
    """Whether a column of `type_` can hold JSON: text, or the engine's own type JSON."""
    if pa.types.is_dictionary(type_):
        return may_be_json(type_.value_type)
    return is_text(type_) or str(type_).startswith("extension<arrow.json")


def parsed(field: Field, raw: str, further: Iterable[str] = ()) -> tuple[str, pa.DataType]:
    """Return SQL and type of the object or list of `field` that the text `raw` holds; NULL where it holds another.

    Keys are those of the contract, in camelCase or snake_case; in any case, where the first of them begins with a
    capital letter, as in Snowflake's OBJECT_CONSTRUCT(*). For attributes, an object's keys are their names too.

    :param further: keys that are read beside those of the contract
    """
    raw = f"CAST({raw} AS VARCHAR)"
    if field.name.endswith("Attributes"):
        return _attributes(f"CASE WHEN json_valid({raw}) THEN {raw} END"), _ATTRIBUTES
    paths = {child.name: _spellings(child.name) for child in field.fields}
    known = {name.lower() for names in paths.values() for name in names}
    # the engine tells the names of a struct's members apart by more than their case
    paths |= {key: [key] for key in further if key.lower() not in known}
    lists = {child.name for child in field.fields if child.kind is Kind.LIST}
    members = [(name, _ATTRIBUTES if name in lists else pa.string()) for name in paths]
    as_spelled = {s: "JSON" if name in lists else "VARCHAR" for name, names in paths.items() for s in names}
    spelled = _struct(paths, lists, lambda name: f"ecdp_e.{quote_identifier(name)}")
    folded = _struct(paths, lists, _entry)
    # an array that is read as an object gives an object of nothing
    asked = "OBJECT" if field.kind is Kind.OBJECT else "ARRAY"
    given = f"TRY(json_type({raw})) = '{asked}'"
    found = f"CASE WHEN {given} THEN CASE WHEN regexp_matches({raw}, {quote_literal(_CAPITAL)}) "
    found += f"THEN {_each(_lowered(_read(field, raw, 'MAP(VARCHAR, VARCHAR)')), folded)} "
    found += f"ELSE {_each(_read(field, raw, as_spelled), spelled)} END END"
    type_ = pa.struct(members)
    return (f"({found})[1]", type_) if field.kind is Kind.OBJECT else (found, pa.list_(type_))


def _spellings(name: str) -> list[str]:
    snake = _HUMP.sub("_", name).lower()
    return [name] if snake == name else [name, snake]


def _struct(paths: Mapping[str, list[str]], lists: set[str], reach: Callable[[str], str]) -> str:
    """Return SQL of a struct of what `reach` finds by the first of a member's spellings that is there."""
    members = []
    for name, spellings in paths.items():
        found = ", ".join(map(reach, spellings))
        found = f"coalesce({found})" if len(spellings) > 1 else found
        members.append(f"{quote_literal(name)}: {_attributes(f'CAST({found} AS VARCHAR)') if name in lists else found}")
    return f"{{{', '.join(members)}}}"


def _read(field: Field, raw: str, structure: object) -> str:
    """Return SQL of the list of what the objects of a text hold; an object alone is one of them."""
    whole = json.dumps(structure if field.kind is Kind.OBJECT else [structure])
    found = f"TRY(json_transform({raw}, {quote_literal(whole)}))"
    return f"[{found}]" if field.kind is Kind.OBJECT else found


def _lowered(maps: str) -> str:
    """Return SQL of the entries of each map, with keys of small letters."""
    lowered = "lambda ecdp_k: {'key': lower(ecdp_k.key), 'value': ecdp_k.value}"
    return f"list_transform({maps}, lambda ecdp_m: list_transform(map_entries(ecdp_m), {lowered}))"


def _entry(key: str) -> str:
    return f"list_filter(ecdp_e, lambda ecdp_k: ecdp_k.key = {quote_literal(key.lower())})[1].value"


def _each(objects: str, struct: str) -> str:
    return f"list_transform({objects}, lambda ecdp_e: CASE WHEN ecdp_e IS NOT NULL THEN {struct} END)"


def unfolded(source: str, schema: pa.Schema) -> str | None:
    """Return SQL of `source` in which columns of text that are named as objects or lists are such.

    :param source: a SELECT, of the columns of `schema`
    """
    found = []
    for field in ORDER:
        named = [f for f in schema if field.fields and folded_name(f.name) == folded_name(field.name)]
        # two columns of one name are the matcher's to tell
        if len(named) == 1 and may_be_json(named[0].type):
            found.append((field, f"{ROWS}.{quote_identifier(named[0].name)}", quote_identifier(named[0].name)))
    if not found:
        return None
    read = ", ".join(f"{parsed(field, raw)[0]} AS ecdp_json_{i}" for i, (field, raw, _) in enumerate(found))
    told = ", ".join(
        problem(field.name, field, raw, f"{ROWS}.ecdp_json_{i}") for i, (field, raw, _) in enumerate(found)
    )
    problems = f"list_filter([{told}], lambda ecdp_x: ecdp_x IS NOT NULL)"
    left = ", ".join(f"ecdp_json_{i}" for i in range(len(found)))
    replaced = ", ".join(f"ecdp_json_{i} AS {name}" for i, (*_, name) in enumerate(found))
    if PROBLEMS in schema.names:
        replaced += f", {problems} || coalesce({ROWS}.{PROBLEMS}, []) AS {PROBLEMS}"
        problems = ""
    else:
        problems = f", {problems} AS {PROBLEMS}"
    inner = f"SELECT {ROWS}.*, {read} FROM ({source}\n) AS {ROWS}"
    return f"SELECT {ROWS}.* EXCLUDE ({left}) REPLACE ({replaced}){problems} FROM ({inner}) AS {ROWS}"


def problem(path: str, field: Field, raw: str, found: str) -> str:
    """Return SQL of the problem of a text that is not what is asked for, NULL where all is well.

    :param found: SQL of what `parsed` made of `raw`
    """
    rule = f"JSON text of {'an object' if field.kind is Kind.OBJECT else 'a list of objects'}"
    # JSON null is a value that is absent
    given = f"{raw} IS NOT NULL AND {found} IS NULL AND coalesce(TRY(json_type({raw})), '') <> 'NULL'"
    got = length_sql(f"CAST({raw} AS VARCHAR)")
    return f"CASE WHEN {given} THEN {{'field': {quote_literal(path)}, 'rule': {quote_literal(rule)}, 'got': {got}}} END"


def _attributes(raw: str) -> str:
    listed = f"""TRY(json_transform({raw}, '[{{"name":"VARCHAR","value":"VARCHAR"}}]'))"""
    keyed = f"""map_entries(TRY(json_transform({raw}, '"MAP(VARCHAR, VARCHAR)"')))"""
    return (
        f"CASE TRY(json_type({raw})) WHEN 'ARRAY' THEN {listed} "
        f"WHEN 'OBJECT' THEN list_transform({keyed}, lambda ecdp_a: {{'name': ecdp_a.key, 'value': ecdp_a.value}}) END"
    )
