"""Reads orders back, and compares them with what was sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.settings import order_path
from airflow_provider_ecdp.errors import ApiError, ConfigurationError, NotFoundError
from airflow_provider_ecdp.push.comparison import is_deleted, same_order
from airflow_provider_ecdp.push.sent_values import sent_values
from airflow_provider_ecdp.runs.cancellation import Cancellation


@dataclass(slots=True)
class ReadBack:
    """Positions of orders by the comparison with ECDP's order of that id; `error` ended the reading before its end."""

    same: list[int] = field(default_factory=list)
    different: list[int] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)
    error: ApiError | None = None

    @property
    def positions(self) -> set[int]:
        """The positions of orders that were read."""
        return {*self.same, *self.different, *self.absent}


def read_back(
    client: EcdpClient, orders: pa.RecordBatch, positions: Iterable[int], cancellation: Cancellation | None = None
) -> ReadBack:
    """Ask for the orders at `positions`, one by one, until `cancellation` is cancelled.

    An id that has no path (`.` and `..`) counts as absent, and so does a deleted order.
    """
    result = ReadBack()
    json_texts, ids = orders.column("json"), orders.column("order_id")
    for i in sorted(positions):
        if cancellation is not None and cancellation.cancelled:
            break
        order_id = ids[i].as_py()
        try:
            order_path(order_id)
        except ConfigurationError:
            result.absent.append(i)
            continue
        try:
            stored = client.get_order(order_id, sent_values=lambda: sent_values(orders))
        except NotFoundError:
            result.absent.append(i)
        except ApiError as error:
            result.error = error
            break
        else:
            same = same_order(json_texts[i].as_py().rstrip(","), stored)
            (result.absent if is_deleted(stored) else result.same if same else result.different).append(i)
    return result
