"""A random sample of accepted orders is read back after the push."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pyarrow as pa
import pytest
from fake_clock import FakeClock

from airflow_provider_ecdp.errors import CancelledError
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.push.verification import Sample
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome
from airflow_provider_ecdp.runs.cancellation import Cancellation


def pushed(source, client, **settings):
    with OrderReader(source) as orders:
        return push(orders, client, PushSettings(**settings)).summary


def test_orders_are_read_back_only_if_it_is_requested(foreign, client, extract):
    assert "verified" not in pushed(extract(5), client)
    assert foreign.gets == []


@pytest.mark.parametrize(("size", "read"), [(3, 3), (20, 20), (50, 20)])
def test_as_many_accepted_orders_as_requested_are_read_each_once(foreign, client, extract, size, read):
    foreign.refuse = lambda orders, _: (400, {"errors": ["no"]}, {}) if any("7" in o["id"] for o in orders) else None
    summary = pushed(extract(22), client, verify=size, batch_size=5)
    assert (summary["accepted"], summary["rejected"]) == (20, 2)
    assert (summary["verified"], summary["verified_differ"]) == (read, 0)
    assert len(foreign.gets) == len(set(foreign.gets)) == read


def test_what_differs_or_is_gone_is_reported_with_its_id_and_fails_nothing(foreign, client, extract, caplog):
    def lose(order_id):
        if order_id.endswith("2"):
            return 404, {"status": 404, "title": "Not Found", "substatus": "NotFound"}, {}
        if order_id.endswith("3"):
            foreign.stored[order_id]["totalValue"] = 12345
        return None

    foreign.answer_get = lose
    summary = pushed(extract(4, {}), client, verify=4)
    assert (summary["accepted"], summary["verified"], summary["verified_differ"]) == (4, 4, 2)
    different, absent = (text for text in caplog.messages if text.startswith("verify:"))
    assert different.startswith("verify: ECDP has other content than was sent for 1 accepted order, such as ORD-")
    assert absent.startswith("verify: ECDP has no such order for 1 accepted order, such as ORD-")


def test_a_server_that_does_not_answer_afterwards_changes_no_outcome(foreign, hasty, extract, caplog):
    foreign.answer_get = lambda _: (503, None, {})
    summary = pushed(extract(4), hasty, verify=4)
    assert (summary["accepted"], summary["verified"], summary["verified_differ"]) == (4, 0, 0)
    assert any(text.startswith("verify: only 0 of 4 orders could be read:") for text in caplog.messages)


def test_it_ends_when_the_run_is_cancelled(foreign, client, extract, caplog):
    cancellation = Cancellation()

    def cancel(_):
        # called after the interruption of the client
        interrupted = threading.Event()
        cancellation.on_cancel(interrupted.set)
        cancellation.cancel(CancelledError("the task was cancelled"))
        assert interrupted.wait(60)
        return 503, None, {}

    foreign.answer_get = cancel
    with OrderReader(extract(4)) as orders:
        report = push(orders, client, PushSettings(verify=4), cancellation=cancellation)
    assert (report.summary["accepted"], report.summary["verified"]) == (4, 0)
    assert len(foreign.gets) == 1
    assert "verify: only 0 of 4 orders could be read: the task was cancelled" in caplog.messages


def test_it_ends_with_the_longest_time_of_the_run(foreign, client, extract):
    clock = FakeClock()

    def late(_):
        clock.sleep(31)

    foreign.answer_get = late
    with OrderReader(extract(4)) as orders:
        report = push(orders, client, PushSettings(verify=4, max_duration=60), cancellation=Cancellation(clock=clock))
    assert (report.summary["accepted"], report.summary["verified"], report.stopped) == (4, 2, None)
    assert len(foreign.gets) == 2


def test_each_order_has_the_same_chance():
    drawn = Counter()
    for seed in range(600):
        sample = Sample(2, random.Random(seed))
        for start in (0, 3):
            ids = [str(i) for i in range(start, start + 3)]
            orders = pa.RecordBatch.from_pydict({"order_id": ids, "json": ["{},"] * 3})
            sample.add([BatchOutcome(orders, Outcome.ACCEPTED), BatchOutcome(orders, Outcome.REJECTED)])
        drawn.update(sample.orders.column("order_id").to_pylist())
    assert sum(drawn.values()) == 1200
    # 200 are expected of each; 5 standard deviations
    assert all(142 < count < 258 for count in drawn.values())
    assert len(drawn) == 6
