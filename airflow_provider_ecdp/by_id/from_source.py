"""The use case for changes: send the statuses or deletions of an extract, one request each, with an outcome for each.

Requests are safe to repeat: a status, and a deletion, can be set twice.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.by_id.isolation import FirstFailure, Isolation
from airflow_provider_ecdp.by_id.queue import REPEATED, RESUMED, ChangeQueue
from airflow_provider_ecdp.by_id.requests import MAY_BE_GONE, NOT_REACHED, Answer, OrderRequester
from airflow_provider_ecdp.by_id.settings import ChangeSettings, Operation
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.ledger.target import check_target
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome
from airflow_provider_ecdp.results.report import Report
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.progress import OnProgress, no_progress
from airflow_provider_ecdp.runs.run import Run

__all__ = ["ChangeSettings", "apply_changes"]


def apply_changes(
    queue: ChangeQueue,
    client: EcdpClient,
    settings: ChangeSettings,
    *,
    ledger: Ledger | None = None,
    history: Ledger | None = None,
    progress: OnProgress = no_progress,
    cancellation: Cancellation | None = None,
) -> Report:
    """Send the changes, and return the outcome of each. Refusals and outages are in the report, not raised.

    :param ledger: where this run's outcomes are kept; changes that it lists as accepted are not sent again
    :param history: where deletions are noted, so that a run of `only_changed` sends the order again
    :param progress: called in this thread, as outcomes come and every few seconds while none does
    :param cancellation: ends the run in order: nothing new is sent, and every change has an outcome
    :raises EmptyExtractError: there are no rows, and `allow_empty` is not set
    :raises ExtractError: there are more rows than `max_deletions`
    :raises ConfigurationError: the ledger is that of another base URL
    """
    settings.refuse(queue)
    if ledger is not None:
        check_target(ledger, client.settings.base_url, client.key_fingerprint)
    job = _Changes(queue, client, settings, ledger, history, progress=progress, cancellation=cancellation)
    queue.recall(ledger)
    job.isolation.refusals.recall(ledger)
    job.run.execute()
    job.isolation.refusals.remember(ledger)
    return job.report()


@dataclass(frozen=True, slots=True)
class FailedChange:
    """A change that failed, and is sent once more at the end of its round."""

    change: pa.RecordBatch
    first_failure: FirstFailure


class _Changes:
    """The job of one run. All of it belongs to the calling thread, except for `send`."""

    def __init__(
        self,
        queue: ChangeQueue,
        client: EcdpClient,
        settings: ChangeSettings,
        ledger: Ledger | None,
        history: Ledger | None,
        *,
        progress: OnProgress,
        cancellation: Cancellation | None,
    ) -> None:
        self.queue = queue
        self.client = client
        self.settings = settings
        self.ledger = ledger
        self.history = history if queue.operation is Operation.DELETE else None
        self.own = [ledger] if ledger is not None else []
        resumed = settings.resumed or (ledger is not None and ledger.exists())
        self.run: Run[pa.RecordBatch | FailedChange, tuple[pa.RecordBatch, Answer] | None] = Run(
            client,
            self,
            ledgers=[ledger, self.history],
            results_limit=settings.results_limit,
            max_in_flight=settings.max_in_flight,
            on_progress=progress,
            max_duration=settings.max_duration,
            cancellation=cancellation,
        )
        self.isolation = Isolation(
            OrderRequester(client, queue.operation, settings.missing, resumed),
            self.run.breaker,
            self.run.cancellation,
            sent_before=ledger is not None and ledger.has_accepted(),
        )
        self.missing = 0
        #: changes of this round that failed where others did not, each with its answer
        self.set_aside: deque[FailedChange] = deque()
        self.skipped = {
            RESUMED: (settings.count_resumed_as, "accepted before with this content, in this run's results"),
            REPEATED: (Outcome.SKIPPED, "repeats the previous change of this order"),
        }

    @property
    def total(self) -> int:
        """Rows of the extract."""
        return len(self.queue)

    def items(self) -> Iterator[pa.RecordBatch | FailedChange]:
        """Yield each change to send, as a batch of one row; at the end of a round those that were set aside."""
        current = 0
        for batch in self.queue.read():
            changes = self._sendable(batch)
            for i, number in enumerate(changes.column("round").to_pylist()):
                if self.run.cancellation.cancelled:
                    self._leave(changes.slice(i))
                    break
                if number != current:
                    # an order's changes never overtake each other: a round ends before the next begins
                    yield from self._again()
                    current = number
                yield changes.slice(i, 1)
        yield from self._again()

    def _again(self) -> Iterator[FailedChange]:
        self.run.drain()
        while self.set_aside:
            yield self.set_aside.popleft()
        # the next round may have a later change of the same order
        self.run.drain()
        self.isolation.forget_control()

    def send(self, item: pa.RecordBatch | FailedChange) -> tuple[pa.RecordBatch, Answer] | None:
        """Send one change, in a worker thread; None sets it aside until the others of its round are sent."""
        if isinstance(item, FailedChange):
            return item.change, self.isolation.send_again(self._request(item.change), item.first_failure)
        if self.run.cancellation.cancelled:
            return item, Answer(Outcome.NOT_ATTEMPTED, NOT_REACHED)
        answer = self.isolation.send(self._request(item), item.column("order_id")[0].as_py())
        if isinstance(answer, FirstFailure):
            self.set_aside.append(FailedChange(item, answer))
            return None
        return item, answer

    def _request(self, change: pa.RecordBatch) -> Callable[[], dict[str, Any]]:
        order_id, status, website_id = (change.column(n)[0].as_py() for n in ("order_id", "status", "website_id"))

        def request() -> dict[str, Any]:
            if self.queue.operation is Operation.DELETE:
                self.client.delete_order(order_id)
            else:
                self.client.update_order_status(order_id, status, website_id=website_id)
            return {}

        return request

    def record(self, result: tuple[pa.RecordBatch, Answer] | None) -> None:
        """Record the outcome of a change; one that was set aside has none yet."""
        if result is None:
            return
        change, answer = result
        self.missing += answer.missing
        outcome = answer.outcome
        if outcome is Outcome.NOT_ATTEMPTED and change.column("left_open")[0].as_py():
            outcome = Outcome.UNRESOLVED
        noted = [self.history] if self.history is not None and outcome in MAY_BE_GONE else []
        batch = BatchOutcome(change, outcome, answer.reason, answer.http_status, answer.attempts)
        self.run.recorder.add(batch, [*self.own, *noted])

    def leave(self) -> None:
        """Record the changes that were set aside."""
        while self.set_aside:
            item = self.set_aside.popleft()
            # the error that ended the run is raised, others add nothing
            with contextlib.suppress(Exception):
                self.record((item.change, item.first_failure.answer))

    def most_pending(self, _: pa.RecordBatch | FailedChange) -> int:
        """Return how many changes may be read ahead."""
        return 2 * self.settings.max_in_flight - 1

    def report(self) -> Report:
        """Return the report."""
        return self.run.report(
            {"operation": self.queue.operation.value},
            len(self.queue),
            {"missing": self.missing},
            results_path=self.ledger.path if self.ledger is not None else None,
            in_extract=len(self.queue),
        )

    def _leave(self, changes: pa.RecordBatch) -> None:
        """Record changes that are not reached; one that an earlier run left open may still have been made."""
        left_open = changes.column("left_open")
        for rows, outcome in ((left_open, Outcome.UNRESOLVED), (pc.invert(left_open), Outcome.NOT_ATTEMPTED)):
            if len(part := changes.filter(rows)):
                self.run.recorder.add(BatchOutcome(part, outcome, NOT_REACHED), self.own)

    def _sendable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the changes to send; record the others."""
        problems, skip_reason = batch.column("problem"), batch.column("skip_reason")
        if problems.null_count == len(batch) == skip_reason.null_count:
            return batch
        invalid = batch.filter(pc.is_valid(problems))
        if len(invalid):
            self.run.record_unsent(
                BatchOutcome(invalid, Outcome.INVALID, invalid.column("problem").to_pylist()), self.own
            )
        for word, (outcome, reason) in self.skipped.items():
            skipped = batch.filter(pc.equal(skip_reason, word))
            if len(skipped):
                # the ledger has a row of a resumed change; that of a repetition would replace the first one's
                self.run.record_unsent(BatchOutcome(skipped, outcome, reason), ())
        return batch.filter(pc.and_(pc.is_null(problems), pc.is_null(skip_reason)))
