"""The use cases for orders that are named by id: read, change the status, delete. Every one of them gets an outcome.

One request at a time, in the order given: two changes of one order must not overtake each other. An outage or a refused
key stops the run, for it would stop every later request too; anything else concerns one order, and the rest goes on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_ecdp.api.client import ClientStats, EcdpClient
from airflow_provider_ecdp.by_id.requests import NOT_REACHED, Answer, Missing, Operation, OrderRequester
from airflow_provider_ecdp.by_id.validation import checked_id, checked_updates, checked_website, listed_status
from airflow_provider_ecdp.errors import ApiError, ConfigurationError
from airflow_provider_ecdp.results.outcome import REASON_CHARACTERS, Outcome
from airflow_provider_ecdp.results.report import Report

__all__ = [
    "Missing",
    "Progress",
    "delete_orders",
    "get_orders",
    "listed_status",
    "update_order_statuses",
]

_T = TypeVar("_T")

#: Sends one request, and returns what the result holds beside the outcome.
_Send = Callable[[], dict[str, Any]]

#: Called with the number of orders that have an outcome, and of those that failed.
Progress = Callable[[int, int], None]


def get_orders(
    client: EcdpClient,
    order_ids: Iterable[object],
    *,
    include_customer: bool = True,
    missing: Missing = Missing.FAIL,
    results_limit: int = 1000,
    progress: Progress = lambda *_: None,
) -> Report:
    """Read orders; each result has the order as ECDP returned it under `order`, None if there is none.

    :param include_customer: whether the order keeps its `customer`
    :param missing: REPORT counts an order that ECDP does not have as skipped
    """

    def prepare(given: object) -> _Send:
        order_id = checked_id(given, in_path=True)

        def send() -> dict[str, Any]:
            order = client.get_order(order_id)
            return {"order": {name: part for name, part in order.items() if include_customer or name != "customer"}}

        return send

    run = _Run(OrderRequester(client, Operation.GET, missing), progress, results_limit, extra={"order": None})
    for given in order_ids:
        run.ask(given, prepare, given)
    return run.report()


def update_order_statuses(
    client: EcdpClient,
    updates: Iterable[Mapping[str, Any]],
    *,
    missing: Missing = Missing.FAIL,
    results_limit: int = 1000,
    progress: Progress = lambda *_: None,
) -> Report:
    """Change the status of orders. A status that the contract does not list is `invalid`, and not sent.

    :param updates: mappings with `order_id`, `status` and, if the API is to be told, `website_id`
    :param missing: REPORT counts an order that ECDP does not have as skipped
    :raises ConfigurationError: an element is no such mapping; nothing was sent
    """

    def prepare(update: Mapping[str, Any]) -> _Send:
        order_id = checked_id(update["order_id"])
        status, website_id = listed_status(update["status"]), checked_website(update.get("website_id"))

        def send() -> dict[str, Any]:
            client.update_order_status(order_id, status, website_id=website_id)
            return {}

        return send

    run = _Run(OrderRequester(client, Operation.UPDATE_STATUS, missing), progress, results_limit)
    for update in checked_updates(updates):
        run.ask(update["order_id"], prepare, update)
    return run.report()


def delete_orders(
    client: EcdpClient,
    order_ids: Iterable[object],
    *,
    missing: Missing = Missing.REPORT,
    results_limit: int = 1000,
    progress: Progress = lambda *_: None,
) -> Report:
    """Mark orders as deleted.

    :param missing: REPORT counts an order that ECDP does not have as accepted: the order is gone, which is
        the goal, and a second DELETE may be answered the same way. FAIL counts it as rejected
    """

    def prepare(given: object) -> _Send:
        order_id = checked_id(given, in_path=True)

        def send() -> dict[str, Any]:
            client.delete_order(order_id)
            return {}

        return send

    run = _Run(OrderRequester(client, Operation.DELETE, missing), progress, results_limit)
    for given in order_ids:
        run.ask(given, prepare, given)
    return run.report()


@dataclass(slots=True)
class _Run:
    """Asks, and counts.

    :param extra: what a result without an order holds
    """

    asker: OrderRequester
    progress: Progress
    results_limit: int
    extra: Mapping[str, Any] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[Outcome] = field(default_factory=Counter)
    missing: int = 0
    stopped: ApiError | None = None
    started: float = field(default_factory=time.monotonic)
    before: ClientStats = field(init=False)

    def __post_init__(self) -> None:
        if self.results_limit < 0:
            raise ConfigurationError(f"results_limit must be 0 or more, not {self.results_limit}")
        self.before = self.asker.client.stats()

    def ask(self, order_id: object, prepare: Callable[[_T], _Send], given: _T) -> None:
        answer = self._answer(prepare, given)
        self.stopped = self.stopped or answer.error
        self.missing += answer.missing
        self.counts[answer.outcome] += 1
        self.results.append(
            {
                "order_id": _shown(order_id),
                "outcome": answer.outcome.value,
                "reason": answer.reason,
                "http_status": answer.http_status,
                "attempts": answer.attempts,
                **self.extra,
                **answer.held,
            }
        )
        self.progress(len(self.results), sum(count for outcome, count in self.counts.items() if outcome.failed))

    def _answer(self, prepare: Callable[[_T], _Send], given: _T) -> Answer:
        if self.stopped is not None:
            return Answer(Outcome.NOT_ATTEMPTED, NOT_REACHED)
        try:
            send = prepare(given)
        except ConfigurationError as error:
            return Answer(Outcome.INVALID, str(error)[:REASON_CHARACTERS])
        return self.asker.ask(send)

    def report(self) -> Report:
        summary = {
            "operation": self.asker.operation.value,
            "total": len(self.results),
            **{outcome.value: self.counts[outcome] for outcome in Outcome},
            "missing": self.missing,
            **self.asker.client.stats().since(self.before),
            "duration_seconds": round(time.monotonic() - self.started, 3),
        }
        # sorted is stable: among the failures, and among the others, the order is that of the call
        ranked = sorted(self.results, key=lambda result: not Outcome(result["outcome"]).failed)
        return Report(summary, ranked[: self.results_limit], None, {}, _commonest(ranked), self.stopped)


def _shown(order_id: object) -> str | None:
    # anything else may be a whole order, given by mistake, with a customer in it
    if not isinstance(order_id, (str, int, float)):
        return None
    return str(order_id).encode(errors="replace").decode()


def _commonest(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter()
    examples: dict[str, str | None] = {}
    for result in results:
        if Outcome(result["outcome"]).failed:
            order_id, reason = result["order_id"], result["reason"] or "no reason given"
            text = f"{result['outcome']}: {reason.replace(order_id, '…') if order_id else reason}"
            counts[text] += 1
            examples.setdefault(text, order_id)
    return [{"reason": text, "count": n, "example": examples[text]} for text, n in counts.most_common(10)]
