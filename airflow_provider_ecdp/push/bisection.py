"""Finds the orders of a batch that cannot be stored, and stores the others: adaptive group testing, one POST a test.

A refused batch is not a refused order: a refusal stores nothing and may not name the order at fault. The
orders that it names are sent alone first, and as long as it proves right; besides, pools are halved, until each
refused order was alone in a request. An order next to a bad one is never blamed.

A pool, the orders of one request, is in one of these states:

- untested: to be sent
- hinted: a refusal names some of its orders, which are sent alone, before the rest
- positive: it holds a bad order for certain; it is halved and not sent
- cornered: one order that failed alone; it is sent once more, and then judged
- doubted: one order in mode Add that was refused alone, and may be stored by a request whose answer was lost
- set aside: it failed, and other orders show whether its orders or the server are at fault. It is isolated,
  which is this search once more with one attempt a request, after the others are sent

After an answer that leaves open whether orders were stored, `AddOrReplace` and `Replace` repeat the request. `Add`
reads the orders back with GET first: a second `Add` of a stored order is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from http import HTTPStatus

import pyarrow as pa

from airflow_provider_ecdp.errors import (
    ApiError,
    RequestRejectedError,
    ThrottledError,
    TooLargeError,
)
from airflow_provider_ecdp.orders import batching
from airflow_provider_ecdp.push.named_orders import named_orders
from airflow_provider_ecdp.push.pools import LostRequest, Pool, not_attempted
from airflow_provider_ecdp.push.readback import ReadBack, read_back
from airflow_provider_ecdp.push.sender import BatchSender
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.results.outcome import REASON_CHARACTERS, BatchOutcome, Outcome
from airflow_provider_ecdp.runs.refusals import reason_left_open, reason_of

#: Seconds that the isolation of a batch may last without the outcome of an order.
ISOLATION_SECONDS = 900.0

#: Consecutive orders that fail in their last request, or cannot be read back, after which the server is tested.
_UNCONFIRMED = 5

_DIFFERENT = (
    "mode Add does not change existing orders, and this id is stored with other content; AddOrReplace would replace it"
)
_STORED = "no answer came, and the order was found stored as sent"
_LOST = "a request with this order got no answer and may have stored it"
_UNREAD = "may be stored, and could not be read back"


def send(sender: BatchSender, batch: pa.RecordBatch | Pool) -> list[BatchOutcome]:
    """Send a batch, or isolate a pool that was set aside.

    Every order of it is in exactly one of the results, or set aside. Outcomes of other orders that were set aside may
    be returned too.
    """
    if isinstance(batch, Pool):
        return _isolate(sender, batch)
    return GroupTest(sender).run(Pool(batch, earlier_run=sender.resumed))


def leave(sender: BatchSender, pool: Pool) -> list[BatchOutcome]:
    """Return the outcome of a pool that was set aside and will not be isolated."""
    search = GroupTest(sender)
    search.leave(pool, "set aside, and the run ended before it was isolated")
    return search.outcomes


def _isolate(sender: BatchSender, pool: Pool) -> list[BatchOutcome]:
    error = pool.failure
    if not sender.breaker.answers and error is not None and not sender.left_by_earlier_run(pool):
        # nothing was ever answered: this is an outage, not an order
        sender.cancellation.stop(error)
    return GroupTest(sender, until=sender.cancellation.clock() + ISOLATION_SECONDS).run(pool)


@dataclass(slots=True)
class _Hint:
    """Orders that a refusal names, each alone, and the rest of their pool."""

    named: list[Pool]
    rest: Pool


@dataclass(slots=True)
class GroupTest:
    """The search in one pool; every order of it gets one outcome, or is set aside.

    :param until: of a pool that is isolated, the moment at which the search ends if no order has got an outcome since
    """

    sender: BatchSender
    until: float | None = None
    outcomes: list[BatchOutcome] = field(default_factory=list)
    untested: list[Pool] = field(default_factory=list)
    hinted: list[_Hint] = field(default_factory=list)
    positive: list[Pool] = field(default_factory=list)
    cornered: list[Pool] = field(default_factory=list)
    doubted: list[Pool] = field(default_factory=list)
    #: requests since an order got its outcome
    idle: int = 0
    #: orders that failed in their last request, since something was answered
    unconfirmed: int = 0
    #: read-backs that failed like an outage, since an order was accepted or read
    unread: int = 0
    #: whether the refusals of this batch have named no wrong order, and whether they have left out a bad one
    hints_right: bool = True
    hints_partial: bool = False
    #: pools that were refused or failed, but not for their bytes, the rate, or because an order may be stored
    refused: list[Pool] = field(default_factory=list)

    def run(self, pool: Pool) -> list[BatchOutcome]:
        """Search until every order of `pool` has its outcome or is set aside."""
        self.untested.append(pool)
        while self._step():
            pass
        self._note_too_many()
        if (self.unconfirmed or self.unread) and not self.sender.cancellation.cancelled:
            # an outage that began with the last orders stops the run, so that they are sent by a retry
            self.sender.try_server(reading=True)
        if self.sender.refusals.of_all:
            self._reopen_refused()
        return self.outcomes

    def _step(self) -> bool:
        """Take the next step; return whether there was one."""
        sender = self.sender
        if sender.cancellation.cancelled:
            return self._leave_all("the run was stopped before this order could be sent")
        if self.until is not None and sender.cancellation.clock() >= self.until:
            return self._leave_all(f"set aside, and not isolated within {ISOLATION_SECONDS / 60:g} minutes")
        return (sender.breaker.in_doubt and self._try_others()) or self._advance()

    def _advance(self) -> bool:
        if self.hinted:
            self._follow(self.hinted[-1])
        elif self.untested:
            self._test(self.untested.pop())
        elif self.positive:
            self._halve(self.positive.pop(), inferring=True)
        elif self.cornered:
            self._test(self.cornered.pop())
        elif self.doubted:
            self._judge_doubted()
        else:
            return False
        return True

    def _try_others(self) -> bool:
        """Send something else while it is in doubt whether the server works; False if there is nothing else."""
        sender = self.sender
        if self.until is not None:
            works = sender.try_server(reading=True)
            sender.breaker.excuse()
            return not works
        if sender.try_server(reading=False) is not None:
            return True
        other = None if sender.breaker.is_open else sender.set_aside.take_one()
        if other is not None:
            self._test(other)
        return other is not None

    # one test

    def _test(self, pool: Pool) -> bool | None:
        """Send a pool; return whether it was accepted, None if that is still open."""
        sender = self.sender
        if len(pool) > 1 and pool.positive:
            self.positive.append(pool)
            return None
        if self.idle >= sender.request_budget:
            self.leave(pool, f"refused with others, and not isolated in {number_of(self.idle, 'request')}")
            return None
        if sender.too_large(pool):
            self._halve(pool, inferring=False)
            return None
        if pool.unread and not self._read_before_repeating(pool):
            return None
        return self._post(pool)

    def _post(self, pool: Pool) -> bool | None:
        patient = pool.final or (self.until is None and not self.sender.breaker.in_doubt)
        try:
            attempts = self.sender.post(pool, patient=patient)
        except RequestRejectedError as error:
            self._count(pool, error)
            self._refused(pool, error)
            return False
        except ApiError as error:
            self._count(pool, error)
            self._failed(pool, error, sent=True, patient=patient)
            return None
        pool.attempts += attempts
        self._answered(pool)
        for request in pool.lost:
            request.not_stored = True
        if pool.sibling is not None:
            pool.sibling.positive = True
        self.unread = 0
        self._decide(pool, Outcome.ACCEPTED, http_status=201)
        return True

    def _count(self, pool: Pool, error: ApiError) -> None:
        pool.attempts += error.attempts
        # if smaller batches are accepted there is no bad order to find: halving ends by itself
        self.idle += not isinstance(error, TooLargeError)

    def _answered(self, pool: Pool) -> None:
        self.unconfirmed = 0
        if pool.unanswered:
            self.sender.client.recovered()
            pool.unanswered = 0

    # refused

    def _refused(self, pool: Pool, error: RequestRejectedError) -> None:
        self._answered(pool)
        again, pool.refusal = pool.refusal is not None, error
        if isinstance(error, TooLargeError):
            self.sender.size_limit.refused(batching.size(pool.orders))
        else:
            self.sender.breaker.answered()
        if len(pool) == 1:
            self._refused_alone(pool, error)
        elif isinstance(error, TooLargeError):
            self._halve(pool, inferring=False)
        else:
            if not pool.unsure:
                self.refused.append(pool)
            named = named_orders(error.details, pool.ids)
            if pool.unsure and not pool.absent:
                self._refused_unsure(pool, named, again=again)
            else:
                self._narrow(pool, named)

    def _refused_alone(self, pool: Pool, error: RequestRejectedError) -> None:
        if pool.unsure:
            result = self._read_back(pool, [0])
            if result is not None and result.absent:
                self.doubted.append(pool)
            return
        reason = reason_of(error)
        self._decide(pool, Outcome.REJECTED, reason, error.status)
        self.sender.note_refused(pool.ids[0], reason)

    def _narrow(self, pool: Pool, named: set[int]) -> None:
        if self.hints_right and 0 < len(named) < len(pool):
            alone = [pool.take([i]) for i in sorted(named, reverse=True)]
            self.hinted.append(_Hint(alone, pool.take(i for i in range(len(pool)) if i not in named)))
        else:
            self.positive.append(pool)

    def _follow(self, hint: _Hint) -> None:
        """Send the next order that a refusal names; after a wrong one, hints of this batch are not followed."""
        if not hint.named:
            self.hinted.pop()
            if self.hints_partial and len(hint.rest) > 1:
                # refusals that leave out bad orders would cost one request for each: halve as well as follow
                self._halve(hint.rest, inferring=False)
            else:
                self.hints_partial = True
                self.untested.append(hint.rest)
        elif self._test(hint.named.pop()):
            self.hints_right = False
            self.hinted.pop()
            rest = hint.rest.joined(hint.named)
            (self.positive if len(rest) > 1 else self.untested).append(rest)

    def _refused_unsure(self, pool: Pool, named: set[int], *, again: bool) -> None:
        """Decide orders that were stored without this run's knowledge, which mode Add refuses now, and test the others.

        Where each refusal names only some of these orders, a GET for each costs more than reading all of them.
        """
        result = self._read_back(pool, named if again and named else range(len(pool)))
        if result is None:
            return
        unread = [i for i in range(len(pool)) if i not in result.positions]
        absent = pool.take(result.absent)
        absent.absent = True
        if len(absent) == len(pool):
            self._narrow(absent, named)
        elif len(absent):
            self._narrow_or_test(absent, {k for k, i in enumerate(result.absent) if i in named})
        if unread:
            self.untested.append(pool.take(unread))

    def _narrow_or_test(self, pool: Pool, named: set[int]) -> None:
        if named and len(named) < len(pool):
            self._narrow(pool, named)
        elif named:
            self.untested += [pool.take([i]) for i in range(len(pool))]
        else:
            self.untested.append(pool)

    def _halve(self, pool: Pool, *, inferring: bool) -> None:
        # the halves are sent one after the other, before parts of either: so of one bad order that makes the server
        # fail, never many failures follow each other
        left, right = pool.halves(inferring=inferring)
        self.untested += [right, left]

    def _note_too_many(self) -> None:
        """Find the smallest pool that was refused or failed, though smaller ones with its orders were accepted."""
        if not self.refused:
            return
        accepted: set[str] = set()
        for outcome in self.outcomes:
            if outcome.outcome is Outcome.ACCEPTED and outcome.http_status == HTTPStatus.CREATED:
                accepted.update(outcome.orders.column("order_id").to_pylist())
        counts = [len(pool) for pool in self.refused if accepted.issuperset(pool.ids)]
        if counts:
            self.sender.note_too_many(min(counts))

    def _reopen_refused(self) -> None:
        """Leave orders open that were refused after the last one was accepted: ECDP refuses every order now."""
        accepted = (i for i, outcome in enumerate(self.outcomes) if outcome.outcome is Outcome.ACCEPTED)
        last = max(accepted, default=-1)
        for i, outcome in enumerate(self.outcomes):
            if i > last and outcome.outcome is Outcome.REJECTED:
                reason = reason_left_open(outcome.reasons)
                self.outcomes[i] = replace(outcome, outcome=Outcome.UNRESOLVED, reasons=reason)

    # failed

    def _failed(self, pool: Pool, error: ApiError, *, sent: bool, patient: bool) -> None:
        """Note a failure, of a request with these orders or (not `sent`) of reading one of them."""
        sender = self.sender
        pool.maybe_stored |= sent and error.maybe_stored
        if sent and error.maybe_stored and not sender.mode.repeatable:
            pool.lost += (LostRequest(),)
            pool.unread, pool.absent = True, False
            pool.unanswered += 1
            if patient and sender.client.pause(error, pool.unanswered):
                self.untested.append(pool)
                return
        # the call has ended: the next one has all its attempts
        pool.unanswered = 0
        pool.failure = error
        if sender.client.interrupted or not sender.may_be_content(error):
            # a call that was cut short is no evidence about its orders
            self._stop(pool, error)
        elif pool.final:
            self._judge_alone(pool, error, read=not sent)
        else:
            self._set_aside(pool, error)

    def _set_aside(self, pool: Pool, error: ApiError) -> None:
        breaker = self.sender.breaker
        pool.failed_alone = alone = len(pool) == 1
        pool.answers = breaker.answers
        breaker.failed(alone=alone)
        if self.until is None and breaker.is_open and not self.sender.may_be_orders(pool):
            self._stop(pool, error)
        elif self.until is None:
            self.sender.set_aside.add(pool)
        elif alone:
            pool.final = True
            self.cornered.insert(0, pool)
        else:
            if not isinstance(error, ThrottledError):
                self.refused.append(pool)
            self.positive.append(pool)

    def _stop(self, pool: Pool, error: ApiError) -> None:
        self.sender.cancellation.stop(error)
        self.leave(pool, str(error))

    def _judge_alone(self, pool: Pool, error: ApiError, *, read: bool) -> None:
        """Decide an order that failed alone twice: refused if the answer says so and other requests are answered.

        :param read: whether it could not be read back, which leaves open whether it is stored
        """
        sender = self.sender
        self.unconfirmed += not read
        reason = f"{_UNREAD if read else 'sent alone'}, {error}"[:REASON_CHARACTERS]
        # a 401 concerns the key, so it does not refuse an order
        definite = not (read or error.transient or pool.maybe_stored or error.status == HTTPStatus.UNAUTHORIZED)
        refused = sender.breaker.answers > 0 and definite
        if (refused and sender.breaker.answers == pool.answers) or self.unconfirmed >= _UNCONFIRMED:
            refused = bool(sender.try_server(reading=True)) and refused
            self.unconfirmed = 0
        if refused and pool.unsure:
            result = self._read_back(pool, [0])
            if result is None or not result.absent:
                return
        self._decide(pool, Outcome.REJECTED if refused else Outcome.UNRESOLVED, reason, error.status)

    # mode Add

    def _read_before_repeating(self, pool: Pool) -> bool:
        """Decide orders that a request without an answer has stored; return whether the whole pool is sent again."""
        # a batch is stored whole or not at all: if one order is absent, all are; one that is present may be older
        result = self._read_back(pool, [0])
        if result is None:
            return False
        pool.unread = False
        if result.absent:
            return True
        self._answered(pool)
        rest = pool.part(pool.orders.slice(1))
        result = self._read_back(rest, range(len(rest))) if len(rest) else None
        if result is not None and result.absent:
            absent = rest.take(result.absent)
            absent.absent = True
            self.untested.append(absent)
        return False

    def _read_back(self, pool: Pool, positions: Iterable[int]) -> ReadBack | None:
        """Read orders back and accept those that are stored; None if one of them cannot be read."""
        result = read_back(self.sender.client, pool.orders, positions)
        if result.same:
            self._decide(pool.take(result.same), Outcome.ACCEPTED, _STORED, 200)
        for position in result.different:
            different = pool.take([position])
            different.differs = True
            self.doubted.append(different)
        self._count_unread(result)
        if result.error is None:
            return result
        stored = {*result.same, *result.different}
        rest = pool.take(i for i in range(len(pool)) if i not in stored)
        self._failed(rest, result.error, sent=False, patient=False)
        return None

    def _count_unread(self, result: ReadBack) -> None:
        """Stop the run if GET does not work, even if POST is answered with a refusal of each order."""
        if result.positions or result.error is None or not result.error.transient:
            self.unread = 0
            return
        self.unread += 1
        if self.until is not None and self.unread >= _UNCONFIRMED:
            self.unread = 0
            self.sender.try_server(reading=True)

    def _judge_doubted(self) -> None:
        """Decide orders that were refused, or are stored with other content, and may have been stored by this run.

        Reads may lag behind writes, so they are read again. No order is rejected on a guess.
        """
        client, cancellation = self.sender.client, self.sender.cancellation
        for pause in self.sender.lag_pauses(self.doubted):
            if not self.doubted:
                break
            waited = client.wait(pause)
            if cancellation.cancelled:
                # not read for the last time: they are left without a definite answer
                return
            if not waited:
                break
            waiting, self.doubted = self.doubted, []
            for pool in waiting:
                self._read_once_more(pool)
        doubted, self.doubted = self.doubted, []
        for pool in doubted:
            status = pool.refusal.status if pool.refusal else 200
            details = _DIFFERENT if pool.differs or pool.refusal is None else "; ".join(pool.refusal.details)
            lost = pool.maybe_lost or (pool.differs and pool.left_open)
            reason = f"{_LOST}; {details}" if lost else details or str(pool.refusal)
            outcome = Outcome.UNRESOLVED if lost else Outcome.REJECTED
            self._decide(pool, outcome, reason[:REASON_CHARACTERS], status)

    def _read_once_more(self, pool: Pool) -> None:
        if not pool.unsure:
            self.doubted.append(pool)
            return
        result = read_back(self.sender.client, pool.orders, [0])
        if result.same:
            self._decide(pool, Outcome.ACCEPTED, _STORED, 200)
        else:
            pool.differs = bool(result.different)
            self.doubted.append(pool)

    # the end

    def _leave_all(self, reason: str) -> bool:
        pools = [*self.untested, *self.positive, *self.cornered, *self.doubted]
        pools += [pool for hint in self.hinted for pool in (*hint.named, hint.rest)]
        for state in (self.untested, self.positive, self.cornered, self.doubted, self.hinted):
            state.clear()
        for pool in pools:
            self.leave(pool, str(pool.failure) if self.sender.cancellation.cancelled and pool.failure else reason)
        return False

    def leave(self, pool: Pool, reason: str) -> None:
        """Give an outcome to orders without a definite answer."""
        status = next((e.status for e in (pool.failure, pool.refusal) if e is not None), None)
        details = "; ".join(pool.refusal.details) if pool.refusal else str(pool.failure or "")
        if details and details != reason:
            reason = f"{reason}; ECDP said: {details}"
        may_be_at_fault = pool.failure is not None and self.sender.breaker.answers and pool.failure.may_be_content
        indefinite = pool.refusal or pool.maybe_stored or (pool.attempts and pool.unsure) or may_be_at_fault
        if indefinite:
            self._decide(pool, Outcome.UNRESOLVED, reason[:REASON_CHARACTERS], status)
        else:
            self.outcomes += not_attempted(pool.orders, reason[:REASON_CHARACTERS], status, pool.attempts)

    def _decide(self, pool: Pool, outcome: Outcome, reason: str | None = None, http_status: int | None = None) -> None:
        if outcome in (Outcome.ACCEPTED, Outcome.REJECTED) or pool.final:
            self.idle = 0
            self.until = None if self.until is None else self.sender.cancellation.clock() + ISOLATION_SECONDS
        self.outcomes.append(BatchOutcome(pool.orders, outcome, reason, http_status, pool.attempts))
