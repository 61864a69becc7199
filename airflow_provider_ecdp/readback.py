"""Whether an order that ECDP returns is the one that was sent.

ECDP adds to what it stores (the customer's own id) and may change its form (case, zeros, white space), so only what
was sent is compared, and by its meaning.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any


def same_order(sent: str, stored: dict[str, Any]) -> bool:
    """Compare the JSON text that was sent with the `data` object of GET."""
    return _same(json.loads(sent), stored)


def _same(sent: Any, stored: Any) -> bool:
    if isinstance(sent, dict):
        return isinstance(stored, dict) and all(_same(value, stored.get(name)) for name, value in sent.items())
    if isinstance(sent, list):
        if not sent and stored is None:
            return True
        return (
            isinstance(stored, list)
            and len(sent) == len(stored)
            and all(_same(ours, theirs) for ours, theirs in zip(sent, stored, strict=True))
        )
    if isinstance(sent, str) and isinstance(stored, str):
        return _plain(sent) == _plain(stored) or _same_instant(sent, stored)
    if isinstance(sent, int | float) and isinstance(stored, int | float):
        # both are doubles on the wire
        return float(sent) == float(stored)
    return bool(sent == stored)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _same_instant(sent: str, stored: str) -> bool:
    try:
        ours, theirs = dt.datetime.fromisoformat(sent), dt.datetime.fromisoformat(stored)
    except ValueError:
        return False
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=dt.UTC)
    return ours.tzinfo is not None and ours == theirs
