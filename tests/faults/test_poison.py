"""One order at which the server fails, whatever it answers: all others are stored, and it is named."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from fake_clock import FakeClock
from faults_hostile import KEY, OUTAGES, POISONS, REFUSALS, HostileServer, cutting, serving
from plain_reader import PlainReader, ids_of

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.by_id.from_ids import delete_orders, update_order_statuses
from airflow_provider_ecdp.by_id.from_source import ChangeSettings, apply_changes
from airflow_provider_ecdp.by_id.queue import ChangeQueue
from airflow_provider_ecdp.by_id.settings import Missing, Operation
from airflow_provider_ecdp.errors import KeyRefusedError
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.sources.table import TableSource
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.runs.cancellation import Cancellation

COUNT = 400

#: A replacement is sent and isolated as AddOrReplace is: where the table of answers is not the subject, it is left out.
MODES = (Mode.ADD, Mode.ADD_OR_REPLACE)


def pushed(server, ids, *, ledger=None, policy=RetryPolicy(), **settings):  # noqa: B008  # a frozen value
    clock = FakeClock()
    about = ClientSettings(base_url=server.url)
    with EcdpClient(KEY, about, policy=policy, clock=clock, sleep=clock.sleep) as client:
        server.cut = cutting(client)
        cancellation = Cancellation(clock=clock)
        prior_runs = PriorRuns(ledger)
        return push(
            PlainReader(ids), client, PushSettings(**settings), prior_runs=prior_runs, cancellation=cancellation
        )


def changed(server, operation, ids, ledger=None, **settings):
    clock = FakeClock()
    rows = {"order_id": ids, "status": ["paid"] * len(ids)}
    source = TableSource("changes", pa.table(rows if operation is Operation.UPDATE_STATUS else {"order_id": ids}))
    about = ClientSettings(base_url=server.url)
    policy = RetryPolicy(max_attempts=2)
    client = EcdpClient(KEY, about, policy=policy, clock=clock, sleep=clock.sleep)
    server.cut = cutting(client)
    with client, ChangeQueue(source, operation) as queue:
        return apply_changes(
            queue,
            client,
            ChangeSettings(missing=Missing.FAIL, **settings),
            ledger=ledger,
            cancellation=Cancellation(clock=clock),
        )


def failed(report):
    return {r["order_id"]: r for r in report.results if r["outcome"] not in ("accepted", "skipped")}


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("answer", POISONS)
def test_every_other_order_is_stored_and_the_poison_is_named(answer, mode):
    ids = ids_of(COUNT)
    poison = ids[257]
    server = HostileServer(poison={poison: answer})
    if mode is Mode.REPLACE:
        server.stored = {order_id: {} for order_id in ids}
    with serving(server):
        report = pushed(server, ids, mode=mode, batch_size=50)

    assert report.stopped is None
    assert failed(report).keys() == {poison}
    result = failed(report)[poison]
    assert result["outcome"] == ("rejected" if answer in REFUSALS else "unresolved")
    if answer[:3].isdigit():
        assert result["http_status"] == int(answer[:3])
    assert result["reason"]
    assert server.writes.keys() == set(ids) - {poison}
    assert server.alone[poison] > 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("answer", ["reset", "500", "429"])
def test_an_order_that_fails_alone_has_all_attempts_in_its_last_call(answer, mode):
    ids = ids_of(4)
    server = HostileServer(poison={ids[1]: answer})
    with serving(server):
        report = pushed(server, ids, mode=mode, batch_size=1, policy=RetryPolicy(max_attempts=3))

    # with the others, one to isolate it, and alone
    assert failed(report)[ids[1]]["attempts"] == 3 + 1 + 3


def check_outage(tmp_path, *, answer, outage, mode):
    ids = ids_of(COUNT)
    server = HostileServer(poison={ids[257]: answer}, outage=outage, after_poison=True, outage_from=6)
    if mode is Mode.REPLACE:
        server.stored = {order_id: {} for order_id in ids}
    with serving(server):
        report = pushed(server, ids, mode=mode, batch_size=20, ledger=Ledger(tmp_path))
        assert report.stopped is not None
        assert report.summary["rejected"] == 0
        assert server.since_outage <= 60

        # the next run does not begin with what has stopped this one
        server.outage = None
        report = pushed(server, ids, mode=mode, batch_size=20, ledger=Ledger(tmp_path))
        assert failed(report).keys() == {ids[257]}
        assert server.writes.keys() == set(ids) - {ids[257]}


@pytest.mark.parametrize(
    ("outage", "mode"),
    [
        *((outage, Mode.ADD) for outage in OUTAGES),
        *itertools.product(["500", "reset"], [Mode.ADD_OR_REPLACE, Mode.REPLACE]),
    ],
)
def test_an_outage_right_after_it_ends_within_sixty_requests(outage, mode, tmp_path):
    check_outage(tmp_path, answer="500", outage=outage, mode=mode)


@pytest.mark.parametrize("outage", ["500", "reset", "403 HTML", "429"])
@pytest.mark.parametrize("answer", ["reset", "403 HTML", "drip of a status"])
def test_an_outage_ends_within_sixty_requests_whatever_the_poison(answer, outage, tmp_path):
    check_outage(tmp_path, answer=answer, outage=outage, mode=Mode.ADD)


@pytest.mark.parametrize(("refusal", "mode"), [("400", Mode.ADD_OR_REPLACE), ("422", Mode.REPLACE)])
def test_a_server_that_begins_to_refuse_every_order_is_an_outage(refusal, mode, tmp_path):
    ids = ids_of(COUNT)
    server = HostileServer(outage=refusal, outage_from=6, stored={order_id: {} for order_id in ids})
    with serving(server):
        report = pushed(server, ids, mode=mode, batch_size=40, max_in_flight=1, ledger=Ledger(tmp_path))
        assert "refuses every order" in str(report.stopped)
        assert report.summary["rejected"] == 0
        # 20 orders alone, and the batches on the way to them
        assert server.since_outage <= 20 + 25

        # a retry too early has no accepted order to repeat
        report = pushed(server, ids, mode=mode, batch_size=40, max_in_flight=1, ledger=Ledger(tmp_path))
        assert "refuses every order" in str(report.stopped)
        assert report.summary["rejected"] == 0
        assert server.since_outage <= 2 * (20 + 25)

        server.outage = None
        report = pushed(server, ids, mode=mode, batch_size=40, max_in_flight=1, ledger=Ledger(tmp_path))
        assert failed(report) == {}
        assert server.writes.keys() == set(ids)


def test_a_block_of_orders_refused_alike_is_no_outage():
    ids = ids_of(300)
    bad = set(ids[100:200])
    server = HostileServer(poison=dict.fromkeys(bad, "400"))
    with serving(server):
        report = pushed(server, ids, batch_size=50)

    assert report.stopped is None
    assert {o["outcome"] for o in failed(report).values()} == {"rejected"}
    assert failed(report).keys() == bad


@pytest.mark.parametrize("operation", [Operation.UPDATE_STATUS, Operation.DELETE])
def test_a_server_that_begins_to_refuse_every_change_is_an_outage(operation, tmp_path):
    ids = ids_of(150)
    server = HostileServer(outage="400", outage_from=50, stored={order_id: {} for order_id in ids})
    with serving(server):
        report = changed(server, operation, ids, Ledger(tmp_path), max_in_flight=1)
        assert "refuses every order" in str(report.stopped)
        assert server.since_outage == 21
        assert report.summary["rejected"] == 19
        report = changed(server, operation, ids, Ledger(tmp_path), max_in_flight=1)
        assert "refuses every order" in str(report.stopped)
        assert server.since_outage == 21 + 20

        server.outage = None
        assert failed(changed(server, operation, ids, Ledger(tmp_path), max_in_flight=1)) == {}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("answer", ["500", "reset", "403 HTML", "429"])
def test_a_poison_order_in_each_batch_holds_back_no_good_one(answer, mode):
    ids = ids_of(400)
    server = HostileServer(poison=dict.fromkeys(ids[1::25], answer))
    with serving(server):
        report = pushed(server, ids, mode=mode, batch_size=50)

    assert report.stopped is None
    assert failed(report).keys() == set(ids[1::25])
    assert server.stored.keys() == set(ids) - set(ids[1::25])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("answer", ["401", "500", "403 HTML", "429"])
def test_a_block_of_poison_orders_holds_back_no_good_one(answer, mode):
    ids = ids_of(600)
    poison = set(ids[200:300])
    server = HostileServer(poison=dict.fromkeys(poison, answer))
    with serving(server):
        report = pushed(server, ids, mode=mode, batch_size=25)

    assert report.stopped is None
    assert failed(report).keys() == poison
    assert server.stored.keys() == set(ids) - poison


@pytest.mark.parametrize("answer", ["401", "500", "403 HTML", "reset"])
@pytest.mark.parametrize("mode", MODES)
def test_a_poison_order_in_the_first_batch(answer, mode):
    ids = ids_of(1_000)
    server = HostileServer(poison={ids[3]: answer})
    with serving(server):
        report = pushed(server, ids, mode=mode)

    assert report.stopped is None
    assert failed(report).keys() == {ids[3]}


@pytest.mark.parametrize("operation", [Operation.UPDATE_STATUS, Operation.DELETE])
@pytest.mark.parametrize("answer", POISONS)
def test_a_poison_change_holds_back_no_other(answer, operation):
    ids = ids_of(200)
    server = HostileServer(poison={ids[177]: answer}, stored={order_id: {} for order_id in ids})
    with serving(server):
        report = changed(server, operation, ids)

    assert report.stopped is None
    assert failed(report).keys() == {ids[177]}
    assert failed(report)[ids[177]]["reason"]
    assert server.statuses.keys() == set(ids) - {ids[177]}


def outage_after(poison, ids, outage):
    """Return a server that has orders and answers 500 to one of them, and to which an outage comes soon after it."""
    return HostileServer(
        poison={poison: "500"},
        stored={order_id: {} for order_id in ids},
        outage=outage,
        after_poison=True,
        outage_from=20,
    )


def assert_ended_soon(server, report):
    assert report.stopped is not None
    assert server.since_outage <= 60
    assert report.summary["rejected"] == 0
    assert report.summary["accepted"] == len(server.statuses)


@pytest.mark.parametrize(
    ("outage", "operation"),
    [
        *((outage, Operation.UPDATE_STATUS) for outage in OUTAGES),
        ("500", Operation.DELETE),
        ("reset", Operation.DELETE),
    ],
)
def test_an_outage_after_a_poison_change_ends_within_sixty_requests(outage, operation):
    ids = ids_of(200)
    # so early that orders are left when the outage comes, whatever is in flight
    server = outage_after(ids[100], ids, outage)
    with serving(server):
        report = changed(server, operation, ids)

    assert_ended_soon(server, report)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("answer", ["401", "500", "reset", "429"])
@pytest.mark.parametrize("count", [1, 8])
def test_a_resume_of_nothing_but_poison_orders_is_no_outage(count, answer, mode, tmp_path):
    ids = ids_of(300)
    poison = set(ids[10 : 10 + count])
    server = HostileServer(poison=dict.fromkeys(poison, answer))
    with serving(server):
        for _ in range(2):
            report = pushed(server, ids, mode=mode, batch_size=100, ledger=Ledger(tmp_path))
            assert report.stopped is None
            assert failed(report).keys() == poison
            assert {r["outcome"] for r in failed(report).values()} == {"unresolved"}

        # a server that answers no GET either is an outage
        server.outage, before = answer, server.methods.total()
        report = pushed(server, ids, mode=mode, batch_size=100, ledger=Ledger(tmp_path))
    assert report.stopped is not None
    assert server.methods.total() - before <= 60


def test_a_resume_of_many_orders_that_fail_is_an_outage(tmp_path):
    ids = ids_of(300)
    server = HostileServer(poison=dict.fromkeys(ids[10:90], "500"))
    with serving(server):
        assert pushed(server, ids, batch_size=100, ledger=Ledger(tmp_path)).stopped is None
        before = server.methods.total()
        assert pushed(server, ids, batch_size=100, ledger=Ledger(tmp_path)).stopped is not None
    assert server.methods.total() - before <= 60


@pytest.mark.parametrize("answer", ["401", "403 HTML"])
def test_poison_orders_that_are_the_first_to_be_sent(answer):
    ids = ids_of(100)
    server = HostileServer(poison=dict.fromkeys(ids[:4], answer), stored={order_id: {} for order_id in ids})
    with serving(server):
        pushed_ids = failed(pushed(server, ids, batch_size=1)).keys()
        changed_ids = failed(changed(server, Operation.DELETE, ids)).keys()

    assert pushed_ids == changed_ids == set(ids[:4])


@pytest.mark.parametrize(("operation", "answer"), [(Operation.UPDATE_STATUS, "500"), (Operation.DELETE, "401")])
@pytest.mark.parametrize("count", [1, 8])
def test_a_resume_of_nothing_but_poison_changes_is_no_outage(count, operation, answer, tmp_path):
    ids = ids_of(100)
    poison = set(ids[10::11][:count])
    server = HostileServer(poison=dict.fromkeys(poison, answer), stored={order_id: {} for order_id in ids})
    with serving(server):
        for _ in range(2):
            report = changed(server, operation, ids, Ledger(tmp_path))
            assert report.stopped is None
            assert failed(report).keys() == poison

        server.outage, before = "500", server.methods.total()
        assert changed(server, operation, ids, Ledger(tmp_path)).stopped is not None
    assert server.methods.total() - before <= 60


def test_many_neighbours_that_fail_hold_back_no_other_change(tmp_path):
    operation = Operation.UPDATE_STATUS
    ids, later = ids_of(60), [f"later-{i}" for i in range(5)]
    poison = ids[10:25]
    server = HostileServer(poison=dict.fromkeys(poison, "500"), stored={i: {} for i in [*ids, *later]})
    with serving(server):
        report = changed(server, operation, ids, Ledger(tmp_path))
        assert report.stopped is None
        assert failed(report).keys() == set(poison)

        # others are sent before those that were left open
        report = changed(server, operation, [*ids, *later], Ledger(tmp_path))
        assert report.stopped is None
        assert failed(report).keys() == set(poison)

        # nothing but these: an outage, by all that is known
        report = changed(server, operation, ids, Ledger(tmp_path))
        assert report.stopped is not None
        assert {r["outcome"] for r in failed(report).values()} == {"unresolved"}
        assert failed(report).keys() == set(poison)
        waiting = [i for i, r in failed(report).items() if not r["attempts"]]

        # the next run begins with those that were not reached
        server.poison = {i: "500" for i in poison if i not in waiting}
        report = changed(server, operation, ids, Ledger(tmp_path))
        assert waiting
        assert report.stopped is None
        assert failed(report).keys() == server.poison.keys()


def by_id(server, use_case, *arguments, **keywords):
    clock = FakeClock()
    policy = RetryPolicy(max_attempts=2)
    with EcdpClient(KEY, ClientSettings(server.url), policy=policy, clock=clock, sleep=clock.sleep) as client:
        server.cut = cutting(client)
        return use_case(client, *arguments, **keywords)


@pytest.mark.parametrize("answer", POISONS)
def test_a_poison_order_in_a_list_of_ids_holds_back_no_other(answer):
    ids = ids_of(20)
    server = HostileServer(poison={ids[7]: answer}, stored={order_id: {} for order_id in ids})
    with serving(server):
        report = by_id(server, delete_orders, ids)

    assert report.stopped is None
    assert failed(report).keys() == {ids[7]}
    assert failed(report)[ids[7]]["reason"]
    assert server.statuses.keys() == set(ids) - {ids[7]}


def test_many_neighbours_that_fail_in_a_list_of_ids_hold_back_no_other():
    ids = ids_of(60)
    server = HostileServer(poison=dict.fromkeys(ids[10:25], "500"), stored={order_id: {} for order_id in ids})
    with serving(server):
        report = by_id(server, delete_orders, ids)

    assert report.stopped is None
    assert failed(report).keys() == set(ids[10:25])


def test_changes_of_an_order_in_a_list_never_overtake_each_other():
    server = HostileServer(stored={"A": {}, "B": {}}, fails_at_first=frozenset({"A"}))
    updates = [{"order_id": i, "status": status} for status in ("paid", "completed") for i in ("B", "A")]
    with serving(server):
        report = by_id(server, update_order_statuses, updates)

    assert report.stopped is None
    assert [r["outcome"] for r in report.results] == ["accepted"] * 4
    assert server.statuses == {"A": "Completed", "B": "Completed"}


@pytest.mark.parametrize("outage", ["500", "reset", "403 HTML", "404"])
def test_an_outage_ends_a_list_of_ids_within_sixty_requests(outage):
    ids = ids_of(100)
    server = outage_after(ids[7], ids, outage)
    with serving(server):
        report = by_id(server, delete_orders, ids)

    assert_ended_soon(server, report)


@pytest.mark.parametrize(("answer", "posts"), [("401", 1), ("403 HTML", 3)])
def test_a_refused_key_costs_few_requests(answer, posts):
    server = HostileServer(outage=answer)
    with serving(server):
        report = pushed(server, ids_of(1_000))
        before = server.methods.copy()
        changes = changed(server, Operation.DELETE, ids_of(1_000))
    assert before == {"POST": posts, "GET": 1}
    assert report.summary["not_attempted"] == changes.summary["not_attempted"] == 1_000
    assert isinstance(report.stopped, KeyRefusedError)
    assert isinstance(changes.stopped, KeyRefusedError)
    assert server.methods - before == {"DELETE": 1 + (posts > 1), "GET": 1}


def test_a_key_that_may_only_read_costs_few_requests():
    ids = ids_of(1_000)
    # it takes GET alone
    server = HostileServer(poison=dict.fromkeys(ids, "401"))
    with serving(server):
        report = pushed(server, ids)
    assert isinstance(report.stopped, KeyRefusedError)
    assert server.methods == {"POST": 6, "GET": 1}
    assert report.summary["not_attempted"] == 1_000


def test_a_run_that_does_not_reach_what_an_earlier_one_left_open_does_not_forget_it(tmp_path):
    ids = ids_of(3)
    # GET never shows what was sent: only the memory of the lost answers speaks for these orders
    server = HostileServer(random_reactions={"stored, reset": 1.0}, rewrite="unknown")
    with serving(server):
        for reactions, outage in ((server.random_reactions, None), ({}, "500"), ({}, None)):
            server.random_reactions, server.outage = reactions, outage
            report = pushed(server, ids, mode=Mode.ADD, batch_size=1, ledger=Ledger(tmp_path))
            assert [r["outcome"] for r in report.results] == ["unresolved"] * 3
            assert report.summary["rejected"] == 0
    assert set(server.writes.values()) == {1}
