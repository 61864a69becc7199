"""The meaning of each response of ECDP: (method, status, headers, body) to a result or a typed error, in one table.

Pure: no network, no clock. Success is exactly what the vendor's page documents, 201 for POST and 200 for the rest;
everything that proxies and gateways add is a typed error. Statuses beyond the page's: RFC 9110, RFC 8470, RFC 6585.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_ecdp.api.problems import Problem, read_json, read_problem
from airflow_provider_ecdp.api.redaction import Redactor
from airflow_provider_ecdp.errors import (
    ApiError,
    ForbiddenError,
    KeyRefusedError,
    NoAnswerError,
    NotFoundError,
    RequestRejectedError,
    ServerError,
    ThrottledError,
    TooLargeError,
    UnexpectedAnswerError,
    WrongAddressError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: A status that is not in the table is not in the contract (405, 406, 415, ...): UnexpectedAnswerError.
ERRORS: Mapping[int, type[ApiError]] = {
    400: RequestRejectedError,
    401: KeyRefusedError,
    403: KeyRefusedError,
    404: NotFoundError,
    408: NoAnswerError,  # the server gave up on the request; a proxy sends it for a slow server too: unknown
    409: RequestRejectedError,
    413: TooLargeError,
    422: RequestRejectedError,
    425: ThrottledError,  # RFC 8470: the server was not willing to process it yet
    429: ThrottledError,
    460: NoAnswerError,
    499: NoAnswerError,
}
#: Of proxies, AWS's and nginx's, about a client that went away; the server behind them may have gone on.
_GIVEN_UP_BY_PROXY = (460, 499)
#: Prefixes of the headers of rate limits: of the IETF's draft, and those that were in use before it.
_RATE_LIMITS = ("RateLimit", "X-RateLimit", "X-Rate-Limit")
#: `-Reset` is in seconds from now, or since the epoch from this value on.
_SINCE_EPOCH = 1_000_000_000
#: Refusals in the API's words; in HTML they are a gateway's, which says nothing about the orders.
_REFUSALS = (400, 409, 422)
_ADVICE: Mapping[type[ApiError], str] = {
    ForbiddenError: "forbidden, although the key was accepted before; a firewall, or this request, may be the cause",
    KeyRefusedError: "the API key was refused; compare it with Settings > API in ECDP",
    RequestRejectedError: "the request was refused, and nothing was stored",
    TooLargeError: "the request is too large; send fewer or smaller orders",
    NotFoundError: "ECDP has no such order",
    ThrottledError: "too many requests; slow down",
    ServerError: "the server failed",
    NoAnswerError: "the server timed out waiting for the request",
    WrongAddressError: "the base URL may be wrong: this 404 is not in the form of ECDP's Orders API",
}
_WRONG_ADDRESS = "this is not a response of ECDP's Orders API; check the base URL"
_NOT_FOUND_AFTER_SUCCESS = "not found, although other requests to this base URL succeeded"
_REDIRECT = "redirects are not followed; check the scheme and host of the base URL"
_GIVEN_UP = "a proxy gave up on the request, which the server may have processed"
_PROXY_LOGIN = "the proxy requires credentials; add them to the proxy's URL"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `headers` has case-insensitive keys; `body` is decoded.

    `complete` is false if the connection broke, or the body passed the limit of bytes that are read, before its end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool = True

    @property
    def media_type(self) -> str:
        """The media type in lower case without its parameters, empty if there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def read_answer(
    method: str,
    answer: Answer,
    *,
    call: str,
    now: float,
    redactor: Callable[[], Redactor] = Redactor,
    key_accepted: bool = False,
) -> dict[str, Any] | None:
    """Return the `data` object of a GET or DELETE, None for a POST or PUT, or raise the ApiError that `answer` means.

    `call` names the request in messages, such as `GET /orders/12`; `now` is the time in seconds since the epoch, for
    a `Retry-After` that is a date; `redactor` returns the Redactor of a refusal.
    `key_accepted` is whether a request with this key, to this base URL, has succeeded before.
    """
    if answer.status == (201 if method == "POST" else 200):
        if method in {"GET", "DELETE"}:
            return _read_order(answer, call)
        # the page does not document the body of POST's 201, and gives PUT's 200 none
        if answer.status == 201 or not _is_failure(answer.body):
            return None
    if answer.status == 404 and not answer.complete:
        raise NoAnswerError(f"{call}: the response ended early", status=404)
    problem = read_problem(answer.media_type, answer.body, redactor() if answer.body else Redactor())
    raise _error(classify(method, answer.status, problem, key_accepted=key_accepted), answer, problem, call, now)


def classify(method: str, status: int, problem: Problem, *, key_accepted: bool = False) -> type[ApiError]:
    """Return the kind of error that an answer other than success means.

    404 means that there is no such order only where it has the API's own form: a gateway, a web server or a wrong
    base path answers 404 too, and read as "no such order" it would make a DELETE to a wrong address a success.
    Web frameworks answer an unknown path with a problem of RFC 9457: one without the API's `substatus` counts only
    after a success.
    """
    if 500 <= status <= 599:
        return ServerError
    if status in _REFUSALS and problem.is_html:
        return UnexpectedAnswerError
    if status == 403 and key_accepted:
        return ForbiddenError
    # POST /orders is not the path of one order
    absent = method != "POST" and (problem.is_documented or (problem.is_standard and key_accepted))
    if status == 404 and not absent:
        return UnexpectedAnswerError if key_accepted else WrongAddressError
    return ERRORS.get(status, UnexpectedAnswerError)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait at `now` (epoch), None if it cannot be read.

    RFC 9110, section 10.2.3: whole seconds or an HTTP date. Fractions are read too, a date in the past is 0.
    """
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
    return max(0.0, moment - now)


def _is_failure(body: bytes) -> bool:
    """Whether the body of a 200 is not the API's: a page, such as a firewall's or a login's, or a JSON problem."""
    if not body:
        return False
    document = read_json(body)
    if isinstance(document, dict):
        status = document.get("status")
        return isinstance(status, int) and status >= 400
    return body.lstrip()[:1] == b"<"


def _read_order(answer: Answer, call: str) -> dict[str, Any]:
    if not answer.complete:
        raise NoAnswerError(f"{call}: the response ended early", status=answer.status)
    document = read_json(answer.body)
    order = document.get("data") if isinstance(document, dict) else None
    if not isinstance(order, dict):
        raise UnexpectedAnswerError(
            f"{call}: HTTP 200 without the documented `data` object; {_WRONG_ADDRESS}", status=answer.status
        )
    return order


def _error(kind: type[ApiError], answer: Answer, problem: Problem, call: str, now: float) -> ApiError:
    detail = f": {problem.summary}" if problem.summary else ""
    doubt = " (HTML: perhaps from a proxy or a firewall, not from ECDP)" if problem.is_html else ""
    substatus = f" {problem.substatus}" if problem.substatus else ""
    return kind(
        f"{call}: HTTP {answer.status}{substatus}, {_advice(kind, answer.status)}{detail}{doubt}",
        status=answer.status,
        details=problem.details,
        retry_after=_retry_after(answer, now),
    )


def _retry_after(answer: Answer, now: float) -> float | None:
    """Return the seconds that an answer asks to wait; a 429 without `Retry-After` may say when its limit is reset."""
    seconds = parse_retry_after(answer.headers.get("Retry-After"), now)
    if seconds is not None or answer.status != HTTPStatus.TOO_MANY_REQUESTS:
        return seconds
    return next((wait for name in _RATE_LIMITS if (wait := _until_reset(answer.headers, name, now)) is not None), None)


def _until_reset(headers: Mapping[str, str], name: str, now: float) -> float | None:
    reset, remaining = headers.get(f"{name}-Reset", ""), headers.get(f"{name}-Remaining", "0").strip()
    # a limit that is not used up did not cause the answer
    if not re.fullmatch(r"[0-9]{1,10}", reset.strip()) or remaining != "0":
        return None
    seconds = float(reset)
    seconds -= now if seconds >= _SINCE_EPOCH else 0
    return seconds if seconds > 0 else None


def _advice(kind: type[ApiError], status: int) -> str:
    if status in _GIVEN_UP_BY_PROXY:
        return _GIVEN_UP
    if status == 407:
        return _PROXY_LOGIN
    if status == 404 and kind is UnexpectedAnswerError:
        return _NOT_FOUND_AFTER_SUCCESS
    if 300 <= status <= 399:
        return _REDIRECT
    return _ADVICE.get(kind, _WRONG_ADDRESS)
