"""Finds text without a visible character, which counts as empty text."""

from __future__ import annotations

from airflow_provider_ecdp.orders.contract import BLANK_TEXT
from airflow_provider_ecdp.orders.engine.quoting import quote_literal

#: SQL of the pattern.
PATTERN = quote_literal(BLANK_TEXT)


def is_blank(text: str) -> str:
    """Return SQL of whether `text` is empty, or has blank characters only; FALSE for NULL."""
    # the comparisons look at the first bytes, and most texts begin with a character between these two; inside of a
    # lambda, AND evaluates both sides for all rows, and a CASE its branch for its own rows
    begins = f"{text} < '!' OR {text} > '~'"
    return f"CASE WHEN {begins} THEN regexp_full_match({text}, {PATTERN}) ELSE FALSE END"
