"""Orders of one batch that are asked together, and what is known of them so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow as pa

from airflow_provider_ecdp.errors import RequestRejectedError
from airflow_provider_ecdp.orders import batching


@dataclass(slots=True)
class Group:
    """Orders that are asked together.

    `attempts` counts the requests that they were in, `unanswered` those of them, since the last answer, that may have
    been stored or not. `unsure` says that an order may be stored without our knowledge, `refusal` is the last answer.
    A `suspect` group is known to hold a bad order: it was refused with its `sibling`, and the sibling alone was not.
    """

    orders: pa.RecordBatch
    attempts: int = 0
    unanswered: int = 0
    unsure: bool = False
    refusal: RequestRejectedError | None = None
    suspect: bool = False
    sibling: Group | None = None

    def part(self, orders: pa.RecordBatch) -> Group:
        """Return some of the orders, with the same past."""
        return replace(self, orders=orders, suspect=False, sibling=None)

    def take(self, positions: Iterable[int]) -> Group:
        """Return the orders at `positions`."""
        return self.part(self.orders.take(pa.array(positions, pa.int64())))

    def halves(self) -> tuple[Group, Group]:
        """Cut the orders in two; the first half knows its sibling."""
        left, right = (self.part(half) for half in batching.halves(self.orders))
        left.sibling = right
        return left, right

    @property
    def ids(self) -> list[str]:
        """The order ids."""
        return list(self.orders.column("order_id").to_pylist())
