"""The sensor for one order, and its trigger, over real HTTP."""

import asyncio
import errno
import functools
import itertools
import threading
import time
from types import SimpleNamespace

import pytest
from fake_clock import FakeClock

try:
    from airflow.sdk.exceptions import AirflowSensorTimeout, TaskDeferred
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowSensorTimeout, TaskDeferred

from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException, get_async_connection
from airflow_provider_ecdp.runs import shared_limits
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.sensors.ecdp import EcdpOrderSensor
from airflow_provider_ecdp.triggers import ecdp as triggers
from airflow_provider_ecdp.triggers.ecdp import EcdpOrderTrigger


@pytest.fixture(autouse=True)
def connection(sandbox, connect):
    connect(sandbox.url)


@pytest.fixture
def store(sandbox, store_in):
    return functools.partial(store_in, sandbox)


def events(*triggers):
    """Run triggers side by side, as a triggerer does, and return their events."""

    async def first(trigger):
        return await anext(trigger.run())

    async def gather():
        return await asyncio.gather(*map(first, triggers))

    return [event.payload for event in asyncio.run(gather())]


def trigger(order_id="A-1", statuses=(), interval=0.02):
    return EcdpOrderTrigger(order_id=order_id, statuses=statuses, ecdp_conn_id="ecdp_default", poke_interval=interval)


@pytest.mark.parametrize("statuses", [None, "paid", ["canceled", "PAID"], "['paid']", "None"])
def test_an_order_that_is_there_ends_the_wait_at_once(store, context, statuses):
    store("A-1", status="paid")
    for deferrable in (False, True):
        sensor = EcdpOrderSensor(task_id="wait", order_id="A-1", statuses=statuses, deferrable=deferrable)
        assert sensor.execute(context) == {"order_id": "A-1", "status": "Paid"}


def test_an_order_that_is_absent_or_has_another_status_is_waited_for_in_the_triggerer(store, context):
    sensor = EcdpOrderSensor(task_id="wait", order_id="A-1", statuses="completed", deferrable=True, poke_interval=7)
    for _ in range(2):
        with pytest.raises(TaskDeferred) as deferred:
            sensor.execute(context)
        path, arguments = deferred.value.trigger.serialize()
        assert path == "airflow_provider_ecdp.triggers.ecdp.EcdpOrderTrigger"
        assert arguments == {
            "order_id": "A-1",
            "statuses": ["Completed"],
            "ecdp_conn_id": "ecdp_default",
            "poke_interval": 7,
        }
        store("A-1", status="paid")


def test_a_sensor_in_a_worker_waits_until_its_timeout(context, sandbox):
    sensor = EcdpOrderSensor(task_id="wait", order_id="A-1", poke_interval=0.01, timeout=0.05)
    with pytest.raises(AirflowSensorTimeout):
        sensor.execute(context)
    assert {request.method for request in sandbox.store.requests} == {"GET"}


def test_the_trigger_ends_with_the_status_and_has_only_read(store, sandbox):
    writer = threading.Timer(0.2, lambda: store("A-1", status="completed"))
    writer.start()
    assert events(trigger(statuses=["Completed"])) == [{"order_id": "A-1", "status": "Completed"}]
    writer.join()
    assert [request.method for request in sandbox.store.requests].count("POST") == 1


def test_an_outage_is_waited_out_and_each_trigger_asks_once_an_interval(store, sandbox):
    store(*(f"A-{i}" for i in range(20)))
    before = len(sandbox.store.requests)
    # three requests of each fail, or more of some
    sandbox.faults = Faults(error_before=1.0, error_statuses=(503,), last_request=60)
    started = time.monotonic()
    found = events(*(trigger(f"A-{i}", interval=0.2) for i in range(20)))
    seconds = time.monotonic() - started
    assert found == [{"order_id": f"A-{i}", "status": "Paid"} for i in range(20)]
    asked = [request.path for request in sandbox.store.requests[before:]]
    assert len(asked) == 80
    for i in range(20):
        # one more than there are whole intervals
        assert asked.count(f"/orders/A-{i}") <= seconds / 0.2 + 1


def test_a_triggerer_that_begins_late_asks_no_more_often(monkeypatch):
    asked, clock = [], FakeClock()

    async def sleep(seconds):
        clock.sleep(seconds)

    async def late(*_):
        clock.now += 100
        return await get_async_connection("ecdp_default", EcdpHook)

    def poll(*_):
        asked.append(clock.now)
        # an answer takes a while, the second one longer than the interval
        clock.now += (2, 20, 2)[len(asked) - 1]
        return {"order_id": "A-1", "status": None} if len(asked) == 3 else None

    monkeypatch.setattr(triggers, "get_async_connection", late)
    monkeypatch.setattr(triggers, "poll_order", poll)
    monkeypatch.setattr(triggers, "time", SimpleNamespace(monotonic=clock))
    running_loop = asyncio.get_running_loop
    monkeypatch.setattr(triggers, "asyncio", SimpleNamespace(sleep=sleep, get_running_loop=running_loop))
    events(trigger(interval=7))
    assert [later - earlier for earlier, later in itertools.pairwise(asked)] == [7, 20]


def test_a_storage_of_shared_limits_that_fails_is_waited_out(context, connect, sandbox, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    connect(sandbox.url, extra={"shared_limits": True})
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", str(tmp_path))
    monkeypatch.setattr(shared_limits, "put_whole", full)
    assert EcdpOrderSensor(task_id="wait", order_id="A-1").poke(context) is False


def test_a_refused_key_ends_the_wait(context, connect, sandbox):
    connect(sandbox.url, password="wrong")
    (event,) = events(trigger())
    assert "HTTP 401" in event["error"]
    sensor = EcdpOrderSensor(task_id="wait", order_id="A-1")
    with pytest.raises(AirflowFailException, match="HTTP 401"):
        sensor.execute_complete(context, event)
    with pytest.raises(AirflowFailException, match="HTTP 401"):
        sensor.execute(context)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statuses": "lost"}, "status: one of"),
        ({"order_id": ".."}, "cannot be part of a URL"),
        ({"statuses": "[x"}, "statuses"),
    ],
)
def test_what_can_never_be_is_not_waited_for(context, sandbox, arguments, message):
    with pytest.raises(AirflowFailException, match=message):
        EcdpOrderSensor(task_id="wait", **({"order_id": "A-1"} | arguments)).execute(context)
    assert not sandbox.store.requests
