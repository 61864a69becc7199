"""Counts and sizes as reports and messages show them."""

from __future__ import annotations


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun: 1 order, 6,432 orders."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """Return a number of bytes in its unit: 1.2 MB, 23 kB, 1 byte."""
    for unit, scale, digits in (("MB", 1_000_000, 1), ("kB", 1000, 0)):
        # half a unit is 0.5 MB; less than a tenth of one reads better in the next smaller unit
        if round(count / scale, digits) >= (0.1 if digits else 1):
            return f"{count / scale:,.{digits}f} {unit}"
    return number_of(count, "byte")
