"""Columns of text that hold JSON where an order has an object or a list, as warehouses write their VARIANT and JSON.

Every value inside becomes text, which the checks read like any text. A text that is not the expected JSON is a problem
of its order, and so is a value that cannot be the text of its field. Numbers are those of the text, but without zeros
at their end: 12.50 becomes 12.5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ATTRIBUTE, ORDER, Field, Kind, folded_name
from airflow_provider_ecdp.orders.engine.arrow_types import is_json, is_text
from airflow_provider_ecdp.orders.engine.marks import DIGITS, ONE_KEY, ONE_VALUE, OTHER_KIND, REPEATED_KEY
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.engine.tables import PROBLEMS, ROWS
from airflow_provider_ecdp.orders.sql.blank_text import is_blank
from airflow_provider_ecdp.orders.sql.disclosure import length_sql

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")

#: A text whose first key begins with a capital letter. To read keys in any case takes longer.
_CAPITAL = r"^\s*\[?\s*\{\s*\"[A-Z]"

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'

#: Blanks around a JSON value.
_BLANKS = "e' \\t\\n\\r'"

JSON_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"

#: A comma that JSON does not allow.
_COMMA = r",\s*[\]}]"

#: Numbers of which a double may lose digits: it keeps 15 of them, and exponents of two digits.
_LONG = "-?[0-9][0-9.]{15,}(?:[eE][+-]?[0-9]+)?|-?[0-9][0-9.]*[eE][+-]?[0-9]{3,}"

#: Matches where a member of an object may be such a number.
_LONG_MEMBER = r":\s*-?[0-9](?:[0-9.]{15}|[0-9.]*[eE][+-]?[0-9]{3})"

_DIGITS = quote_literal(DIGITS)

#: A key with a letter that is written as its number: it may be any of the keys.
_ESCAPED_KEY = r'(?i)\\u00[4-7][0-9a-f][^"]*"\s*:'

#: Precedes the number of a character in JSON.
_ESCAPE = r"'\u00'"

#: An attribute in whose text the name or the value appears twice.
_REPEATED_MEMBER = "(?i)" + "|".join(
    rf'"{field.name}"\s*:(?:[^{{}}"]|{_STRING})*"{field.name}"\s*:' for field in ATTRIBUTE
)

#: Keys of an object whose distinctness is tested in pairs, which is fastest for few.
_FEW_KEYS = 100

#: Precedes a key that is not case-sensitive.
_ANY_CASE = " "

#: The rule that a text breaks where a list is expected.
_LIST = "JSON text of a list of objects"

_ATTRIBUTES = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))

_PROBLEMS = pa.list_(pa.struct([(name, pa.string()) for name in ("field", "rule", "got")]))


def may_be_json(type_: pa.DataType) -> bool:
    """Whether a column of `type_` can hold JSON: text, or the engine's own type JSON."""
    if pa.types.is_dictionary(type_):
        return may_be_json(type_.value_type)
    return is_text(type_) or is_json(type_)


def parsed(field: Field, raw: str, further: Mapping[str, Field] = MappingProxyType({})) -> tuple[str, pa.DataType]:
    """Return SQL and type of the object or list of `field` that the text `raw` holds; NULL where it holds another.

    Keys are those of the contract, in camelCase or snake_case; in any case, where the first of them begins with a
    capital letter, as in Snowflake's OBJECT_CONSTRUCT(*). For attributes, an object's keys are their names too.

    :param further: keys that are read in addition to those of the contract, with the fields for which they are read
    """
    text = f"CAST({raw} AS VARCHAR)"
    if field.name.endswith("Attributes"):
        return _let(_exact(text), _attributes("ecdp_t", inside=False)), _ATTRIBUTES
    value, members = _objects(field, text, further)
    return value, members if field.kind is Kind.OBJECT else pa.list_(members)


def single(field: Field, raw: str) -> str:
    """Return SQL of the text of the JSON value in `raw`; of a mark that the checks find, if it cannot be `field`'s."""
    number = "-?[0-9]+" if _is_free_text(field) else JSON_NUMBER
    kind = f"CASE WHEN TRY(json_valid(ecdp_v)) THEN {_kind('ecdp_v')} ELSE 'text that is not JSON' END"
    text = (
        "CASE WHEN ecdp_v = 'null' THEN NULL "
        f"WHEN ecdp_v IN ('true', 'false') OR regexp_full_match(ecdp_v, '{number}') THEN ecdp_v "
        "WHEN starts_with(ecdp_v, '\"') AND TRY(json_valid(ecdp_v)) THEN json_extract_string(ecdp_v, '$') "
        f"WHEN ecdp_v IS NOT NULL THEN {quote_literal(OTHER_KIND)} || {kind} END"
    )
    return f"list_transform([trim(CAST({raw} AS VARCHAR), {_BLANKS})], lambda ecdp_v: {text})[1]"


def _let(value: str, use: str) -> str:
    """Return SQL of `use`, in which `ecdp_t` is a name for `value`."""
    # the list of one element gives it the name
    return f"list_transform([{value}], lambda ecdp_t: {use})[1]"


def _objects(field: Field, text: str, further: Mapping[str, Field]) -> tuple[str, pa.DataType]:
    """Return SQL of the object or list of objects in the JSON text `text`, and the type of an object."""
    paths = {child.name: _spellings(child.name) for child in field.fields}
    strict = {child.name for child in field.fields if _is_free_text(child)}
    own = {name.lower(): child for child, names in paths.items() for name in names}
    for key, of in further.items():
        # in the engine, names of a struct's members differ by more than their case
        name = own.get(key.lower(), key)
        paths.setdefault(name, [key])
        strict |= {name} if _is_free_text(of) else set()
    lists = {child.name for child in field.fields if child.kind is Kind.LIST}
    is_list = field.kind is Kind.LIST
    free = {spelling for name in strict for spelling in paths[name]} | ({ATTRIBUTE[0].name} if lists else set())
    values = [ATTRIBUTE[1].name, *(key for key, of in further.items() if of is ATTRIBUTE[1])]

    def read(text: str, otherwise: str) -> str:
        unreadable = f"coalesce({_repeated_key(text, is_list=is_list)}, TRUE) OR {_two_spellings(text, field)}"
        if not is_list:
            # an array that is read as an object becomes an empty object
            unreadable = f"coalesce(TRY(json_type({text})) <> 'OBJECT', TRUE) OR {unreadable}"
        return f"CASE WHEN {unreadable} THEN NULL {otherwise} END"

    by_value = _read_by_value(paths, strict, lists, is_list=is_list)
    exact_as_text = _read_as_text(f"replace(ecdp_t, {_DIGITS}, '')", paths, lists, is_list=is_list)
    careful = f"{_capital('ecdp_t')} OR {_hides_a_kind('ecdp_t', free, values)}"
    exact = read("ecdp_t", f"WHEN {careful} THEN {by_value} ELSE {exact_as_text}")
    unusual = f"{_capital(text)} OR {_may_be_inexact(text)} OR {_hides_a_kind(text, free, values)}"
    usual = read(text, f"ELSE {_read_as_text(text, paths, lists, is_list=is_list)}")
    objects = f"CASE WHEN {unusual} THEN {_let(_exact(text), exact)} ELSE {usual} END"
    members = pa.struct([(name, _ATTRIBUTES if name in lists else pa.string()) for name in paths])
    return (objects if is_list else f"({objects})[1]"), members


def _read_as_text(text: str, paths: Mapping[str, list[str]], lists: set[str], *, is_list: bool) -> str:
    """Return SQL of the objects in the JSON text `text`, whose values the engine itself turns into text."""
    types = {s: "JSON" if name in lists else "VARCHAR" for name, spellings in paths.items() for s in spellings}
    objects = _read(text, types, is_list=is_list)
    struct = _struct(paths, lists, lambda name: f"ecdp_e.{quote_identifier(name)}", by_value=False)
    return f"list_transform({objects}, lambda ecdp_e: CASE WHEN ecdp_e IS NOT NULL THEN {struct} END)"


def _read_by_value(paths: Mapping[str, list[str]], strict: set[str], lists: set[str], *, is_list: bool) -> str:
    """Return SQL of the objects in the text `ecdp_t`, with a mark for each value that cannot be its field's."""
    no_fraction = ", ".join(quote_literal(key) for name in strict for key in _keys(paths[name]))
    whole = ", ".join(quote_literal(key) for name in lists for key in _keys(paths[name]))
    text = _text("ecdp_k.value", fractions=f"ecdp_key NOT IN ({no_fraction})" if no_fraction else "TRUE")
    value = f"CASE WHEN ecdp_key IN ({whole}) THEN CAST(ecdp_k.value AS VARCHAR) ELSE {text} END" if whole else text
    key = f"CASE WHEN {_capital('ecdp_t')} THEN '{_ANY_CASE}' || lower(ecdp_k.key) ELSE ecdp_k.key END"
    entry = f"list_transform([{key}], lambda ecdp_key: {{'key': ecdp_key, 'value': {value}}})[1]"
    maps = _read("ecdp_t", "MAP(VARCHAR, JSON)", is_list=is_list)
    entries = f"list_transform(map_entries(ecdp_m), lambda ecdp_k: {entry})"

    def member(key: str) -> str:
        keys = ", ".join(map(quote_literal, _keys([key])))
        return f"list_filter(ecdp_e, lambda ecdp_k: ecdp_k.key IN ({keys}))[1].value"

    struct = _struct(paths, lists, member, by_value=True)
    objects = f"list_transform({maps}, lambda ecdp_m: {entries})"
    return f"list_transform({objects}, lambda ecdp_e: CASE WHEN ecdp_e IS NOT NULL THEN {struct} END)"


def _capital(text: str) -> str:
    return f"regexp_matches({text}, {quote_literal(_CAPITAL)})"


def _hides_a_kind(text: str, free: Iterable[str], attribute_values: Sequence[str]) -> str:
    """Return a condition: whether `text` may hold a value that the engine turns into text and that must not be text.

    :param free: keys of free text, which cannot be a fraction either
    :param attribute_values: keys of text that can be a fraction
    """
    other = r"[\[{]|[+-]?(?:nan|inf)"
    keys = "|".join(map(re.escape, sorted(free)))
    # patterns that all begin with the same character are searched fastest
    looks = (
        rf'"(?:{keys})"\s*:\s*(?:-?[0-9]+[.e]|"?{DIGITS}|{other})',
        rf'"(?:{"|".join(map(re.escape, attribute_values))})"\s*:\s*(?:{other})',
    )
    kinds = f"regexp_matches({text}, {quote_literal('(?i)' + '|'.join(looks))})"
    return f"({kinds} OR (contains({text}, {_ESCAPE}) AND regexp_matches({text}, {quote_literal(_ESCAPED_KEY)})))"


def _may_be_inexact(text: str) -> str:
    """Return a condition: whether `text` may differ from what `_exact` makes of it, in a value that an order has."""
    return (
        f"contains({text}, {_DIGITS}) OR regexp_matches({text}, '{_COMMA}') OR regexp_matches({text}, '{_LONG_MEMBER}')"
    )


def _repeated_key(text: str, *, is_list: bool) -> str:
    """Return SQL of whether an object of the JSON in `text` has a key more than once; NULL if `text` is not JSON."""
    again = "len(list_filter(ecdp_k, lambda ecdp_n, ecdp_i: list_position(ecdp_k, ecdp_n) < ecdp_i)) > 0"
    repeats = f"CASE WHEN len(ecdp_k) > {_FEW_KEYS} THEN list_unique(ecdp_k) < len(ecdp_k) ELSE {again} END"
    # a list of paths makes a list of the keys of each
    paths = "'$[*]'" if is_list else "['$']"
    return f"len(list_filter(TRY(json_keys({text}, {paths})), lambda ecdp_k: {repeats})) > 0"


def _two_spellings(text: str, field: Field) -> str:
    """Return SQL of whether an object of the JSON in `text` has two keys that are one name of `field`'s members.

    Case and underscores do not matter, as everywhere else: one of the keys would be ignored silently.
    """
    pairs = [spellings for child in field.fields if len(spellings := _spellings(child.name)) > 1]
    # most texts have one usual spelling of each, which two searches show at once
    unusual = [f"regexp_matches({text}, {quote_literal(_unusual_key(field.fields))})"]
    may = " OR ".join([" AND ".join(f"""contains({text}, '"{key}"')""" for key in pair) for pair in pairs] + unusual)
    names = ", ".join(quote_literal(folded_name(child.name)) for child in field.fields)
    folded = "list_transform(ecdp_k, lambda ecdp_n: lower(replace(ecdp_n, '_', '')))"
    named = f"list_filter({folded}, lambda ecdp_n: ecdp_n IN ({names}))"
    paths = "'$[*]'" if field.kind is Kind.LIST else "['$']"
    keys = f"list_transform(TRY(json_keys({text}, {paths})), lambda ecdp_k: {named})"
    both = f"len(list_filter({keys}, lambda ecdp_f: list_unique(ecdp_f) < len(ecdp_f))) > 0"
    return f"CASE WHEN {may} THEN coalesce({both}, FALSE) ELSE FALSE END"


def _unusual_key(fields: Iterable[Field]) -> str:
    """Return a pattern of keys that are names of `fields`, but neither in camelCase nor in snake_case.

    It also matches some keys that only begin like such a name.
    """
    spellings = [spelling for field in fields for spelling in _spellings(field.name)]
    begun = {spelling[:i] + one.swapcase() for spelling in spellings for i, one in enumerate(spelling) if one != "_"}
    return rf'"(?:{"|".join(sorted(begun))})[A-Za-z_]*"\s*:'


def _is_free_text(field: Field) -> bool:
    """Whether the checks take any text for `field`: a fraction, or a list, would hide behind it."""
    return field.any_text and field.name != "value"


def _exact(raw: str) -> str:
    """Return SQL of a JSON text whose numbers keep their digits; NULL if it only resembles JSON.

    The engine accepts a comma before a bracket, and reads numbers as doubles: long ones become text.
    """
    comma = (
        f"regexp_matches({raw}, '{_COMMA}') AND regexp_matches(regexp_replace({raw}, '{_STRING}', '', 'g'), '{_COMMA}')"
    )
    marked = f"regexp_replace({raw}, '({_STRING})|({_LONG})', '\\1\"{DIGITS}\\2\"', 'g')"
    return (
        f"CASE WHEN contains({raw}, {_DIGITS}) OR ({comma}) THEN NULL "
        f"WHEN regexp_matches({raw}, '{_LONG}') THEN replace({marked}, '\"{DIGITS}\"', '') ELSE {raw} END"
    )


def _text(value: str, *, fractions: str) -> str:
    """Return SQL of a JSON value as text: of a mark that the checks find, if it cannot be one.

    :param fractions: SQL of whether a number with a fraction can be text
    """
    long = "substr(ecdp_v, 3, length(ecdp_v) - 3)"
    number = f"CASE WHEN starts_with(ecdp_v, '\"{DIGITS}') THEN {long} ELSE ecdp_v END"
    text = (
        f"CASE WHEN starts_with(ecdp_v, '\"') AND NOT starts_with(ecdp_v, '\"{DIGITS}') "
        "THEN json_extract_string(ecdp_v, '$') "
        f"WHEN ecdp_v IN ('true', 'false') OR regexp_full_match({number}, '-?[0-9]+') "
        f"OR ({fractions} AND regexp_full_match({number}, '-?[0-9].*')) THEN {number} "
        f"WHEN ecdp_v IS NOT NULL THEN {quote_literal(OTHER_KIND)} || {_kind('ecdp_v')} END"
    )
    return f"list_transform([CAST({value} AS VARCHAR)], lambda ecdp_v: {text})[1]"


def _kind(value: str) -> str:
    """Return SQL of the kind, in words, of a JSON value that cannot be text."""
    return (
        f"CASE WHEN {value}[1] = '{{' THEN 'an object' WHEN {value}[1] = '[' THEN 'a list' "
        f"WHEN regexp_matches({value}, '^\"?{DIGITS}?-?[0-9]') THEN 'a number with a fraction' "
        "ELSE 'NaN or infinity' END"
    )


def _spellings(name: str) -> list[str]:
    snake = _HUMP.sub("_", name).lower()
    return [name] if snake == name else [name, snake]


def _keys(spellings: Iterable[str]) -> list[str]:
    """Return keys in the form of `_read_by_value`: in their own spelling, and in any case."""
    return [key for spelling in spellings for key in (spelling, f"{_ANY_CASE}{spelling.lower()}")]


def _struct(paths: Mapping[str, list[str]], lists: set[str], reach: Callable[[str], str], *, by_value: bool) -> str:
    """Return SQL of a struct of members, each reached by the first of its spellings; attributes are read."""
    members = []
    for name, spellings in paths.items():
        value = ", ".join(map(reach, spellings))
        value = f"coalesce({value})" if len(spellings) > 1 else value
        value = _attributes(f"CAST({value} AS VARCHAR)", by_value=by_value) if name in lists else value
        members.append(f"{quote_literal(name)}: {value}")
    return f"{{{', '.join(members)}}}"


def _read(text: str, structure: object, *, is_list: bool) -> str:
    """Return SQL of the list of the objects in a text; an object alone is a list of one."""
    whole = json.dumps([structure] if is_list else structure)
    value = f"TRY(json_transform({text}, {quote_literal(whole)}))"
    return value if is_list else f"[{value}]"


def unfolded(source: str, schema: pa.Schema) -> tuple[str, pa.Schema] | None:
    """Return SQL and columns of `source` in which text columns with the name of an object or a list are parsed.

    :param source: a SELECT, of the columns of `schema`
    """
    columns = []
    for field in ORDER:
        named = [f for f in schema if field.fields and folded_name(f.name) == folded_name(field.name)]
        # the matcher reports two columns with the same name
        if len(named) == 1 and may_be_json(named[0].type):
            columns.append((field, f"{ROWS}.{quote_identifier(named[0].name)}", named[0].name))
    if not columns:
        return None
    parts = [parsed(field, raw) for field, raw, _ in columns]
    read = ", ".join(f"{sql} AS ecdp_json_{i}" for i, (sql, _) in enumerate(parts))
    for (_, _, name), (_, type_) in zip(columns, parts, strict=True):
        at = schema.names.index(name)
        schema = schema.set(at, pa.field(name, type_))
    listed = ", ".join(
        problem(field.name, field, raw, f"{ROWS}.ecdp_json_{i}") for i, (field, raw, _) in enumerate(columns)
    )
    problems = f"list_filter([{listed}], lambda ecdp_x: ecdp_x IS NOT NULL)"
    left = ", ".join(f"ecdp_json_{i}" for i in range(len(columns)))
    replaced = ", ".join(f"ecdp_json_{i} AS {quote_identifier(name)}" for i, (*_, name) in enumerate(columns))
    if PROBLEMS in schema.names:
        replaced += f", {problems} || coalesce({ROWS}.{PROBLEMS}, []) AS {PROBLEMS}"
        problems = ""
    else:
        problems = f", {problems} AS {PROBLEMS}"
        schema = schema.append(pa.field(PROBLEMS, _PROBLEMS))
    inner = f"SELECT {ROWS}.*, {read} FROM ({source}\n) AS {ROWS}"
    return f"SELECT {ROWS}.* EXCLUDE ({left}) REPLACE ({replaced}){problems} FROM ({inner}) AS {ROWS}", schema


def problem(path: str, field: Field, raw: str, parsed: str) -> str:
    """Return SQL of the problem of a text that is not JSON of the expected kind, NULL if it is.

    :param parsed: SQL of the parsed value of `raw`
    """
    rule = "JSON text of an object" if field.kind is Kind.OBJECT else _LIST
    # JSON null is a value that is absent
    unreadable = f"{raw} IS NOT NULL AND {parsed} IS NULL AND coalesce(TRY(json_type({raw})), '') <> 'NULL'"
    if not field.required:
        # blank text is an absent value too, as in every optional field
        unreadable += f" AND NOT {is_blank(f'CAST({raw} AS VARCHAR)')}"
    twice = f"coalesce({_repeated_key(raw, is_list=field.kind is Kind.LIST)}, FALSE)"
    spelled = _two_spellings(f"CAST({raw} AS VARCHAR)", field)
    rule = f"CASE WHEN {twice} THEN '{ONE_VALUE}' WHEN {spelled} THEN '{ONE_KEY}' ELSE {quote_literal(rule)} END"
    length = length_sql(f"CAST({raw} AS VARCHAR)")
    got = f"CASE WHEN {twice} THEN 'more' WHEN {spelled} THEN 'two spellings of it' ELSE {length} END"
    return f"CASE WHEN {unreadable} THEN {{'field': {quote_literal(path)}, 'rule': {rule}, 'got': {got}}} END"


def _attributes(raw: str, *, by_value: bool = True, inside: bool = True) -> str:
    """Return SQL of the attributes that the JSON text `raw` lists, or has by their names.

    :param by_value: whether a listed value may be of a kind that cannot be text
    :param inside: whether `raw` is part of a larger text; `problem` finds a whole text that is not a list
    """
    type_ = "JSON" if by_value else "VARCHAR"
    members = raw
    for field in ATTRIBUTE:
        # quotes inside of a text are escaped, so that this is a key wherever it stands
        key = quote_literal(rf'(?i)"{field.name}"(\s*:)')
        members = f"""regexp_replace({members}, {key}, '"{field.name}"\\1', 'g')"""
    members = f"CASE WHEN regexp_matches({raw}, {quote_literal(_unusual_key(ATTRIBUTE))}) THEN {members} ELSE {raw} END"
    listed = f"""TRY(json_transform({members}, '[{{"name":"{type_}","value":"{type_}"}}]'))"""
    keyed = f"""map_entries(TRY(json_transform({raw}, '"MAP(VARCHAR, JSON)"')))"""
    value = _text("ecdp_a.value", fractions="TRUE")
    if by_value:
        name = _text("ecdp_a.name", fractions="FALSE")
        element = f"CASE WHEN ecdp_a IS NOT NULL THEN {{'name': {name}, 'value': {value}}} END"
        listed = f"list_transform({listed}, lambda ecdp_a: {element})"
    listed_twice = _repeated_key(members, is_list=True)
    if not by_value:
        listed_twice = f"regexp_matches({raw}, {quote_literal(_REPEATED_MEMBER)}) AND {listed_twice}"
    # one list in place of another: a repeated name is reported for the attribute, not for the product
    twice = f"[{{'name': {quote_literal(REPEATED_KEY)}, 'value': NULL}}]"
    single_value = quote_literal(f"{OTHER_KIND}a single value{OTHER_KIND}{_LIST}")
    other = f"[{{'name': {single_value}, 'value': NULL}}]"
    others = f" ELSE CASE WHEN {raw} NOT IN ('null', '\"\"') THEN {other} END" if inside else ""
    return (
        f"CASE TRY(json_type({raw})) "
        f"WHEN 'ARRAY' THEN CASE WHEN {listed_twice} THEN {twice} ELSE {listed} END "
        f"WHEN 'OBJECT' THEN CASE WHEN {_repeated_key(raw, is_list=False)} THEN {twice} "
        f"ELSE list_transform({keyed}, lambda ecdp_a: {{'name': ecdp_a.key, 'value': {value}}}) END"
        f"{others} END"
    )
