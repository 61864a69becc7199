"""The use case for changes: send the statuses or deletions of an extract, one request each, with an outcome for each.

The calling thread counts and writes the ledger; worker threads do nothing but send. One change goes alone first: a
wrong key or an absent host costs one request. What is sent is safe to repeat: a status that an order has, and an order
that is deleted, stay so.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.by_id.asking import NOT_REACHED, Answer, Asker, Operation
from airflow_provider_ecdp.by_id.queue import REPEATED, RESUMED, ChangeQueue
from airflow_provider_ecdp.by_id.settings import ChangeSettings
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.outcomes import Outcome, Settled, Tally
from airflow_provider_ecdp.push.attribution import Stop
from airflow_provider_ecdp.push.dispatch import Dispatcher
from airflow_provider_ecdp.report import Report

__all__ = ["ChangeSettings", "apply_changes"]

log = logging.getLogger(__name__)

#: Most seconds without a look at whether a flush is due.
_PATIENCE = 60.0

#: Called with the number of changes that have an outcome, and of those that failed.
Progress = Callable[[int, int], None]

_Dispatcher = Dispatcher[pa.RecordBatch, tuple[pa.RecordBatch, Answer]]


def apply_changes(
    queue: ChangeQueue,
    client: EcdpClient,
    settings: ChangeSettings,
    *,
    ledger: Ledger | None = None,
    progress: Progress = lambda *_: None,
) -> Report:
    """Send the changes, and return what became of each. Refusals and outages are in the report, not raised.

    :param ledger: where this run's outcomes are kept; what it holds as accepted is not sent again
    :param progress: called in this thread, as outcomes come
    :raises EmptyExtractError: there are no rows, and `allow_empty` is not set
    :raises ExtractError: there are more rows than `max_deletions`
    """
    settings.refuse(queue)
    run = _Run(queue, client, settings, ledger, progress)
    try:
        run.everything()
    finally:
        if ledger is not None:
            ledger.flush()
    return run.report()


class _Run:
    """The state of one run; all of it belongs to the calling thread, but for `stop`."""

    def __init__(
        self,
        queue: ChangeQueue,
        client: EcdpClient,
        settings: ChangeSettings,
        ledger: Ledger | None,
        progress: Progress,
    ) -> None:
        self.queue = queue
        self.client = client
        self.settings = settings
        self.ledger = ledger
        self.progress = progress
        self.started = time.monotonic()
        self.before = client.stats()
        resumed = settings.resumed or (ledger is not None and ledger.exists())
        self.asker = Asker(client, queue.operation, settings.missing, resumed)
        self.tally = Tally(settings.results_limit)
        self.missing = 0
        self.stop = Stop()
        self.skipped = {
            RESUMED: (settings.count_resumed_as, "accepted before with this content, in this run's results"),
            REPEATED: (Outcome.SKIPPED, "says the same as the change of this order before it"),
        }
        self.round = 0
        self.begun = False

    def everything(self) -> None:
        """Read, send and record until the queue ends."""
        self.queue.recall(self.ledger)
        if self.ledger is not None:
            self.ledger.begin()
        limit = self.settings.max_in_flight
        with Dispatcher(self._ask, lambda: min(limit, self.client.in_flight_limit), limit) as dispatcher:
            try:
                for batch in self.queue.read():
                    self._send(dispatcher, self._sendable(batch))
                self._settle(dispatcher, 0)
            except BaseException as error:
                # what is in flight is awaited and recorded; what waits in the queue is given back
                self.stop.set(None)
                if not isinstance(error, Exception):
                    # Ctrl-C, or a task's time limit: nobody waits for a better moment of the server
                    self.client.interrupt()
                while dispatcher.pending:
                    # the first error is raised, the others say no more
                    with contextlib.suppress(Exception):
                        self._settle(dispatcher, 0)
                raise

    def _sendable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the changes that are to be sent; record the others."""
        problems, known = batch.column("problem"), batch.column("known")
        if problems.null_count == len(batch) == known.null_count:
            return batch
        invalid = batch.filter(pc.is_valid(problems))
        if len(invalid):
            self._record(Settled(invalid, Outcome.INVALID, invalid.column("problem").to_pylist()))
        for word, (outcome, reason) in self.skipped.items():
            skipped = batch.filter(pc.equal(known, word))
            if len(skipped):
                # the ledger has a row of what is resumed; a repetition must not stand for the change that it repeats
                self._record(Settled(skipped, outcome, reason), kept=False)
        return batch.filter(pc.and_(pc.is_null(problems), pc.is_null(known)))

    def _send(self, dispatcher: _Dispatcher, changes: pa.RecordBatch) -> None:
        for i, number in enumerate(changes.column("round").to_pylist()):
            if self.stop:
                self._record(Settled(changes.slice(i), Outcome.NOT_ATTEMPTED, NOT_REACHED))
                return
            if number != self.round:
                # an order's changes never overtake each other: a round ends before the next begins
                self._settle(dispatcher, 0)
                self.round = number
            dispatcher.put(changes.slice(i, 1))
            self._settle(dispatcher, 2 * self.settings.max_in_flight - 1 if self.begun else 0)
            self.begun = True

    def _ask(self, change: pa.RecordBatch) -> tuple[pa.RecordBatch, Answer]:
        """Send one change, in a thread of its own."""
        order_id, status, website_id = (change.column(n)[0].as_py() for n in ("order_id", "status", "website_id"))

        def send() -> dict[str, Any]:
            if self.queue.operation is Operation.DELETE:
                self.client.delete_order(order_id)
            else:
                self.client.update_order_status(order_id, status, website_id=website_id)
            return {}

        if self.stop:
            return change, Answer(Outcome.NOT_ATTEMPTED, NOT_REACHED)
        answer = self.asker.ask(send)
        if answer.error is not None:
            self.stop.set(answer.error)
        return change, answer

    def _settle(self, dispatcher: _Dispatcher, most: int) -> None:
        """Wait until at most `most` changes are pending, and record those that have ended."""
        while True:
            waiting = dispatcher.pending > most
            ended = dispatcher.take(self._patience() if waiting else 0)
            if self.ledger is not None:
                self.ledger.flush_if_due()
            if ended is not None:
                change, answer = ended
                self.missing += answer.missing
                self._record(Settled(change, answer.outcome, answer.reason, answer.http_status, answer.attempts))
            elif not waiting:
                return

    def _patience(self) -> float:
        due = self.ledger.due_in() if self.ledger is not None else None
        return _PATIENCE if due is None else min(_PATIENCE, due)

    def _record(self, settled: Settled, *, kept: bool = True) -> None:
        reasons = self.tally.add(settled)
        if kept and self.ledger is not None:
            self.ledger.add(settled, reasons)
            self.ledger.flush_if_due()
        self.progress(self.tally.counts.total(), self.tally.failed)

    def report(self) -> Report:
        """Add up. Counts that do not are a fault of this package, and are not passed over."""
        counts, rows = self.tally.counts, len(self.queue)
        if counts.total() != rows:
            raise RuntimeError(f"{rows} orders were read and {counts.total()} have an outcome")
        stats = self.client.stats()
        summary: dict[str, Any] = {
            "operation": self.queue.operation.value,
            "total": rows,
            **{outcome.value: counts[outcome] for outcome in Outcome},
            "missing": self.missing,
            "requests": stats.requests - self.before.requests,
            "retries": stats.retries - self.before.retries,
            "bytes": stats.bytes - self.before.bytes,
            "in_flight": min(self.settings.max_in_flight, self.client.in_flight_limit),
            "duration_seconds": round(time.monotonic() - self.started, 3),
        }
        path = self.ledger.path if self.ledger is not None else None
        return Report(summary, self.tally.results, path, {}, self.tally.commonest, self.stop.error)
