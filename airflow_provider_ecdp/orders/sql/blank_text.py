"""Finds text without a visible character, which counts as empty text."""

from __future__ import annotations

from airflow_provider_ecdp.orders.contract import BLANK_TEXT
from airflow_provider_ecdp.orders.engine.quoting import quote_literal

_PATTERN = quote_literal(BLANK_TEXT)

#: The pattern of such text within JSON, where control characters have escapes.
IN_JSON = rf"(?:{BLANK_TEXT.removesuffix('*')}|\\[bfnrt]|\\u00[01][0-9A-Fa-f])*"


def matches_blank(text: str) -> str:
    """Return SQL of whether `text` is empty, or has blank characters only; NULL for NULL.

    Shorter than `is_blank`, and slower: for expressions that are computed for few rows.
    """
    return f"regexp_full_match({text}, {_PATTERN})"


def is_blank(text: str) -> str:
    """Return SQL of whether `text` is empty, or has blank characters only; FALSE for NULL."""
    # a CASE: inside of a lambda, AND evaluates both sides for all rows
    return f"CASE WHEN {_may_be_blank(text)} THEN {matches_blank(text)} ELSE FALSE END"


def unless_blank(text: str) -> str:
    """Return SQL of `text`, with NULL for blank text."""
    visible = f"CASE WHEN NOT {matches_blank(text)} THEN {text} END"
    return f"CASE WHEN {_may_be_blank(text)} THEN {visible} ELSE {text} END"


def _may_be_blank(text: str) -> str:
    # the comparisons look at the first bytes, and most texts begin with a character between these two
    return f"{text} < '!' OR {text} > '~'"
