"""Names and texts, quoted for SQL."""

from __future__ import annotations


def quote_identifier(name: str) -> str:
    """Quote the name of a column or a table."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str) -> str:
    """Quote a text."""
    return "'" + value.replace("'", "''") + "'"
