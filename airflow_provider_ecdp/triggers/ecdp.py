"""The trigger behind `EcdpOrderSensor`: asks ECDP for one order, once an interval. It only reads."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.errors import EcdpError, NotFoundError
from airflow_provider_ecdp.hooks.connection import api_key, read_settings
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.hooks.version_compat import get_async_connection
from airflow_provider_ecdp.orders.contract import STATUSES

log = logging.getLogger(__name__)

#: Requests of all triggers of one triggerer at once; the threads of asyncio itself are fewer, and others need them.
_THREADS = 32

_executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="ecdp-order-trigger")


class EcdpOrderTrigger(BaseTrigger):
    """Waits until ECDP has an order, or until the order has one of some statuses.

    An outage, a limit or a timeout is waited out: the next request is sent an interval later. A refused key or a wrong
    address ends the wait with an event of an error.

    :param order_id: the id of the order
    :param statuses: in the spelling of the API; empty for any
    :param ecdp_conn_id: the connection, of type `ecdp`
    :param poke_interval: least seconds between the starts of two requests
    """

    def __init__(self, *, order_id: str, statuses: Sequence[str], ecdp_conn_id: str, poke_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.order_id = order_id
        self.statuses = list(statuses)
        self.ecdp_conn_id = ecdp_conn_id
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments, for the database."""
        names = ("order_id", "statuses", "ecdp_conn_id", "poke_interval")
        return (f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: `{"order_id", "status"}`, or `{"error"}` if waiting is of no use."""
        try:
            connection = await get_async_connection(self.ecdp_conn_id, EcdpHook)
            key, settings = api_key(connection), read_settings(connection).client
            # the sensor has just asked; sensors that began at the same moment do not all ask at once
            pause = random.uniform(0, self.poke_interval)  # noqa: S311  # no secret
            with EcdpClient(key, settings, policy=RetryPolicy(max_attempts=1)) as client:
                while True:
                    await asyncio.sleep(pause)
                    started, event = await asyncio.get_running_loop().run_in_executor(_executor, self._poll, client)
                    if event is not None:
                        yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's
                        return
                    # from the request itself: a triggerer that is busy sends it later than planned
                    pause = max(0.0, started + self.poke_interval - time.monotonic())
        except EcdpError as error:
            yield TriggerEvent({"error": str(error)})  # type: ignore[no-untyped-call]  # Airflow's

    def _poll(self, client: EcdpClient) -> tuple[float, dict[str, str | None] | None]:
        """Ask once; return when, by the monotonic clock, and the event if the wait is over."""
        return time.monotonic(), poll_order(client, self.order_id, self.statuses)


def poll_order(client: EcdpClient, order_id: str, statuses: Sequence[str]) -> dict[str, str | None] | None:
    """Return the order's id and status if it has an expected status; None if not yet, or without an answer of ECDP.

    :raises EcdpError: waiting is of no use
    """
    try:
        order = client.get_order(order_id)
    except NotFoundError:
        log.info("ECDP has no order %s yet", order_id)
        return None
    except EcdpError as error:
        if not error.transient:
            raise
        log.warning("ECDP does not answer for order %s, still waiting: %s", order_id, error)
        return None
    status = str(order.get("status") or "")
    # a status that the API's page does not list is compared exactly
    status = STATUSES.get(status.strip().lower(), status)
    if statuses and status not in statuses:
        log.info("Order %s is %s, waiting for %s", order_id, status or "without a status", " or ".join(statuses))
        return None
    return {"order_id": order_id, "status": status or None}
