"""The use case for changes: send the statuses or deletions of an extract, one request each, with an outcome for each.

The calling thread counts and writes the ledger; worker threads do nothing but send. One change goes alone first: a
wrong key or an absent host costs one request. What is sent is safe to repeat: a status that an order has, and an order
that is deleted, stay so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.by_id.queue import REPEATED, RESUMED, ChangeQueue
from airflow_provider_ecdp.by_id.requests import NOT_REACHED, Answer, Operation, OrderRequester
from airflow_provider_ecdp.by_id.settings import ChangeSettings
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome
from airflow_provider_ecdp.results.report import Report
from airflow_provider_ecdp.runs.cancellation import Stop
from airflow_provider_ecdp.runs.dispatcher import Dispatcher
from airflow_provider_ecdp.runs.recorder import Recorder

__all__ = ["ChangeSettings", "apply_changes"]

log = logging.getLogger(__name__)

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
    :param progress: called in this thread, as outcomes come and every few seconds while none does
    :raises EmptyExtractError: there are no rows, and `allow_empty` is not set
    :raises ExtractError: there are more rows than `max_deletions`
    """
    settings.refuse(queue)
    run = _Run(queue, client, settings, ledger, progress)
    try:
        run.everything()
    finally:
        run.recorder.flush()
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
        client.recount_in_flight()
        resumed = settings.resumed or (ledger is not None and ledger.exists())
        self.asker = OrderRequester(client, queue.operation, settings.missing, resumed)
        self.stop = Stop()
        self.recorder = Recorder([ledger], settings.results_limit, self._tell, self.stop.set)
        self.missing = 0
        self.skipped = {
            RESUMED: (settings.count_resumed_as, "accepted before with this content, in this run's results"),
            REPEATED: (Outcome.SKIPPED, "says the same as the change of this order before it"),
        }
        self.round = 0
        self.begun = False

    def everything(self) -> None:
        """Read, send and record until the queue ends."""
        self.queue.recall(self.ledger)
        self.recorder.begin()
        limit = self.settings.max_in_flight
        with Dispatcher(
            self._ask,
            self._answered,
            limit=lambda: min(limit, self.client.in_flight_limit),
            threads=limit,
            give_up=self._give_up,
        ) as dispatcher:
            for batch in self.queue.read():
                self._send(dispatcher, self._sendable(batch))
            self.recorder.settle(dispatcher, 0)

    def _give_up(self, error: BaseException) -> None:
        self.stop.set(None)
        if not isinstance(error, Exception):
            # Ctrl-C, or a task's time limit: nobody waits for a better moment of the server
            self.client.interrupt()

    def _sendable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the changes that are to be sent; record the others."""
        problems, known = batch.column("problem"), batch.column("known")
        if problems.null_count == len(batch) == known.null_count:
            return batch
        invalid = batch.filter(pc.is_valid(problems))
        if len(invalid):
            self.recorder.add(BatchOutcome(invalid, Outcome.INVALID, invalid.column("problem").to_pylist()))
        for word, (outcome, reason) in self.skipped.items():
            skipped = batch.filter(pc.equal(known, word))
            if len(skipped):
                # the ledger has a row of what is resumed; a repetition must not stand for the change that it repeats
                self.recorder.add(BatchOutcome(skipped, outcome, reason), ())
        return batch.filter(pc.and_(pc.is_null(problems), pc.is_null(known)))

    def _send(self, dispatcher: _Dispatcher, changes: pa.RecordBatch) -> None:
        for i, number in enumerate(changes.column("round").to_pylist()):
            if self.stop:
                self.recorder.add(BatchOutcome(changes.slice(i), Outcome.NOT_ATTEMPTED, NOT_REACHED))
                return
            if number != self.round:
                # an order's changes never overtake each other: a round ends before the next begins
                self.recorder.settle(dispatcher, 0)
                self.round = number
            dispatcher.put(changes.slice(i, 1))
            self.recorder.settle(dispatcher, 2 * self.settings.max_in_flight - 1 if self.begun else 0)
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

    def _answered(self, ended: tuple[pa.RecordBatch, Answer]) -> None:
        change, answer = ended
        self.missing += answer.missing
        self.recorder.add(BatchOutcome(change, answer.outcome, answer.reason, answer.http_status, answer.attempts))

    def _tell(self) -> None:
        self.progress(self.recorder.tally.counts.total(), self.recorder.tally.failed)

    def report(self) -> Report:
        """Add up. Counts that do not are a fault of this package, and are not passed over."""
        counts, rows = self.recorder.tally.counts, len(self.queue)
        if counts.total() != rows:
            raise RuntimeError(f"{rows} orders were read and {counts.total()} have an outcome")
        summary: dict[str, Any] = {
            "operation": self.queue.operation.value,
            "total": rows,
            **{outcome.value: counts[outcome] for outcome in Outcome},
            "missing": self.missing,
            **self.client.stats().since(self.before),
            "in_flight": min(self.settings.max_in_flight, self.client.in_flight_reached),
            "duration_seconds": round(time.monotonic() - self.started, 3),
        }
        path = self.ledger.path if self.ledger is not None else None
        return Report(summary, self.recorder.tally.results, path, {}, self.recorder.tally.commonest, self.stop.error)
