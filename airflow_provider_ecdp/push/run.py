"""The use case: read orders, send them in batches, and give every order its outcome."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.errors import EcdpError
from airflow_provider_ecdp.ledger.prior_runs import RESUMED, UNCHANGED, PriorRuns, carry_over, no_orders
from airflow_provider_ecdp.ledger.target import check_target
from airflow_provider_ecdp.orders import batching
from airflow_provider_ecdp.orders.reader import OrderReader, Selection
from airflow_provider_ecdp.push import bisection
from airflow_provider_ecdp.push.failed_before import FailedBefore
from airflow_provider_ecdp.push.pools import Pool, not_attempted
from airflow_provider_ecdp.push.sender import BatchSender
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.push.verification import Sample, verify
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome, reason
from airflow_provider_ecdp.results.report import Report
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.progress import OnProgress, Progress, no_progress
from airflow_provider_ecdp.runs.recorder import OutcomeStore
from airflow_provider_ecdp.runs.run import Run

__all__ = ["Progress", "PushSettings", "push"]

log = logging.getLogger(__name__)

_REPEATED = "repeated"

#: Pools set aside, and their bytes, above which they are isolated at once: those of a whole run may not fit in memory.
_MOST_ASIDE = 32
_MOST_ASIDE_BYTES = 64_000_000


def push(
    orders: OrderReader,
    client: EcdpClient,
    settings: PushSettings | None = None,
    *,
    prior_runs: PriorRuns | None = None,
    failed_before: FailedBefore | None = None,
    progress: OnProgress = no_progress,
    cancellation: Cancellation | None = None,
) -> Report:
    """Send `orders`, and return the outcome of each. Refusals and outages are in the report, not raised.

    :param prior_runs: where the outcomes of this run and of earlier ones are kept; None keeps them nowhere
    :param failed_before: orders that earlier runs left rejected or unresolved: those that their extracts still have are
        sent too
    :param progress: called in this thread, after each batch and every few seconds while none ends
    :param cancellation: ends the run in order: nothing new is sent, and orders that were read have outcomes
    :raises EmptyExtractError: there are no orders, and `allow_empty` is not set
    :raises ColumnsError: the columns are not those of the previous run, and `on_drift` is FAIL
    :raises ExtractError: the extract cannot be read to its end; outcomes until then are in the ledger
    """
    settings, prior_runs = settings or PushSettings(), prior_runs or PriorRuns()
    job = _Push(orders, client, settings, prior_runs, failed_before, progress=progress, cancellation=cancellation)
    try:
        job.run.execute()
    finally:
        job.mark_time()
    job.close()
    return job.report()


class _Push:
    """The job of one push. All of it belongs to the calling thread, except for `send`."""

    def __init__(
        self,
        orders: OrderReader,
        client: EcdpClient,
        settings: PushSettings,
        prior: PriorRuns,
        failed_before: FailedBefore | None,
        *,
        progress: OnProgress,
        cancellation: Cancellation | None,
    ) -> None:
        self.orders = orders
        self.settings = settings
        self.prior = prior
        self.failed_before = failed_before
        self.run: Run[pa.RecordBatch | Pool, list[BatchOutcome]] = Run(
            client,
            self,
            ledgers=(prior.ledger, prior.history, failed_before),
            results_limit=settings.results_limit,
            max_in_flight=settings.max_in_flight,
            on_progress=progress,
            max_duration=settings.max_duration,
            cancellation=cancellation,
        )
        self.rows = 0
        self.sample = Sample(settings.verify)
        self.verified: dict[str, int] = {}
        self.halted: str | None = None
        kept = [ledger for ledger in (prior.ledger, prior.history) if ledger is not None]
        for ledger in kept:
            check_target(ledger, client.settings.base_url, client.key_fingerprint)
        if prior.history is not None and prior.deletions is not None:
            prior.history.share_clock(prior.deletions)
        self.carried = carry_over(orders, prior, settings.on_drift)
        self.selection = self._select()
        self.sender = self._sender(client, sent_before=any(ledger.has_accepted() for ledger in kept))
        self.skipped = self._skipped()

    def _select(self) -> Selection:
        selection = self.orders.select(sent=self.carried.sent, only=self.carried.only)
        if selection.repeated_ids:
            ids = number_of(selection.repeated_ids, "order id")
            log.warning("Found more than once in %s: %s", self.orders.name, ids)
        if self.failed_before is not None:
            self.failed_before.log_plan()
        return selection

    def _sender(self, client: EcdpClient, *, sent_before: bool) -> BatchSender:
        settings = self.settings
        may_be_stored = settings.resumed or self.carried.resumed or bool(self.failed_before)
        sender = BatchSender(
            client,
            settings.mode,
            self.run.cancellation,
            settings.request_budget,
            settings.match_by,
            breaker=self.run.breaker,
            # a repetition in Add is refused; the other modes repeat without harm
            resumed=may_be_stored and not settings.mode.repeatable,
            sent_before=sent_before,
        )
        sender.refusals.recall(self.prior.ledger)
        return sender

    def _skipped(self) -> dict[str, tuple[Outcome, str, list[OutcomeStore]]]:
        """Return, for each reason to skip an order, its outcome, its text, and the ledgers that note it.

        The history has unchanged orders from the run that sent them. A ledger is queried by id: the outcome of a
        repeated id is that of the order that is sent.
        """
        own: list[OutcomeStore] = [ledger for ledger in (self.prior.ledger, self.failed_before) if ledger is not None]
        resumed = "accepted before with this content, in this run's results"
        unchanged = "accepted before with this content, in an earlier run"
        repeated = "appears in the extract more than once, always with this content"
        return {
            RESUMED: (self.settings.count_resumed_as, resumed, self.run.recorder.ledgers),
            UNCHANGED: (Outcome.SKIPPED, unchanged, own),
            _REPEATED: (Outcome.SKIPPED, repeated, []),
        }

    @property
    def total(self) -> int | None:
        """Orders of the extract, if they were counted and all of them are read."""
        return None if self.prior.replay else self.selection.count

    def items(self) -> Iterator[pa.RecordBatch | Pool]:
        """Yield batches of orders to send, and those of them that have to be isolated."""
        sendable = self._sendable(self.selection)
        if self.settings.canary:
            canary, left = batching.first(sendable, self.settings.canary)
            yield from self._cut(iter(canary))
            self.run.drain()
            self._judge_canary(sum(map(len, canary)))
            sendable = chain(left, sendable)
        if self.halted is None:
            yield from self._cut(sendable)
        else:
            for batch in sendable:
                self.record(not_attempted(batch, self.halted))
        may_be_empty = self.settings.allow_empty or self.carried.nothing_left
        if not self.rows and not may_be_empty and not self.run.cancellation.cancelled:
            raise no_orders(self.orders, self.carried)
        if self.failed_before is not None and not self.prior.replay and self.halted is None:
            yield from self._send_again(self.failed_before)

    def _send_again(self, failed: FailedBefore) -> Iterator[pa.RecordBatch | Pool]:
        """Yield the orders of earlier extracts that failed, and are not in this one."""
        self.run.drain()
        for extract, selection in failed.earlier(lambda: self.run.cancellation.cancelled):
            yield from self._cut(self._sendable(selection))
            self.run.drain()
            if not self.run.cancellation.cancelled:
                failed.forget(extract)

    def send(self, item: pa.RecordBatch | Pool) -> list[BatchOutcome]:
        """Send a batch, or isolate one that was set aside; in a worker thread."""
        return bisection.send(self.sender, item)

    def record(self, result: list[BatchOutcome]) -> None:
        """Record the outcomes of a batch."""
        if self.sample.size:
            self.sample.add(result)
        self.run.recorder.add_all(result)

    def leave(self) -> None:
        """Record the orders that were set aside."""
        while pool := self.sender.set_aside.pop():
            # the error that ended the run is raised, others add nothing
            with contextlib.suppress(Exception):
                self.record(bisection.leave(self.sender, pool))

    def most_pending(self, item: pa.RecordBatch | Pool) -> int:
        """Return how many batches like this one may be read ahead."""
        return 0 if isinstance(item, Pool) else self.settings.most_pending(batching.size(item))

    def mark_time(self) -> None:
        """Make later deletions newer than the rows of this run, whatever the clock of their machine."""
        if self.prior.history is None or self.prior.deletions is None:
            return
        try:
            self.prior.deletions.mark_time()
        except EcdpError as error:
            log.warning("%s", error)

    def close(self) -> None:
        """Remove orders that no longer fail or exist from the list, and read back the sample to verify."""
        self.sender.refusals.remember(self.prior.ledger)
        if self.sample.size and not self.run.cancellation.cancelled:
            self.verified = verify(self.run.client, self.sample, self.run.cancellation)
        if self.failed_before is not None:
            replaying = self.prior.replay is not None
            self.failed_before.close(complete=not (replaying or self.halted or self.run.cancellation.cancelled))

    def report(self) -> Report:
        """Return the report."""
        facts = {"warnings": self.run.recorder.outcomes.with_warnings, **self.verified}
        if self.failed_before is not None:
            facts["failed_before"] = self.failed_before.sent_again
        return self.run.report(
            {"mode": self.settings.mode.value},
            self.rows,
            facts,
            results_path=self.prior.ledger.path if self.prior.ledger else None,
            halted=self.halted,
            # orders of other extracts are among those that were read
            in_extract=None if facts.get("failed_before") else self.total,
        )

    def _judge_canary(self, count: int) -> None:
        """Halt the run if one of the first `count` orders failed."""
        counts = self.run.recorder.outcomes.counts
        failed = counts[Outcome.REJECTED] + counts[Outcome.UNRESOLVED]
        if failed and not self.run.cancellation.cancelled:
            self.halted = f"canary: {failed:,} of the first {number_of(count, 'order')} failed, no others are sent"

    def _cut(self, orders: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch | Pool]:
        aside = self.sender.set_aside
        for batch in batching.cut(orders, self.settings.batch_size, self.settings.batch_bytes):
            yield batch
            if len(aside) > _MOST_ASIDE or (aside and aside.bytes > _MOST_ASIDE_BYTES):
                yield from self._isolate()
        yield from self._isolate()

    def _isolate(self) -> Iterator[Pool]:
        """Find the orders that made batches fail, in those that were set aside."""
        self.run.drain()
        while pool := self.sender.set_aside.pop():
            yield pool

    def _sendable(self, selection: Selection) -> Iterator[pa.RecordBatch]:
        """Yield the orders to send, those that earlier runs left unresolved last; record the others."""
        sent_last: list[pa.RecordBatch] = []
        size = 0
        for chunk in selection.read():
            if self.run.cancellation.abandoned:
                break
            self.rows += len(chunk)
            problems, skip_reason, send_last = map(chunk.column, ("problems", "skip_reason", "send_last"))
            if problems.null_count == len(chunk) == skip_reason.null_count and not send_last.true_count:
                yield chunk
                continue
            self._record_unsent(chunk)
            sendable = pc.and_(problems.is_null(), skip_reason.is_null())
            first = chunk.filter(pc.and_(sendable, pc.invert(send_last)))
            last = chunk.filter(pc.and_(sendable, send_last))
            if len(last) and size < _MOST_ASIDE_BYTES:
                size += batching.size(last)
                sent_last.append(last)
                last = last.slice(len(last))
            yield from (part for part in (first, last) if len(part))
        yield from sent_last

    def _record_unsent(self, chunk: pa.RecordBatch) -> None:
        """Record the orders of a chunk that are invalid, or need not be sent."""
        good = chunk.column("problems").is_null()
        invalid = chunk.filter(pc.invert(good))
        if len(invalid):
            reasons = [reason(broken) for broken in invalid.column("problems").to_pylist()]
            self.run.record_unsent(BatchOutcome(invalid, Outcome.INVALID, reasons))
        for skip_reason, (outcome, text, ledgers) in self.skipped.items():
            skipped = chunk.filter(pc.and_kleene(good, pc.equal(chunk.column("skip_reason"), skip_reason)))
            if len(skipped):
                self.run.record_unsent(BatchOutcome(skipped, outcome, text), ledgers)
