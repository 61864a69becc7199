"""The final state of one order."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

#: Longest reason of an order, in characters: enough for a fault in every field of the contract.
REASON_CHARACTERS = 4000


class Outcome(enum.StrEnum):
    """What became of one order."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    INVALID = "invalid"
    UNRESOLVED = "unresolved"
    NOT_ATTEMPTED = "not_attempted"
    SKIPPED = "skipped"

    @property
    def failed(self) -> bool:
        """Whether the order is not in ECDP as the extract has it, as far as is known."""
        return self not in (Outcome.ACCEPTED, Outcome.SKIPPED)


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """Orders that came to one outcome together.

    `orders` has the columns `order_id`, `content_hash` and `warnings`; `reasons` has one text or None for each order,
    or is one for all.
    """

    orders: pa.RecordBatch
    outcome: Outcome
    reasons: str | Sequence[str | None] | None = None
    http_status: int | None = None
    attempts: int = 0


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
