"""Reads a random sample of accepted orders back after a push, and compares them with the orders that were sent."""

from __future__ import annotations

import heapq
import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.push.readback import read_back
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome
from airflow_provider_ecdp.runs.cancellation import Cancellation

log = logging.getLogger(__name__)

#: Ids that the log lists.
_LISTED = 20


@dataclass(slots=True)
class Sample:
    """At most `size` orders, each order that was accepted with the same chance. Not thread-safe.

    :param draw: returns a number from [0, 1)
    """

    size: int
    draw: random.Random = field(default_factory=random.SystemRandom)
    #: the order of the smallest number is the first to make room: number, id, JSON text
    _kept: list[tuple[float, str, str]] = field(default_factory=list)

    def add(self, outcomes: Iterable[BatchOutcome]) -> None:
        """Take some of the orders that were accepted."""
        for batch in outcomes:
            if batch.outcome is not Outcome.ACCEPTED:
                continue
            ids, texts = batch.orders.column("order_id"), batch.orders.column("json")
            for i in range(len(ids)):
                number = self.draw.random()
                # an order is copied only if it is kept: a batch is megabytes
                if len(self._kept) < self.size:
                    heapq.heappush(self._kept, (number, ids[i].as_py(), texts[i].as_py()))
                elif number > self._kept[0][0]:
                    heapq.heapreplace(self._kept, (number, ids[i].as_py(), texts[i].as_py()))

    @property
    def orders(self) -> pa.RecordBatch:
        """The orders, with the columns `order_id` and `json`."""
        return pa.RecordBatch.from_pydict(
            {"order_id": [order_id for _, order_id, _ in self._kept], "json": [text for _, _, text in self._kept]},
            pa.schema([("order_id", pa.string()), ("json", pa.string())]),
        )


def verify(client: EcdpClient, sample: Sample, cancellation: Cancellation) -> dict[str, int]:
    """Read the orders of a sample back, one `GET` each; return the counts, and log the ids of those that differ.

    It ends early when `cancellation` is cancelled, or a GET fails.
    """
    orders = sample.orders
    with cancellation.interrupting(client):
        answer = read_back(client, orders, range(len(orders)), cancellation)
    for positions, difference in ((answer.different, "other content than was sent"), (answer.absent, "no such order")):
        if positions:
            ids = ", ".join(str(orders.column("order_id")[i]) for i in positions[:_LISTED])
            count = number_of(len(positions), "accepted order")
            log.warning("verify: ECDP has %s for %s, such as %s", difference, count, ids)
    if len(answer.positions) < len(orders):
        read = f"{len(answer.positions):,} of {number_of(len(orders), 'order')}"
        log.warning("verify: only %s could be read: %s", read, cancellation.cause or answer.error)
    return {"verified": len(answer.positions), "verified_differ": len(answer.different) + len(answer.absent)}
