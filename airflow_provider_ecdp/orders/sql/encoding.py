"""The JSON text of an order as SQL: absent fields are left out, numbers keep their own digits.

Blank text and words for a missing value are searched for in this one text: to examine each text of each element of a
list takes three times as long. Texts of users cannot mislead the search: their quotation marks have backslashes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from airflow_provider_ecdp.orders.contract import PLACEHOLDERS, Kind, walk
from airflow_provider_ecdp.orders.engine.marks import BROKEN
from airflow_provider_ecdp.orders.engine.quoting import quote_literal
from airflow_provider_ecdp.orders.sql.blank_text import IN_JSON
from airflow_provider_ecdp.orders.sql.fields import FieldBinding, Node

#: The pattern of a word for a missing value.
PLACEHOLDER = f"(?i:{'|'.join(map(re.escape, PLACEHOLDERS))})"

_PLACEHOLDER_IN_JSON = f"(?i:{'|'.join(re.escape(json.dumps(word)[1:-1]) for word in PLACEHOLDERS)})"

_TEXTS = [(path, field) for path, field in walk() if field.any_text]

#: Names of texts: optional ones in lists, which are absent if they are blank; required ones; those of the customer.
_OPTIONAL = "|".join(sorted({f.name for path, f in _TEXTS if not f.required and not f.personal and "." in path}))
_REQUIRED = "|".join(sorted({f.name for _, f in _TEXTS if f.required}))
_PERSONAL = "|".join(sorted({f.name for _, f in _TEXTS if f.personal}))

#: SQL of the patterns. The engine skips what is before the literal characters that a pattern begins with.
_UNUSUAL = quote_literal(f':"(?:{IN_JSON}|{_PLACEHOLDER_IN_JSON})"')
_WATCHED = quote_literal(f'"(?:{_REQUIRED})":"{IN_JSON}"|"(?:{_PERSONAL})":"{_PLACEHOLDER_IN_JSON}"')
_OPTIONAL_AND_BLANK = quote_literal(f',"(?:{_OPTIONAL})":"{IN_JSON}"')


def order_json(fields: FieldBinding) -> str:
    """Return SQL of the JSON text of an order, to be used `without_blank_text`.

    For an order with problems it has no meaning.
    """
    return _concat(_object(fields.nodes))


def has_unusual_text(text: str) -> str:
    """Return SQL of whether a text in the JSON text of an order is blank, or a word for a missing value.

    It is much faster than the other searches, which are for the orders that it finds.
    """
    return f"regexp_matches({text}, {_UNUSUAL})"


def without_blank_text(text: str) -> str:
    """Return SQL of the JSON text of an order without the fields of lists that are absent because they are blank."""
    return f"regexp_replace({text}, {_OPTIONAL_AND_BLANK}, '', 'g')"


def may_break_watched_rules(text: str, unusual: str) -> str:
    """Return SQL that is true for every order that breaks a `watched` rule.

    :param unusual: SQL of the value of `has_unusual_text`
    """
    return (
        f"contains({text}, {quote_literal(BROKEN)}) "
        f"OR CASE WHEN {unusual} THEN regexp_matches({text}, {_WATCHED}) ELSE FALSE END"
    )


@dataclass(frozen=True, slots=True)
class _Literal:
    """Text of the JSON, in contrast to SQL."""

    text: str


#: Parts of a JSON text, in their order.
_Parts = list[_Literal | str]


def _object(nodes: Sequence[Node]) -> _Parts:
    if not nodes[0].field.required:
        # it skips NULL, and with it the name and the comma of an absent field
        return [_Literal("{"), f"concat_ws(',', {', '.join(_joined(_member(node)) for node in nodes)})", _Literal("}")]
    parts: _Parts = [_Literal("{"), *_member(nodes[0])]
    for node in nodes[1:]:
        member = [_Literal(","), *_member(node)]
        parts += member if node.field.required else [_joined(member)]
    return [*parts, _Literal("}")]


def _member(node: Node) -> _Parts:
    return [_Literal(f'"{node.field.name}":'), *_value(node)]


def _value(node: Node) -> _Parts:
    kind = node.field.kind
    if kind is Kind.OBJECT:
        return _object(node.children)
    if kind is Kind.LIST:
        elements = f"list_transform({node.raw}, lambda {node.var}: {_concat(_object(node.children))})"
        return [_Literal("["), f"array_to_string({elements}, ',')", _Literal("]")]
    if kind is Kind.TIMESTAMP or (kind is Kind.TEXT and not node.field.any_text):
        # times, and the texts of the contract: no character of them needs an escape
        return [_Literal('"'), node.encoded, _Literal('"')]
    if kind is not Kind.TEXT:
        return [node.encoded]
    # some exports have empty text for every missing value; other blank text is rare, and left out afterwards
    text = f"nullif({node.encoded}, '')" if node.blank and not node.made else node.encoded
    return [f"to_json({text})"]


def _concat(parts: _Parts) -> str:
    """Return SQL of the text of parts, without those that are NULL: faster than an operator for each of them."""
    return f"concat({', '.join(_expressions(parts))})"


def _joined(parts: _Parts) -> str:
    """Return SQL of the text of parts, NULL if one of them is."""
    return " || ".join(_expressions(parts))


def _expressions(parts: _Parts) -> Iterator[str]:
    for literals, group in groupby(parts, lambda part: isinstance(part, _Literal)):
        if literals:
            yield quote_literal("".join(part.text for part in group if isinstance(part, _Literal)))
        else:
            yield from (part for part in group if isinstance(part, str))
