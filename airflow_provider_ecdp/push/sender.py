"""Sends a batch in one request, and determines whether a failure is due to the server or to the orders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from airflow_provider_ecdp.api.client import EcdpClient, PostResult
from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.errors import ApiError
from airflow_provider_ecdp.orders import batching
from airflow_provider_ecdp.push.pools import Pool, SetAside, SizeLimit
from airflow_provider_ecdp.push.sent_values import sent_values
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.circuit_breaker import CircuitBreaker
from airflow_provider_ecdp.runs.refusals import AcceptedRequest, Refusals
from airflow_provider_ecdp.runs.server_probe import ServerProbe

log = logging.getLogger(__name__)

#: Refused batches without a refused order that show a limit on the number of orders: one may have had a passing cause.
_PROOFS = 2

#: Pauses before an order that may be stored is read once more, in multiples of the client's own first pause, which is
#: half a second. Orders that this run may have stored are `unresolved` if they are absent then.
_LAG_PAUSES = (2, 4, 8)

#: The same for orders that an earlier run may have stored and not recorded: a minute in all, after which they are
#: judged.
_LAG_PAUSES_OF_EARLIER = (2, 4, 8, 16, 32, 58)

#: Seconds after which orders stored by an earlier run can be read, however far the server's replicas lag.
_LAG_SECONDS = 60.0


@dataclass(slots=True)
class BatchSender:
    """Sends batches; safe for threads.

    :param request_budget: maximum consecutive POST requests of one batch without a new outcome; the orders left
        then are `unresolved`
    :param resumed: whether an earlier try of this run may have stored orders that it could not record
    :param sent_before: whether ECDP accepted orders of an earlier run
    """

    client: EcdpClient
    mode: Mode
    cancellation: Cancellation
    request_budget: int
    match_by: MatchBy | None = None
    resumed: bool = False
    sent_before: bool = False
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    set_aside: SetAside = field(default_factory=SetAside)
    size_limit: SizeLimit = field(default_factory=SizeLimit)
    count_limit: SizeLimit = field(default_factory=lambda: SizeLimit(_PROOFS))
    _control: pa.RecordBatch | None = None
    probe: ServerProbe = field(init=False)
    refusals: Refusals = field(init=False)
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self.probe = ServerProbe(self.client, self.breaker, self.cancellation)
        self.refusals = Refusals(self.cancellation)
        self._began = self.cancellation.clock()

    def post(self, pool: Pool, *, patient: bool) -> int:
        """Send the orders of a pool; return the attempts, or raise ApiError."""
        result = self._post(pool.orders, attempts=None if patient else 1)
        self.breaker.answered()
        self.refusals.accepted()
        self.size_limit.taken(batching.size(pool.orders))
        self.count_limit.taken(len(pool))
        if self.mode.repeatable:
            self._control = pool.orders.slice(0, 1)
        return result.attempts

    def too_large(self, pool: Pool) -> bool:
        """Whether a request with these orders would be refused for its size, by the refusals so far."""
        if len(pool) == 1:
            return False
        return self.size_limit.exceeded(batching.size(pool.orders)) or self.count_limit.exceeded(len(pool))

    def note_too_many(self, count: int) -> None:
        """Note that a request with `count` orders was refused or failed, and all were accepted in smaller requests."""
        if self.count_limit.refused(count):
            log.warning(
                "requests with %d orders fail, and ECDP accepts the same orders in smaller ones; set batch_size to"
                " fewer than %d. Until then larger batches are split before they are sent",
                count,
                count,
            )

    def note_refused(self, order_id: str, reason: str) -> None:
        """Note that an order was refused alone; stop the run if ECDP refuses every order."""
        repeat, control = self._repeat(), self._control
        accepted = control.column("order_id")[0].as_py() if control is not None else ""
        self.refusals.refused(reason, order_id, repeat and AcceptedRequest(accepted, repeat))

    def try_server(self, *, reading: bool) -> bool | None:
        """Find out, while in doubt, whether the server fails, and stop the run if so.

        The order that was accepted last is sent once more, which changes nothing. In mode Add that cannot be done.

        :param reading: whether a GET is enough, where there is no such order
        :return: whether the server works; None if there is nothing to try
        """
        if self._control is not None or reading or self.cancellation.cancelled:
            return self.probe.works(self._repeat())
        return None

    def may_be_content(self, error: ApiError) -> bool:
        """Return whether other orders may get another answer; stop the run if the key is refused."""
        return self.probe.may_be_content(error, self._repeat())

    def may_be_orders(self, pool: Pool) -> bool:
        """Return whether orders may be at fault although others failed too; stop the run if the server fails."""
        return self.probe.may_be_orders(self._repeat(), left_open=self._left_open(pool))

    def _repeat(self) -> Callable[[], object] | None:
        control = self._control
        return None if control is None else lambda: self._post(control)

    def left_by_earlier_run(self, pool: Pool) -> bool:
        """Whether these orders are more likely at fault than the server, though nothing was answered yet.

        An earlier run has left them and sent others, and a GET is answered.
        """
        return self._left_open(pool) and bool(self.try_server(reading=True))

    def _left_open(self, pool: Pool) -> bool:
        return self.sent_before and pool.all_left_open

    def _post(self, orders: pa.RecordBatch, attempts: int | None = None) -> PostResult:
        return self.client.post_orders(
            self.mode,
            batching.body(orders),
            match_by=self.match_by,
            attempts=attempts,
            sent_values=lambda: sent_values(orders),
        )

    def lag_pauses(self, pools: Iterable[Pool]) -> Iterable[float]:
        """Return the seconds to wait before each time that orders are read once more."""
        recent = self.cancellation.clock() - self._began < _LAG_SECONDS
        pauses: tuple[int, ...] = ()
        if recent and any(pool.earlier_run and not pool.differs for pool in pools):
            pauses = _LAG_PAUSES_OF_EARLIER
        elif any(pool.maybe_lost or (pool.earlier_run and recent) for pool in pools):
            pauses = _LAG_PAUSES
        return [pause * self.client.policy.base_delay for pause in pauses]
