"""Records outcomes: counts them and writes them to the ledgers of a run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from airflow_provider_ecdp.errors import EcdpError
from airflow_provider_ecdp.results.outcome import BatchOutcome
from airflow_provider_ecdp.results.outcome_counts import OutcomeCounts

log = logging.getLogger(__name__)


class OutcomeStore(Protocol):
    """Keeps outcomes, as a ledger does."""

    @property
    def failures(self) -> int:
        """Writes in a row that have failed."""

    def begin(self) -> None:
        """Mark that a run has begun."""

    def add(self, batch: BatchOutcome, reasons: Sequence[str | None] | None, /) -> None:
        """Note the outcome of orders; written at the next flush."""

    def flush_if_due(self) -> None:
        """Begin to write, if it is due."""

    def due_in(self) -> float | None:
        """Return the seconds until a flush is due; None if nothing is pending."""

    def flush(self) -> None:
        """Write pending rows."""


class Recorder:
    """Counts and keeps outcomes. Not thread-safe; use it from the calling thread only.

    :param ledgers: where outcomes are kept, unless `add` is given others
    :param results_limit: how many results are kept for the report, failures first
    :param on_progress: called after each outcome
    :param on_failure: called with the error if a ledger cannot be written: later outcomes could not be recorded
    """

    def __init__(
        self,
        ledgers: Iterable[OutcomeStore | None],
        results_limit: int,
        on_progress: Callable[[], None],
        on_failure: Callable[[EcdpError], None],
    ) -> None:
        self.ledgers = [ledger for ledger in ledgers if ledger is not None]
        self.outcomes = OutcomeCounts(results_limit)
        self._on_progress = on_progress
        self._on_failure = on_failure

    def begin(self) -> None:
        """Mark in each ledger that a run has begun."""
        for ledger in self.ledgers:
            ledger.begin()
        self._on_progress()

    def add(self, batch: BatchOutcome, ledgers: Sequence[OutcomeStore] | None = None) -> None:
        """Record orders that came to one outcome."""
        reasons = self.outcomes.add(batch)
        for ledger in self.ledgers if ledgers is None else ledgers:
            ledger.add(batch, reasons)
        self.flush_if_due()
        self._on_progress()

    def add_all(self, outcomes: list[BatchOutcome]) -> None:
        """Record the outcomes of a batch; an error with a part of it, such as a full disk, leaves out no other."""
        with contextlib.ExitStack() as each:
            for batch in reversed(outcomes):
                each.callback(self.add, batch)

    def flush(self) -> None:
        """Write pending rows."""
        for ledger in self.ledgers:
            with self._reported(ledger, tolerated=0):
                ledger.flush()

    def flush_if_due(self) -> None:
        """Begin to write to the ledgers whose last write is long ago."""
        for ledger in self.ledgers:
            with self._reported(ledger, tolerated=1):
                ledger.flush_if_due()

    @contextlib.contextmanager
    def _reported(self, ledger: OutcomeStore, *, tolerated: int) -> Iterator[None]:
        """Report a ledger after more than `tolerated` failed writes in a row; its rows remain pending."""
        try:
            yield
        except EcdpError as error:
            log.warning("%s", error)
            if ledger.failures > tolerated:
                self._on_failure(error)

    def flush_due_in(self) -> float | None:
        """Return the seconds until the next write is due; None if nothing is pending."""
        return min((due for ledger in self.ledgers if (due := ledger.due_in()) is not None), default=None)
