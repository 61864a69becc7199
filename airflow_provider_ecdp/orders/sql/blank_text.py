"""Finds text without a visible character, which counts as empty text."""

from __future__ import annotations

from airflow_provider_ecdp.orders.contract import BLANK_TEXT
from airflow_provider_ecdp.orders.engine.quoting import quote_literal

#: SQL of the pattern.
PATTERN = quote_literal(BLANK_TEXT)


def is_blank(text: str) -> str:
    """Return a condition, for WHEN or WHERE: whether the SQL `text` is empty, or has blank characters only."""
    # the comparisons look at the first bytes, and most texts begin with a character between these two
    return f"(({text} < '!' OR {text} > '~') AND regexp_full_match({text}, {PATTERN}))"
