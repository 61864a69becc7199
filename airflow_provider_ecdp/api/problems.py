"""Reads the body of a refusal: problem+json (RFC 9457) first, then the forms of gateways and web servers.

Everything that is kept has passed the redactor: a server may quote the request.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_ecdp.api.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

#: entries of `errors` that are kept; a batch of some thousand orders can have as many
MAX_ERRORS = 1000

# a title is searched for in this much of a page
_TITLE_WITHIN = 16_384
_TITLE = re.compile(r"<title[^>]*>([^<]{1,2000})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal: `details` are the entries of `errors`, then `detail` and `title`, each once, not empty.

    `is_standard` is whether it has the members of RFC 9457 that web frameworks give each of their problems, and
    `is_documented` whether it has the API's `substatus` as well as its `status`.
    """

    details: tuple[str, ...] = ()
    summary: str = ""
    substatus: str = ""
    is_html: bool = False
    is_standard: bool = False
    is_documented: bool = False


def read_problem(media_type: str, body: bytes, redactor: Redactor | None = None) -> Problem:
    """Read the body of a refusal; one that cannot be read has no details."""
    redactor = redactor or Redactor()
    document = read_json(body)
    if isinstance(document, dict):
        return _from_json(document, redactor)
    text = body[:_TITLE_WITHIN].decode("utf-8", "replace").strip()
    if media_type in {"text/html", "application/xhtml+xml"} or text[:1] == "<":
        title = _TITLE.search(text)
        summary = redactor.redact(html.unescape(title.group(1))) if title else ""
        return Problem(details=(summary,) if summary else (), summary=summary, is_html=True)
    if media_type == "text/plain" or isinstance(document, str):
        summary = redactor.redact((document if isinstance(document, str) else text).strip().partition("\n")[0])
        return Problem(details=(summary,) if summary else (), summary=summary)
    return Problem()


def read_json(body: bytes) -> Any:
    """Return the JSON document, or None if it is not one (or is cut short, or nested beyond reason)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _from_json(document: dict[str, Any], redactor: Redactor) -> Problem:
    # API gateways send `message` and `error` in place of a problem
    texts = [document[key] for key in ("detail", "title", "message", "error") if _is_text(document, key)]
    entries = list(islice(_entries(document.get("errors")), MAX_ERRORS))
    substatus = document.get("substatus")
    word = substatus if isinstance(substatus, str) and re.fullmatch(r"\w{1,64}", substatus) else ""
    redact = redactor.among([*texts, *entries, word]).redact
    titles, errors = [redact(text) for text in texts], [redact(text) for text in entries]
    details = tuple(dict.fromkeys(text for text in (*errors, *titles) if text))
    has_status = _is_number(document.get("status"))
    summary = "; ".join(dict.fromkeys(text for text in (*titles[:1], *errors[:3]) if text))
    return Problem(
        details=details,
        summary=redact(summary),
        substatus=redact(word),
        is_standard=has_status and _is_text(document, "title"),
        is_documented=has_status and _is_text(document, "substatus"),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(document: dict[str, Any], key: str) -> bool:
    return isinstance(document.get(key), str)


def _entries(errors: Any) -> Iterator[str]:
    """Yield the entries of `errors`: a list of strings by the page; ASP.NET's own form is an object of lists."""
    if isinstance(errors, dict):
        for field, messages in errors.items():
            for message in messages if isinstance(messages, list) else [messages]:
                yield f"{field}: {_text(message)}"
    elif isinstance(errors, list):
        yield from map(_text, errors)
    elif isinstance(errors, str):
        yield errors


def _text(value: Any) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""
