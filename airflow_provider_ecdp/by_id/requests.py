"""One request about one order, and the outcome of that order; shared by the use cases for orders by id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.by_id.settings import Missing, Operation
from airflow_provider_ecdp.errors import ApiError, NotFoundError, RequestRejectedError
from airflow_provider_ecdp.results.outcome import REASON_CHARACTERS, Outcome
from airflow_provider_ecdp.runs.refusals import reason_of

NOT_REACHED = "the run was stopped before this order"

#: Outcomes of a deletion after which ECDP may no longer have the order.
MAY_BE_GONE = (Outcome.ACCEPTED, Outcome.UNRESOLVED)

_ABSENT = "ECDP has no such order"
_GONE = "ECDP has no such order: it was deleted before, or never there"


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one order.

    :param attempts: requests that were made
    :param missing: whether ECDP has no such order
    :param content: members of the result in addition to the outcome
    :param error: why no other order needs a request
    """

    outcome: Outcome
    reason: str | None = None
    http_status: int | None = None
    attempts: int = 0
    missing: bool = False
    content: dict[str, Any] = field(default_factory=dict)
    error: ApiError | None = None


@dataclass(frozen=True, slots=True)
class OrderRequester:
    """Sends requests; safe for threads.

    :param missing: of a deletion, REPORT counts an order that ECDP does not have as accepted: the order is gone, which
        is the goal; of the others as skipped
    :param resumed: whether an earlier try of this run may have sent the same request: an order that it deleted is gone
    """

    client: EcdpClient
    operation: Operation
    missing: Missing
    resumed: bool = False

    def send(self, request: Callable[[], dict[str, Any]]) -> Answer:
        """Send one request; the client retries it where that is safe.

        :raises ConfigurationError: no connection is possible with these settings
        """
        before = self.client.stats().of_thread
        try:
            content = request()
        except NotFoundError as error:
            outcome, reason = self._absent(error)
            return Answer(outcome, reason, error.status, self._since(before), missing=True)
        except RequestRejectedError as error:
            return Answer(Outcome.REJECTED, reason_of(error), error.status, self._since(before))
        except ApiError as error:
            outcome = Outcome.UNRESOLVED if error.maybe_stored else Outcome.NOT_ATTEMPTED
            reason = str(error)[:REASON_CHARACTERS]
            return Answer(outcome, reason, error.status, self._since(before), error=error)
        return Answer(Outcome.ACCEPTED, None, 200, self._since(before), content=content)

    def _absent(self, error: NotFoundError) -> tuple[Outcome, str]:
        if self.operation is Operation.DELETE:
            # a request before this one, whose answer was lost, may have deleted it
            ours = error.maybe_stored or self.resumed
            return (Outcome.ACCEPTED, _GONE) if ours or self.missing is Missing.REPORT else (Outcome.REJECTED, _ABSENT)
        return (Outcome.SKIPPED if self.missing is Missing.REPORT else Outcome.REJECTED), _ABSENT

    def _since(self, before: int) -> int:
        return self.client.stats().of_thread - before
