"""The first orders alone: the others are sent only if none of them is refused."""

from __future__ import annotations

import pytest

from airflow_provider_ecdp.errors import ConfigurationError, OrdersFailedError
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.results.report import MaxFailed

REFUSED = (400, {"title": "Bad request", "errors": ["no such website"]}, {})


def pushed(source, client, canary, ledger=None, **settings):
    with OrderReader(source) as orders:
        return push(orders, client, PushSettings(canary=canary, **settings), prior_runs=PriorRuns(ledger))


def outcomes(report):
    return {name: count for name, count in report.summary.items() if name in OUTCOMES and count}


OUTCOMES = {"accepted", "rejected", "invalid", "unresolved", "not_attempted", "skipped"}


def test_the_first_orders_go_alone_and_then_all(foreign, client, many_orders):
    report = pushed(many_orders(5000), client, 3, batch_size=500)
    assert outcomes(report) == {"accepted": 5000}
    assert [len(ids) for ids in foreign.posts][:2] == [3, 500]
    assert sorted(len(ids) for ids in foreign.posts) == [3, 497] + [500] * 9
    assert sorted(foreign.stored) == [f"ORD-{n:06d}" for n in range(1, 5001)]


@pytest.mark.parametrize("canary", [2, 500, 2048, 2050, 2500, 9999])
def test_every_order_is_sent_once_however_many_are_first(foreign, client, many_orders, canary):
    report = pushed(many_orders(2500), client, canary)
    assert outcomes(report) == {"accepted": 2500}
    assert sorted(foreign.writes.elements()) == [f"ORD-{n:06d}" for n in range(1, 2501)]
    assert sum(len(ids) for ids in foreign.posts[: (canary + 499) // 500]) == min(canary, 2500)


def test_if_one_of_them_is_refused_no_others_are_sent(foreign, client, many_orders):
    foreign.refuse = lambda orders, _: REFUSED if any(o["id"] == "ORD-000002" for o in orders) else None
    report = pushed(many_orders(2500), client, 3)
    assert outcomes(report) == {"accepted": 2, "rejected": 1, "not_attempted": 2497}
    assert sorted(foreign.stored) == ["ORD-000001", "ORD-000003"]
    halted_reason = "canary: 1 of the first 3 orders failed, no others are sent"
    assert {r["reason"] for r in report.results if r["outcome"] == "not_attempted"} == {halted_reason}
    with pytest.raises(OrdersFailedError, match=f"^{halted_reason}\n2,498 of 2,500 orders failed"):
        report.raise_for_failures(MaxFailed.parse("100%"))


def test_a_refused_order_after_them_stops_nothing(foreign, client, extract):
    foreign.refuse = lambda orders, _: REFUSED if any(o["id"] == "ORD-000004" for o in orders) else None
    assert outcomes(pushed(extract(10), client, 3)) == {"accepted": 9, "rejected": 1}


def test_orders_that_are_not_sent_anyway_are_none_of_the_first(foreign, client, extract):
    report = pushed(extract(10, {1: {"currency": "ZLOTY"}, 2: {"id": None}}), client, 3)
    assert outcomes(report) == {"accepted": 8, "invalid": 2}
    assert foreign.posts[0] == ["ORD-000003", "ORD-000004", "ORD-000005"]


def test_an_outage_is_an_outage(foreign, hasty, extract):
    foreign.refuse = lambda *_: (503, None, {})
    report = pushed(extract(10), hasty, 3)
    assert report.stopped is not None
    assert report.halted is None
    assert report.failed == 10


def test_what_was_not_sent_is_in_the_ledger_and_sent_by_the_next_run(foreign, client, extract, tmp_path):
    foreign.refuse = lambda *_: REFUSED
    assert outcomes(pushed(extract(10), client, 3, Ledger(tmp_path))) == {"rejected": 3, "not_attempted": 7}
    foreign.refuse = lambda *_: None
    assert outcomes(pushed(extract(10), client, 3, Ledger(tmp_path))) == {"accepted": 10}


def test_fewer_than_none_is_refused():
    with pytest.raises(ConfigurationError, match="canary must be a whole number, 0 or more, not -1"):
        PushSettings(canary=-1)
