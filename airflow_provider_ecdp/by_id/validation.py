"""Checks of order ids, statuses and website ids before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.orders.contract import (
    INT32_MAX,
    INT32_MIN,
    INTEGER,
    ORDER,
    STATUS_BLANKS,
    STATUSES,
    is_blank_text,
)
from airflow_provider_ecdp.orders.engine.marks import BROKEN, OTHER_KIND
from airflow_provider_ecdp.orders.sql.disclosure import disclosed

#: The contract's limit of an order's id.
_MOST_CHARACTERS = next(field.max_length for field in ORDER if field.name == "id") or 0

#: A whole number, also with the zeros that a float has gained. No 32 bits have more digits.
_WHOLE = re.compile(r"([+-]?[0-9]{1,20})(?:\.0+)?")


def listed_status(status: object) -> str:
    """Return a status of the contract in the spelling that is sent, such as `Canceled` for `cancelled`.

    :raises ConfigurationError: the contract does not list it
    """
    if isinstance(status, str) and (listed := STATUSES.get(status.strip(STATUS_BLANKS).lower())):
        return listed
    shown = _shown(status) if isinstance(status, str) else _kind(status)
    raise ConfigurationError(f"status: one of {', '.join(dict.fromkeys(STATUSES.values()))}, got {shown}")


def checked_id(order_id: object, *, in_path: bool = False) -> str:
    """Return an id as text; `in_path` if it becomes part of a URL.

    :raises ConfigurationError: it cannot be an order's id
    """
    # a warehouse's integer column is an id; a float is an id that lost its type on the way, and a bool is not an id
    if isinstance(order_id, bool) or not isinstance(order_id, (str, int)):
        raise ConfigurationError(f"order id: must be text or a whole number, got {_kind(order_id)}")
    text = str(order_id)
    if is_blank_text(text):
        raise ConfigurationError("order id: must not be empty or blank")
    if len(text) > _MOST_CHARACTERS:
        raise ConfigurationError(f"order id: at most {_MOST_CHARACTERS} characters, got {len(text)} characters")
    if in_path and text in {".", ".."}:
        raise ConfigurationError(f"order id: {text!r} cannot be part of a URL, because clients and proxies remove it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("order id: contains an unpaired surrogate, which is not valid text") from None
    return text


def refused_id(order_id: str) -> str:
    """Return why a marked value is not an id."""
    rule = "must be text or a whole number" if OTHER_KIND in order_id else "text in UTF-8"
    return f"order id: {rule}, got {_disclosed(order_id)}"


def checked_website(website_id: object) -> int | None:
    """Return the id of a website as a number.

    :raises ConfigurationError: it is not a valid id
    """
    text = "" if website_id is None else str(website_id)
    if is_blank_text(text):
        return None
    whole = _WHOLE.fullmatch(text)
    if whole is None or not INT32_MIN <= int(whole[1]) <= INT32_MAX:
        raise ConfigurationError(f"website id: {INTEGER}, got {_disclosed(text)}")
    return int(whole[1])


def checked_updates(updates: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return status updates as a list.

    :raises ConfigurationError: an element is not a mapping with `order_id` and `status`
    """
    listed = list(updates)
    for i, update in enumerate(listed):
        if not isinstance(update, Mapping) or not {"order_id", "status"} <= update.keys():
            shown = f"the keys {', '.join(map(str, update))}" if isinstance(update, Mapping) else type(update).__name__
            raise ConfigurationError(f"updates[{i}]: must be a dict with order_id and status, got {shown}")
    return listed


def _disclosed(value: str) -> str:
    """Return the part of a value that may be shown; for a marked value, its kind."""
    if OTHER_KIND in value:
        return value.split(OTHER_KIND)[1]
    return "bytes of another encoding" if BROKEN in value else disclosed(value)


def _shown(value: str) -> str:
    shown = _disclosed(value)
    return repr(shown) if shown == value else shown


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
