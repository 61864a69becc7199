"""`ecdp push` against the sandbox: what arrives, what is printed, and the exit codes."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import duckdb
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.cli.tables import list_failed
from airflow_provider_ecdp.sample import LINES_SQL
from airflow_provider_ecdp.sandbox.faults import Faults

SUMMARY = {
    "mode",
    "total",
    "accepted",
    "rejected",
    "invalid",
    "unresolved",
    "not_attempted",
    "skipped",
    "warnings",
    "requests",
    "retries",
    "bytes",
    "in_flight",
    "duration_seconds",
}


def as_told(command):
    """Run a command as a shell reads it, and return what it prints."""
    ecdp = f"{shlex.quote(sys.executable)} -m airflow_provider_ecdp"
    return subprocess.run(
        ["bash", "-c", command.replace("ecdp", ecdp, 1)], capture_output=True, text=True, check=True
    ).stdout


def test_ten_thousand_good_orders_take_twenty_requests_and_arrive_once_each(pointed, started, sample):
    extract = sample(orders=10_000)

    process = started("push", extract, "--base-url", pointed.url, "--json", "--batch-size", 500)
    out, err = process.communicate()

    assert process.returncode == 0, err
    assert err == ""
    assert out.count("\n") == 1
    report = json.loads(out)
    assert report["summary"].keys() == SUMMARY
    assert report["summary"]["accepted"] == report["summary"]["total"] == 10_000
    assert report["summary"]["requests"] == 20
    assert pointed.store.post_count == 20
    assert pointed.store.count() == pointed.store.total_writes() == 10_000
    assert pointed.store.repeated_writes() == {}
    assert {record.orders for record in pointed.store.requests} == {500}


def test_json_has_the_shape_of_xcom_with_failures_first(pointed, ecdp, sample, tmp_path):
    run = ecdp("push", sample(orders=50, faulty=3), "--json", "--results-limit", 5, "--results", tmp_path / "kept")

    assert run.code == 1
    assert set(run.json) == {"summary", "results", "results_path", "warnings", "reasons"}
    assert [result["outcome"] for result in run.json["results"]] == ["invalid"] * 3 + ["accepted"] * 2
    assert set(run.json["results"][0]) == {"order_id", "outcome", "reason", "http_status", "attempts"}
    assert run.json["results_path"] == str(tmp_path / "kept")
    assert run.json["summary"]["invalid"] == 3
    assert pointed.store.count() == 47


@pytest.mark.usefixtures("pointed")
def test_a_report_on_the_screen_names_counts_reasons_warnings_and_where_to_look(ecdp, sample, tmp_path):
    results = tmp_path / "kept"
    run = ecdp("push", sample(orders=200, faulty=3, odd=2), "--results", results)

    assert run.code == 1
    lines = run.out.splitlines()
    assert any(line.split()[:2] == ["197", "accepted"] for line in lines)
    assert any(line.split()[:2] == ["3", "invalid"] for line in lines)
    assert any("status: one of placed, paid, completed, canceled" in line for line in lines)
    assert any("email_without_at" in line and "ORD-" in line for line in lines)
    assert run.err == "ecdp: 3 of 200 orders failed (3 invalid, 197 accepted)\n"
    command = next(line.partition(": ")[2] for line in lines if line.startswith("To list the failed orders"))
    shown = ecdp(*shlex.split(command)[1:]).out
    assert len([line for line in shown.splitlines() if " invalid " in line and "ORD-" in line]) == 3


def test_the_command_that_lists_failed_orders_shows_the_newest_outcome_of_each_order(pointed, ecdp, sample, tmp_path):
    # a path that a shell and SQL both have something to say about
    results = tmp_path / "it's $HOME"
    pointed.faults = Faults(reject_every=10)
    assert ecdp("push", sample(orders=20), "--results", results, "--quiet").code == 1
    pointed.faults = Faults(reject_ids=frozenset({"ORD-00000020"}))
    assert ecdp("push", sample(orders=20), "--results", results, "--quiet").code == 1

    shown = as_told(list_failed(str(results)))

    assert "ORD-00000020" in shown
    assert "ORD-00000010" not in shown


def test_orders_that_the_api_refuses_are_named_and_the_others_arrive(pointed, ecdp, sample):
    pointed.faults = Faults(reject_every=40, vague=True)
    run = ecdp("push", sample(orders=100), "--json")

    assert run.code == 1
    assert {r["order_id"] for r in run.json["results"] if r["outcome"] == "rejected"} == {
        "ORD-00000040",
        "ORD-00000080",
    }
    assert run.json["summary"]["accepted"] == pointed.store.count() == 98
    assert "2 of 100 orders failed" in run.err


@pytest.mark.usefixtures("pointed")
def test_failures_within_max_failed_are_a_success(ecdp, sample):
    extract = sample(orders=100, faulty=2)

    assert ecdp("push", extract, "--json", "--max-failed", 1).code == 1
    assert ecdp("push", extract, "--json", "--max-failed", "2").code == 0
    assert ecdp("push", extract, "--json", "--max-failed", "1%").code == 1
    assert ecdp("push", extract, "--json", "--max-failed", "2%").code == 0
    wrong = ecdp("push", extract, "--json", "--max-failed", "some")
    assert wrong.code == 2
    assert "max_failed 'some'" in wrong.err


def test_a_second_run_over_the_results_sends_only_what_has_changed(pointed, ecdp, sample, tmp_path):
    kept = tmp_path / "kept"
    assert ecdp("push", sample(orders=100), "--results", kept, "--json").json["summary"]["accepted"] == 100
    sent = pointed.store.post_count

    again = ecdp("push", sample(orders=100), "--results", kept, "--json")
    assert again.code == 0
    assert again.json["summary"]["skipped"] == 100
    assert pointed.store.post_count == sent

    grown = ecdp("push", sample(orders=100, odd=3), "--results", kept, "--json")
    assert grown.json["summary"]["accepted"] == 3
    assert pointed.store.count() == 100


def test_only_changed_remembers_across_runs_with_results_of_their_own(pointed, ecdp, sample, tmp_path):
    memory = tmp_path / "memory"
    first = ecdp("push", sample(orders=30), "--only-changed", memory, "--results", tmp_path / "monday", "--json")
    second = ecdp("push", sample(orders=30), "--only-changed", memory, "--results", tmp_path / "tuesday", "--json")

    assert first.json["summary"]["accepted"] == 30
    assert second.json["summary"]["skipped"] == 30
    assert pointed.store.total_writes() == 30


@pytest.mark.usefixtures("pointed")
def test_a_full_resync_sends_all_and_is_remembered(ecdp, sample, tmp_path):
    memory, extract = tmp_path / "memory", sample(orders=10)

    def push(*more):
        summary = ecdp("push", extract, "--only-changed", memory, "--json", *more).json["summary"]
        return summary["accepted"], summary["skipped"]

    assert push() == (10, 0)
    assert push("--full-resync") == (10, 0)
    assert push() == (0, 10)
    alone = ecdp("push", extract, "--full-resync")
    assert alone.code == 2
    assert "--full-resync needs --only-changed DIR" in alone.err


def test_results_and_only_changed_in_one_folder_are_refused(pointed, ecdp, sample, tmp_path):
    run = ecdp("push", sample(orders=3), "--only-changed", tmp_path / "x", "--results", tmp_path / "x")

    assert run.code == 2
    assert "--results and --only-changed name the same folder" in run.err
    assert pointed.store.post_count == 0


def test_replay_sends_what_an_earlier_run_left_refused_and_nothing_else(pointed, ecdp, sample, tmp_path):
    extract, first = sample(orders=100), tmp_path / "first"
    pointed.faults = Faults(reject_every=50)
    assert ecdp("push", extract, "--results", first, "--json").json["summary"]["rejected"] == 2
    pointed.faults = Faults()

    replay = ecdp("push", extract, "--replay-from", first, "--json")

    assert replay.code == 0
    assert replay.json["summary"]["total"] == replay.json["summary"]["accepted"] == 2
    assert pointed.store.total_writes() == 100
    absent = ecdp("push", extract, "--replay-from", tmp_path / "nowhere", "--json")
    assert absent.code == 2
    assert "nowhere" in absent.err


def test_order_lines_become_orders_by_a_sql_file(pointed, ecdp, sample, tmp_path):
    lines = sample(orders=300, lines=True)
    sql = tmp_path / "orders.sql"
    sql.write_text(LINES_SQL, encoding="utf-8")

    run = ecdp("push", lines, "--sql", sql, "--json")

    assert run.code == 0, run.err
    assert run.json["summary"]["accepted"] == 300
    products = sum(len(pointed.store.get(order_id)["products"]) for order_id in pointed.store.ids())
    assert products == pq.read_metadata(lines).num_rows


def test_several_extracts_are_one_run(pointed, ecdp, tmp_path):
    for number in (1, 2):
        duckdb.sql(
            f"COPY (SELECT 'O-{number}' AS id, TIMESTAMPTZ '2025-01-01 00:00:00Z' AS date, 1.5 AS total_value, "
            "{'crm_id': 'c'} AS customer, [{'id': 'p', 'name': 'n', 'price': 1.5, 'quantity': 1}] AS products) "
            f"TO '{tmp_path / f'{number}.parquet'}'"
        )

    run = ecdp("push", tmp_path / "1.parquet", tmp_path / "2.parquet", "--json")

    assert run.code == 0, run.err
    assert run.json["summary"]["total"] == 2
    assert pointed.store.ids() == ["O-1", "O-2"]


@pytest.mark.parametrize("mode", ["add", "ADD_OR_REPLACE", "add-or-replace", "AddOrReplace"])
def test_modes_are_taken_in_any_spelling(pointed, ecdp, sample, mode):
    run = ecdp("push", sample(orders=2), "--mode", mode, "--json")

    assert run.code == 0
    assert run.json["summary"]["mode"] in {"Add", "AddOrReplace"}
    assert pointed.store.count() == 2


@pytest.mark.usefixtures("pointed")
def test_quiet_prints_nothing_but_errors(ecdp, sample):
    good = ecdp("push", sample(orders=10), "--quiet")
    assert (good.code, good.out, good.err) == (0, "", "")
    failed = ecdp("push", sample(orders=10, faulty=1), "--quiet")
    assert failed.code == 1
    assert failed.out == ""
    assert failed.err.startswith("ecdp: 1 of 10 orders failed (1 invalid, 9 accepted): ")
    assert failed.err.count("\n") == 1


def test_a_reader_that_has_gone_away_is_no_error(pointed, started, sample):
    process = started("push", sample(orders=500), "--json")
    process.stdout.close()
    process.wait()

    assert process.returncode == 0
    assert process.stderr.read() == ""
    assert pointed.store.count() == 500
    process.stdout = None
