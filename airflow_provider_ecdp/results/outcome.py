"""The final state of one order."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import pyarrow as pa

#: Longest reason of an order, in characters: enough for a fault in every field of the contract.
REASON_CHARACTERS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """The facts of an outcome.

    :param meaning: of an order, in words that read well after a count and in a table
    :param meaning_of_change: of a status change or a deletion; None is `meaning`
    :param failed: whether ECDP lacks the order as the extract has it, or may lack it
    :param replayable: whether a replay sends the order again
    :param counts_as_sent: whether the order need not be sent again with the same content
    :param may_have_arrived: whether a request with the order may have reached ECDP
    """

    meaning: str
    meaning_of_change: str | None = None
    failed: bool
    replayable: bool
    counts_as_sent: bool
    may_have_arrived: bool


class Outcome(enum.StrEnum):
    """The final state of one order. Everything that differs between outcomes is read from the facts of a member."""

    ACCEPTED = (
        "accepted",
        _Facts(
            meaning="stored in ECDP",
            meaning_of_change="done in ECDP",
            failed=False,
            replayable=False,
            counts_as_sent=True,
            may_have_arrived=True,
        ),
    )
    REJECTED = (
        "rejected",
        _Facts(
            meaning="refused by ECDP when sent alone",
            meaning_of_change="refused by ECDP, or it has no such order",
            failed=True,
            replayable=True,
            counts_as_sent=False,
            may_have_arrived=True,
        ),
    )
    INVALID = (
        "invalid",
        _Facts(
            meaning="not sent: breaks a documented rule of the API",
            meaning_of_change="not sent: no id, or a status that the API does not list",
            failed=True,
            replayable=True,
            counts_as_sent=False,
            may_have_arrived=False,
        ),
    )
    UNRESOLVED = (
        "unresolved",
        _Facts(
            meaning="sent, without a definite answer",
            failed=True,
            replayable=True,
            counts_as_sent=False,
            may_have_arrived=True,
        ),
    )
    NOT_ATTEMPTED = (
        "not_attempted",
        _Facts(
            meaning="not sent: the run stopped first",
            failed=True,
            replayable=True,
            counts_as_sent=False,
            may_have_arrived=False,
        ),
    )
    SKIPPED = (
        "skipped",
        _Facts(
            meaning="not sent again: accepted before with this content, or a duplicate in the extract",
            meaning_of_change="not sent again: done before, or repeats the previous change; or ECDP has no such order",
            failed=False,
            replayable=False,
            counts_as_sent=True,
            may_have_arrived=True,
        ),
    )

    meaning: str
    meaning_of_change: str
    failed: bool
    replayable: bool
    counts_as_sent: bool
    may_have_arrived: bool

    def __new__(cls, value: str, *facts: _Facts) -> Self:
        """Return the member: its text, and its facts as attributes."""
        # a parameter without a star would be missing from every `Outcome("accepted")`, for type checkers
        (of,) = facts
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = of.meaning
        member.meaning_of_change = of.meaning_of_change or of.meaning
        member.failed = of.failed
        member.replayable = of.replayable
        member.counts_as_sent = of.counts_as_sent
        member.may_have_arrived = of.may_have_arrived
        return member


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """Orders of one batch with one outcome.

    `orders` has the columns `order_id`, `content_hash` and `warnings`; `reasons` has one text or None for each order,
    or is one for all.
    """

    orders: pa.RecordBatch
    outcome: Outcome
    reasons: str | Sequence[str | None] | None = None
    http_status: int | None = None
    attempts: int = 0


def count_failed(counts: Mapping[Outcome, int]) -> int:
    """Return how many orders failed, by the number of orders of each outcome."""
    return sum(count for outcome, count in counts.items() if outcome.failed)


def reason(problems: Iterable[Mapping[str, str]]) -> str:
    """Return problems of an order as text, such as `products[2].name: at most 2048 characters, got 2051 characters`."""
    texts = [f"{p['field']}: {p['rule']}, got {p['got']}" for p in problems]
    whole = "; ".join(texts)
    if len(whole) <= REASON_CHARACTERS:
        return whole
    kept: list[str] = []
    while texts and len("; ".join(kept)) + len(texts[0]) < REASON_CHARACTERS:
        kept.append(texts.pop(0))
    return "; ".join([*kept, f"and {len(texts)} more"])
