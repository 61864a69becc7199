"""The use case: read orders, send them in batches, and give every order its outcome.

The calling thread reads, counts and writes the ledger; worker threads do nothing but send. One batch goes alone first:
a wrong key or an absent host costs one request.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.errors import EmptyExtractError
from airflow_provider_ecdp.ledger.prior_runs import RESUMED, UNCHANGED, PriorRuns, learn
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders import batching
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.push.bisection import BatchSender
from airflow_provider_ecdp.push.settings import Progress, PushSettings
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome, reason
from airflow_provider_ecdp.results.report import Report
from airflow_provider_ecdp.runs.cancellation import Stop
from airflow_provider_ecdp.runs.dispatcher import Dispatcher
from airflow_provider_ecdp.runs.recorder import Recorder

__all__ = ["Progress", "PushSettings", "push"]

log = logging.getLogger(__name__)

_REPEATED = "repeated"

_Dispatcher = Dispatcher[pa.RecordBatch, list[BatchOutcome]]


def push(
    orders: OrderReader,
    client: EcdpClient,
    settings: PushSettings | None = None,
    *,
    ledger: Ledger | None = None,
    history: Ledger | None = None,
    replay: Ledger | None = None,
    columns: Ledger | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Send `orders`, and return what became of each. Refusals and outages are in the report, not raised.

    :param ledger: where this run's outcomes are kept; what it holds as accepted with the same content is not sent again
    :param history: where the outcomes of all runs are kept, for a run that sends only what has changed since
    :param replay: of an earlier run: only the orders that failed in it are read
    :param columns: where the columns that a run reads are kept, for the next to compare; None is history, or ledger
    :param progress: called in this thread, after each batch and every few seconds while none ends
    :raises EmptyExtractError: there are no orders, and `allow_empty` is not set
    :raises ColumnsError: the columns are not those of the previous run, and `on_drift` is FAIL
    :raises ExtractError: the extract cannot be read to its end; what was sent until then is in the ledger
    """
    memory = PriorRuns(ledger, history, replay, columns)
    run = _Run(orders, client, settings or PushSettings(), memory, progress=progress, clock=clock)
    try:
        run.prepare()
        run.everything()
    finally:
        run.recorder.flush()
    return run.report()


class _Run:
    """The state of one push; all of it belongs to the calling thread, but for `stop`."""

    def __init__(
        self,
        orders: OrderReader,
        client: EcdpClient,
        settings: PushSettings,
        memory: PriorRuns,
        *,
        progress: Callable[[Progress], None],
        clock: Callable[[], float],
    ) -> None:
        self.orders = orders
        self.client = client
        self.settings = settings
        self.memory = memory
        self.stop = Stop()
        self.recorder = Recorder((memory.ledger, memory.history), settings.results_limit, self._tell, self.stop.set)
        self.progress = progress
        self.clock = clock
        self.started = clock()
        self.rows = self.passed_over = 0
        self.resumed = settings.resumed
        self.may_be_empty = settings.allow_empty
        self.begun = False
        self.halted: str | None = None
        self.before = client.stats()
        client.recount_in_flight()
        # for each the ledgers that note it. The history has it of the run that sent it, and does not grow of what stays
        # as it is. A ledger is asked by id: what became of a repeated order is what becomes of the one that is sent
        own = [memory.ledger] if memory.ledger is not None else []
        resumed = "accepted before with this content, in this run's results"
        unchanged = "accepted before with this content, in an earlier run"
        repeated = "appears in the extract more than once, always with this content"
        self.skipped: dict[str, tuple[Outcome, str, list[Ledger]]] = {
            RESUMED: (settings.count_resumed_as, resumed, self.recorder.ledgers),
            UNCHANGED: (Outcome.SKIPPED, unchanged, own),
            _REPEATED: (Outcome.SKIPPED, repeated, []),
        }

    def prepare(self) -> None:
        """Learn what is not to be sent."""
        learned = learn(self.orders, self.memory, self.settings.on_drift)
        self.resumed |= learned.resumed
        self.may_be_empty |= learned.nothing_left
        if repeated := self.orders.find_duplicates():
            log.warning("%d order ids appear more than once in %s", repeated, self.orders.name)
        self.recorder.begin()

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
        most = self.settings.max_in_flight
        with Dispatcher(
            sender.send,
            self.recorder.add_all,
            limit=lambda: min(most, self.client.in_flight_limit),
            threads=most,
            give_up=self._give_up,
        ) as dispatcher:
            self._send_all(dispatcher)
        if not self.rows and not self.may_be_empty:
            raise EmptyExtractError(
                f"{self.orders.name} holds no orders; "
                "if a run without orders is normal, allow it (on_empty, --allow-empty)"
            )

    def _give_up(self, error: BaseException) -> None:
        self.stop.set(None)
        if not isinstance(error, Exception):
            # Ctrl-C, or a task's time limit: nobody waits for a better moment of the server
            self.client.interrupt()

    def _send_all(self, dispatcher: _Dispatcher) -> None:
        sendable = self._sendable()
        if self.settings.canary:
            canary, left = batching.first(sendable, self.settings.canary)
            self._send(dispatcher, iter(canary))
            sendable = chain(left, sendable)
            failed = self.recorder.tally.counts[Outcome.REJECTED] + self.recorder.tally.counts[Outcome.UNRESOLVED]
            if failed and not self.stop:
                self.halted = f"canary: {failed} of the first {sum(map(len, canary))} orders failed, no others are sent"
        if self.halted is None:
            self._send(dispatcher, sendable)
        else:
            for batch in sendable:
                self.recorder.add(BatchOutcome(batch, Outcome.NOT_ATTEMPTED, self.halted))

    def _send(self, dispatcher: _Dispatcher, orders: Iterator[pa.RecordBatch]) -> None:
        for batch in batching.cut(orders, self.settings.batch_size, self.settings.batch_bytes):
            dispatcher.put(batch)
            self.recorder.settle(dispatcher, self.settings.most_pending(batching.size(batch)) if self.begun else 0)
            self.begun = True
        self.recorder.settle(dispatcher, 0)

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
                self.recorder.add(BatchOutcome(invalid, Outcome.INVALID, reasons))
            for word, (outcome, text, ledgers) in self.skipped.items():
                skipped = chunk.filter(pc.and_kleene(good, pc.equal(known, word)))
                self.passed_over += len(skipped)
                if len(skipped):
                    self.recorder.add(BatchOutcome(skipped, outcome, text), ledgers)
            sendable = chunk.filter(pc.and_(good, known.is_null()))
            if len(sendable):
                yield sendable

    def _tell(self) -> None:
        tally = self.recorder.tally
        done, failed = tally.counts.total(), tally.failed
        total = None if self.memory.replay else self.orders.count
        self.progress(Progress(done, failed, total, self.clock() - self.started, self.passed_over))

    def report(self) -> Report:
        """Add up. Counts that do not are a fault of this package, and are not passed over."""
        tally = self.recorder.tally
        counts = tally.counts
        if counts.total() != self.rows:
            raise RuntimeError(f"{self.rows} orders were read and {counts.total()} have an outcome")
        summary: dict[str, Any] = {
            "mode": self.settings.mode.value,
            "total": self.rows,
            **{outcome.value: counts[outcome] for outcome in Outcome},
            "warnings": tally.with_warnings,
            **self.client.stats().since(self.before),
            "in_flight": min(self.settings.max_in_flight, self.client.in_flight_reached),
            "duration_seconds": round(self.clock() - self.started, 3),
        }
        path = self.memory.ledger.path if self.memory.ledger else None
        return Report(summary, tally.results, path, tally.warned, tally.commonest, self.stop.error, self.halted)
