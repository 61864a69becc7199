"""JSON text with its own digits: 12.500 that came in as 12.500 goes out as 12.500.

The standard library reads a number into a float or an int and forgets how it was written, so the sandbox keeps the text
of a batch and reads numbers as text.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn


class NumberText(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _refuse(token: str) -> NoReturn:
    raise ValueError(f"{token} is not JSON")


_TEXT = json.JSONDecoder(parse_float=NumberText, parse_int=NumberText, parse_constant=_refuse)
_DECIMAL = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)
_SPACE = re.compile(r"[ \t\n\r]*")


def parse_digits(text: str) -> Any:
    """Parse JSON, each number a `NumberText`. Raises ValueError, also for NaN and Infinity."""
    return _TEXT.decode(text)


def parse_decimal(text: str) -> Any:
    """Parse JSON, each number with a point or an exponent a Decimal, each other an int."""
    return _DECIMAL.decode(text)


def holds_non_finite(body: bytes) -> bool:
    """Whether JSON that pydantic accepted holds a NaN or Infinity token, which JSON does not allow."""
    if b"NaN" not in body and b"Infinity" not in body:
        return False
    try:
        parse_digits(body.decode())
    except ValueError:
        return True
    return False  # inside a string


def dump(value: Any) -> str:
    """Write a value as JSON, each `NumberText` and Decimal digit by digit."""
    if isinstance(value, NumberText | Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{dump(of)}" for name, of in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def order_spans(batch: str) -> list[tuple[int, int]]:
    """Return where each element of the top level's `data` starts and ends in the text of a batch that is valid JSON."""
    spans: list[tuple[int, int]] = []
    at = _skip(batch, _skip(batch, 0) + 1)
    while batch[at] != "}":
        name, at = _TEXT.raw_decode(batch, at)
        at = _skip(batch, _skip(batch, at) + 1)
        if name == "data" and batch[at] == "[":
            spans, at = _elements(batch, at)  # of a repeated name the last one counts, as in the models
        else:
            _, at = _TEXT.raw_decode(batch, at)
        at = _skip(batch, at)
        if batch[at] == ",":
            at = _skip(batch, at + 1)
    return spans


def _elements(text: str, at: int) -> tuple[list[tuple[int, int]], int]:
    spans: list[tuple[int, int]] = []
    at = _skip(text, at + 1)
    while text[at] != "]":
        _, end = _TEXT.raw_decode(text, at)
        spans.append((at, end))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return spans, at + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
