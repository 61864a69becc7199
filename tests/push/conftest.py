"""Orders, and clients of a server that is not our sandbox and gives whatever answers a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from fake_clock import FakeClock
from foreign_server import KEY, ForeignServer, serving

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.orders.sources.table import TableSource


@pytest.fixture
def foreign() -> Iterator[ForeignServer]:
    with serving(ForeignServer()) as server:
        yield server


@pytest.fixture
def client(foreign: ForeignServer) -> Iterator[EcdpClient]:
    policy = RetryPolicy(base_delay=0.001, max_delay=0.002, throttle_base_delay=0.001)
    with EcdpClient(KEY, ClientSettings(base_url=foreign.url), policy=policy) as client:
        yield client


@pytest.fixture
def hasty(foreign: ForeignServer) -> Iterator[EcdpClient]:
    """A client that asks once and gives up, and whose pauses take no time."""
    settings = ClientSettings(base_url=foreign.url, read_timeout=60)
    policy, clock = RetryPolicy(max_attempts=1), FakeClock()
    with EcdpClient(KEY, settings, policy=policy, clock=clock, sleep=clock.sleep) as client:
        yield client


def order(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"ORD-{number:06d}",
        "date": "2026-11-22T10:00:00Z",
        "totalValue": Decimal("12.50"),
        "customer": {"email": f"customer{number}@example.com"},
        "products": [{"id": "P1", "name": "Cup", "price": Decimal("12.50"), "quantity": 1}],
    } | changes


@pytest.fixture
def extract() -> Callable[..., TableSource]:
    def make(count: int, changes: dict[int, dict[str, Any]] | None = None) -> TableSource:
        return source_from_records([order(n, **(changes or {}).get(n, {})) for n in range(1, count + 1)])

    return make


def many(count: int) -> TableSource:
    """As `extract`, from columns, for counts where dicts are slow."""
    ids = pa.array([f"ORD-{n:06d}" for n in range(1, count + 1)])
    date = pa.repeat(pa.scalar("2026-11-22T10:00:00Z"), count)
    customer = pa.StructArray.from_arrays([ids], ["crmId"])
    product = pa.scalar([{"id": "P1", "name": "Cup", "price": Decimal("12.50"), "quantity": 1}])
    table = pa.table(
        {
            "id": ids,
            "date": date,
            "total_value": pa.repeat(pa.scalar(Decimal("12.50")), count),
            "customer": customer,
            "products": pa.repeat(product, count),
        }
    )
    return TableSource("many orders", table)


@pytest.fixture
def many_orders() -> Callable[[int], TableSource]:
    return many
