"""Orders of one request with their history, and orders set aside until the others are sent."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.errors import ApiError, RequestRejectedError
from airflow_provider_ecdp.orders import batching
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome

#: The golden ratio: multiples of it, modulo 1, are far from each other, however many are taken.
_GOLDEN = 0.6180339887


@dataclass(slots=True, eq=False)
class LostRequest:
    """A POST in mode Add whose answer was lost: it has stored all of its orders, or none.

    `not_stored` is certain once one of its orders is added by another request, for an order is added once.
    """

    not_stored: bool = False


@dataclass(slots=True, eq=False)
class Pool:
    """Orders that are tested in one request.

    `attempts` counts the requests that they were in, `unanswered` those of them, of one call, that may have been stored
    or not; `maybe_stored` is whether there ever was one. `lost` are the requests of mode Add without an
    answer; after one of them the orders are `unread` until they are read back, and `absent` when all of them were.
    `refusal` and `failure` are the last of their kind.
    A `positive` pool holds a bad order: it was refused with its `sibling`, and the sibling alone was not.
    """

    orders: pa.RecordBatch
    attempts: int = 0
    unanswered: int = 0
    maybe_stored: bool = False
    earlier_run: bool = False
    lost: tuple[LostRequest, ...] = ()
    unread: bool = False
    absent: bool = False
    differs: bool = False
    refusal: RequestRejectedError | None = None
    failure: ApiError | None = None
    positive: bool = False
    sibling: Pool | None = None
    #: of one order: whether it failed alone, how many requests were answered by then, and whether it is sent for the
    #: last time
    failed_alone: bool = False
    answers: int = 0
    final: bool = False

    def __len__(self) -> int:
        return len(self.orders)

    @property
    def ids(self) -> list[str]:
        """The order ids."""
        return list(self.orders.column("order_id").to_pylist())

    @property
    def maybe_lost(self) -> bool:
        """Whether a request of this run, without an answer, may have stored these orders."""
        return any(not request.not_stored for request in self.lost)

    @property
    def unsure(self) -> bool:
        """Whether these orders may be stored without this run's knowledge."""
        return self.earlier_run or self.maybe_lost

    @property
    def left_open(self) -> bool:
        """Whether an earlier run left the first of these orders without a definite answer."""
        return bool(self.orders.column("send_last")[0].as_py())

    @property
    def all_left_open(self) -> bool:
        """Whether an earlier run left each of these orders without a definite answer."""
        return bool(pc.all(self.orders.column("send_last")).as_py())

    def part(self, orders: pa.RecordBatch) -> Pool:
        """Return some of the orders, with the same history."""
        return replace(self, orders=orders, positive=False, sibling=None)

    def take(self, positions: Iterable[int]) -> Pool:
        """Return the orders at `positions`."""
        return self.part(self.orders.take(pa.array(positions, pa.int64())))

    def without(self, position: int) -> Pool:
        """Return the orders without the one at `position`."""
        return self.take(i for i in range(len(self)) if i != position)

    def joined(self, others: Iterable[Pool]) -> Pool:
        """Return these orders and those of pools with the same history."""
        return self.part(pa.concat_batches([self.orders, *(pool.orders for pool in others)]))

    def halves(self, *, inferring: bool) -> tuple[Pool, Pool]:
        """Cut the orders in two.

        :param inferring: whether one half holds a bad order if the other does not
        """
        left, right = (self.part(half) for half in batching.halves(self.orders))
        left.sibling = right if inferring else None
        return left, right


def not_attempted(
    orders: pa.RecordBatch, reason: str, http_status: int | None = None, attempts: int = 0
) -> list[BatchOutcome]:
    """Return the outcome of orders that were not sent; those that an earlier run left open remain `unresolved`.

    Its results would forget otherwise that the order may be stored, and a later run would blame it.
    """
    left_open = orders.column("send_last")
    outcomes = ((left_open, Outcome.UNRESOLVED), (pc.invert(left_open), Outcome.NOT_ATTEMPTED))
    parts = [(orders.filter(rows), outcome) for rows, outcome in outcomes]
    return [BatchOutcome(part, outcome, reason, http_status, attempts) for part, outcome in parts if len(part)]


class SetAside:
    """Pools that failed while others did not, or while it is still open whether others do; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: list[Pool] = []
        self._tried = 0

    def __len__(self) -> int:
        return len(self._pools)

    @property
    def bytes(self) -> int:
        """Bytes of the orders' texts."""
        with self._lock:
            return sum(batching.size(pool.orders) for pool in self._pools)

    def add(self, pool: Pool) -> None:
        """Set a pool aside."""
        with self._lock:
            self._pools.append(pool)

    def pop(self) -> Pool | None:
        """Take the pool that was set aside first; None if there is none."""
        with self._lock:
            return self._pools.pop(0) if self._pools else None

    def take_one(self) -> Pool | None:
        """Take one order that was not sent alone yet; None if there is none.

        Orders that are bad for one reason are often neighbours, so each is taken far from those before.
        """
        with self._lock:
            untried = [i for i, pool in enumerate(self._pools) if not pool.failed_alone]
            if not untried:
                return None
            self._tried += 1
            at = untried[-(self._tried % len(untried)) - 1]
            pool = self._pools[at]
            if len(pool) == 1:
                return self._pools.pop(at)
            position = int(len(pool) * (_GOLDEN * self._tried % 1))
            self._pools[at] = pool.without(position)
            return pool.take([position])


class SizeLimit:
    """The largest request that the server takes, by its answers: below the smallest that was too large.

    Safe for threads.

    :param proofs: how many requests must have been too large
    """

    def __init__(self, proofs: int = 1) -> None:
        self._lock = threading.Lock()
        self._proofs = proofs
        self._taken = 0
        self._refused: int | None = None

    def taken(self, size: int) -> None:
        """Note a request of `size` that was not too large."""
        with self._lock:
            self._taken = max(self._taken, size)
            if self._refused is not None and self._refused <= self._taken:
                self._refused = None

    def refused(self, size: int) -> bool:
        """Note a request of `size` that was too large; where a larger one was not, its content is at fault.

        :return: whether this refusal establishes the limit
        """
        with self._lock:
            if size <= self._taken:
                return False
            self._refused = min(size, self._refused or size)
            self._proofs -= 1
            return self._proofs == 0

    def exceeded(self, size: int) -> bool:
        """Whether a request of `size` is too large, by the refusals so far."""
        return self._proofs <= 0 and self._refused is not None and size >= self._refused
