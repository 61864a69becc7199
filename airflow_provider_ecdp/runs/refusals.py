"""Detects a server that refuses every order, such as one whose quota is used up.

Refusals in the server's own words count as answers, so the circuit breaker does not see such an outage.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_ecdp.errors import ApiError, EcdpError, RequestRejectedError, UnexpectedAnswerError
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.results.outcome import REASON_CHARACTERS, Outcome
from airflow_provider_ecdp.results.reasons import folded
from airflow_provider_ecdp.runs.cancellation import Cancellation

log = logging.getLogger(__name__)

#: Orders refused in a row for the same reason, after which an accepted one is sent again: one request for every
#: twenty bad orders.
_IN_A_ROW = 20

#: Begins the message of such a stop, and the reason of the orders that it leaves `unresolved`.
_REFUSES_ALL = "ECDP refuses every order, even one that it accepted before"

#: The name of the note in a run's results that holds the reason.
_NOTE = "refused-all"


@dataclass(frozen=True, slots=True)
class AcceptedRequest:
    """A request that was accepted, of one order, and that changes nothing when it is repeated."""

    order_id: str
    repeat: Callable[[], object]


@dataclass(slots=True)
class Refusals:
    """Counts orders that are refused in a row, each alone in its request; safe for threads.

    :param cancellation: of the run, which is stopped if the server refuses every order
    """

    cancellation: Cancellation
    #: whether the server has also refused a request that it had accepted before
    of_all: bool = False
    #: why this run, or an earlier try of it, was stopped; empty once an order is accepted
    _stopped_for: str = ""
    _in_a_row: int = 0
    _alike: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accepted(self) -> None:
        """Note that an order was accepted."""
        with self._lock:
            self._in_a_row = 0
            # after the stop, this is the late answer of another thread
            if not self.of_all:
                self._stopped_for = ""

    def recall(self, ledger: Ledger | None) -> None:
        """Read why an earlier try was stopped: a retry during the same outage has no accepted order to repeat.

        :raises StorageError: the storage does not answer
        """
        note = None if ledger is None else ledger.read_note(_NOTE)
        self._stopped_for = (note or b"").decode()

    def remember(self, ledger: Ledger | None) -> None:
        """Note why this try was stopped, for the next one."""
        if ledger is None or not self.of_all:
            return
        try:
            ledger.write_note(_NOTE, self._stopped_for.encode())
        except EcdpError as error:
            log.warning("%s", error)

    def refused(self, reason: str, order_id: str, control: AcceptedRequest | None) -> None:
        """Note that an order was refused; after many like it, stop the run if the server refuses `control` too.

        :param reason: as `reason_of` returns it
        """
        alike = folded(Outcome.REJECTED, reason, order_id)
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if alike == self._alike else 1
            self._alike = alike
            due = self._in_a_row % _IN_A_ROW == 0
            as_before = alike == self._stopped_for
        if not due or self.cancellation.cancelled:
            return
        if as_before:
            self._stop(alike, reason)
        elif control is not None:
            self._repeat(control, alike)

    def _repeat(self, control: AcceptedRequest, alike: str) -> None:
        try:
            control.repeat()
        except RequestRejectedError as error:
            # with another reason, the server may refuse the repetition as such
            if folded(Outcome.REJECTED, reason_of(error), control.order_id) == alike:
                self._stop(alike, str(error), error.status)
        except ApiError:
            # the requests after this one show whether the server fails
            return

    def _stop(self, alike: str, message: str, status: int | None = None) -> None:
        self.of_all, self._stopped_for = True, alike
        self.cancellation.stop(UnexpectedAnswerError(f"{_REFUSES_ALL}: {message}", status=status))


def reason_left_open(refusal: object) -> str:
    """Return the reason of an order that was refused together with every other one, by the reason of its refusal."""
    return f"{_REFUSES_ALL}: {refusal}"[:REASON_CHARACTERS]


def reason_of(error: RequestRejectedError) -> str:
    """Return the reason of an order that was refused alone: the server's text, or else our own."""
    return ("; ".join(error.details) or str(error))[:REASON_CHARACTERS]
