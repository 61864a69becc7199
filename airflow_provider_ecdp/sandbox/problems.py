"""The answers of the sandbox that are not a success: problem+json as on the vendor's page.

Errors name the position, the field and the order id; never a value, since orders hold personal data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_ecdp.sandbox import models

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PROBLEM_JSON = "application/problem+json; charset=utf-8"
#: the text of a 400 that does not name the orders
NOBODY_NAMED = "One or more orders are invalid."

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
#: the page shows this one value for every status; only a 400 is about a model, so the others get a word of their own
_SUBSTATUSES = {400: "CustomerInvalidModelState", 401: "Unauthorized", 404: "NotFound"}

_STATUS_RULE = "must be one of placed, paid, completed, canceled"
_DATE_RULE = "must be an RFC 3339 date-time with a zone, such as 2024-11-06T10:10:00.055Z"
_RULES = {
    models.NO_CONTACT: "at least one of email, phone, crmId is required",
    models.DATE_TIME: _DATE_RULE,
    models.TIME_ZONE: "must be the name of a time zone",
    "missing": "is required",
    "string_type": "must be a string",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "list_type": "must be an array",
    "too_short": "must not be empty",
    "dict_type": "must be an object",
    "enum": "must be {expected}",
    "json_invalid": "the body is not JSON: {error}",
}
_PATTERN_RULES = {"date": _DATE_RULE, "status": _STATUS_RULE, "orderStatus": _STATUS_RULE}


def problem(status: int, detail: str, instance: str, errors: Iterable[str] | None = None) -> bytes:
    """Write a problem+json body; `errors` is left out when None, as the page does for 401 and 404."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "substatus": _SUBSTATUSES.get(status, "Unspecified"),
        "detail": detail,
        "instance": instance,
    }
    if errors is not None:
        body["errors"] = list(errors)
    return json.dumps(body).encode()


def named(position: int, rule: str, order_id: object) -> str:
    """Return the message about the order at a position."""
    return f"data[{position}]{rule}{_of_order(order_id)}"


def worded(errors: list[ErrorDetails], body: bytes) -> list[str]:
    """Return the messages of pydantic's errors, each with its place and, inside `data`, the id of its order."""
    ids = _ids(body) if any(_position(error) is not None for error in errors) else {}
    return [f"{_place(error['loc'])}{_rule(error)}{_of_order(ids.get(_position(error)))}" for error in errors]


def _place(loc: tuple[int | str, ...]) -> str:
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return f"{steps.removeprefix('.')}: " if loc else ""


def _rule(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "string_pattern_mismatch":
        return _PATTERN_RULES[str(error["loc"][-1])]
    # never pydantic's own message: it may quote the value
    return _RULES.get(kind, "is not valid").format_map(error.get("ctx", {}))


def _position(error: ErrorDetails) -> int | None:
    loc = error["loc"]
    return loc[1] if len(loc) > 1 and loc[0] == "data" and isinstance(loc[1], int) else None


def _ids(body: bytes) -> Mapping[int | None, object]:
    # a second parse, of refused batches only: pydantic shortens the refused order
    data: Any = json.loads(body)["data"]
    return {position: order.get("id") for position, order in enumerate(data) if isinstance(order, dict)}


def _of_order(order_id: object) -> str:
    if isinstance(order_id, str) and 0 < len(order_id) <= models.MAX_ID_LENGTH:
        return f" (order {order_id!r})"
    return ""
