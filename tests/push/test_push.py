"""The use case as a whole: every order of the extract has an outcome, whatever happens on the way."""

from __future__ import annotations

import datetime as dt
import json
import threading

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from plain_reader import PlainReader, ids_of

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.errors import (
    CancelledError,
    ConfigurationError,
    DeadlineError,
    EmptyExtractError,
    ExtractError,
    KeyRefusedError,
    OrdersFailedError,
    PushStoppedError,
    ServerError,
)
from airflow_provider_ecdp.ledger import write_clock
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.orders.sources.table import TableSource
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import MaxFailed
from airflow_provider_ecdp.runs import run as run_module
from airflow_provider_ecdp.runs.cancellation import Cancellation

FAILURES = ("rejected", "invalid", "unresolved", "not_attempted")


def pushed(client, source, *, progress=lambda _: None, order=None, cancellation=None, **changes):
    ledgers = {name: changes.pop(name, None) for name in ("ledger", "history", "replay", "deletions")}
    only_changed = changes.pop("only_changed", True)
    with OrderReader(source, order) as orders:
        return push(
            orders,
            client,
            PushSettings(**changes),
            prior_runs=PriorRuns(**ledgers, only_changed=only_changed),
            progress=progress,
            cancellation=cancellation,
        )


def counts(report):
    return {o.value: report.summary[o.value] for o in Outcome if report.summary[o.value]}


def ledger_rows(path):
    return ds.dataset(path, format="parquet").to_table().to_pylist()


def test_ten_thousand_orders_are_twenty_requests_and_each_order_once(foreign, client, many_orders):
    report = pushed(client, many_orders(10_000), batch_size=500)

    # a busy machine answers later, and is spared
    assert 1 <= report.summary["in_flight"] <= 4
    assert report.summary | {"duration_seconds": 0, "bytes": 0, "in_flight": 0} == {
        "mode": "AddOrReplace",
        "total": 10_000,
        "accepted": 10_000,
        "rejected": 0,
        "invalid": 0,
        "unresolved": 0,
        "not_attempted": 0,
        "skipped": 0,
        "warnings": 0,
        "requests": 20,
        "retries": 0,
        "bytes": 0,
        "in_flight": 0,
        "duration_seconds": 0,
    }
    assert [len(p) for p in foreign.posts] == [500] * 20
    assert len(foreign.writes) == foreign.writes.total() == 10_000


def test_invalid_orders_are_named_and_their_neighbours_sent(foreign, client, extract):
    report = pushed(client, extract(6, {2: {"totalValue": "many"}, 5: {"customer": {}}}), batch_size=3)

    assert counts(report) == {"accepted": 4, "invalid": 2}
    assert [(r["order_id"], r["reason"]) for r in report.results[:2]] == [
        ("ORD-000002", "totalValue: a finite number, got many"),
        ("ORD-000005", "customer: needs email, phone or crmId, got none"),
    ]
    assert "ORD-000002" not in foreign.stored
    assert json.loads(json.dumps(report.as_json())) == report.as_json()


def test_failing_orders_come_first_in_results_however_late_they_come(client, extract):
    report = pushed(client, extract(30, {30: {"customer": {}}}), results_limit=5)

    assert [r["order_id"] for r in report.results] == ["ORD-000030", *(f"ORD-{n:06d}" for n in range(1, 5))]


def test_a_warning_is_reported_counted_and_sent(foreign, client, extract):
    line = {"id": "P", "name": "Cup", "price": "-1.50", "quantity": -1}
    report = pushed(client, extract(3, {2: {"products": [line], "totalValue": "1.50"}}))

    assert counts(report) == {"accepted": 3}
    assert report.summary["warnings"] == 1
    assert report.warnings == {"negative_quantity": {"count": 1, "example": "ORD-000002"}}
    assert next(r for r in report.results if r["order_id"] == "ORD-000002")["reason"] == (
        "warning: products[0].quantity: negative_quantity: a product's quantity is below zero, got -1"
    )
    assert "ORD-000002" in foreign.stored


def test_a_promoted_warning_keeps_the_order_back(foreign, client, extract):
    line = {"id": "P", "name": "Cup", "price": "-1.50", "quantity": -1}
    settings = OrderSettings(warnings_as_errors=frozenset({"negative_quantity"}))
    report = pushed(client, extract(3, {2: {"products": [line], "totalValue": "1.50"}}), order=settings)

    assert counts(report) == {"accepted": 2, "invalid": 1}
    assert set(foreign.stored) == {"ORD-000001", "ORD-000003"}


def test_mode_and_match_by_are_sent(foreign, client, extract):
    seen = []
    foreign.refuse = lambda orders, mode: seen.append(mode)
    original = foreign.answer
    bodies = []
    foreign.answer = lambda *request: (bodies.append(request[2]), original(*request))[1]

    pushed(client, extract(1), mode=Mode.REPLACE, match_by=MatchBy.PHONE)

    assert seen == ["Replace"]
    assert bodies[0]["matchBy"] == "PhoneNumber"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("batch_size", "1 or more"),
        ("batch_bytes", "1 or more"),
        ("max_in_flight", "1 to 64"),
        ("request_budget", "1 or more"),
    ],
)
def test_invalid_settings_are_refused(name, rule):
    with pytest.raises(ConfigurationError, match=f"^{name} must be a whole number, {rule}, not 0$"):
        PushSettings(**{name: 0})


def test_batches_keep_to_the_byte_limit(foreign, client, many_orders):
    pushed(client, many_orders(100), batch_bytes=1_000)

    assert len(foreign.posts) > 15
    assert sorted(foreign.writes.elements()) == [f"ORD-{n:06d}" for n in range(1, 101)]


class TestEmpty:
    def test_an_extract_without_orders_is_an_error_that_says_how_to_allow_it(self, client):
        with pytest.raises(
            EmptyExtractError, match=r"the list of orders has no orders; .*\(on_empty, --allow-empty\)$"
        ):
            pushed(client, source_from_records([]))

    def test_it_is_a_success_where_it_is_allowed(self, foreign, client):
        report = pushed(client, source_from_records([]), allow_empty=True)

        assert report.summary["total"] == 0
        assert not foreign.posts


class TestStopping:
    def test_a_wrong_key_costs_two_requests(self, foreign, many_orders):
        with EcdpClient("wrong", ClientSettings(base_url=foreign.url)) as client:
            report = pushed(client, many_orders(5_000))

        assert isinstance(report.stopped, KeyRefusedError)
        assert counts(report) == {"not_attempted": 5_000}
        assert report.summary["requests"] == 2
        with pytest.raises(PushStoppedError, match="5,000 of 5,000 orders failed") as caught:
            report.raise_for_failures(MaxFailed(share=1.0))
        assert caught.value.key_refused

    def test_an_outage_in_mid_run_counts_what_was_not_attempted(self, foreign, hasty, client, many_orders, tmp_path):
        foreign.refuse = lambda orders, mode: (503, None, {}) if len(foreign.posts) > 6 else None

        report = pushed(hasty, many_orders(8_000), ledger=Ledger(tmp_path), max_in_flight=2)

        assert isinstance(report.stopped, ServerError)
        assert report.summary["accepted"] == 3_000
        assert report.summary["unresolved"] + report.summary["not_attempted"] == 5_000
        # three batches that fail in a row, one that is under way then, and an order that was accepted before
        assert report.summary["unresolved"] <= 4 * 500
        assert len(foreign.posts) <= 6 + 5

        foreign.refuse = lambda *_: None
        again = pushed(client, many_orders(8_000), ledger=Ledger(tmp_path))

        assert counts(again) == {"accepted": 5_000, "skipped": 3_000}
        assert len(foreign.stored) == 8_000

    def test_invalid_orders_are_reported_even_after_the_stop(self, foreign, extract):
        with EcdpClient("wrong", ClientSettings(base_url=foreign.url)) as client:
            report = pushed(client, extract(50, {49: {"customer": {}}}), batch_size=5)

        assert counts(report) == {"not_attempted": 49, "invalid": 1}

    def test_an_extract_that_breaks_off_leaves_a_ledger_of_what_was_sent(self, foreign, client, many_orders, tmp_path):
        class Torn(TableSource):
            def batches(self, columns):
                for i, batch in enumerate(super().batches(columns)):
                    if i == 2 and len(columns) > 1:
                        raise ExtractError("row group 2 cannot be read")
                    yield batch

        with pytest.raises(ExtractError, match="row group 2"):
            pushed(client, Torn("torn", many_orders(20_000).table), ledger=Ledger(tmp_path))

        held = [r["order_id"] for r in ledger_rows(tmp_path) if r["outcome"] == "accepted"]
        assert sorted(held) == sorted(foreign.writes.elements())

    def test_batches_that_fail_after_an_extract_has_broken_off_are_in_the_ledger(self, foreign, client, tmp_path):
        in_flight, broken_off = threading.Event(), threading.Event()

        class Torn(PlainReader):
            def read(self):
                orders = next(super().read())
                yield from (orders.slice(start, 10) for start in range(0, 60, 10))
                assert in_flight.wait(60)
                broken_off.set()
                raise ExtractError("row group 6 cannot be read")

        def refuse(orders, _):
            if orders[0]["id"] == "ORD-000001":
                return None
            in_flight.set()
            assert broken_off.wait(60)
            return 500, None, {}

        foreign.refuse = refuse
        settings = PushSettings(batch_size=10, max_in_flight=4)
        with pytest.raises(ExtractError, match="row group 6"):
            push(Torn(ids_of(60)), client, settings, prior_runs=PriorRuns(ledger=Ledger(tmp_path)))

        rows = {row["order_id"]: row["outcome"] for row in ledger_rows(tmp_path)}
        failed = {order_id for posted in foreign.posts for order_id in posted} - set(ids_of(10))
        assert failed
        assert rows == {
            order_id: "accepted"
            if order_id in foreign.stored
            else "unresolved"
            if order_id in failed
            else "not_attempted"
            for order_id in ids_of(60)
        }


class TestLedger:
    def test_every_order_is_in_it(self, foreign, client, extract, tmp_path):
        foreign.refuse = lambda orders, mode: (
            (400, {"errors": ["'ORD-000003' is refused"]}, {}) if any(o["id"] == "ORD-000003" for o in orders) else None
        )
        report = pushed(client, extract(5, {2: {"customer": {}}}), ledger=Ledger(tmp_path))

        rows = {
            r["order_id"]: (r["outcome"], r["reason"], r["http_status"], r["attempts"]) for r in ledger_rows(tmp_path)
        }
        assert rows == {
            "ORD-000001": ("accepted", None, 201, 2),
            "ORD-000002": ("invalid", "customer: needs email, phone or crmId, got none", None, 0),
            "ORD-000003": ("rejected", "'ORD-000003' is refused", 400, 2),
            "ORD-000004": ("accepted", None, 201, 2),
            "ORD-000005": ("accepted", None, 201, 2),
        }
        assert report.results_path == str(tmp_path)

    def test_the_next_run_sends_what_has_changed_and_what_has_changed_back(self, foreign, client, extract, tmp_path):
        def push(**changes):
            return counts(pushed(client, extract(10, {4: changes}), ledger=Ledger(tmp_path)))

        assert push() == {"accepted": 10}
        assert push() == {"skipped": 10}
        assert len(foreign.posts) == 1
        assert push(totalValue="13.00") == {"accepted": 1, "skipped": 9}
        assert push() == {"accepted": 1, "skipped": 9}
        assert foreign.posts[1:] == [["ORD-000004"]] * 2

    def test_a_continued_run_counts_what_its_earlier_try_sent_as_its_own(self, client, many_orders, tmp_path):
        pushed(client, many_orders(10), ledger=Ledger(tmp_path))

        report = pushed(client, many_orders(12), ledger=Ledger(tmp_path), count_resumed_as=Outcome.ACCEPTED)

        assert counts(report) == {"accepted": 12}

    def test_only_what_has_changed_since_all_earlier_runs_is_sent(self, foreign, client, extract, tmp_path):
        history = tmp_path / "history"
        pushed(client, extract(10), ledger=Ledger(tmp_path / "1"), history=Ledger(history))

        report = pushed(
            client,
            extract(11, {3: {"status": "paid"}}),
            ledger=Ledger(tmp_path / "2"),
            history=Ledger(history),
            count_resumed_as=Outcome.ACCEPTED,
        )

        assert counts(report) == {"accepted": 2, "skipped": 9}
        assert foreign.posts[-1] == ["ORD-000003", "ORD-000011"]

    def test_replay_sends_everything_that_failed_with_todays_content_and_says_of_how_many(
        self, foreign, client, extract, tmp_path, caplog
    ):
        foreign.refuse = lambda orders, mode: (
            (400, {"errors": ["no such status"]}, {}) if any(o.get("status") == "Paid" for o in orders) else None
        )
        first = extract(10, {3: {"status": "paid"}, 7: {"status": "lost"}})
        assert counts(pushed(client, first, ledger=Ledger(tmp_path / "1"))) == {
            "accepted": 8,
            "rejected": 1,
            "invalid": 1,
        }
        with caplog.at_level("INFO"):
            report = pushed(
                client,
                extract(10, {3: {"status": "placed"}}),
                ledger=Ledger(tmp_path / "2"),
                replay=Ledger(tmp_path / "1"),
            )

        assert counts(report) == {"accepted": 2}
        assert foreign.stored["ORD-000003"]["status"] == "Placed"
        assert "2 of 10 orders of the earlier run failed" in caplog.text

    def test_a_replay_that_finds_nothing_to_do_says_so_and_follows_the_rule_of_empty_runs(
        self, foreign, client, extract, tmp_path
    ):
        pushed(client, extract(10), ledger=Ledger(tmp_path / "1"))
        with pytest.raises(EmptyExtractError, match="nothing to replay: 0 of 10 orders of the earlier run failed"):
            pushed(client, extract(10), replay=Ledger(tmp_path / "1"))
        report = pushed(client, extract(10), replay=Ledger(tmp_path / "1"), allow_empty=True)
        assert report.summary["total"] == 0
        assert len(foreign.stored) == 10

    def test_an_order_that_was_deleted_is_sent_again(self, client, extract, tmp_path):
        folder = tmp_path / "history"
        pushed(client, extract(3), history=Ledger(folder))
        deletions = Ledger(tmp_path / "deleted")
        deletions.note_deleted(["ORD-000001"])
        deletions.flush()

        assert counts(pushed(client, extract(3), history=Ledger(folder))) == {"skipped": 3}
        report = pushed(client, extract(3), history=Ledger(folder), deletions=Ledger(tmp_path / "deleted"))
        assert counts(report) == {"accepted": 1, "skipped": 2}
        # it is there again
        report = pushed(client, extract(3), history=Ledger(folder), deletions=Ledger(tmp_path / "deleted"))
        assert counts(report) == {"skipped": 3}

    def test_the_history_of_another_ecdp_is_refused(self, foreign, client, extract, tmp_path):
        folder = tmp_path / "history"
        pushed(client, extract(3), history=Ledger(folder))
        posts = len(foreign.posts)
        (note,) = folder.glob("_target-*.json")
        facts = json.loads(note.read_text())
        assert client._api_key not in note.read_text()
        note.write_text(json.dumps({**facts, "base_url": "https://other.example.com"}))
        with pytest.raises(ConfigurationError, match=r"holds results of https://other\.example\.com, and this run"):
            pushed(client, extract(3), history=Ledger(folder))
        assert len(foreign.posts) == posts

    def test_the_others_are_sent_though_the_content_of_one_order_gets_401(self, foreign, client, many_orders, tmp_path):
        refused = (401, {"title": "Unauthorized"}, {})
        foreign.refuse = lambda orders, _: refused if any(o["id"] == "ORD-000005" for o in orders) else None
        first = pushed(client, many_orders(12), ledger=Ledger(tmp_path), batch_size=2, max_in_flight=1)
        again = pushed(client, many_orders(12), ledger=Ledger(tmp_path), batch_size=2, max_in_flight=1)

        assert (first.summary["accepted"], first.summary["unresolved"], first.stopped) == (11, 1, None)
        assert (again.summary["skipped"], again.summary["unresolved"], again.stopped) == (11, 1, None)
        assert set(foreign.posts[-1]) == {"ORD-000005"}

    def test_results_of_another_ecdp_are_not_resumed(self, foreign, client, extract, tmp_path):
        folder = tmp_path / "results"
        pushed(client, extract(3), ledger=Ledger(folder))
        (note,) = folder.glob("_target-*.json")
        note.write_text(json.dumps({**json.loads(note.read_text()), "base_url": "https://other.example.com"}))
        with pytest.raises(ConfigurationError, match=r"holds results of https://other\.example\.com, and this run"):
            pushed(client, extract(3), ledger=Ledger(folder))
        assert len(foreign.posts) == 1

    def test_results_without_an_accepted_order_take_another_base_url(self, foreign, client, extract, tmp_path):
        folder = tmp_path / "results"
        foreign.refuse = lambda *_: (400, {"title": "Bad request", "status": 400}, {})
        assert counts(pushed(client, extract(3), ledger=Ledger(folder))) == {"rejected": 3}
        (note,) = folder.glob("_target-*.json")
        note.write_text(json.dumps({**json.loads(note.read_text()), "base_url": "https://typo.example.com"}))
        foreign.refuse = lambda *_: None
        assert counts(pushed(client, extract(3), ledger=Ledger(folder))) == {"accepted": 3}
        assert counts(pushed(client, extract(3), ledger=Ledger(folder))) == {"skipped": 3}

    def test_a_run_that_sends_everything_is_noted_in_the_history(self, client, extract, tmp_path):
        folder = tmp_path / "history"
        assert counts(pushed(client, extract(3), history=Ledger(folder))) == {"accepted": 3}
        changed = extract(3, {n: {"status": "Paid"} for n in (1, 2, 3)})
        assert counts(pushed(client, changed, history=Ledger(folder), only_changed=False)) == {"accepted": 3}
        # ECDP has the second version, so the first is a change
        assert counts(pushed(client, extract(3), history=Ledger(folder))) == {"accepted": 3}
        assert counts(pushed(client, extract(3), history=Ledger(folder))) == {"skipped": 3}

    def test_a_deletion_is_newer_than_what_was_pushed_before_it_whatever_the_clocks_say(
        self, client, extract, tmp_path, monkeypatch
    ):
        class Clock(dt.datetime):
            day = 9

            @classmethod
            def now(cls, tz=None):
                return dt.datetime(2026, 1, cls.day, tzinfo=tz)

        def push():
            kept = {"history": Ledger(tmp_path / "history"), "deletions": Ledger(tmp_path / "deleted")}
            return counts(pushed(client, extract(3), **kept))

        monkeypatch.setattr(write_clock.dt, "datetime", Clock)
        assert push() == {"accepted": 3}
        Clock.day = 5
        deletions = Ledger(tmp_path / "deleted")
        deletions.note_deleted(["ORD-000001"])
        deletions.flush()
        Clock.day = 3
        assert push() == {"accepted": 1, "skipped": 2}
        assert push() == {"skipped": 3}
        assert len([*(tmp_path / "deleted").glob("_clock-*")]) == 1

    def test_another_key_is_a_warning_once(self, client, extract, tmp_path, caplog):
        folder = tmp_path / "history"
        pushed(client, extract(3), history=Ledger(folder))
        (note,) = folder.glob("_target-*.json")
        note.write_text(json.dumps({**json.loads(note.read_text()), "key": "00000000"}))
        assert counts(pushed(client, extract(3), history=Ledger(folder))) == {"skipped": 3}
        assert "written with another API key" in caplog.text
        caplog.clear()
        pushed(client, extract(3), history=Ledger(folder))
        assert "another API key" not in caplog.text

    def test_replay_of_nothing_is_a_wrong_setting(self, client, extract, tmp_path):
        with pytest.raises(ConfigurationError, match="has no results of an earlier run"):
            pushed(client, extract(1), replay=Ledger(tmp_path / "none"))


class TestDuplicates:
    def test_of_orders_that_appear_twice_equal_ones_are_sent_once_and_different_ones_are_invalid(
        self, foreign, client, extract
    ):
        table = pa.concat_tables([extract(5).table, extract(3, {2: {"totalValue": "1"}}).table])

        report = pushed(client, TableSource("twice", table))

        assert counts(report) == {"accepted": 4, "invalid": 2, "skipped": 2}
        assert {r["order_id"] for r in report.results if r["outcome"] == "invalid"} == {"ORD-000002"}
        assert "2 orders with this id and 2 contents" in report.results[0]["reason"]
        assert sorted(foreign.writes.elements()) == [f"ORD-{n:06d}" for n in (1, 3, 4, 5)]


class TestConcurrency:
    def test_no_more_than_max_in_flight_requests_are_open(self, foreign, client, many_orders):
        changed, most, now = threading.Condition(), [0], [0]
        original = foreign.answer

        def answer(*request):
            with changed:
                now[0] += 1
                most[0] = max(most[0], now[0])
                changed.notify_all()
                # the first batch goes alone
                assert not foreign.posts or changed.wait_for(lambda: most[0] >= 3, 60)
                # time for one more than is allowed
                changed.wait(0.005)
                now[0] -= 1
            return original(*request)

        foreign.answer = answer
        pushed(client, many_orders(3_000), batch_size=100, max_in_flight=3)

        assert most[0] == 3

    def test_progress_is_reported_in_the_calling_thread_and_ends_with_all(self, client, many_orders):
        reported = []
        pushed(
            client,
            many_orders(2_500),
            progress=lambda p: reported.append((threading.get_ident(), p.done, p.total)),
        )

        assert {thread for thread, _, _ in reported} == {threading.get_ident()}
        assert reported[-1][1:] == (2_500, 2_500)
        assert [done for _, done, _ in reported] == sorted(done for _, done, _ in reported)

    def test_progress_is_reported_while_answers_are_waited_for(self, foreign, client, many_orders, monkeypatch):
        monkeypatch.setattr(run_module, "_PROGRESS_SECONDS", 0.001)
        reported, enough = [], threading.Event()

        def tell(now):
            reported.append(now.done)
            if len(reported) == 5:
                enough.set()

        original = foreign.answer
        foreign.answer = lambda *request: enough.wait(60) and original(*request)
        pushed(client, many_orders(100), progress=tell)
        assert reported[:5] == [0] * 5
        assert reported[-1] == 100

    def test_progress_shows_what_is_unsent(self, client, many_orders, tmp_path):
        pushed(client, many_orders(1_000), ledger=Ledger(tmp_path))
        reported = []
        pushed(client, many_orders(1_500), ledger=Ledger(tmp_path), progress=reported.append)
        assert {now.total for now in reported} == {1_500}
        assert (reported[-1].done, reported[-1].unsent) == (1_500, 1_000)


class TestVerdict:
    def test_any_failed_order_fails_the_run_unless_it_is_within_the_tolerance(self, client, extract):
        report = pushed(client, extract(200, {5: {"customer": {}}}))

        with pytest.raises(OrdersFailedError) as caught:
            report.raise_for_failures(MaxFailed())
        message = str(caught.value)
        assert "1 of 200 orders failed (199 accepted, 1 invalid)" in message
        assert "1 x invalid: customer: needs email, phone or crmId, got none (for example order ORD-000005)" in message

        for tolerance in ("1", 1, "0.5%", 0.005):
            report.raise_for_failures(MaxFailed.parse(tolerance))

    def test_no_message_shows_a_customer(self, foreign, client, extract):
        foreign.refuse = lambda orders, mode: (
            400,
            {"errors": [f"{o['customer']['email']} of {o['id']} is not known" for o in orders]},
            {},
        )
        report = pushed(client, extract(3))

        with pytest.raises(OrdersFailedError) as caught:
            report.raise_for_failures(MaxFailed())
        assert "@" not in str(caught.value)
        assert "@" not in json.dumps(report.as_json())


class TimeLimit(BaseException):
    pass


class TestInterruption:
    @pytest.mark.parametrize("error", [TimeLimit, CancelledError], ids=["in Python", "in the engine"])
    def test_a_time_limit_does_not_wait_for_a_server_to_recover(self, foreign, many_orders, tmp_path, error):
        foreign.refuse = lambda orders, mode: (503, None, {"Retry-After": "50"}) if len(foreign.posts) > 2 else None

        def limit(progress):
            if progress.done >= 200:
                raise error

        # real waiting: the server asks for 50 seconds
        with EcdpClient("foreign-key", ClientSettings(base_url=foreign.url)) as client, pytest.raises(error):
            pushed(client, many_orders(500), ledger=Ledger(tmp_path), progress=limit, batch_size=100, max_in_flight=2)

        accepted = {r["order_id"] for r in ledger_rows(tmp_path) if r["outcome"] == "accepted"}
        assert accepted == set(foreign.stored)


class TestMaxDuration:
    def test_the_rest_is_not_attempted_and_the_next_run_goes_on(self, foreign, client, many_orders, tmp_path):
        now = [0.0]

        def pass_time(progress):
            now[0] = float(progress.done)

        report = pushed(
            client,
            many_orders(5_000),
            ledger=Ledger(tmp_path),
            progress=pass_time,
            cancellation=Cancellation(clock=lambda: now[0]),
            max_duration=1_000,
            batch_size=100,
        )
        found = counts(report)
        assert found["accepted"] + found["not_attempted"] == 5_000
        assert 1_000 <= found["accepted"] == len(foreign.stored) < 5_000
        with pytest.raises(PushStoppedError, match="max_duration of 1000 s is reached") as raised:
            report.raise_for_failures(MaxFailed())
        assert raised.value.transient

        again = pushed(client, many_orders(5_000), ledger=Ledger(tmp_path))
        assert counts(again) == {"accepted": found["not_attempted"], "skipped": found["accepted"]}

    def test_it_ends_the_wait_for_a_server_that_asks_for_a_pause(self, foreign, many_orders, monkeypatch):
        monkeypatch.setattr(run_module, "_PROGRESS_SECONDS", 0.01)
        foreign.refuse = lambda orders, mode: (503, None, {"Retry-After": "50"})
        # real waiting: the server asks for 50 seconds, and by then a minute has passed
        with EcdpClient("foreign-key", ClientSettings(base_url=foreign.url)) as client:
            report = pushed(
                client,
                many_orders(100),
                cancellation=Cancellation(clock=lambda: 60.0 * len(foreign.posts)),
                max_duration=30,
            )
        assert counts(report) == {"unresolved": 100}
        assert isinstance(report.stopped, DeadlineError)

    def test_one_that_is_not_reached_changes_nothing(self, client, many_orders):
        report = pushed(client, many_orders(10), max_duration=3_600)
        assert counts(report) == {"accepted": 10}
        assert report.stopped is None


def test_a_server_that_struggles_gets_fewer_requests_at_once_and_the_summary_shows_it(foreign, client, many_orders):
    # and the answers that are left are too few to climb back
    foreign.refuse = lambda *_: (429, None, {"Retry-After": "0"}) if len(foreign.posts) in (6, 8) else None
    report = pushed(client, many_orders(400), batch_size=50)
    assert counts(report) == {"accepted": 400}
    assert 1 <= report.summary["in_flight"] < 4
