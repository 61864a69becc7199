"""Orders that the sandbox has, and what sends changes of them."""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager

import pyarrow as pa
import pytest
from fake_clock import FakeClock

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.by_id.from_source import apply_changes
from airflow_provider_ecdp.by_id.queue import ChangeQueue
from airflow_provider_ecdp.by_id.settings import ChangeRowSettings, ChangeSettings, DeletionSettings, Missing, Operation
from airflow_provider_ecdp.orders.sources.table import TableSource


class WatchedClient(EcdpClient):
    """Notes the changes in the order in which they are sent, and whether two of one order were under way together."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.sent = []
        self.most_in_flight = 0
        self.overtaken = False
        self._under_way = []
        self._noting = threading.Lock()

    def update_order_status(self, order_id, status, *, website_id=None):
        with self._watched(order_id, (order_id, status)):
            super().update_order_status(order_id, status, website_id=website_id)

    def delete_order(self, order_id):
        with self._watched(order_id, order_id):
            return super().delete_order(order_id)

    @contextmanager
    def _watched(self, order_id, change):
        with self._noting:
            self.overtaken |= order_id in self._under_way
            self._under_way.append(order_id)
            self.most_in_flight = max(self.most_in_flight, len(self._under_way))
            self.sent.append(change)
        try:
            yield
        finally:
            with self._noting:
                self._under_way.remove(order_id)


@pytest.fixture
def sandbox(emptied_sandbox):
    return emptied_sandbox


@pytest.fixture
def make_client(sandbox):
    clients = []

    def make(key="sandbox-key", *, attempts=1, kind=WatchedClient, **options):
        policy = RetryPolicy(max_attempts=attempts)
        clock = FakeClock()
        clients.append(kind(key, ClientSettings(sandbox.url), policy=policy, clock=clock, sleep=clock.sleep, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client):
    return make_client()


@pytest.fixture
def store(sandbox, store_in):
    """Let ECDP have these orders."""
    return functools.partial(store_in, sandbox)


def rows(changes):
    """Return an extract of pairs of an id and a status, or of ids."""
    if not changes or not isinstance(changes[0], tuple):
        return TableSource("the changes", pa.table({"order_id": pa.array(changes, pa.string())}))
    ids, statuses = zip(*changes, strict=True)
    table = pa.table({"order_id": pa.array(ids, pa.string()), "status": pa.array(statuses, pa.string())})
    return TableSource("the changes", table)


def _apply(operation, client, extract, *, ledger=None, progress=lambda _: None, reading=None, **settings):
    given = extract if hasattr(extract, "schema") else rows(extract)
    with ChangeQueue(given, operation, ChangeRowSettings(**(reading or {}))) as queue:
        table = DeletionSettings if operation is Operation.DELETE else ChangeSettings
        return apply_changes(queue, client, table(**settings), ledger=ledger, progress=progress)


@pytest.fixture
def update():
    """Send statuses: `update(client, extract or pairs, ...)`."""

    def run(client, extract, *, missing=Missing.FAIL, **options):
        return _apply(Operation.UPDATE_STATUS, client, extract, missing=missing, **options)

    return run


@pytest.fixture
def delete():
    """Send deletions: `delete(client, extract or ids, ...)`."""

    def run(client, extract, *, missing=Missing.REPORT, **options):
        return _apply(Operation.DELETE, client, extract, missing=missing, **options)

    return run
