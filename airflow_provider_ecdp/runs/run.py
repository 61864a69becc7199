"""The steps of every run that sends an extract: read, dispatch, record, report, and an orderly end when cancelled.

The calling thread reads, counts and writes the ledgers; worker threads do nothing but send. One item goes alone until
one is answered: a wrong key or an absent host costs few requests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.errors import CancelledError, DeadlineError
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome
from airflow_provider_ecdp.results.report import Report
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.circuit_breaker import CircuitBreaker
from airflow_provider_ecdp.runs.dispatcher import Dispatcher
from airflow_provider_ecdp.runs.progress import OnProgress, Progress
from airflow_provider_ecdp.runs.recorder import OutcomeStore, Recorder
from airflow_provider_ecdp.runs.summary import RunSummary

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: Maximum seconds between progress reports.
_PROGRESS_SECONDS = 2.5


class Job(Protocol[_Item, _Result]):
    """The part that differs between runs."""

    @property
    def total(self) -> int | None:
        """Orders of the extract, None if they were not counted."""

    def items(self) -> Iterator[_Item]:
        """Yield items, each sent in one piece, and record orders that are not sent.

        In the calling thread. It calls `Run.drain` where all items before must have ended.
        """

    def send(self, item: _Item, /) -> _Result:
        """Send one item, in a worker thread, and report the result to the run's circuit breaker.

        Once the run is cancelled it sends nothing, and the result shows it.
        """

    def record(self, result: _Result, /) -> None:
        """Record the result of `send`, in the calling thread."""

    def leave(self) -> None:
        """Record what `send` has set aside, in the calling thread, after an error has ended the run."""

    def most_pending(self, item: _Item, /) -> int:
        """Return how many items of this size may be read and not yet recorded."""


class Run(Generic[_Item, _Result]):
    """One run of a job. Not thread-safe, except for `cancellation`.

    :param ledgers: where outcomes are kept
    :param results_limit: how many results the report lists, failures first
    :param max_in_flight: maximum requests in flight; the client has a limit of its own, and the lower one counts
    :param max_duration: seconds after which nothing new is sent, None for no limit
    :param cancellation: of the caller; the run ends in order when it is cancelled
    """

    def __init__(
        self,
        client: EcdpClient,
        job: Job[_Item, _Result],
        *,
        ledgers: Iterable[OutcomeStore | None],
        results_limit: int,
        max_in_flight: int,
        on_progress: OnProgress,
        max_duration: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.client = client
        self.job = job
        self.cancellation = Cancellation(cancellation, max_seconds=max_duration)
        self.breaker = CircuitBreaker()
        self.recorder = Recorder(ledgers, results_limit, self._report_progress, self.cancellation.stop)
        self._max_in_flight = max_in_flight
        self._on_progress = on_progress
        self._summary = RunSummary(client, self.cancellation.clock)
        client.recount_in_flight()
        self._dispatcher: Dispatcher[_Item, _Result] = Dispatcher(
            job.send,
            job.record,
            limit=lambda: self.breaker.limit(min(max_in_flight, client.in_flight_limit)),
            threads=max_in_flight,
            on_error=self._on_error,
        )
        self._unsent = 0

    def execute(self) -> None:
        """Send and record all items of the job."""
        with self.cancellation.interrupting(self.client), self._flushing():
            self.recorder.begin()
            try:
                with self._dispatcher:
                    for item in self.job.items():
                        self._dispatcher.put(item)
                        self.drain(self.job.most_pending(item) if self.breaker.closed else 0)
                    self.drain()
            except BaseException:
                # not before: until the dispatcher has ended, requests in flight may still fail and be set aside
                self.job.leave()
                raise

    def drain(self, most: int = 0) -> None:
        """Wait until at most `most` items are pending, and record those that end."""
        while True:
            self.recorder.flush_if_due()
            waiting = self._dispatcher.pending > most
            if self._dispatcher.take(self._patience() if waiting else 0):
                continue
            if not waiting:
                return
            # no thread notices the deadline while all of them wait for the server
            self.cancellation.notice_deadline()
            self._report_progress()

    def record_unsent(self, batch: BatchOutcome, ledgers: Sequence[OutcomeStore] | None = None) -> None:
        """Record orders that need no request.

        :param ledgers: where they are kept, None for all ledgers of the run
        """
        self._unsent += len(batch.orders)
        self.recorder.add(batch, ledgers)

    def report(
        self,
        head: Mapping[str, str],
        total: int,
        facts: Mapping[str, int],
        *,
        results_path: str | None,
        halted: str | None = None,
        in_extract: int | None = None,
    ) -> Report:
        """Return the report of `total` orders.

        :param head: such as the mode
        :param facts: further counts for the summary
        :param halted: why the run stopped after its first orders
        :param in_extract: orders of the extract, None if they were not counted or are not the orders of this run
        :raises RuntimeError: the counts do not add up, which is a bug in this package
        """
        outcomes = self.recorder.outcomes
        in_flight = min(self._max_in_flight, self.client.in_flight_reached)
        summary = self._summary.of(head, total, outcomes.counts, facts, in_flight=in_flight)
        left = outcomes.counts[Outcome.NOT_ATTEMPTED] + outcomes.counts[Outcome.UNRESOLVED]
        cause = self.cancellation.cause
        # a deadline that is noticed after the last answer has stopped nothing
        stopped = cause if left or not isinstance(cause, DeadlineError) else None
        return Report(
            summary=summary,
            results=outcomes.results,
            results_path=results_path,
            warnings=outcomes.warned,
            reasons=outcomes.reasons.most_common,
            stopped=stopped,
            halted=halted,
            in_extract=in_extract,
        )

    def _report_progress(self) -> None:
        outcomes = self.recorder.outcomes
        done, seconds = outcomes.counts.total(), self._summary.seconds
        self._on_progress(Progress(done, outcomes.failed, self.job.total, seconds, self._unsent))

    def _patience(self) -> float:
        limits = (_PROGRESS_SECONDS, self.recorder.flush_due_in(), self.cancellation.seconds_left())
        return min(seconds for seconds in limits if seconds is not None)

    def _on_error(self, error: BaseException) -> None:
        cause = CancelledError("the run was aborted by an error")
        if isinstance(error, Exception) and not isinstance(error, CancelledError):
            self.cancellation.stop(cause)
        else:
            # Ctrl-C, or a task's time limit: do not wait until the server recovers
            self.cancellation.cancel(cause)

    @contextlib.contextmanager
    def _flushing(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.recorder.flush()
