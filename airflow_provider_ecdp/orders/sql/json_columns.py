"""Columns of text that hold JSON where an order has an object or a list, as warehouses write their VARIANT and JSON.

Every value inside becomes text, which the checks read like any text. A text that is not the JSON that is asked for is a
problem of its order, and so is a value that cannot be the text of its field. Numbers are those of the text, but without
zeros at their end: 12.50 becomes 12.5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ORDER, Field, Kind
from airflow_provider_ecdp.orders.engine.arrow_types import is_text
from airflow_provider_ecdp.orders.engine.marks import DIGITS, OTHER_KIND
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.engine.tables import PROBLEMS, ROWS
from airflow_provider_ecdp.orders.names import folded_name
from airflow_provider_ecdp.orders.sql.disclosure import length_sql

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")

#: A text whose first key begins with a capital letter. To read keys in any case takes longer.
_CAPITAL = r"^\s*\[?\s*\{\s*\"[A-Z]"

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'

#: A comma that JSON does not allow.
_COMMA = r",\s*[\]}]"

#: Numbers of which a double may lose digits: it keeps 15 of them, and exponents of two digits.
_LONG = "-?[0-9][0-9.]{15,}(?:[eE][+-]?[0-9]+)?|-?[0-9][0-9.]*[eE][+-]?[0-9]{3,}"

_DIGITS = quote_literal(DIGITS)

_ATTRIBUTES = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))


def may_be_json(type_: pa.DataType) -> bool:
    """Whether a column of `type_` can hold JSON: text, or the engine's own type JSON."""
    if pa.types.is_dictionary(type_):
        return may_be_json(type_.value_type)
    return is_text(type_) or str(type_).startswith("extension<arrow.json")


def parsed(field: Field, raw: str, further: Mapping[str, Field] = MappingProxyType({})) -> tuple[str, pa.DataType]:
    """Return SQL and type of the object or list of `field` that the text `raw` holds; NULL where it holds another.

    Keys are those of the contract, in camelCase or snake_case; in any case, where the first of them begins with a
    capital letter, as in Snowflake's OBJECT_CONSTRUCT(*). For attributes, an object's keys are their names too.

    :param further: keys that are read beside those of the contract, with the fields for which they are read
    """
    if field.name.endswith("Attributes"):
        found, type_ = _attributes("ecdp_t"), _ATTRIBUTES
    else:
        found, members = _objects(field, further)
        type_ = members if field.kind is Kind.OBJECT else pa.list_(members)
    # the list of one element is a name for the text
    return f"list_transform([{_exact(f'CAST({raw} AS VARCHAR)')}], lambda ecdp_t: {found})[1]", type_


def _objects(field: Field, further: Mapping[str, Field]) -> tuple[str, pa.DataType]:
    """Return SQL of the object or list of objects in the text `ecdp_t`, and the type of an object."""
    paths = {child.name: _spellings(child.name) for child in field.fields}
    strict = {child.name for child in field.fields if _is_free_text(child)}
    own = {name.lower(): child for child, names in paths.items() for name in names}
    for key, of in further.items():
        # the engine tells the names of a struct's members apart by more than their case
        name = own.get(key.lower(), key)
        paths.setdefault(name, [key])
        strict |= {name} if _is_free_text(of) else set()
    lists = {child.name for child in field.fields if child.kind is Kind.LIST}

    def read(name: str, value: str) -> str:
        return _attributes(value) if name in lists else _text(value, fractions=name not in strict)

    def digits(name: str, value: str) -> str:
        # read as text by the engine itself, in half the time: the checks refuse what is no number
        return read(name, value) if name in lists | strict else f"replace({value}, {_DIGITS}, '')"

    as_spelled = {s: "JSON" if name in lists | strict else "VARCHAR" for name, names in paths.items() for s in names}
    spelled = _struct(paths, lambda name: f"ecdp_e.{quote_identifier(name)}", digits)
    folded = _struct(paths, _entry, read)
    # an array that is read as an object gives an object of nothing
    asked = "OBJECT" if field.kind is Kind.OBJECT else "ARRAY"
    found = (
        f"CASE WHEN TRY(json_type(ecdp_t)) = '{asked}' THEN "
        f"CASE WHEN regexp_matches(ecdp_t, {quote_literal(_CAPITAL)}) "
        f"THEN {_each(_lowered(_read(field, 'MAP(VARCHAR, JSON)')), folded)} "
        f"ELSE {_each(_read(field, as_spelled), spelled)} END END"
    )
    members = pa.struct([(name, _ATTRIBUTES if name in lists else pa.string()) for name in paths])
    return (f"({found})[1]" if field.kind is Kind.OBJECT else found), members


def _is_free_text(field: Field) -> bool:
    """Whether the checks take any text for `field`: a fraction, or a list, would hide behind it."""
    checked = field.kind is not Kind.TEXT or field.choices or field.name in ("value", "timeZone")
    return not checked


def _exact(raw: str) -> str:
    """Return SQL of a JSON text whose numbers keep their digits; NULL if it only resembles JSON.

    The engine takes a comma before a bracket for JSON, and reads numbers as doubles: those that are long become text.
    """
    comma = (
        f"regexp_matches({raw}, '{_COMMA}') AND regexp_matches(regexp_replace({raw}, '{_STRING}', '', 'g'), '{_COMMA}')"
    )
    marked = f"regexp_replace({raw}, '({_STRING})|({_LONG})', '\\1\"{DIGITS}\\2\"', 'g')"
    return (
        f"CASE WHEN contains({raw}, {_DIGITS}) OR ({comma}) THEN NULL "
        f"WHEN regexp_matches({raw}, '{_LONG}') THEN replace({marked}, '\"{DIGITS}\"', '') ELSE {raw} END"
    )


def _text(value: str, *, fractions: bool) -> str:
    """Return SQL of a JSON value as text: of a mark that the checks find, if it cannot be one.

    :param fractions: whether a number with a fraction can be text
    """
    number = "-?[0-9].*" if fractions else "-?[0-9]+"
    long = "substr(ecdp_v, 3, length(ecdp_v) - 3)"
    kind = (
        "CASE WHEN ecdp_v[1] = '{' THEN 'an object' WHEN ecdp_v[1] = '[' THEN 'a list' "
        f"WHEN regexp_matches(ecdp_v, '^\"?{DIGITS}?-?[0-9]') THEN 'a number with a fraction' "
        "ELSE 'NaN or infinity' END"
    )
    text = (
        f"CASE WHEN starts_with(ecdp_v, '\"{DIGITS}') THEN "
        f"CASE WHEN regexp_full_match({long}, '{number}') THEN {long} ELSE {quote_literal(OTHER_KIND)} || {kind} END "
        "WHEN starts_with(ecdp_v, '\"') THEN CASE WHEN contains(ecdp_v, '\\') "
        "THEN json_extract_string(ecdp_v, '$') ELSE substr(ecdp_v, 2, length(ecdp_v) - 2) END "
        f"WHEN ecdp_v IN ('true', 'false') OR regexp_full_match(ecdp_v, '{number}') THEN ecdp_v "
        f"WHEN ecdp_v IS NOT NULL THEN {quote_literal(OTHER_KIND)} || {kind} END"
    )
    return f"list_transform([CAST({value} AS VARCHAR)], lambda ecdp_v: {text})[1]"


def _spellings(name: str) -> list[str]:
    snake = _HUMP.sub("_", name).lower()
    return [name] if snake == name else [name, snake]


def _struct(paths: Mapping[str, list[str]], reach: Callable[[str], str], read: Callable[[str, str], str]) -> str:
    """Return SQL of a struct of what `read` makes of what `reach` finds by the first of a member's spellings."""
    members = []
    for name, spellings in paths.items():
        found = ", ".join(map(reach, spellings))
        found = f"coalesce({found})" if len(spellings) > 1 else found
        members.append(f"{quote_literal(name)}: {read(name, found)}")
    return f"{{{', '.join(members)}}}"


def _read(field: Field, structure: object) -> str:
    """Return SQL of the list of what the objects of the text `ecdp_t` hold; an object alone is one of them."""
    whole = json.dumps(structure if field.kind is Kind.OBJECT else [structure])
    found = f"TRY(json_transform(ecdp_t, {quote_literal(whole)}))"
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
    """Return SQL of the attributes that the JSON text `raw` lists, or has by their names."""
    listed = f"""TRY(json_transform({raw}, '[{{"name":"JSON","value":"JSON"}}]'))"""
    keyed = f"""map_entries(TRY(json_transform({raw}, '"MAP(VARCHAR, JSON)"')))"""
    value = _text("ecdp_a.value", fractions=True)
    name = _text("ecdp_a.name", fractions=False)
    return (
        f"CASE TRY(json_type({raw})) WHEN 'ARRAY' THEN list_transform({listed}, lambda ecdp_a: "
        f"CASE WHEN ecdp_a IS NOT NULL THEN {{'name': {name}, 'value': {value}}} END) "
        f"WHEN 'OBJECT' THEN list_transform({keyed}, lambda ecdp_a: {{'name': ecdp_a.key, 'value': {value}}}) END"
    )
