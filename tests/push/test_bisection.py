"""Refused batches: all that can be stored is stored, and those and only those that were refused are named."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laws import examples
from plain_reader import PlainReader, ids_of

from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.results.outcome import Outcome


def refusing(bad, describe):
    def refuse(orders, _mode):
        errors = [describe(i, o["id"]) for i, o in enumerate(orders) if o["id"] in bad]
        return (400, {"title": "Bad request", "errors": [e for e in errors if e]}, {}) if errors else None

    return refuse


NAMING = {
    "id in quotes": lambda i, order_id: f"Order '{order_id}' has an invalid currency.",
    "bare id": lambda i, order_id: f"{order_id}: currency is not allowed",
    "model state": lambda i, order_id: f"data[{i}].currency: The currency is not allowed.",
    "JSON path": lambda i, order_id: f"$.data[{i}].currency is not allowed",
    "capitals": lambda i, order_id: f"Data[{i}].Currency is not allowed",
    "JSON pointer": lambda i, order_id: f"/data/{i}/currency is not allowed",
    "dots": lambda i, order_id: f"body.data.{i}.currency: is not allowed",
    "arrows": lambda i, order_id: f"data -> {i} -> currency: is not allowed",
}


def pushed(client, count, **changes):
    return push(PlainReader(ids_of(count)), client, PushSettings(**changes))


def outcomes(report):
    return {r["order_id"]: r["outcome"] for r in report.results}


@pytest.mark.parametrize("wording", NAMING)
def test_named_orders_cost_two_requests_and_one_each(foreign, client, wording):
    bad = {f"ORD-{n:06d}" for n in (7, 250, 499)}
    foreign.refuse = refusing(bad, NAMING[wording])

    report = pushed(client, 500, batch_size=500)

    assert report.summary["accepted"] == 497
    assert {i for i, o in outcomes(report).items() if o == "rejected"} == bad
    assert set(foreign.stored) == {f"ORD-{n:06d}" for n in range(1, 501)} - bad
    assert report.summary["requests"] == 2 + 3


def test_ten_bad_orders_of_ten_thousand_that_are_named(foreign, client):
    bad = {f"ORD-{n:06d}" for n in range(997, 10_000, 997)}
    foreign.refuse = refusing(bad, lambda i, order_id: f"data[{i}]: order {order_id} is refused by rule 17")

    report = pushed(client, 10_000, batch_size=500)

    assert (report.summary["accepted"], report.summary["rejected"]) == (9_990, 10)
    assert {r["order_id"] for r in report.results if r["outcome"] == "rejected"} == bad
    assert all(f"order {r['order_id']} is refused by rule 17" in r["reason"] for r in report.results[:10])
    assert report.summary["requests"] <= 60


def test_ten_bad_orders_of_ten_thousand_when_nobody_is_named(foreign, client):
    bad = {f"ORD-{n:06d}" for n in range(997, 10_000, 997)}
    foreign.refuse = refusing(bad, lambda i, order_id: "One or more orders are invalid.")

    report = pushed(client, 10_000, batch_size=500)

    assert (report.summary["accepted"], report.summary["rejected"]) == (9_990, 10)
    assert {r["order_id"] for r in report.results if r["outcome"] == "rejected"} == bad
    assert report.summary["requests"] <= 250


def test_a_server_that_names_only_the_first_fault_is_asked_again(foreign, client):
    bad = {f"ORD-{n:06d}" for n in (3, 4, 90)}

    def refuse(orders, _mode):
        first = next((i for i, o in enumerate(orders) if o["id"] in bad), None)
        return None if first is None else (400, {"errors": [f"data[{first}].status is unknown"]}, {})

    foreign.refuse = refuse
    report = pushed(client, 100, batch_size=100)

    assert {i for i, o in outcomes(report).items() if o == "rejected"} == bad
    assert report.summary["accepted"] == 97


def test_an_innocent_order_that_is_named_is_accepted_on_its_own(foreign, client):
    bad = "ORD-000005"

    def refuse(orders, _mode):
        if any(o["id"] == bad for o in orders):
            return 400, {"errors": ["conflict between ORD-000004 and ORD-000006"]}, {}
        return None

    foreign.refuse = refuse
    report = pushed(client, 20)

    assert [r["order_id"] for r in report.results if r["outcome"] == "rejected"] == [bad]
    assert report.summary["accepted"] == 19


def test_the_reason_of_an_order_is_that_of_its_own_request(foreign, client):
    def refuse(orders, _mode):
        bad = [o["id"] for o in orders if o["id"] in ("ORD-000002", "ORD-000003")]
        if len(orders) == 1 and bad:
            return 422, {"errors": [f"only {bad[0]} is wrong, code {bad[0][-1]}"]}, {}
        return (400, {"errors": ["something is wrong"]}, {}) if bad else None

    foreign.refuse = refuse
    report = pushed(client, 8)

    rejected = {r["order_id"]: (r["reason"], r["http_status"]) for r in report.results if r["outcome"] == "rejected"}
    assert rejected == {
        "ORD-000002": ("only ORD-000002 is wrong, code 2", 422),
        "ORD-000003": ("only ORD-000003 is wrong, code 3", 422),
    }


def test_beyond_the_budget_orders_are_unresolved_and_never_rejected(foreign, client):
    foreign.refuse = lambda orders, mode: (400, {"errors": ["no"]}, {})

    report = pushed(client, 500, batch_size=500, request_budget=5)

    # 500, two halves and two quarters: not one order was found
    assert len(foreign.posts) == 5
    assert set(outcomes(report).values()) == {"unresolved"}
    assert "not isolated in 5 requests; ECDP said: no" in report.results[0]["reason"]


#: What a server says of the bad orders of a batch, by position, and by how much each bad order of 12 among 100 costs.
HINTS = {
    "nobody": lambda bad, orders: ["bad request"],
    "all": lambda bad, orders: [f"data[{i}] is refused" for i in bad],
    "counted from 1": lambda bad, orders: [f"data[{i + 1}] is refused" for i in bad],
    "always the first": lambda bad, orders: ["data[0] is refused"],
    "the one before": lambda bad, orders: [f"'{orders[bad[0] - 1]['id']}' is refused"],
    "one at a time": lambda bad, orders: [f"data[{bad[0]}] is refused"],
    "the last of them": lambda bad, orders: [f"'{orders[bad[-1]]['id']}' is refused"],
    "everybody": lambda bad, orders: [f"data[{i}] is refused" for i in range(len(orders))],
    "all but the last": lambda bad, orders: [f"data[{i}] is refused" for i in range(len(orders) - 1)],
    "one right and one wrong": lambda bad, orders: [f"data[{bad[0]}] is refused", f"data[{bad[0] - 1}] is refused"],
}


def hinting(bad, hint):
    def refuse(orders, _mode):
        faults = [i for i, o in enumerate(orders) if o["id"] in bad]
        return (400, {"errors": HINTS[hint](faults, orders)}, {}) if faults else None

    return refuse


@pytest.mark.parametrize("hint", HINTS)
@pytest.mark.parametrize(("orders", "count", "most"), [(500, 1, 25), (100, 12, 12 * 12), (100, 40, 199)])
def test_every_good_order_is_stored_whatever_the_refusals_name(foreign, client, hint, orders, count, most):
    ids = ids_of(orders)
    bad = set(random.Random(count).sample(ids, count))
    foreign.refuse = hinting(bad, hint)

    report = pushed(client, orders, batch_size=orders)

    assert {i for i, o in outcomes(report).items() if o == "rejected"} == bad
    assert set(foreign.stored) == set(ids) - bad
    assert report.summary["requests"] <= most


@pytest.mark.parametrize("hint", HINTS)
def test_two_requests_for_each_order_are_the_most(foreign, client, hint):
    foreign.refuse = hinting({f"ORD-{n:06d}" for n in range(1, 51)}, hint)

    report = pushed(client, 50, batch_size=50)

    assert report.summary["rejected"] == 50
    assert len(foreign.posts) <= 2 * 50 - 1


def test_a_batch_that_is_too_large_is_halved_and_blames_no_order(foreign, client):
    foreign.refuse = lambda orders, mode: (413, None, {}) if len(orders) > 60 else None

    report = pushed(client, 500, batch_size=500)

    assert report.summary["accepted"] == 500
    assert sum(len(p) for p in foreign.posts if len(p) <= 60) == 500


@pytest.mark.parametrize("mode", [Mode.ADD, Mode.ADD_OR_REPLACE])
def test_a_limit_on_the_number_of_orders_is_learned_from_two_batches(foreign, client, mode, caplog):
    bad = {"ORD-000001", "ORD-000101", "ORD-000501"}
    faults = refusing(bad, NAMING["id in quotes"])
    foreign.refuse = lambda orders, mode: (400, {"title": "No"}, {}) if len(orders) > 30 else faults(orders, mode)

    report = pushed(client, 1000, mode=mode, batch_size=100, max_in_flight=1)

    assert {i for i, o in outcomes(report).items() if o == "rejected"} == bad
    assert set(foreign.stored) == set(ids_of(1000)) - bad
    assert sum(len(posted) > 30 for posted in foreign.posts) <= 2 * 3
    (warning,) = [r.message for r in caplog.records if "batch_size" in r.message]
    assert "requests with 50 orders fail" in warning
    assert "fewer than 50" in warning


@pytest.mark.parametrize("mode", [Mode.ADD, Mode.ADD_OR_REPLACE])
def test_a_server_that_fails_at_large_requests_gets_smaller_ones(foreign, hasty, mode, caplog):
    foreign.refuse = lambda orders, mode: (504, None, {}) if len(orders) > 30 else None

    report = pushed(hasty, 800, mode=mode, batch_size=100, max_in_flight=1)

    assert report.summary["accepted"] == 800
    # each batch once; then two of them, with their halves, show the limit
    assert sum(len(posted) > 30 for posted in foreign.posts) <= 8 + 2 * 3
    # one order of a batch may have been sent alone before, to see whether the server works
    assert re.search(r"requests with (49|50) orders fail", caplog.text)


def test_one_refusal_without_a_cause_is_no_limit(foreign, client):
    foreign.refuse = lambda orders, mode: (400, {"title": "No"}, {}) if len(foreign.posts) == 1 else None

    pushed(client, 500, batch_size=100, max_in_flight=1)

    assert [len(posted) for posted in foreign.posts[-4:]] == [100] * 4


def test_an_order_that_is_too_large_alone_is_rejected(foreign, client):
    foreign.refuse = lambda orders, mode: (413, None, {}) if any(o["id"] == "ORD-000002" for o in orders) else None

    report = pushed(client, 4)

    assert outcomes(report) == {
        "ORD-000001": "accepted",
        "ORD-000002": "rejected",
        "ORD-000003": "accepted",
        "ORD-000004": "accepted",
    }


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(1, 60),
    size=st.integers(1, 25),
    seed=st.integers(0, 2**16),
    share=st.sampled_from([0.0, 0.02, 0.2, 1.0]),
    wording=st.sampled_from(["nobody", "first", "all", "wrong"]),
)
def test_nobody_good_is_rejected_and_nobody_bad_accepted(foreign, client, count, size, seed, share, wording):
    dice = random.Random(seed)
    ids = [f"ORD-{n:06d}" for n in range(1, count + 1)]
    bad = {i for i in ids if dice.random() < share}

    def refuse(orders, _mode):
        faults = [i for i, o in enumerate(orders) if o["id"] in bad]
        if not faults:
            return None
        errors = {
            "nobody": ["bad request"],
            "first": [f"data[{faults[0]}] is refused"],
            "all": [f"data[{i}] is refused" for i in faults],
            "wrong": [f"data[{dice.randrange(len(orders))}] is refused"],
        }[wording]
        return 400, {"errors": errors}, {}

    foreign.refuse = refuse
    foreign.stored.clear()
    report = pushed(client, count, batch_size=size, request_budget=10_000)

    expected = {i: Outcome.REJECTED.value if i in bad else Outcome.ACCEPTED.value for i in ids}
    assert outcomes(report) == expected
    assert set(foreign.stored) == set(ids) - bad


class TestAdd:
    def test_what_was_stored_without_an_answer_is_accepted_once(self, foreign, client):
        foreign.reset_after_storing = lambda number: number % 3 == 0

        report = pushed(client, 1_000, batch_size=100, mode=Mode.ADD, max_in_flight=2)

        assert report.summary["accepted"] == 1_000
        assert report.summary["rejected"] == 0
        assert sorted(foreign.writes.elements()) == [f"ORD-{n:06d}" for n in range(1, 1_001)]

    def test_what_was_not_stored_is_sent_again(self, foreign, client):
        foreign.reset_before_storing = lambda number: number % 3 == 0

        report = pushed(client, 1_000, batch_size=100, mode=Mode.ADD)

        assert report.summary["accepted"] == 1_000
        assert sorted(foreign.writes.elements()) == [f"ORD-{n:06d}" for n in range(1, 1_001)]
        # an absent order tells of its whole batch
        assert len(foreign.gets) < 20

    def test_an_order_that_is_stored_with_other_content_is_rejected(self, foreign, client):
        foreign.stored["ORD-000001"] = {"id": "ORD-000001", "totalValue": 1}
        foreign.reset_before_storing = lambda number: number == 1

        report = pushed(client, 3, mode=Mode.ADD)

        assert outcomes(report) == {"ORD-000001": "rejected", "ORD-000002": "accepted", "ORD-000003": "accepted"}
        assert "stored with other content" in report.results[0]["reason"]

    def test_a_resumed_run_finds_what_the_killed_one_stored(self, foreign, client):
        pushed(client, 250, mode=Mode.ADD, batch_size=100)
        posts = len(foreign.posts)

        report = pushed(client, 400, mode=Mode.ADD, batch_size=100, resumed=True)

        assert (report.summary["accepted"], report.summary["rejected"]) == (400, 0)
        assert foreign.writes.total() == 400
        assert len(foreign.posts) - posts <= 4 + 1

    @pytest.mark.parametrize(
        "answer",
        [
            (400, {"title": "Bad request", "status": 400}, {}),
            (403, "<html><title>Forbidden</title></html>", {}),
            (404, "<html><title>Not found</title></html>", {}),
            (200, {"data": None}, {}),
        ],
        ids=lambda answer: str(answer[0]),
    )
    def test_an_order_that_a_resumed_run_cannot_read_back_is_not_rejected(self, foreign, client, answer):
        pushed(client, 4, mode=Mode.ADD)
        foreign.answer_get = lambda _: answer

        report = pushed(client, 6, mode=Mode.ADD, batch_size=3, resumed=True)

        assert [o for _, o in sorted(outcomes(report).items())] == ["unresolved"] * 4 + ["accepted"] * 2
        assert "could not be read back, GET" in report.results[0]["reason"]

    def test_a_resumed_run_whose_gets_fail_stops_early(self, foreign, hasty):
        pushed(hasty, 40, mode=Mode.ADD)
        foreign.answer_get, posts = lambda _: (503, None, {}), len(foreign.posts)

        report = pushed(hasty, 40, mode=Mode.ADD, resumed=True)

        assert report.stopped is not None
        assert report.summary["unresolved"] == 40
        assert len(foreign.posts) - posts <= 8

    def test_an_order_that_a_firewall_forbids_is_read_back_by_a_resumed_run(self, foreign, client):
        pushed(client, 3, mode=Mode.ADD)
        forbidden = (403, "<html><title>Forbidden</title></html>", {})
        foreign.refuse = lambda orders, _: (
            forbidden if {o["id"] for o in orders} & {"ORD-000002", "ORD-000005"} else None
        )

        report = pushed(client, 6, mode=Mode.ADD, batch_size=2, resumed=True)

        assert {i: o for i, o in outcomes(report).items() if o != "accepted"} == {"ORD-000005": "rejected"}

    def test_without_a_kill_an_order_that_exists_is_rejected(self, foreign, client):
        pushed(client, 3, mode=Mode.ADD)

        report = pushed(client, 5, mode=Mode.ADD)

        assert (report.summary["accepted"], report.summary["rejected"]) == (2, 3)
        assert not foreign.gets

    def test_an_outage_while_reading_back_leaves_orders_unresolved(self, foreign, hasty):
        foreign.reset_after_storing = lambda _: True
        foreign.answer_get = lambda _: (503, None, {})

        report = pushed(hasty, 10, mode=Mode.ADD)

        assert report.summary["unresolved"] == 10
        assert report.stopped is not None
