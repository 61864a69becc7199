"""Detects a server that refuses every order, such as one whose quota is used up.

Refusals in the server's own words count as answers, so the circuit breaker does not see such an outage.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_ecdp.errors import ApiError, RequestRejectedError, UnexpectedAnswerError
from airflow_provider_ecdp.results.outcome import REASON_CHARACTERS, Outcome
from airflow_provider_ecdp.results.reasons import folded
from airflow_provider_ecdp.runs.cancellation import Cancellation

#: Orders refused in a row for the same reason, after which an accepted one is sent again: one request for every
#: twenty bad orders.
_IN_A_ROW = 20

#: The beginning of the reason of orders that are refused together with every other one.
REFUSES_ALL = "ECDP refuses every order, even one that it accepted before"


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
    _in_a_row: int = 0
    _reason: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accepted(self) -> None:
        """Note that an order was accepted."""
        with self._lock:
            self._in_a_row = 0

    def refused(self, reason: str, order_id: str, control: AcceptedRequest | None) -> None:
        """Note that an order was refused; after many alike, stop the run if the server refuses `control` alike.

        :param reason: as `reason_of` returns it
        """
        reason = folded(Outcome.REJECTED, reason, order_id)
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if reason == self._reason else 1
            self._reason = reason
            due = self._in_a_row % _IN_A_ROW == 0
        if not due or control is None or self.cancellation.cancelled:
            return
        try:
            control.repeat()
        except RequestRejectedError as again:
            # with another reason, the server may refuse the repetition as such
            if folded(Outcome.REJECTED, reason_of(again), control.order_id) == reason:
                self.of_all = True
                self.cancellation.stop(UnexpectedAnswerError(f"{REFUSES_ALL}: {again}", status=again.status))
        except ApiError:
            # the requests after this one show whether the server fails
            return


def reason_of(error: RequestRejectedError) -> str:
    """Return the reason of an order that was refused alone: the server's text, or else our own."""
    return ("; ".join(error.details) or str(error))[:REASON_CHARACTERS]
