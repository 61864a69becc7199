"""The use case: read orders, send them in batches, and give every order its outcome. Only here orders and api meet.

The calling thread reads, counts and writes the ledger; worker threads do nothing but send. One batch goes alone first:
a wrong key or an absent host costs one request.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.attribution import BatchSender, Stop
from airflow_provider_ecdp.errors import ConfigurationError, EmptyExtractError
from airflow_provider_ecdp.ledger import Ledger
from airflow_provider_ecdp.orders import batches
from airflow_provider_ecdp.orders.stream import Orders
from airflow_provider_ecdp.outcomes import Outcome, Report, Settled, Tally, reason

log = logging.getLogger(__name__)

#: Batches that are read ahead of the requests in flight.
_AHEAD = 2

_RESUMED, _UNCHANGED = "resumed", "unchanged"


@dataclass(frozen=True, slots=True)
class PushSettings:
    """How orders are sent.

    :param mode: what the API does with an id that it has, or has not
    :param match_by: sent as `matchBy` if set
    :param batch_size: most orders of one request
    :param batch_bytes: most bytes of one request
    :param max_in_flight: most requests at a time
    :param request_budget: most requests for one batch, when a refusal has to be traced to its orders
    :param results_limit: how many results the report holds, failures first
    :param allow_empty: whether an extract without orders is a success
    :param resumed: whether an earlier try of this run may have stored orders; a ledger with rows says so itself
    :param count_resumed_as: outcome of what the ledger holds as accepted: SKIPPED for a new run over an old ledger,
        ACCEPTED where the run that wrote it is continued
    :raises ConfigurationError: a value out of range
    """

    mode: Mode = Mode.ADD_OR_REPLACE
    match_by: MatchBy | None = None
    batch_size: int = 500
    batch_bytes: int = 4_000_000
    max_in_flight: int = 4
    request_budget: int = 200
    results_limit: int = 1000
    allow_empty: bool = False
    resumed: bool = False
    count_resumed_as: Outcome = Outcome.SKIPPED

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("batch_size", "batch_bytes", "max_in_flight", "request_budget"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.results_limit < 0:
            raise ConfigurationError(f"results_limit must be 0 or more, not {self.results_limit}")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; `rows` are those of the extract, which are orders only if no SQL groups them."""

    done: int
    failed: int
    rows: int
    seconds: float


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
        self.before = client.stats()
        self.skipped = {
            _RESUMED: (settings.count_resumed_as, "accepted before with this content, in this run's results"),
            _UNCHANGED: (Outcome.SKIPPED, "accepted before with this content, in an earlier run"),
            "repeated": (Outcome.SKIPPED, "stands in the extract more than once, always with this content"),
        }
        self.pending: set[Future[list[Settled]]] = set()

    def prepare(self, replay: Ledger | None) -> None:
        """Learn what is not to be sent."""
        own = self.ledger.accepted() if self.ledger else None
        if own is not None:
            self.orders.skip(own, _RESUMED)
        self.resumed = self.settings.resumed or own is not None
        if self.history is not None and (accepted := self.history.accepted()) is not None:
            self.orders.skip(accepted, _UNCHANGED)
        if replay is not None:
            unfinished = replay.unfinished()
            if unfinished is None:
                raise ConfigurationError(f"{replay.path} holds no results of an earlier run to replay")
            self.orders.choose(unfinished)
        if repeated := self.orders.find_duplicates():
            log.warning("%d order ids stand more than once in %s", repeated, self.orders.name)

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
            except BaseException:
                # what is in flight is awaited and recorded; what waits in the queue is given back
                self.stop.set(None)
                self._settle(0)
                raise
        if not self.rows and not self.settings.allow_empty:
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
                    self._record(Settled(skipped, outcome, text))
            sendable = chunk.filter(pc.and_(good, known.is_null()))
            if len(sendable):
                yield sendable

    def _settle(self, most: int) -> None:
        """Wait until at most `most` batches are pending, and record those that have ended."""
        while self.pending:
            timeout = None if len(self.pending) > most else 0
            done, self.pending = wait(self.pending, timeout, FIRST_COMPLETED)
            if not done:
                return
            for future in done:
                for settled in future.result():
                    self._record(settled)

    def _record(self, settled: Settled) -> None:
        reasons = self.tally.add(settled)
        for ledger in self.ledgers:
            ledger.add(settled, reasons)
            ledger.flush_if_due()
        done = self.tally.counts.total()
        self.progress(Progress(done, self.tally.failed, self.orders.rows, self.clock() - self.started))

    def flush(self) -> None:
        """Write what is not written yet."""
        for ledger in self.ledgers:
            ledger.flush()

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
        commonest = sorted(self.tally.reasons.items(), key=lambda item: -item[1].count)
        return Report(
            summary,
            self.tally.results,
            self.ledger.path if self.ledger else None,
            {name: {"count": w.count, "example": w.example} for name, w in sorted(self.tally.warnings.items())},
            [{"reason": text, "count": r.count, "example": r.example} for text, r in commonest[:10]],
            self.stop.error,
        )
