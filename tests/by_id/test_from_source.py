"""Statuses and deletions of an extract: what is sent, in which order, and what becomes of each row."""

from __future__ import annotations

import json
import threading
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.by_id.from_ids import update_order_statuses
from airflow_provider_ecdp.by_id.queue import ChangeQueue
from airflow_provider_ecdp.by_id.settings import ChangeRowSettings, Missing, Operation
from airflow_provider_ecdp.errors import (
    ConfigurationError,
    EmptyExtractError,
    ExtractError,
    KeyRefusedError,
    PushStoppedError,
    RequestRejectedError,
    ServerError,
)
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.sources.table import TableSource
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import MaxFailed
from airflow_provider_ecdp.runs import run as run_module
from airflow_provider_ecdp.sandbox.faults import Faults

COUNTS = [outcome.value for outcome in Outcome]


def outcomes(report):
    return Counter((result["order_id"], result["outcome"]) for result in report.results)


def counts(report):
    return {name: report.summary[name] for name in COUNTS if report.summary[name]}


def ledger_rows(folder):
    return [tuple(row.values()) for row in pq.read_table(folder).to_pylist()]


def test_statuses_are_sent_in_the_apis_spelling_with_an_outcome_each(client, update, store, sandbox):
    store("1", "2", "3")
    report = update(client, [("1", " PAID "), ("2", "cancelled"), ("3", "completed")])
    assert {i: sandbox.store.get(i)["status"] for i in "123"} == {"1": "Paid", "2": "Canceled", "3": "Completed"}
    assert report.summary == {
        "operation": "update_status",
        "total": 3,
        "accepted": 3,
        "rejected": 0,
        "invalid": 0,
        "unresolved": 0,
        "not_attempted": 0,
        "skipped": 0,
        "missing": 0,
        "requests": 3,
        "retries": 0,
        "bytes": report.summary["bytes"],
        "in_flight": report.summary["in_flight"],
        "duration_seconds": report.summary["duration_seconds"],
    }
    # the first goes alone
    assert 1 <= report.summary["in_flight"] <= 2
    assert report.results[0] == {
        "order_id": "1",
        "outcome": "accepted",
        "reason": None,
        "http_status": 200,
        "attempts": 1,
    }
    json.dumps(report.as_json())


def test_a_row_that_cannot_be_sent_is_invalid_and_the_others_go_on(client, update, delete, store, sandbox):
    store("1", "2")
    changes = [("1", "shipped"), (None, "paid"), ("", "paid"), ("\u00a0\t", "paid"), ("2", None), ("2", "paid")]
    report = update(client, changes)
    assert counts(report) == {"accepted": 1, "invalid": 5}
    assert {result["reason"] for result in report.results} == {
        "status: one of Placed, Paid, Completed, Canceled, got 'shipped'",
        "order id: must be text or a whole number, got nothing",
        "order id: must not be empty or blank",
        "status: one of Placed, Paid, Completed, Canceled, got nothing",
        None,
    }
    assert client.sent == [("2", "Paid")]
    assert counts(delete(client, [None, "", " ", ".", "..", "1"])) == {"accepted": 1, "invalid": 5}
    assert sandbox.store.ids() == ["2"]


def test_ids_and_websites_are_checked_in_the_words_of_a_push(client, update, delete, sandbox):
    long = "order id: at most 128 characters, got 129 characters"
    assert (
        delete(client, ["x" * 129]).results[0]["reason"] == update(client, [("x" * 129, "paid")]).results[0]["reason"]
    )
    assert delete(client, ["x" * 129]).results[0]["reason"] == long
    numbers = pa.table({"order_id": ["1", "2"], "status": ["paid"] * 2, "website_id": [1.5, 2**31]})
    texts = numbers.set_column(2, "website_id", [["x", "1_0"]])
    rule = "website id: a whole number from -2147483648 to 2147483647, got "
    for table, shown in ((numbers, ["1.5", "a number of 11 digits"]), (texts, ["x", "text of 3 characters"])):
        report = update(client, TableSource("the changes", table))
        assert [result["reason"] for result in report.results] == [rule + one for one in shown]
    assert not sandbox.store.requests


@pytest.mark.parametrize("changed", [{}, {"default": "5"}, {"map": {"9": "5"}}], ids=["no change", "default", "map"])
def test_a_value_behind_a_map_or_default_that_does_not_fit_is_reported_by_its_kind(changed):
    table = pa.table({"order_id": ["1", "2"], "state": [b"paid", b"\xff\xfe"], "site": [float("nan"), 1.0]})
    mapping = {"website_id": {"column": "site", **changed}, "status": {"column": "state", **changed}}
    source = TableSource("the changes", table)
    with ChangeQueue(source, Operation.UPDATE_STATUS, ChangeRowSettings(mapping=mapping)) as queue:
        problems = {row["order_id"]: row["problem"] for batch in queue.read() for row in batch.to_pylist()}
    assert problems == {
        "1": "website id: a whole number from -2147483648 to 2147483647, got NaN or infinity",
        "2": "status: one of Placed, Paid, Completed, Canceled, got 2 bytes",
    }


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        (
            pa.Array.from_buffers(pa.string(), 1, pa.array([b"1\xff"]).buffers()),
            "order id: text in UTF-8, got bytes of another encoding",
        ),
        (
            pa.array(["7.0"], pa.json_()),
            "order id: must be text or a whole number, got a number with a fraction",
        ),
    ],
    ids=["bytes", "json"],
)
def test_an_id_that_is_not_text_is_invalid_and_not_sent(client, delete, sandbox, ids, reason):
    report = delete(client, TableSource("the changes", pa.table({"order_id": ids})))
    assert counts(report) == {"invalid": 1}
    assert (report.results[0]["order_id"], report.results[0]["reason"]) == (None, reason)
    assert not sandbox.store.requests


def test_a_status_that_is_no_utf_8_is_reported_as_one():
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"paid\xff"]).buffers())
    source = TableSource("the changes", pa.table({"order_id": ["1"], "status": broken}))
    with ChangeQueue(source, Operation.UPDATE_STATUS) as queue:
        [row] = [row for batch in queue.read() for row in batch.to_pylist()]
    assert row["problem"] == "status: one of Placed, Paid, Completed, Canceled, got bytes of another encoding"


def test_changes_of_one_order_are_sent_in_the_extracts_order_and_never_together(client, update, store, sandbox):
    sandbox.faults = Faults(latency_ms=50)
    ids = ["O-1", "O-2", "O-3"]
    store(*ids)
    way = ["placed", "paid", "completed", "canceled", "paid"]
    report = update(client, [(order_id, status) for order_id in ids for status in way], max_in_flight=6)
    assert counts(report) == {"accepted": 15}
    assert not client.overtaken
    # the first goes alone, then never more than there are orders
    assert 1 < client.most_in_flight <= 3
    for order_id in ids:
        assert [s for i, s in client.sent if i == order_id] == ["Placed", "Paid", "Completed", "Canceled", "Paid"]


def test_the_next_change_of_an_order_waits_for_one_that_is_sent_again(client, update, store, sandbox):
    ids = ["O-1", "O-2", "O-3"]
    store(*ids)
    before = len(sandbox.store.requests)
    sandbox.faults = Faults(latency_ms=50, error_before=1, first_request=before + 1, last_request=before + 1)
    changes = [(order_id, status) for order_id in ids for status in ("placed", "completed")]
    report = update(client, changes, max_in_flight=6)
    assert counts(report) == {"accepted": 6}
    assert len(client.sent) == 7
    assert not client.overtaken
    assert [sandbox.store.get(order_id)["status"] for order_id in ids] == ["Completed"] * 3


def test_no_earlier_change_of_an_order_is_repeated_to_see_whether_others_fail(make_client, client, update, store):
    class Failing(type(client)):
        def update_order_status(self, order_id, status, *, website_id=None):
            super().update_order_status(order_id, status, website_id=website_id)
            if status == "Completed":
                raise ServerError("done, and the answer was lost", status=500)

    ids = [f"O-{i}" for i in range(8)]
    store(*ids)
    changes = [(order_id, status) for order_id in ids for status in ("placed", "completed")]
    failing = make_client(kind=Failing)
    assert counts(update(failing, changes, max_in_flight=4)) == {"accepted": 8, "unresolved": 8}
    assert [status for _, status in failing.sent] == ["Placed"] * 8 + ["Completed"] * 16

    failing.sent.clear()
    updates = [{"order_id": order_id, "status": status} for order_id, status in [*changes[:4], *changes[5::2]]]
    update_order_statuses(failing, updates)
    assert Counter(failing.sent).keys() == {(u["order_id"], u["status"].title()) for u in updates}
    assert Counter(failing.sent)["O-0", "Placed"] == Counter(failing.sent)["O-1", "Placed"] == 1


def test_what_says_the_same_as_the_change_before_it_is_sent_once(client, update, delete, store):
    store("1", "2")
    report = update(client, [("1", "paid"), ("2", "paid"), ("1", "PAID"), ("1", "placed"), ("1", "paid")])
    assert [status for order_id, status in client.sent if order_id == "1"] == ["Paid", "Placed", "Paid"]
    assert counts(report) == {"accepted": 4, "skipped": 1}
    client.sent.clear()
    assert counts(delete(client, ["1", "1", "2"], missing=Missing.FAIL)) == {"accepted": 2, "skipped": 1}
    assert sorted(client.sent) == ["1", "2"]


@pytest.mark.parametrize(
    ("missing", "of_status", "of_deletion"),
    [(Missing.FAIL, "rejected", "rejected"), (Missing.REPORT, "skipped", "accepted")],
)
def test_an_order_that_is_absent_fails_or_is_reported(client, update, delete, missing, of_status, of_deletion):
    assert counts(update(client, [("9", "paid")], missing=missing)) == {of_status: 1}
    report = delete(client, ["9"], missing=missing)
    assert counts(report) == {of_deletion: 1}
    assert (report.summary["missing"], report.results[0]["http_status"]) == (1, 404)


def test_a_deletion_whose_answer_was_lost_is_not_blamed_for_being_gone(make_client, delete, store, sandbox):
    store("1", "2")
    sandbox.faults = Faults(error_after=1, error_statuses=(500,), last_request=1)
    report = delete(make_client(attempts=2), ["1"], missing=Missing.FAIL)
    assert counts(report) == {"accepted": 1}
    assert (report.results[0]["http_status"], report.results[0]["attempts"]) == (404, 2)


def test_attempts_are_those_of_the_change_and_not_of_its_neighbours(make_client, update, store, sandbox):
    ids = [f"O-{i}" for i in range(40)]
    store(*ids)
    sandbox.faults = Faults(seed=7, error_before=0.2, error_statuses=(502,))
    report = update(make_client(attempts=9), [(i, "paid") for i in ids], max_in_flight=8)
    assert counts(report) == {"accepted": 40}
    attempts = [result["attempts"] for result in report.results]
    assert sum(attempts) == report.summary["requests"] == 40 + report.summary["retries"]
    assert len(set(attempts)) > 1


def test_a_refused_key_costs_two_requests_and_leaves_the_rest(make_client, update, sandbox):
    report = update(make_client("wrong"), [(f"O-{i}", "paid") for i in range(100)], max_in_flight=8)
    assert counts(report) == {"not_attempted": 100}
    assert isinstance(report.stopped, KeyRefusedError)
    assert len(sandbox.store.requests) == 2
    with pytest.raises(PushStoppedError) as raised:
        report.raise_for_failures(MaxFailed(count=100))
    assert raised.value.key_refused


def test_an_outage_stops_and_every_row_has_an_outcome(client, delete, store, sandbox, tmp_path):
    ids = [f"O-{i}" for i in range(3000)]
    store(*ids)
    sandbox.faults = Faults(error_before=1, error_statuses=(500,), first_request=11)
    report = delete(client, ids, ledger=Ledger(tmp_path / "results"))
    assert isinstance(report.stopped, ServerError)
    assert report.summary["accepted"] == 10
    # five changes that fail in a row stop the run, and those in flight beside them
    assert 5 <= report.summary["unresolved"] <= 5 + 4
    assert sum(report.summary[name] for name in COUNTS) == report.summary["total"] == 3000
    assert Counter(row[2] for row in ledger_rows(tmp_path / "results")) == counts(report)


def test_progress_is_reported_while_answers_are_waited_for(client, update, store, monkeypatch):
    store("1")
    monkeypatch.setattr(run_module, "_PROGRESS_SECONDS", 0.001)
    reported, enough = [], threading.Event()
    sent = client.update_order_status

    def late(*given, **more):
        assert enough.wait(60)
        return sent(*given, **more)

    def tell(progress):
        reported.append((progress.done, progress.failed))
        if len(reported) == 5:
            enough.set()

    client.update_order_status = late
    update(client, [("1", "paid")], progress=tell)
    assert (reported[:5], reported[-1]) == ([(0, 0)] * 5, (1, 0))


def test_progress_shows_what_is_done_and_what_failed(client, update, store):
    store("1", "2")
    seen = []
    update(client, [("1", "paid"), ("9", "paid"), ("2", "paid")], progress=seen.append)
    assert [now.done for now in seen] == [0, 1, 2, 3]
    assert (seen[-1].failed, seen[-1].total) == (1, 3)


def test_no_rows_are_a_failure_unless_they_are_allowed(client, delete):
    with pytest.raises(EmptyExtractError, match=r"the changes has no changes; .*\(on_empty, --allow-empty\)$"):
        delete(client, [])
    assert delete(client, [], allow_empty=True).summary["total"] == 0


def test_more_rows_than_are_meant_are_refused_before_anything_is_sent(client, delete, store, sandbox, tmp_path):
    store("1", "2", "3")
    with pytest.raises(ExtractError, match=r"the changes has 3 rows, more than max_deletions \(2\), so nothing was"):
        delete(client, ["1", "2", "3"], max_deletions=2, ledger=Ledger(tmp_path / "results"))
    assert sandbox.store.count() == 3
    assert not (tmp_path / "results").exists()
    assert counts(delete(client, ["1", "2", "3"], max_deletions=3)) == {"accepted": 3}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_in_flight": 0}, "max_in_flight must be a whole number, 1 to 64, not 0"),
        ({"results_limit": -1}, "results_limit must be a whole number, 0 or more, not -1"),
        ({"max_deletions": -1}, "max_deletions must be a whole number, 0 or more, not -1"),
    ],
)
def test_settings_out_of_range_are_refused(client, delete, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        delete(client, ["1"], **settings)


class TestLedger:
    def test_holds_every_change_with_its_outcome(self, client, update, store, tmp_path):
        store("1", "2")
        update(client, [("1", "paid"), ("9", "paid"), ("2", "sent"), ("1", "placed")], ledger=Ledger(tmp_path))
        rows = ledger_rows(tmp_path)
        assert Counter((row[0], row[2], row[4]) for row in rows) == {
            ("1", "accepted", 200): 2,
            ("9", "rejected", 404): 1,
            ("2", "invalid", None): 1,
        }
        assert len({row[1] for row in rows if row[0] == "1"}) == 2
        assert all(row[6].tzinfo for row in rows)

    def test_what_it_holds_as_accepted_is_not_sent_again(self, client, update, store, tmp_path):
        store("1", "2", "3")
        changes = [("1", "paid"), ("2", "paid"), ("1", "completed"), ("1", "paid")]
        update(client, changes, ledger=Ledger(tmp_path))
        client.sent.clear()
        again = update(client, [*changes, ("2", "placed"), ("3", "paid")], ledger=Ledger(tmp_path))
        assert client.sent == [("3", "Paid"), ("2", "Placed")]
        assert counts(again) == {"accepted": 2, "skipped": 4}
        assert counts(update(client, changes[:1], ledger=Ledger(tmp_path), count_resumed_as=Outcome.ACCEPTED)) == {
            "accepted": 1
        }

    def test_a_status_that_was_changed_since_is_sent_again(self, client, update, store, tmp_path):
        store("1")
        for status in ("paid", "canceled", "paid"):
            update(client, [("1", status)], ledger=Ledger(tmp_path))
        assert client.sent == [("1", "Paid"), ("1", "Canceled"), ("1", "Paid")]

    def test_a_status_and_a_deletion_are_not_one_content(self, client, update, delete, store, tmp_path):
        store("1")
        update(client, [("1", "paid")], ledger=Ledger(tmp_path))
        assert counts(delete(client, ["1"], ledger=Ledger(tmp_path))) == {"accepted": 1}
        assert client.sent == [("1", "Paid"), "1"]

    def test_an_order_that_was_missing_is_requested_again(self, client, update, store, tmp_path):
        update(client, [("1", "paid")], missing=Missing.REPORT, ledger=Ledger(tmp_path))
        store("1")
        report = update(client, [("1", "paid")], missing=Missing.REPORT, ledger=Ledger(tmp_path))
        assert counts(report) == {"accepted": 1}

    def test_a_change_behind_a_refused_one_does_not_hide_it(self, make_client, client, update, store, tmp_path):
        class Refusing(type(client)):
            def update_order_status(self, order_id, status, *, website_id=None):
                if status == "Paid":
                    raise RequestRejectedError("refused", status=400, details=("not now",))
                super().update_order_status(order_id, status, website_id=website_id)

        store("1")
        changes = [("1", "paid"), ("1", "completed")]
        first = update(make_client(kind=Refusing), changes, ledger=Ledger(tmp_path))
        assert counts(first) == {"accepted": 1, "rejected": 1}
        assert counts(update(client, changes, ledger=Ledger(tmp_path))) == {"accepted": 2}
        assert client.sent == [("1", "Paid"), ("1", "Completed")]

    def test_a_status_of_an_earlier_run_is_not_taken_for_a_later_one_of_the_same_name(
        self, client, update, store, tmp_path
    ):
        store("1")
        for status in ("placed", "paid"):
            update(client, [("1", status)], ledger=Ledger(tmp_path))
        client.sent.clear()
        report = update(client, [("1", "paid"), ("1", "placed"), ("1", "paid")], ledger=Ledger(tmp_path))
        assert client.sent == [("1", "Placed"), ("1", "Paid")]
        assert counts(report) == {"accepted": 2, "skipped": 1}

    def test_a_change_that_was_not_reached_does_not_repeat_the_one_before_it(
        self, client, update, store, sandbox, tmp_path
    ):
        store("1")
        changes = [("1", "paid"), ("1", "completed"), ("1", "shipped"), ("1", "canceled")]
        sandbox.faults = Faults(throttle=1, first_request=2)
        first = update(client, changes, ledger=Ledger(tmp_path))
        assert counts(first) == {"accepted": 1, "invalid": 1, "not_attempted": 2}
        sandbox.faults = Faults()
        client.sent.clear()
        update(client, changes, ledger=Ledger(tmp_path))
        assert client.sent == [("1", "Completed"), ("1", "Canceled")]

    def test_a_deletion_of_a_run_that_was_not_recorded_is_not_blamed(self, client, delete, store, tmp_path):
        store("1")
        Ledger(tmp_path).begin()
        delete(client, ["1"])
        assert counts(delete(client, ["1"], missing=Missing.FAIL, ledger=Ledger(tmp_path))) == {"accepted": 1}

    def test_one_that_cannot_be_written_is_reported_before_anything_is_sent(self, client, delete, sandbox, tmp_path):
        (tmp_path / "file").write_text("no folder", encoding="utf-8")
        with pytest.raises(ConfigurationError, match="cannot be written"):
            delete(client, ["1"], ledger=Ledger(tmp_path / "file" / "results"))
        assert not sandbox.store.requests


def test_an_error_of_the_caller_leaves_what_was_sent_in_the_ledger(client, delete, store, sandbox, tmp_path):
    ids = [f"O-{i}" for i in range(50)]
    store(*ids)

    def told_to_end(progress):
        if progress.done == 7:
            raise PushStoppedError("told to end")

    with pytest.raises(PushStoppedError, match="told to end"):
        delete(client, ids, ledger=Ledger(tmp_path), progress=told_to_end)
    accepted = {row[0] for row in ledger_rows(tmp_path) if row[2] == "accepted"}
    assert accepted == set(ids) - set(sandbox.store.ids())
    assert 7 <= len(accepted) < 50


def test_an_error_of_the_caller_leaves_a_row_of_each_change_that_was_set_aside(make_client, client, delete, tmp_path):
    class Failing(type(client)):
        def delete_order(self, order_id):
            if order_id in ("O-2", "O-3"):
                raise ServerError("the answer was lost", status=500)
            return super().delete_order(order_id)

    def told_to_end(progress):
        if progress.done >= 7:
            raise PushStoppedError("told to end")

    with pytest.raises(PushStoppedError, match="told to end"):
        delete(make_client(kind=Failing), [f"O-{i}" for i in range(50)], ledger=Ledger(tmp_path), progress=told_to_end)
    assert {row[0] for row in ledger_rows(tmp_path) if row[2] == "unresolved"} == {"O-2", "O-3"}


def test_a_certificate_that_is_wrong_is_raised_and_not_counted(make_client, delete):
    class Untrusted(type(make_client())):
        def delete_order(self, order_id):  # noqa: ARG002 - the client's signature
            raise ConfigurationError("the server's certificate is not trusted")

    with pytest.raises(ConfigurationError, match="not trusted"):
        delete(make_client(kind=Untrusted), ["1", "2"])
