"""Distinguishes a failing request from a failing server, for orders by their ids.

A request that fails is set aside until others are sent, and then sent once more. Where several fail in a row, the one
that was accepted last is repeated, which changes nothing: if it is accepted again, the orders are at fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from airflow_provider_ecdp.by_id.requests import Answer, OrderRequester
from airflow_provider_ecdp.errors import ApiError
from airflow_provider_ecdp.results.outcome import REASON_CHARACTERS, Outcome
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.circuit_breaker import CircuitBreaker
from airflow_provider_ecdp.runs.refusals import AcceptedRequest, Refusals, reason_left_open
from airflow_provider_ecdp.runs.server_probe import ServerProbe


@dataclass(frozen=True, slots=True)
class FirstFailure:
    """The answer to a request that failed, and is sent once more after others."""

    answer: Answer


@dataclass(slots=True)
class Isolation:
    """Sends requests, and stops the run where the server fails; safe for threads.

    :param sent_before: whether ECDP accepted orders of an earlier run: then the orders that it left open may be the
        only ones that fail
    """

    requester: OrderRequester
    breaker: CircuitBreaker
    cancellation: Cancellation
    sent_before: bool = False
    probe: ServerProbe = field(init=False)
    refusals: Refusals = field(init=False)
    #: the request that was accepted last, of an order that has had no later request
    _accepted: AcceptedRequest | None = None

    def __post_init__(self) -> None:
        self.probe = ServerProbe(self.requester.client, self.breaker, self.cancellation)
        self.refusals = Refusals(self.cancellation)

    def send(self, request: Callable[[], dict[str, Any]], order_id: str) -> Answer | FirstFailure:
        """Send a request about the order `order_id` for the first time."""
        answer = self.requester.send(request)
        breaker = self.breaker
        if answer.error is None:
            breaker.answered()
            return self._answered(answer, AcceptedRequest(order_id, request))
        # a call that was cut short is no evidence about its order
        content = not self.requester.client.interrupted and self.probe.may_be_content(answer.error)
        if content:
            breaker.failed(alone=True)
        if not content or (breaker.is_open and not self._may_be_orders()):
            self.cancellation.stop(answer.error)
            return answer
        return FirstFailure(answer)

    def _answered(self, answer: Answer, request: AcceptedRequest) -> Answer:
        if answer.outcome is Outcome.ACCEPTED:
            self._accepted = request
            self.refusals.accepted()
        elif answer.outcome is Outcome.REJECTED and not answer.missing:
            self.refusals.refused(answer.reason or "", request.order_id, self._accepted)
            if self.refusals.of_all:
                return replace(answer, outcome=Outcome.UNRESOLVED, reason=reason_left_open(answer.reason))
        return answer

    def forget_control(self) -> None:
        """Note that an order may get its next request: to repeat an earlier one would undo it."""
        self._accepted = None

    def send_again(self, request: Callable[[], dict[str, Any]], first_failure: FirstFailure) -> Answer:
        """Send a request that failed once more: it is refused if its answer says so and others are answered."""
        before = first_failure.answer
        if not self.breaker.answers and before.error is not None and not self._left_by_earlier_run():
            # nothing was ever answered: this is an outage, not an order
            self.cancellation.stop(before.error)
        if self.cancellation.cancelled:
            return before
        answer = self.requester.send(request)
        answer = replace(answer, attempts=before.attempts + answer.attempts)
        if answer.error is None:
            self.breaker.answered()
            return answer
        return self._judge(before, answer, answer.error)

    def _judge(self, before: Answer, answer: Answer, error: ApiError) -> Answer:
        if not self.probe.works():
            return answer
        # a GET that is answered does not show that others are
        indefinite = not self.breaker.answers or Outcome.UNRESOLVED in (answer.outcome, before.outcome)
        # a 401 concerns the key, so it does not refuse an order
        indefinite = indefinite or error.status == HTTPStatus.UNAUTHORIZED
        outcome = Outcome.UNRESOLVED if indefinite or error.transient else Outcome.REJECTED
        return replace(answer, outcome=outcome, reason=f"sent twice, {error}"[:REASON_CHARACTERS], error=None)

    def _may_be_orders(self) -> bool:
        control = None if self._accepted is None else self._accepted.repeat
        return self.probe.may_be_orders(control, left_open=self.sent_before)

    def _left_by_earlier_run(self) -> bool:
        """Whether the orders are more likely at fault than the server: an earlier run left them and sent others."""
        return self.sent_before and not self.breaker.answers and self.probe.works()
