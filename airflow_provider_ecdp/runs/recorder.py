"""What a run does with outcomes: it counts them, notes them in its ledgers, and tells how far it is."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from airflow_provider_ecdp.errors import EcdpError
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.results.outcome import BatchOutcome
from airflow_provider_ecdp.results.tally import OutcomeCounts
from airflow_provider_ecdp.runs.dispatcher import Dispatcher

log = logging.getLogger(__name__)

#: Most seconds in which nothing is told, while no answer comes.
_PATIENCE = 2.5


class Recorder:
    """Of one run; used in its calling thread alone.

    :param ledgers: where outcomes are kept, unless `add` is told otherwise
    :param results_limit: how many results are kept for the report, failures first
    :param tell: called after each outcome, and every few seconds while none comes
    :param on_failure: called with the error if a ledger cannot be written: what is sent then could not be recorded
    """

    def __init__(
        self,
        ledgers: Iterable[Ledger | None],
        results_limit: int,
        tell: Callable[[], None],
        on_failure: Callable[[EcdpError], None],
    ) -> None:
        self.ledgers = [ledger for ledger in ledgers if ledger is not None]
        self.tally = OutcomeCounts(results_limit)
        self._tell = tell
        self._on_failure = on_failure

    def begin(self) -> None:
        """Leave a sign in each ledger that a run has begun, and tell so."""
        for ledger in self.ledgers:
            ledger.begin()
        self._tell()

    def add(self, settled: BatchOutcome, ledgers: Sequence[Ledger] | None = None) -> None:
        """Record orders that came to one outcome."""
        reasons = self.tally.add(settled)
        for ledger in self.ledgers if ledgers is None else ledgers:
            ledger.add(settled, reasons)
        self._flush_if_due()
        self._tell()

    def add_all(self, settled: list[BatchOutcome]) -> None:
        """Record what became of a batch; an error with a part of it, such as a full disk, leaves out no other."""
        with contextlib.ExitStack() as each:
            for one in reversed(settled):
                each.callback(self.add, one)

    def settle(self, dispatcher: Dispatcher[Any, Any], most: int) -> None:
        """Wait until at most `most` batches are pending, while those that end are recorded."""
        while True:
            self._flush_if_due()
            waiting = dispatcher.pending > most
            if dispatcher.take(self._patience() if waiting else 0):
                continue
            if not waiting:
                return
            self._tell()

    def flush(self) -> None:
        """Write what is not written yet."""
        for ledger in self.ledgers:
            with self._reported(ledger, tolerated=0):
                ledger.flush()

    def _flush_if_due(self) -> None:
        for ledger in self.ledgers:
            with self._reported(ledger, tolerated=1):
                ledger.flush_if_due()

    @contextlib.contextmanager
    def _reported(self, ledger: Ledger, *, tolerated: int) -> Iterator[None]:
        """Report a ledger of which more than `tolerated` writes in a row have failed; its rows stay pending."""
        try:
            yield
        except EcdpError as error:
            log.warning("%s", error)
            if ledger.failures > tolerated:
                self._on_failure(error)

    def _patience(self) -> float:
        return min([_PATIENCE, *(due for ledger in self.ledgers if (due := ledger.due_in()) is not None)])
