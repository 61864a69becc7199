"""The use cases for orders that are named by id: read, change the status, delete. Every one of them gets an outcome.

One request at a time, in the order given: two changes of one order must not overtake each other. A request that fails
is set aside until the others are sent, with those after it about the same order. An outage or a refused key stops the
run.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.by_id.isolation import FirstFailure, Isolation
from airflow_provider_ecdp.by_id.requests import MAY_BE_GONE, NOT_REACHED, Answer, OrderRequester
from airflow_provider_ecdp.by_id.settings import ChangeSettings, DeletionSettings, Missing, Operation
from airflow_provider_ecdp.by_id.validation import checked_id, checked_updates, checked_website, listed_status
from airflow_provider_ecdp.errors import ConfigurationError, EcdpError
from airflow_provider_ecdp.results.outcome import REASON_CHARACTERS, Outcome, count_failed
from airflow_provider_ecdp.results.reasons import ReasonCounts
from airflow_provider_ecdp.results.report import Report
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.circuit_breaker import CircuitBreaker
from airflow_provider_ecdp.runs.progress import OnProgress, Progress, no_progress
from airflow_provider_ecdp.runs.summary import RunSummary

if TYPE_CHECKING:
    from airflow_provider_ecdp.ledger.store import Ledger

__all__ = [
    "Missing",
    "Progress",
    "delete_orders",
    "get_orders",
    "listed_status",
    "update_order_statuses",
]

log = logging.getLogger(__name__)

_DEFAULTS, _OF_DELETIONS = ChangeSettings(), DeletionSettings()

_T = TypeVar("_T")

#: Sends one request, and returns the members of the result in addition to the outcome.
_Send = Callable[[], dict[str, Any]]


def get_orders(
    client: EcdpClient,
    order_ids: Iterable[object],
    *,
    include_customer: bool = True,
    missing: Missing = _DEFAULTS.missing,
    results_limit: int = _DEFAULTS.results_limit,
    progress: OnProgress = no_progress,
    cancellation: Cancellation | None = None,
) -> Report:
    """Read orders; each result has the order as ECDP returned it under `order`, None if there is none.

    :param include_customer: whether the order keeps its `customer`
    :param missing: REPORT counts an order that ECDP does not have as skipped
    """

    def prepare(value: object) -> _Send:
        order_id = checked_id(value, in_path=True)

        def send() -> dict[str, Any]:
            order = client.get_order(order_id)
            return {"order": {name: part for name, part in order.items() if include_customer or name != "customer"}}

        return send

    run = _SequentialRequests(
        OrderRequester(client, Operation.GET, missing), progress, results_limit, cancellation, extra={"order": None}
    )
    return run.execute(order_ids, prepare)


def update_order_statuses(
    client: EcdpClient,
    updates: Iterable[Mapping[str, Any]],
    *,
    missing: Missing = _DEFAULTS.missing,
    results_limit: int = _DEFAULTS.results_limit,
    progress: OnProgress = no_progress,
    cancellation: Cancellation | None = None,
) -> Report:
    """Change the status of orders. A status that the contract does not list is `invalid`, and not sent.

    :param updates: mappings with `order_id`, `status` and, optionally, `website_id`
    :param missing: REPORT counts an order that ECDP does not have as skipped
    :raises ConfigurationError: an element is not such a mapping; nothing was sent
    """

    def prepare(update: Mapping[str, Any]) -> _Send:
        order_id = checked_id(update["order_id"])
        status, website_id = listed_status(update["status"]), checked_website(update.get("website_id"))

        def send() -> dict[str, Any]:
            client.update_order_status(order_id, status, website_id=website_id)
            return {}

        return send

    run = _SequentialRequests(
        OrderRequester(client, Operation.UPDATE_STATUS, missing), progress, results_limit, cancellation
    )
    return run.execute(checked_updates(updates), prepare, order_id=lambda update: update["order_id"])


def delete_orders(
    client: EcdpClient,
    order_ids: Iterable[object],
    *,
    missing: Missing = _OF_DELETIONS.missing,
    results_limit: int = _DEFAULTS.results_limit,
    history: Ledger | None = None,
    progress: OnProgress = no_progress,
    cancellation: Cancellation | None = None,
) -> Report:
    """Mark orders as deleted.

    :param missing: REPORT counts an order that ECDP does not have as accepted: the order is gone, which is
        the goal, and a second DELETE may be answered the same way. FAIL counts it as rejected
    :param history: where deletions are noted, so that a run of `only_changed` sends the order again
    :raises ConfigurationError: nothing can be written there; nothing was sent
    :raises StorageError: nothing can be written there now; nothing was sent
    """

    def prepare(value: object) -> _Send:
        order_id = checked_id(value, in_path=True)

        def send() -> dict[str, Any]:
            client.delete_order(order_id)
            return {}

        return send

    run = _SequentialRequests(OrderRequester(client, Operation.DELETE, missing), progress, results_limit, cancellation)
    if history is None:
        return run.execute(order_ids, prepare)
    history.begin()
    failure: EcdpError | None = None
    try:
        report = run.execute(order_ids, prepare)
    finally:
        history.note_deleted(result["order_id"] for result in run.results if result["outcome"] in MAY_BE_GONE)
        try:
            history.flush()
        except EcdpError as error:
            log.warning("%s", error)
            failure = error
    return report if failure is None else replace(report, stopped=report.stopped or failure)


@dataclass(slots=True)
class _Waiting:
    """A request that is not answered yet; `first_failure` if it has failed."""

    position: int
    order_id: object
    send: _Send
    first_failure: FirstFailure | None = None


class _SequentialRequests:
    """Sends one request after another, and counts the outcomes.

    Not a `runs.run.Run`, which sends the batches of an extract in threads and keeps a ledger: a list is short, is sent
    in the calling thread, and its results hold the orders that ECDP returned.

    :param extra: members of a result without an order
    """

    def __init__(
        self,
        requester: OrderRequester,
        progress: OnProgress,
        results_limit: int,
        cancellation: Cancellation | None,
        *,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if results_limit < 0:
            raise ConfigurationError(f"results_limit must be 0 or more, not {results_limit}")
        self.progress = progress
        self.results_limit = results_limit
        self.cancellation = Cancellation(cancellation)
        self.extra = extra or {}
        self.summary = RunSummary(requester.client, self.cancellation.clock)
        self.isolation = Isolation(requester, CircuitBreaker(), self.cancellation)
        self.total: int | None = None
        self._results: dict[int, dict[str, Any]] = {}
        self.counts: Counter[Outcome] = Counter()
        self.reasons = ReasonCounts()
        self.missing = 0
        self._requested: set[str] = set()

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results so far, in the order of the call."""
        return [self._results[position] for position in sorted(self._results)]

    def execute(
        self,
        orders: Iterable[_T],
        prepare: Callable[[_T], _Send],
        order_id: Callable[[_T], object] = lambda order: order,
    ) -> Report:
        """Send a request for each order, and return the report.

        :param prepare: checks an order, and returns the function that sends its request
        """
        self.total = len(orders) if isinstance(orders, Sized) else None
        waiting: list[_Waiting] = []
        held_back: set[str] = set()
        with self.cancellation.interrupting(self.isolation.requester.client):
            for position, order in enumerate(orders):
                try:
                    request = _Waiting(position, order_id(order), prepare(order))
                except ConfigurationError as error:
                    answer = Answer(Outcome.INVALID, str(error)[:REASON_CHARACTERS])
                    self._record(position, order_id(order), answer)
                    continue
                if str(request.order_id) in held_back or not self._send(request):
                    held_back.add(str(request.order_id))
                    waiting.append(request)
            for request in waiting:
                if request.first_failure is not None or not self._send(request):
                    self._send_again(request)
        return self._report()

    def _send(self, request: _Waiting) -> bool:
        """Send a request for the first time; return whether its order has its outcome."""
        if self.cancellation.cancelled:
            self._record(request.position, request.order_id, Answer(Outcome.NOT_ATTEMPTED, NOT_REACHED))
            return True
        if str(request.order_id) in self._requested:
            self.isolation.forget_control()
        self._requested.add(str(request.order_id))
        answer = self.isolation.send(request.send, str(request.order_id))
        if isinstance(answer, FirstFailure):
            request.first_failure = answer
            return False
        self._record(request.position, request.order_id, answer)
        return True

    def _send_again(self, request: _Waiting) -> None:
        if request.first_failure is not None:
            answer = self.isolation.send_again(request.send, request.first_failure)
            self._record(request.position, request.order_id, answer)

    def _record(self, position: int, order_id: object, answer: Answer) -> None:
        self.missing += answer.missing
        self.counts[answer.outcome] += 1
        shown = _shown(order_id)
        if answer.outcome.failed:
            self.reasons.add(answer.outcome, answer.reason, shown)
        self._results[position] = {
            "order_id": shown,
            "outcome": answer.outcome.value,
            "reason": answer.reason,
            "http_status": answer.http_status,
            "attempts": answer.attempts,
            **self.extra,
            **answer.content,
        }
        failed = count_failed(self.counts)
        unsent = self.counts[Outcome.INVALID]
        self.progress(Progress(len(self._results), failed, self.total, self.summary.seconds, unsent))

    def _report(self) -> Report:
        head, facts = {"operation": self.isolation.requester.operation.value}, {"missing": self.missing}
        summary = self.summary.of(head, len(self._results), self.counts, facts)
        # sorted is stable: among the failures, and among the others, the order is that of the call
        ranked = sorted(self.results, key=lambda result: not Outcome(result["outcome"]).failed)
        stopped = self.cancellation.cause if any(outcome.failed for outcome in self.counts) else None
        return Report(
            summary=summary,
            results=ranked[: self.results_limit],
            warnings={},
            reasons=self.reasons.most_common,
            stopped=stopped,
        )


def _shown(order_id: object) -> str | None:
    # anything else may be a whole order, given by mistake, with a customer in it
    if not isinstance(order_id, (str, int, float)):
        return None
    return str(order_id).encode(errors="replace").decode()
