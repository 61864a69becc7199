"""Compares an order as it was sent with the result of GET, by meaning: a store may write the same order in other ways.

ECDP adds members to an order (the customer's own id), so only members that were sent are compared. The contract has the
kind of each field's value, and so the spellings that mean the same.
"""

from __future__ import annotations

import datetime as dt
import functools
import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from airflow_provider_ecdp.orders.contract import ORDER, STATUSES, Field, Kind
from airflow_provider_ecdp.orders.sql.timezones import zone_table

#: Digits after the decimal point that a store of money may keep.
_CENTS = Decimal("0.01")

#: A text that a store may keep as a number, such as an id: few enough digits for a decimal to keep them all.
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,8})?")


#: Fields that a store may leave out where they are zero.
_ZERO_BY_DEFAULT = {"returnsValue", "returned"}

#: The vendor's page calls the effect of DELETE "changing the order status to IsDeleted".
_DELETED = "isdeleted"


def is_deleted(stored: Mapping[str, Any]) -> bool:
    """Whether the `data` object of GET is of an order that was deleted, by its `isDeleted` or its status."""
    members = {_name(name): value for name, value in stored.items()}
    return _plain(members.get(_DELETED)) in {"true", "1"} or _plain(members.get("status")) in {_DELETED, "deleted"}


def same_order(sent: str, stored: Mapping[str, Any]) -> bool:
    """Compare the JSON text that was sent with the `data` object of GET."""
    return _same_members(ORDER, json.loads(sent, parse_float=Decimal), stored)


def _same_members(fields: Iterable[Field], sent: Mapping[str, Any], stored: Any) -> bool:
    if not isinstance(stored, Mapping):
        return False
    members = {_name(name): value for name, value in stored.items()}
    return all(
        _same_customer(field, sent[field.name], members)
        if field.name == "customer"
        else _same(field, sent[field.name], members.get(_name(field.name)))
        for field in fields
        if field.name in sent
    )


def _name(name: str) -> str:
    return name.replace("_", "").casefold()


def _same_customer(field: Field, sent: Mapping[str, Any], order: Mapping[str, Any]) -> bool:
    stored = order.get("customer")
    if stored is None:
        return order.get("customerid") is not None
    if not isinstance(stored, Mapping):
        return False
    names = {_name(name) for name, value in stored.items() if value is not None}
    # a store of normalised data may know the customer by its own number alone
    return names == {"id"} or _same_members(field.fields, sent, stored)


def _same(field: Field, sent: Any, stored: Any) -> bool:
    if stored is None:
        # an empty list or text may come back as null
        return sent in ([], "") or (field.name in _ZERO_BY_DEFAULT and sent == 0)
    if field.kind is Kind.LIST:
        if isinstance(stored, Mapping) and [part.name for part in field.fields] == ["name", "value"]:
            stored = [{"name": name, "value": value} for name, value in stored.items()]
        return isinstance(stored, list) and _same_lists(field.fields, sent, stored)
    return isinstance(stored, str | int | float | Decimal) and _comparison(field)(sent, stored)


def _comparison(field: Field) -> Callable[[Any, Any], bool]:
    by_name = {"phone": _same_phone, "timeZone": _same_zone, "status": _same_status}
    by_kind = {Kind.NUMBER: _same_amount, Kind.INTEGER: _same_whole, Kind.TIMESTAMP: _same_instant}
    return by_name.get(field.name) or by_kind.get(field.kind, _same_text)


# lists


def _same_lists(fields: Sequence[Field], sent: list[Any], stored: list[Any]) -> bool:
    """Whether each element has one of its own on the other side: lines and attributes have no order.

    Elements are the same by their meaning, which is not transitive (1.004 and 1.00, 1.00 and 0.996), so the first that
    fits may be another's only one: a maximum bipartite matching, by augmenting paths.
    """
    if len(sent) != len(stored):
        return False
    if all(_same_members(fields, ours, theirs) for ours, theirs in zip(sent, stored, strict=True)):
        return True
    key = fields[0].name
    by_key: dict[str, list[int]] = {}
    for i, theirs in enumerate(stored):
        by_key.setdefault(_key(theirs, key), []).append(i)
    candidates = [
        [i for i in by_key.get(_key(ours, key), ()) if _same_members(fields, ours, stored[i])] for ours in sent
    ]
    return _perfect_matching(candidates)


def _key(element: Any, name: str) -> str:
    members = element.items() if isinstance(element, Mapping) else ()
    return next((_plain(value) for member, value in members if _name(member) == _name(name)), "")


def _perfect_matching(candidates: Sequence[Sequence[int]]) -> bool:
    """Whether each can have one of its candidates, and no two the same."""
    holder: dict[int, int] = {}
    choice: dict[int, int] = {}
    return all(_augment(start, candidates, holder, choice) for start in range(len(candidates)))


def _augment(start: int, candidates: Sequence[Sequence[int]], holder: dict[int, int], choice: dict[int, int]) -> bool:
    """Find a candidate for `start`; its holder moves to another candidate, and so on. Breadth first."""
    reached_from: dict[int, int] = {}
    waiting = [start]
    for request in waiting:
        for candidate in candidates[request]:
            if candidate in reached_from:
                continue
            reached_from[candidate] = request
            if candidate not in holder:
                _shift(candidate, start, reached_from, holder, choice)
                return True
            waiting.append(holder[candidate])
    return False


def _shift(
    free: int, start: int, reached_from: Mapping[int, int], holder: dict[int, int], choice: dict[int, int]
) -> None:
    """Move candidates along the path: each element takes the one that it reached, until `start` has one."""
    while (taker := reached_from[free]) != start:
        previous = choice[taker]
        holder[free], choice[taker] = taker, free
        free = previous
    holder[free], choice[start] = start, free


# values


def _same_text(sent: str, stored: Any) -> bool:
    return _plain(sent) == _plain(stored)


def _plain(value: Any) -> str:
    """Return a text in one form, whatever case, spaces, entities or notation of numbers a store has changed."""
    text = unicodedata.normalize("NFC", html.unescape(str(value)))
    text = unicodedata.normalize("NFC", " ".join(text.split()).casefold())
    return str(Decimal(text).normalize()) if _PLAIN_NUMBER.fullmatch(text) else text


def _same_phone(sent: str, stored: Any) -> bool:
    return _digits(sent) == _digits(stored) or _same_text(sent, stored)


def _digits(value: Any) -> str:
    return re.sub(r"\D", "", str(value)).removeprefix("00")


def _same_status(sent: str, stored: Any) -> bool:
    ours, theirs = _plain(sent), _plain(stored)
    return STATUSES.get(ours, ours) == STATUSES.get(theirs, theirs)


def _same_zone(sent: str, stored: Any) -> bool:
    windows = _windows_names()
    ours, theirs = _plain(sent), _plain(stored)
    return windows.get(ours, ours) == windows.get(theirs, theirs)


@functools.cache
def _windows_names() -> dict[str, str]:
    table = zone_table()
    return dict(zip(table["name"].to_pylist(), table["windows"].to_pylist(), strict=True))


def _same_whole(sent: Any, stored: Any) -> bool:
    ours, theirs = _decimal(sent), _decimal(stored)
    return ours is not None and ours == theirs


def _same_amount(sent: Any, stored: Any) -> bool:
    ours, theirs = _decimal(sent), _decimal(stored)
    if ours is None or theirs is None:
        return False
    # numbers are doubles on the wire
    return ours == theirs or float(ours) == float(theirs) or theirs in _rounded(ours)


def _rounded(amount: Decimal) -> set[Decimal]:
    try:
        return {amount.quantize(_CENTS, rounding) for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN)}
    except InvalidOperation:
        # more digits than a decimal context has
        return set()


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _same_instant(sent: str, stored: Any) -> bool:
    try:
        ours, theirs = dt.datetime.fromisoformat(sent), dt.datetime.fromisoformat(str(stored).strip())
    except ValueError:
        return False
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=dt.UTC)
    if ours == theirs:
        return True
    # a store of whole seconds cuts the milliseconds, or rounds them
    second = dt.timedelta(seconds=1)
    cut = ours.replace(microsecond=0)
    return theirs in (cut, cut + second if 2 * (ours - cut) >= second else cut)
