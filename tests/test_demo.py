"""The demo as `make demo` runs it: real Airflow, the sandbox, and a summary that was read from the run."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_ecdp.demo import DAG, Demo
from airflow_provider_ecdp.errors import EcdpError

pytestmark = pytest.mark.slow

DEADLINE = 180

PROCESSES = Path("/proc")


def processes_that_mention(text):
    """The ids of the processes whose arguments or environment hold `text`."""
    found = []
    for folder in PROCESSES.glob("[0-9]*"):
        try:
            about = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except OSError:
            # it has ended, or is not ours
            continue
        if text.encode() in about and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


@pytest.mark.skipif(not PROCESSES.exists(), reason="looks for processes in /proc")
def test_the_demo_shows_what_airflow_did_and_leaves_nothing_running(tmp_path, capsys):
    folder = tmp_path / "demo"
    # what a demo of yesterday has left
    folder.mkdir()
    (folder / "sandbox.sqlite3").write_text("not a database", encoding="utf-8")

    assert Demo(folder).run() == 0

    output = capsys.readouterr().out
    lines = output.splitlines()
    assert any(line.split()[:2] == ["1,988", "accepted"] for line in lines)
    assert any(line.split()[:2] == ["12", "invalid"] for line in lines)
    assert sum(line.strip().startswith("invalid ") for line in lines) == 12
    assert "The sandbox itself counts 1,988 orders, the DAG's XCom says that 1,988 were accepted: they agree." in lines
    assert "The demo is over: nothing is left running." in lines
    assert processes_that_mention(str(folder)) == []
    commands = [line.strip() for line in lines if line.startswith("    ")]
    shown = subprocess.run(
        ["bash", "-c", next(c for c in commands if c.endswith(" --failed"))], capture_output=True, text=True, check=True
    )
    assert len([line for line in shown.stdout.splitlines() if " invalid " in line and "ORD-" in line]) == 12
    checked = subprocess.run(
        ["bash", "-c", next(c for c in commands if " check " in c)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 1
    assert "1,988 valid, 12 invalid" in checked.stdout


def test_a_command_of_airflow_that_fails_is_reported_with_the_end_of_its_log(tmp_path, capsys):
    demo = Demo(tmp_path)
    command = ("dags", "no_such_command")

    with pytest.raises(EcdpError, match=r"airflow dags no_such_command .*ended with exit code \d+; .*airflow\.log"):
        demo._airflow(demo._environment("http://127.0.0.1:9"), *command)

    printed = capsys.readouterr().err.splitlines()
    assert printed
    assert printed == demo.log.read_text(encoding="utf-8").splitlines()[-len(printed) :]
    assert demo.remains() == "nothing is left running"


@pytest.mark.parametrize("state", ["failed", "running"])
def test_a_run_of_the_dag_that_did_not_succeed_is_no_demo(tmp_path, state):
    demo = Demo(tmp_path)
    demo.home.mkdir()
    with contextlib.closing(sqlite3.connect(demo.home / "airflow.db")) as database:
        database.executescript(
            "CREATE TABLE xcom (dag_id, key, value); CREATE TABLE dag_run (dag_id, state);"
            f"INSERT INTO xcom VALUES ('{DAG}', 'return_value', '{{}}');"
            f"INSERT INTO dag_run VALUES ('{DAG}', '{state}')"
        )
    with pytest.raises(EcdpError, match=rf"state .*{state}.*airflow\.log"):
        demo._report()


@pytest.mark.skipif(not PROCESSES.exists(), reason="looks for processes in /proc")
def test_ctrl_c_ends_the_demo_and_airflow_with_it(tmp_path):
    folder = tmp_path / "demo"
    code = "import pathlib, sys; from airflow_provider_ecdp.demo import main; sys.exit(main(pathlib.Path(sys.argv[1])))"
    with subprocess.Popen(
        [sys.executable, "-c", code, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + DEADLINE
        while not processes_that_mention(f"AIRFLOW_HOME={folder}"):
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE)

    assert process.returncode == 130
    assert err.strip() == "demo: stopped by SIGINT; nothing is left running"
    assert processes_that_mention(str(folder)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_airflow_is_being_started_leaves_nothing_running(tmp_path, monkeypatch, number):
    demo = Demo(tmp_path)
    started = []
    popen = subprocess.Popen

    def interrupted(_, **options):
        process = popen([sys.executable, "-c", "import time; time.sleep(600)"], **options)
        started.append(process)
        signal.raise_signal(number)
        return process

    def stopped(number, _):
        raise KeyboardInterrupt(number)

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.signal(number, stopped)
    try:
        with pytest.raises(KeyboardInterrupt):
            demo._airflow({}, "db", "migrate")
    finally:
        signal.signal(number, before)
        running = [process for process in started if process.poll() is None]
        for process in started:
            process.kill()

    assert len(started) == 1
    assert running == []
    assert demo.remains() == "nothing is left running"
