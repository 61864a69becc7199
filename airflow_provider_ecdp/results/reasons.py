"""Reasons of failures, normalised so that orders with the same problem have the same reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_ecdp.results.outcome import Outcome

#: Reasons that are counted, so that memory does not grow with the orders.
_DISTINCT = 1000

#: Maximum reasons of a report.
MAX_REASONS = 10

#: In our own words: positions, and the text after `got`. The limits in our rules distinguish faults.
_OWN = re.compile(r"(?<=\[)\d+(?=\])|(?<=, got )-?\d+(?:\.\d+)?|(?<=, got text of )\d+|(?<=, got a number of )\d+")

#: A length of one, which has another noun than the others.
_SINGULAR = re.compile(r"(?<=, got )(text of )?1 (character|byte)\b")

#: In the server's words: every number, except a status, a host, a port, a limit and a time to wait.
_OTHERS = re.compile(
    r"""
    (?P<kept>
        https?://[^/\s]+
      | \[[0-9a-f]*:[0-9a-f:.]*\](?::\d+)?
      | \b\d{1,3}(?:\.\d{1,3}){3}\b(?::\d+)?
      | \b(?:localhost|[\w-]+(?:\.[\w-]+)+):\d+
      | \bport[ =:]*\d+
      | \b(?:HTTP|HTTP/\d\.\d|status|code)[ :=]*\d{3}\b
      | \b[1-5]\d\d\ (?=(?-i:[A-Z][a-z]))
      | \b(?:at\ most|at\ least|up\ to|(?:more|less|fewer|longer|shorter)\ than|exactly|within|after|between\ \d+\ and
          |(?:max(?:imum)?|min(?:imum)?|limit)(?:\ is|\ of|:)?)\ \d+
      | \b(?:UTF|ISO|SHA|MD|IPv|base)-?\d+
    )
    | \d+(?:[.,]\d+)*
    """,
    re.VERBOSE | re.IGNORECASE,
)

_STATUS = re.compile(r"\bHTTP (\d{3})\b")


@dataclass(slots=True)
class Counted:
    """How many orders there are of a kind, and the id of one of them."""

    count: int
    example: str | None


@dataclass(slots=True)
class ReasonCounts:
    """Counts of orders by their folded reason."""

    by_reason: dict[str, Counted] = field(default_factory=dict)

    def add(self, outcome: Outcome, reason: str | None, order_id: str | None) -> None:
        """Count a failed order."""
        key = folded(outcome, reason, order_id)
        if seen := self.by_reason.get(key):
            seen.count += 1
        elif len(self.by_reason) < _DISTINCT:
            self.by_reason[key] = Counted(1, order_id)

    @property
    def most_common(self) -> list[dict[str, Any]]:
        """The reasons of most orders, ten at most, with the id of one of them, in XCom's shape."""
        ranked = sorted(self.by_reason.items(), key=lambda item: -item[1].count)[:MAX_REASONS]
        return [{"reason": text, "count": of.count, "example": of.example} for text, of in ranked]


def folded(outcome: Outcome, reason: str | None, order_id: str | None) -> str:
    """Return the outcome and the first part of a reason, without the parts that differ between orders.

    Ids, positions, lengths and amounts are folded; statuses, hosts, ports and limits stay.
    """
    if not reason:
        return f"{outcome.value}: no reason given"
    if order_id and order_id in reason and not order_id.isdigit():
        reason = _without(order_id, reason)
    first = reason.partition("; ")[0]
    if outcome is Outcome.INVALID:
        several = _SINGULAR.sub(r"\g<1>N \2s", first)
        return f"{outcome.value}: {_OWN.sub('N', several)}"
    status = _STATUS.search(first)
    # a status may be repeated: HTTP 404, ... this 404 is not in the form of ECDP
    again = status[1] if status else None
    text = _OTHERS.sub(lambda number: number["kept"] or (again if number[0] == again else None) or "N", first)
    return f"{outcome.value}: {text}"


def example_of(order_id: str | None) -> str:
    """Return the example of a reason in words; None is an order without an id."""
    return "for example an order without an id" if order_id is None else f"for example order {order_id}"


def _without(order_id: str, reason: str) -> str:
    """Return a reason with `…` in place of the id where it is a word."""
    # not by a pattern: one would be compiled for each id
    first, *others = reason.split(order_id)
    text = first
    for before, after in zip([first, *others], others, strict=False):
        inside = _word(before[-1:]) or _word(after[:1])
        text += (order_id if inside else "…") + after
    return text


def _word(character: str) -> bool:
    return character.isalnum() or character == "_"
