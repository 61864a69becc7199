"""Finds text without a visible character, which counts as empty text."""

from __future__ import annotations

from airflow_provider_ecdp.orders.contract import BLANK_TEXT
from airflow_provider_ecdp.orders.engine.quoting import quote_literal

#: SQL of the pattern.
PATTERN = quote_literal(BLANK_TEXT)

#: The pattern of such text within JSON, where control characters have escapes.
IN_JSON = rf"(?:{BLANK_TEXT.removesuffix('*')}|\\[bfnrt]|\\u00[01][0-9A-Fa-f])*"


def is_blank(text: str) -> str:
    """Return SQL of whether `text` is empty, or has blank characters only; FALSE for NULL."""
    # a CASE: inside of a lambda, AND evaluates both sides for all rows
    return f"CASE WHEN {_may_be_blank(text)} THEN regexp_full_match({text}, {PATTERN}) ELSE FALSE END"


def unless_blank(text: str) -> str:
    """Return SQL of `text`, with NULL for blank text."""
    visible = f"CASE WHEN NOT regexp_full_match({text}, {PATTERN}) THEN {text} END"
    return f"CASE WHEN {_may_be_blank(text)} THEN {visible} ELSE {text} END"


def _may_be_blank(text: str) -> str:
    # the comparisons look at the first bytes, and most texts begin with a character between these two
    return f"{text} < '!' OR {text} > '~'"
