"""`ecdp status --from` and `ecdp delete --from` against the sandbox."""

from __future__ import annotations

import json
import signal

import pyarrow.parquet as pq
import pytest
from processes import DEADLINE, stop, wait_until

from airflow_provider_ecdp.sandbox.faults import Faults


@pytest.fixture
def filled(pointed, ecdp, sample):
    """The sandbox with the orders ORD-00000001 to ORD-00000005."""
    assert ecdp("push", sample(orders=5), "--quiet").code == 0
    return pointed


def statuses(*pairs):
    return [{"order_id": f"ORD-0000000{i}", "status": status} for i, status in pairs]


def test_statuses_of_an_extract_are_changed_and_summed_up(filled, ecdp, table):
    run = ecdp("status", "--from", table(statuses((1, "paid"), (2, "cancelled"), (1, "completed"))))

    assert run.code == 0
    assert run.err == ""
    assert filled.store.get("ORD-00000001")["status"] == "Completed"
    assert filled.store.get("ORD-00000002")["status"] == "Canceled"
    assert "      3   accepted         done in ECDP" in run.out
    assert "3 requests (0 retried" in run.out
    assert run.out.rstrip().endswith("orders/s, operation update_status")


def test_deletions_of_an_extract_are_shaped_by_sql_and_run_again_from_results(filled, ecdp, table, tmp_path):
    path = table([{"no": 1, "gone": True}, {"no": 2, "gone": False}, {"no": 9, "gone": True}])
    (tmp_path / "gone.sql").write_text("SELECT 'ORD-0000000' || no AS order_id FROM extract WHERE gone", "utf-8")
    command = ["delete", "--from", path, "--sql", tmp_path / "gone.sql", "--results", tmp_path / "results", "--json"]
    run = ecdp(*command)

    assert run.code == 0
    assert (run.json["summary"]["accepted"], run.json["summary"]["missing"]) == (2, 1)
    assert run.json["results_path"] == str(tmp_path / "results")
    assert filled.store.count() == 4
    again = ecdp(*command)
    assert (again.json["summary"]["skipped"], again.json["summary"]["requests"]) == (2, 0)
    assert "ECDP did not have 2 of them: deleted before" in ecdp(*command[:5]).out


def test_what_fails_is_reported_and_can_be_tolerated(filled, ecdp, table):  # noqa: ARG001 - orders that are there
    path = table(statuses((1, "paid"), (9, "paid"), (2, "sent")))
    run = ecdp("status", "--from", path)

    assert run.code == 1
    assert "rejected: ECDP has no such order" in run.out
    assert "2 of 3 orders failed (1 rejected, 1 invalid, 1 accepted)" in run.err
    assert ecdp("status", "--from", path, "--max-failed", 2).code == 0
    assert ecdp("status", "--from", path, "--max-failed", 1, "--missing-ok", "--quiet").code == 0


def test_a_mapping_and_partitions_say_what_is_read(filled, ecdp, table, tmp_path):
    for day, order in (("2026-11-01", 1), ("2026-11-02", 2), ("2026-11-03", 3)):
        (tmp_path / f"lake/dt={day}").mkdir(parents=True)
        table([{"no": f"ORD-0000000{order}", "state": "shipped"}], name=f"lake/dt={day}/a.parquet")
    mapping = {"order_id": "no", "status": {"column": "state", "map": {"shipped": "canceled"}}}
    (tmp_path / "changes.json").write_text(json.dumps(mapping), "utf-8")
    command = ["status", "--from", tmp_path / "lake", "--mapping", tmp_path / "changes.json"]
    days = ["--partition", "dt=2026-11-01", "--partition", "dt=2026-11-03"]

    assert ecdp(*command, *days, "--json").json["summary"]["accepted"] == 2
    assert [filled.store.get(f"ORD-0000000{i}")["status"] == "Canceled" for i in (1, 2, 3)] == [True, False, True]
    missing = ecdp(*command, "--partition", "dt=2026-11-01", "--partition", "dt=2026-11-04")
    assert missing.code == 2
    assert "there is no partition dt=2026-11-04" in missing.err


def test_a_dry_run_shows_what_would_be_done_and_sends_nothing(filled, ecdp, table, tmp_path, monkeypatch):
    results = tmp_path / "results"
    assert ecdp("status", "--from", table(statuses((1, "paid"))), "--results", results, "--quiet").code == 0
    sent, kept = len(filled.store.requests), sorted(results.iterdir())
    monkeypatch.delenv("ECDP_API_KEY")
    pairs = ((1, "paid"), (1, "paid"), (2, "paid"), (3, "sent"), (4, "lost"), (5, "sent"), (9, "sent"))
    command = ["status", "--from", table(statuses(*pairs)), "--results", results, "--dry-run"]
    run = ecdp(*command)

    assert run.code == 1
    assert run.err == ""
    first, second, *rows = [line.rstrip() for line in run.out.splitlines()]
    assert first.endswith("orders.parquet: 3 valid, 4 invalid")
    assert second == "1 change would be sent, one request each, operation update_status; 1 done already; 1 repeated"
    [row] = [line for line in rows if "status: one of" in line]
    assert row.startswith("    4   status: one of Placed, Paid, Completed, Canceled, got 'sent' (3),")
    checked = ecdp(*command, "--json", "--max-failed", 4)
    assert checked.code == 0
    summary = checked.json["summary"]
    assert (summary["dry_run"], summary["total"], summary["not_attempted"]) == (True, 7, 1)
    assert (summary["invalid"], summary["skipped"]) == (4, 2)
    assert checked.json["check"]["problems"][0]["examples"] == ["ORD-00000003", "ORD-00000004", "ORD-00000005"]
    assert ecdp(*command, "--quiet", "--max-failed", 4).out == ""
    assert len(filled.store.requests) == sent
    assert sorted(results.iterdir()) == kept


def test_a_dry_run_refuses_what_the_run_would_refuse(pointed, ecdp, table):
    two = table(statuses((1, ""), (2, "")))
    run = ecdp("delete", "--from", two, "--max-deletions", 1, "--dry-run")

    assert run.code == 2
    assert "has 2 rows, more than max_deletions (1)" in run.err
    assert ecdp("delete", "--from", two, "--dry-run").code == 0
    assert not pointed.store.requests


def test_too_many_deletions_delete_nothing(filled, ecdp, table):
    run = ecdp("delete", "--from", table(statuses((1, ""), (2, ""))), "--max-deletions", 1)

    assert run.code == 2
    assert "has 2 rows, more than max_deletions (1), so nothing was sent" in run.err
    assert filled.store.count() == 5


def test_an_extract_without_rows_fails_unless_it_is_allowed(pointed, ecdp, table):  # noqa: ARG001 - the environment
    path = table([{"order_id": "1"}][:0], schema=pq.read_schema(table([{"order_id": "1"}], name="other.parquet")))
    assert ecdp("delete", "--from", path).code == 2
    assert ecdp("delete", "--from", path, "--allow-empty").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "1", "paid", "--results", "x"], "--results needs an extract: add --from EXTRACT"),
        (["delete", "1", "--max-deletions", "1"], "--max-deletions needs an extract"),
        (["delete", "1", "--allow-empty"], "--allow-empty needs an extract"),
        (["status", "1", "paid", "--dry-run"], "--dry-run needs an extract"),
        (["status", "1", "paid", "--mapping", "x"], "--mapping needs an extract"),
        (["delete", "1", "--partition", "a=1"], "--partition needs an extract"),
        (["delete", "--from", "x.parquet", "--partition", "a"], "partitions: 'a' is not COLUMN=VALUE"),
        (["delete", "--from", "x.parquet", "--mapping", "nowhere"], "the mapping file nowhere cannot be read"),
        (["status", "paid"], "nothing to do: give an order id and a status, or an extract (--from)"),
        (["delete"], "nothing to do: give an order id, or"),
        (["delete", "1", "--from", "x.parquet"], "name orders by their ids, or an extract with --from, not both"),
        (["status", "--from", "x.parquet", "--website-id", "1"], "--website-id is for ids"),
        (["status", "--from", "x.parquet", "--max-failed", "some"], "max_failed 'some' is neither"),
        (["status", "--from", "x.parquet", "--sql", "nowhere.sql"], "the SQL file nowhere.sql cannot be read"),
        (["status", "--from", "x.parquet"], "x.parquet: no such file or folder"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(pointed, ecdp, arguments, message):
    run = ecdp(*arguments)

    assert run.code == 2
    assert message in run.err
    assert not pointed.store.requests


def test_a_refused_key_stops(pointed, ecdp, table, monkeypatch):
    monkeypatch.setenv("ECDP_API_KEY", "another-key-entirely")
    run = ecdp("delete", "--from", table(statuses((1, ""), (2, ""))), "--json")

    assert run.code == 3
    assert run.json["summary"]["not_attempted"] == 2
    assert len(pointed.store.requests) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_or_killed_is_gone_on_with(pointed, hold, started, ecdp, sample, tmp_path, number):
    extract, results = sample(orders=600), tmp_path / "results"
    assert ecdp("push", extract, "--quiet").code == 0
    (tmp_path / "ids.sql").write_text("SELECT id FROM extract", "utf-8")
    command = ["delete", "--from", extract, "--sql", tmp_path / "ids.sql", "--missing-fails", "--results", results]
    release = hold(50)
    process = started(*command, "--json", patient=True)
    # as many as it may have in flight
    wait_until(lambda: pointed.store.log.in_flight == 4)
    stopping = ""
    if number == signal.SIGTERM:
        stopping = stop(process, number)
    else:
        process.kill()
        process.wait(DEADLINE)
    release.set()
    out, err = process.communicate(timeout=DEADLINE)
    # a request of a killed process is answered nevertheless
    wait_until(lambda: pointed.store.log.in_flight == 0)
    left = pointed.store.count()
    assert left == 600 - 50 - 4
    if number == signal.SIGTERM:
        assert process.returncode == 143
        summary = json.loads(out)["summary"]
        assert (summary["accepted"], summary["not_attempted"]) == (600 - left, left)
        assert "run the same command again to resume" in stopping + err

    pointed.faults = Faults()
    again = ecdp(*command, "--json")
    assert again.code == 0
    assert pointed.store.count() == 0
    summary = again.json["summary"]
    assert summary["accepted"] + summary["skipped"] == summary["total"] == 600
    # a kill loses what was not flushed: it is asked for again, and being gone is no failure
    assert summary["missing"] == summary["requests"] - left
    if number == signal.SIGTERM:
        assert summary["requests"] == left
