"""The use case: read orders, send them in batches, and give every order its outcome. Only here orders and api meet.

The calling thread reads, counts and writes the ledger; worker threads do nothing but send. One batch goes alone first:
a wrong key or an absent host costs one request.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.attribution import BatchSender, Stop
from airflow_provider_ecdp.errors import ConfigurationError, EmptyExtractError
from airflow_provider_ecdp.ledger import Ledger
from airflow_provider_ecdp.orders import batches
from airflow_provider_ecdp.orders.stream import Orders
from airflow_provider_ecdp.outcomes import Outcome, Settled, Tally, reason
from airflow_provider_ecdp.push_settings import Progress, PushSettings
from airflow_provider_ecdp.report import Report

__all__ = ["Progress", "PushSettings", "push"]

log = logging.getLogger(__name__)

#: Batches that are read ahead of the requests in flight.
_AHEAD = 2

#: Most seconds without a look at whether a flush is due.
_PATIENCE = 60.0

_RESUMED, _UNCHANGED, _REPEATED = "resumed", "unchanged", "repeated"


def push(
    orders: Orders,
    client: EcdpClient,
    settings: PushSettings | None = None,
    *,
    ledger: Ledger | None = None,
    history: Ledger | None = None,
    replay: Ledger | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Send `orders`, and return what became of each. Refusals and outages are in the report, not raised.

    :param ledger: where this run's outcomes are kept; what it holds as accepted with the same content is not sent again
    :param history: where the outcomes of all runs are kept, for a run that sends only what has changed since
    :param replay: of an earlier run: only the orders that it holds as rejected or unresolved are read
    :param progress: called in this thread, after each batch
    :raises EmptyExtractError: there are no orders, and `allow_empty` is not set
    :raises ExtractError: the extract cannot be read to its end; what was sent until then is in the ledger
    """
    run = _Run(
        orders=orders,
        client=client,
        settings=settings or PushSettings(),
        ledger=ledger,
        history=history,
        progress=progress,
        clock=clock,
    )
    try:
        run.prepare(replay)
        run.everything()
    finally:
        run.flush()
    return run.report()


class _Run:
    """The state of one push; all of it belongs to the calling thread, but for `stop`."""

    def __init__(
        self,
        *,
        orders: Orders,
        client: EcdpClient,
        settings: PushSettings,
        ledger: Ledger | None,
        history: Ledger | None,
        progress: Callable[[Progress], None],
        clock: Callable[[], float],
    ) -> None:
        self.orders = orders
        self.client = client
        self.settings = settings
        self.ledger = ledger
        self.ledgers = [kept for kept in (ledger, history) if kept is not None]
        self.history = history
        self.progress = progress
        self.clock = clock
        self.started = clock()
        self.tally = Tally(settings.results_limit)
        self.stop = Stop()
        self.rows = 0
        self.resumed = settings.resumed
        self.may_be_empty = settings.allow_empty
        self.before = client.stats()
        self.skipped = {
            _RESUMED: (settings.count_resumed_as, "accepted before with this content, in this run's results"),
            _UNCHANGED: (Outcome.SKIPPED, "accepted before with this content, in an earlier run"),
            _REPEATED: (Outcome.SKIPPED, "stands in the extract more than once, always with this content"),
        }
        self.pending: set[Future[list[Settled]]] = set()
        self.ended: deque[Settled] = deque()

    def prepare(self, replay: Ledger | None) -> None:
        """Learn what is not to be sent."""
        own = self.ledger.accepted() if self.ledger else None
        if own is not None:
            # what an earlier try of this run skipped as unchanged is not counted as sent by it
            self.orders.skip(own.filter(pc.field("outcome") == Outcome.ACCEPTED.value), _RESUMED)
            self.orders.skip(own.filter(pc.field("outcome") == Outcome.SKIPPED.value), _UNCHANGED)
        history = self.history.accepted() if self.history else None
        if history is not None:
            self.orders.skip(history, _UNCHANGED)
        if replay is not None:
            unfinished = replay.unfinished()
            if unfinished is None:
                raise ConfigurationError(f"{replay.path} holds no results of an earlier run to replay")
            self.orders.choose(unfinished)
            self.may_be_empty |= not len(unfinished)
        # each of them tells of runs that may have stored orders without an answer, or without time to record it
        self.resumed |= own is not None or history is not None or replay is not None
        if repeated := self.orders.find_duplicates():
            log.warning("%d order ids stand more than once in %s", repeated, self.orders.name)
        for ledger in self.ledgers:
            ledger.begin()

    def everything(self) -> None:
        """Read, send and record until the extract ends."""
        sender = BatchSender(
            self.client,
            self.settings.mode,
            self.stop,
            self.settings.request_budget,
            self.settings.match_by,
            # what Add repeats is refused; the other modes repeat without harm
            resumed=self.resumed and not self.settings.mode.repeatable,
        )
        with ThreadPoolExecutor(self.settings.max_in_flight, thread_name_prefix="ecdp-send") as pool:
            try:
                self._send_all(pool, sender)
            except BaseException as error:
                # what is in flight is awaited and recorded; what waits in the queue is given back
                self.stop.set(None)
                if not isinstance(error, Exception):
                    # Ctrl-C, or a task's time limit: nobody waits for a better moment of the server
                    self.client.interrupt()
                while self.pending or self.ended:
                    # the first error is raised, the others say no more
                    with contextlib.suppress(Exception):
                        self._settle(0)
                raise
        if not self.rows and not self.may_be_empty:
            raise EmptyExtractError(
                f"{self.orders.name} holds no orders; if a run without orders is normal, allow it (allow_empty)"
            )

    def _send_all(self, pool: ThreadPoolExecutor, sender: BatchSender) -> None:
        first = True
        for batch in batches.cut(self._sendable(), self.settings.batch_size, self.settings.batch_bytes):
            self.pending.add(pool.submit(sender.send, batch))
            self._settle(0 if first else self.settings.max_in_flight + _AHEAD - 1)
            first = False
        self._settle(0)

    def _sendable(self) -> Iterator[pa.RecordBatch]:
        """Yield the orders that are to be sent; record the others."""
        for chunk in self.orders.read():
            self.rows += len(chunk)
            problems, known = chunk.column("problems"), chunk.column("known")
            if problems.null_count == len(chunk) == known.null_count:
                yield chunk
                continue
            good = problems.is_null()
            invalid = chunk.filter(pc.invert(good))
            if len(invalid):
                reasons = [reason(found) for found in invalid.column("problems").to_pylist()]
                self._record(Settled(invalid, Outcome.INVALID, reasons))
            for word, (outcome, text) in self.skipped.items():
                skipped = chunk.filter(pc.and_kleene(good, pc.equal(known, word)))
                if len(skipped):
                    # a ledger is asked by id: what became of a repeated order is what becomes of the one that is sent
                    self._record(Settled(skipped, outcome, text), kept=word != _REPEATED)
            sendable = chunk.filter(pc.and_(good, known.is_null()))
            if len(sendable):
                yield sendable

    def _settle(self, most: int) -> None:
        """Wait until at most `most` batches are pending, and record those that have ended."""
        while True:
            while self.ended:
                self._record(self.ended.popleft())
            for ledger in self.ledgers:
                ledger.flush_if_due()
            waiting = len(self.pending) > most
            done, _ = wait(self.pending, self._patience() if waiting else 0, FIRST_COMPLETED)
            if not done and not waiting:
                return
            for future in done:
                # one by one: should a result be an error, the others are still pending
                self.pending.remove(future)
                self.ended.extend(future.result())

    def _patience(self) -> float:
        return min([_PATIENCE, *(due for ledger in self.ledgers if (due := ledger.due_in()) is not None)])

    def _record(self, settled: Settled, *, kept: bool = True) -> None:
        reasons = self.tally.add(settled)
        for ledger in self.ledgers if kept else ():
            ledger.add(settled, reasons)
        for ledger in self.ledgers:
            ledger.flush_if_due()
        done = self.tally.counts.total()
        self.progress(Progress(done, self.tally.failed, self.orders.rows, self.clock() - self.started))

    def flush(self) -> None:
        """Write what is not written yet."""
        with contextlib.ExitStack() as each:
            for ledger in self.ledgers:
                each.callback(ledger.flush)

    def report(self) -> Report:
        """Add up. Counts that do not are a fault of this package, and are not passed over."""
        counts = self.tally.counts
        if counts.total() != self.rows:
            raise RuntimeError(f"{self.rows} orders were read and {counts.total()} have an outcome")
        stats = self.client.stats()
        summary: dict[str, Any] = {
            "mode": self.settings.mode.value,
            "total": self.rows,
            **{outcome.value: counts[outcome] for outcome in Outcome},
            "warnings": self.tally.with_warnings,
            "requests": stats.requests - self.before.requests,
            "retries": stats.retries - self.before.retries,
            "bytes": stats.bytes - self.before.bytes,
            "duration_seconds": round(self.clock() - self.started, 3),
        }
        path = self.ledger.path if self.ledger else None
        tally = self.tally
        return Report(summary, tally.results, path, tally.warned, tally.commonest, self.stop.error)
