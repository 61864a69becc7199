"""Ctrl-C and SIGTERM: what was sent is recorded, and the next run goes on from there."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import duckdb
import pytest
from processes import DEADLINE, stop, wait_until

from airflow_provider_ecdp.cli.exit_codes import ending
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import MaxFailed, Report
from airflow_provider_ecdp.sandbox.faults import Faults


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_push_that_the_next_run_goes_on_with(
    pointed, hold, started, ecdp, sample, tmp_path, number, code
):
    extract, results = sample(orders=2_000), tmp_path / "results"
    release = hold(5)
    process = started("push", extract, "--results", results, "--batch-size", 20, "--json", patient=True)
    # as many as it may have in flight
    wait_until(lambda: pointed.store.log.in_flight == 4)
    message = stop(process, number)
    release.set()
    out, err = process.communicate(timeout=DEADLINE)
    err = message + err

    assert process.returncode == code
    assert "Traceback" not in err
    stored = pointed.store.count()
    assert stored == (5 + 4) * 20
    summary = json.loads(out)["summary"]
    assert summary["accepted"] == stored
    assert summary["accepted"] + summary["not_attempted"] == summary["total"]
    accepted = duckdb.sql(f"SELECT count(*) FROM '{results}/*.parquet' WHERE outcome = 'accepted'").fetchall()[0][0]
    assert accepted == stored
    assert f"{stored} accepted); run the same command again to resume" in err
    # what was read is not what the extract holds
    assert summary["total"] == 2_000 or f"interrupted: {summary['total']:,} of 2,000 orders read; " in err

    pointed.faults = Faults()
    again = ecdp("push", extract, "--results", results, "--json")
    assert again.code == 0
    assert again.json["summary"]["skipped"] == stored
    assert pointed.store.count() == pointed.store.total_writes() == 2_000


@pytest.mark.parametrize(("in_extract", "message"), [(2_000, "0 of 2,000 orders read"), (None, "no orders were read")])
def test_a_signal_before_an_order_was_read_says_that_alone(capsys, in_extract, message):
    interruption = Interruption()
    interruption.number = signal.SIGINT
    summary = {"total": 0, **dict.fromkeys((outcome.value for outcome in Outcome), 0)}
    report = Report(summary=summary, results=[], results_path="results", warnings={}, reasons=[], in_extract=in_extract)

    assert ending(report, MaxFailed(), interruption, brief=True) == 130
    assert capsys.readouterr().err == f"ecdp: interrupted: {message}; run the same command again to resume\n"


def test_a_second_signal_ends_at_once(pointed, started, sample):
    pointed.faults = Faults(hang_before=1, hang_seconds=3600)
    process = started("push", sample(orders=10), "--read-timeout", 3600)
    wait_until(lambda: pointed.store.log.in_flight > 0)
    process.send_signal(signal.SIGINT)
    assert "once more ends at once" in process.stderr.readline() + process.stderr.readline()
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.wait(DEADLINE)

    assert process.returncode == 130


def test_a_signal_ends_the_wait_between_repetitions(pointed, started, sample):
    pointed.faults = Faults(error_before=1, error_statuses=(503,), retry_after=3600)
    process = started("push", sample(orders=10))
    wait_until(lambda: pointed.store.post_count == 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE)

    assert process.returncode == 130
    assert "ecdp: interrupted: 10 of 10 orders failed (10 unresolved); with --results DIR a run can be resumed" in err
    assert pointed.store.post_count == 1


@pytest.mark.parametrize("command", [["check"], ["push"]])
def test_a_signal_while_nothing_is_sent_yet_ends_a_command(pointed, started, tmp_path, command):
    # a pipe that nobody writes to: reading the SQL file waits
    os.mkfifo(tmp_path / "orders.sql")
    process = started(*command, tmp_path / "orders.parquet", "--sql", tmp_path / "orders.sql")
    # opening the other end waits for the command to open its own
    with (tmp_path / "orders.sql").open("wb"):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE)

    assert process.returncode == 130
    assert err.splitlines()[-1] == "ecdp: interrupted"
    assert "Traceback" not in err
    assert pointed.store.requests == []


def test_a_signal_stops_a_status_change_with_an_outcome_for_each_order(pointed, hold, started):
    release = hold(2)
    process = started("delete", *range(200), "--json", patient=True)
    wait_until(lambda: pointed.store.log.in_flight > 0 and len(pointed.store.requests) == 2)
    message = stop(process, signal.SIGTERM)
    release.set()
    out, err = process.communicate(timeout=DEADLINE)

    assert process.returncode == 143
    summary = json.loads(out)["summary"]
    assert summary["total"] == 200
    assert summary["accepted"] == summary["missing"] == len(pointed.store.requests)
    assert summary["not_attempted"] == 200 - len(pointed.store.requests)
    assert 2 < len(pointed.store.requests) < 200
    assert "interrupted" in message + err


def test_the_sandbox_ends_with_a_signal(started):
    process = started("sandbox", "--port", 0)
    assert process.stdout.readline().startswith("The sandbox is at http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)

    assert process.returncode == 0


@pytest.mark.parametrize(
    ("command", "options", "drawn"),
    [("push", [], True), ("check", [], True), ("push", ["--json"], False), ("check", ["--quiet"], False)],
)
def test_a_terminal_gets_a_progress_bar_unless_the_output_is_for_scripts(pointed, sample, command, options, drawn):
    pointed.faults = Faults(latency_ms=100)
    batches = ["--batch-size", "50"] if command == "push" else []
    terminal, side = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_ecdp", command, sample(orders=400), *batches, *options],
        stdout=subprocess.PIPE,
        stderr=side,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(side)
        screen = b""
        try:
            while chunk := os.read(terminal, 65536):
                screen += chunk
        except OSError:
            # Linux: the other side is closed
            pass
        os.close(terminal)
        out = process.stdout.read()

    assert process.returncode == 0
    assert ("━" in screen.decode()) is drawn
    assert bool(out) is (options in ([], ["--json"]))
    assert pointed.store.count() == (400 if command == "push" else 0)
