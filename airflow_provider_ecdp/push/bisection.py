"""One batch to definite outcomes: a batch that is refused is not an order that is refused.

A refusal stores nothing and may not say who is at fault. What it names is sent alone, the rest is sent again; where it
names nobody the batch is halved, until each refused order stood alone in its own request. An order next to a bad one is
never blamed.

After an answer that leaves open whether orders were stored, `AddOrReplace` and `Replace` repeat. `Add` reads back
with GET before it judges, for the second `Add` of an order that was stored is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pyarrow as pa

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.errors import ApiError, RequestRejectedError, TooLargeError
from airflow_provider_ecdp.orders import batching
from airflow_provider_ecdp.push.group import Group
from airflow_provider_ecdp.push.readback import read_back
from airflow_provider_ecdp.push.refusals import named_orders
from airflow_provider_ecdp.results.outcome import REASON_CHARACTERS, BatchOutcome, Outcome
from airflow_provider_ecdp.runs.cancellation import Cancellation

_DIFFERENT = "mode Add changes no order, and this id is stored with other content; AddOrReplace would replace it"
_FOUND = "no answer came, and the order was found stored as sent"


@dataclass(frozen=True, slots=True)
class BatchSender:
    """Sends batches; safe for threads.

    :param request_budget: most POST requests for one batch; orders that it does not reach are `unresolved`
    :param resumed: whether an earlier try of this run may have stored orders that it could not record
    """

    client: EcdpClient
    mode: Mode
    cancellation: Cancellation
    request_budget: int
    match_by: MatchBy | None = None
    resumed: bool = False

    def send(self, batch: pa.RecordBatch) -> list[BatchOutcome]:
        """Send `batch`; every order of it is in exactly one of what is returned."""
        trace = _Bisection(self)
        trace.waiting.append(Group(batch, unsure=self.resumed))
        while trace.waiting:
            trace.ask(trace.waiting.pop())
        return trace.settled


@dataclass(slots=True)
class _Bisection:
    """The way of one batch to its outcomes: groups that are still to be asked are on a stack."""

    sender: BatchSender
    waiting: list[Group] = field(default_factory=list)
    settled: list[BatchOutcome] = field(default_factory=list)
    requests: int = 0

    def ask(self, group: Group) -> None:
        sender = self.sender
        if sender.cancellation.cancelled:
            self.leave(group, "the run was stopped before this order could be sent")
        elif group.suspect and len(group.orders) > 1:
            self.halve(group)
        elif self.requests >= sender.request_budget:
            self.leave(group, f"refused together with others, and not told apart in {self.requests} requests")
        else:
            self.post(group)

    def post(self, group: Group) -> None:
        sender = self.sender
        try:
            result = sender.client.post_orders(sender.mode, batching.body(group.orders), match_by=sender.match_by)
        except RequestRejectedError as error:
            self.count(group, error.attempts)
            self.answered(group)
            before, group.refusal = group.refusal, error
            if len(group.orders) == 1:
                self.refused_alone(group, error)
            elif isinstance(error, TooLargeError):
                self.halve(group)
            else:
                self.refused_together(group, error, before)
        except ApiError as error:
            self.count(group, error.attempts)
            if error.maybe_stored and not sender.mode.repeatable:
                self.read_back_and_repeat(group, error)
            else:
                self.stop(group, error)
        else:
            self.count(group, result.attempts)
            self.answered(group)
            if group.sibling is not None and group.refusal is not None:
                group.sibling.suspect = not isinstance(group.refusal, TooLargeError)
            self.settle(group, Outcome.ACCEPTED, http_status=result.status)

    def refused_together(self, group: Group, error: RequestRejectedError, before: RequestRejectedError | None) -> None:
        named = named_orders(error.details, group.ids)
        if group.unsure:
            # in mode Add, what was stored without our knowledge is refused now; where each refusal names only some of
            # these orders, asking again for each costs more than reading all of them
            self.refused_unsure(group, named, named if before is None else set())
            return
        if 0 < len(named) < len(group.orders):
            self.waiting += [group.take([i]) for i in sorted(named)]
            self.waiting.append(group.take(i for i in range(len(group.orders)) if i not in named))
        else:
            self.halve(group)

    def refused_unsure(self, group: Group, named: set[int], suspects: set[int]) -> None:
        checked = self.read_back(group, suspects or range(len(group.orders)))
        if checked is None:
            return
        absent, unread = checked
        sure = replace(group, unsure=False)
        self.waiting += [sure.take([i]) for i in absent if i in named]
        others = [i for i in absent if i not in named]
        if len(others) == len(group.orders):
            self.halve(sure)
        elif others:
            self.waiting.append(sure.take(others))
        if unread:
            self.waiting.append(group.take(unread))

    def refused_alone(self, group: Group, error: RequestRejectedError) -> None:
        if group.unsure:
            checked = self.read_back(group, [0])
            if checked is None or not checked[0]:
                return
        reason = "; ".join(error.details) or str(error)
        self.settle(group, Outcome.REJECTED, reason[:REASON_CHARACTERS], error.status)

    def halve(self, group: Group) -> None:
        left, right = group.halves()
        self.waiting += [right, left]

    def read_back_and_repeat(self, group: Group, error: ApiError) -> None:
        """Settle what a request without an answer has stored, and queue what it has not for another request."""
        group.unanswered += 1
        if not self.sender.client.pause(error, group.unanswered):
            self.stop(group, error)
            return
        group.unsure = True
        # a batch is stored whole or not at all: one absent order tells of all, a present one may be older
        first = self.read_back(group.part(group.orders.slice(0, 1)), [0])
        if first is None:
            if len(group.orders) > 1:
                self.leave(group.part(group.orders.slice(1)), "the run was stopped before this order was read back")
            return
        if first[0]:
            self.waiting.append(group)
            return
        self.answered(group)
        rest = group.part(group.orders.slice(1))
        if len(rest.orders):
            checked = self.read_back(rest, range(len(rest.orders)))
            if checked and checked[0]:
                self.waiting.append(rest.take(checked[0]))

    def read_back(self, group: Group, positions: Iterable[int]) -> tuple[list[int], list[int]] | None:
        """Read orders back and settle those that are stored; return the positions of absent and of unread ones.

        None says that the run was stopped, and every order of the group is settled.
        """
        positions = set(positions)
        found = read_back(self.sender.client, group.orders, positions)
        if found.same:
            self.settle(group.take(found.same), Outcome.ACCEPTED, _FOUND, 200)
        if found.different:
            status = group.refusal.status if group.refusal else 200
            self.settle(group.take(found.different), Outcome.REJECTED, _DIFFERENT, status)
        settled = {*found.same, *found.different}
        if found.error is not None:
            self.stop(group.take(i for i in range(len(group.orders)) if i not in settled), found.error)
            return None
        return found.absent, [i for i in range(len(group.orders)) if i not in positions]

    def stop(self, group: Group, error: ApiError) -> None:
        self.sender.cancellation.stop(error)
        if error.maybe_stored or group.unsure or group.refusal:
            self.settle(group, Outcome.UNRESOLVED, str(error), error.status)
        else:
            self.settle(group, Outcome.NOT_ATTEMPTED, str(error), error.status)

    def leave(self, group: Group, reason: str) -> None:
        if group.attempts:
            said = "; ".join(group.refusal.details)[:REASON_CHARACTERS] if group.refusal else ""
            status = group.refusal.status if group.refusal else None
            self.settle(group, Outcome.UNRESOLVED, f"{reason}; ECDP said: {said}" if said else reason, status)
        else:
            self.settle(group, Outcome.NOT_ATTEMPTED, reason)

    def settle(self, group: Group, outcome: Outcome, reason: str | None = None, http_status: int | None = None) -> None:
        self.settled.append(BatchOutcome(group.orders, outcome, reason, http_status, group.attempts))

    def answered(self, group: Group) -> None:
        if group.unanswered:
            self.sender.client.recovered()
            group.unanswered = 0

    def count(self, group: Group, attempts: int) -> None:
        group.attempts += attempts
        # what the client repeats on its own for an outage or a limit is not this batch's doing; and where the server
        # takes smaller batches, nobody has to be found out: halving ends by itself
        self.requests += not isinstance(group.refusal, TooLargeError)
