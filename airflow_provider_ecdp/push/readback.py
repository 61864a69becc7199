"""Reads orders back, and tells whether what ECDP returns is what was sent.

ECDP adds to what it stores (the customer's own id) and may change its form (case, zeros, white space), so only what
was sent is compared, and by its meaning.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.paths import order_path
from airflow_provider_ecdp.errors import ApiError, ConfigurationError, NotFoundError


@dataclass(slots=True)
class Found:
    """Positions of orders by what ECDP holds under their ids; `error` ended the reading before its end."""

    same: list[int] = field(default_factory=list)
    different: list[int] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)
    error: ApiError | None = None


def read_back(client: EcdpClient, orders: pa.RecordBatch, positions: Iterable[int]) -> Found:
    """Ask for the orders at `positions`, one by one. An id that has no path (`.` and `..`) counts as absent."""
    found = Found()
    json_texts, ids = orders.column("json"), orders.column("order_id")
    for i in sorted(positions):
        order_id = ids[i].as_py()
        try:
            order_path(order_id)
        except ConfigurationError:
            found.absent.append(i)
            continue
        try:
            stored = client.get_order(order_id)
        except NotFoundError:
            found.absent.append(i)
        except ApiError as error:
            found.error = error
            break
        else:
            same = same_order(json_texts[i].as_py().rstrip(","), stored)
            (found.same if same else found.different).append(i)
    return found


def same_order(sent: str, stored: dict[str, Any]) -> bool:
    """Compare the JSON text that was sent with the `data` object of GET."""
    return _same(json.loads(sent), stored)


def _same(sent: Any, stored: Any) -> bool:
    if isinstance(sent, dict):
        return isinstance(stored, dict) and all(_same(value, stored.get(name)) for name, value in sent.items())
    if stored is None:
        # a list or text of nothing may come back as nothing
        return sent in ([], "")
    if isinstance(sent, list):
        return isinstance(stored, list) and len(sent) == len(stored) and _same_elements(sent, stored)
    if isinstance(sent, str) and isinstance(stored, str):
        return _plain(sent) == _plain(stored) or _same_instant(sent, stored)
    return bool(sent == stored) or _same_double(sent, stored)


def _same_double(sent: Any, stored: Any) -> bool:
    try:
        # numbers are doubles on the wire
        return isinstance(sent, int | float) and isinstance(stored, int | float) and float(sent) == float(stored)
    except OverflowError:
        return False


def _same_elements(sent: list[Any], stored: list[Any]) -> bool:
    # lines and attributes have no order: a database may give them back in another
    left = list(stored)
    for ours in sent:
        at = next((i for i, theirs in enumerate(left) if _same(ours, theirs)), None)
        if at is None:
            return False
        del left[at]
    return True


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
