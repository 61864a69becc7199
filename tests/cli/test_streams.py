"""Streams that are closed, full or broken change no exit code, and keep no order from being sent."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shlex
import subprocess
import sys

import pytest

ORDER = {
    "date": dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    "totalValue": 10,
    "customer": {"crmId": "c-1"},
    "products": [{"id": "p", "name": "n", "price": 10, "quantity": 1}],
}
LOST = "ecdp: the output is incomplete: stdout cannot be written to: {}; the exit code is that of the command\n"

#: Faulty streams, and the reason that is printed where stdout is one; None where nothing is.
FAULTS = {"full": "No space left on device", "pipe": None, "closed": "it is closed", "missing": "it is closed"}


@contextlib.contextmanager
def faulty(fault):
    """Return a stream whose writes fail."""
    if fault == "missing":
        yield None
        return
    if fault == "pipe":
        reading, writing = os.pipe()
        os.close(reading)
        stream = os.fdopen(writing, "w", encoding="utf-8")
    else:
        stream = open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123, SIM115 - a device, closed below
    if fault == "closed":
        stream.close()
    yield stream
    # what is left in its buffer fails once more, unless it has been discarded
    stream.close()


@pytest.fixture
def commands(table, tmp_path):
    """Commands with output, each with the exit code of its outcome."""
    good = ORDER | {"id": "A-1", "status": "paid"}
    extract = table([good, ORDER | {"id": "A-2", "status": "wrong"}])
    return [
        (["check", extract], 1),
        (["check", extract, "--json"], 1),
        (["push", extract], 1),
        (["push", table([good], name="good.parquet"), "--results", tmp_path / "kept"], 0),
        (["get", "A-1"], 0),
        (["status", "A-1", "paid"], 0),
        (["delete", "A-1"], 0),
        (["results", tmp_path / "kept"], 0),
        (["results", tmp_path / "kept", "--csv"], 0),
        (["mapping", "suggest", extract], 0),
        (["sample", tmp_path / "sample.parquet", "--orders", 2], 0),
        (["push", "--help"], 0),
        (["--version"], 0),
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stdout_that_cannot_be_written_to_is_one_sentence(pointed, ecdp, commands, monkeypatch, fault):
    # of the other faults, as many commands as send: all of them print by the same functions
    for arguments, code in commands if fault == "full" else commands[3:6]:
        with monkeypatch.context() as patched, faulty(fault) as stream:
            patched.setattr(sys, "stdout", stream)
            run = ecdp(*arguments)
        lost = "" if FAULTS[fault] is None else LOST.format(FAULTS[fault])
        others = [line for line in run.err.splitlines(keepends=True) if " failed (" not in line]
        assert (run.code, "".join(others)) == (code, lost), arguments
    assert pointed.store.count() + pointed.store.count_deleted() == 1


@pytest.mark.usefixtures("pointed")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_stderr_that_cannot_be_written_to_changes_nothing(ecdp, commands, monkeypatch, fault):
    wrong = [(["push"], 2), (["push", "nowhere.parquet"], 2), ([], 2), (["get", "nobody"], 1)]
    for arguments, code in commands[2:4] + wrong:
        with monkeypatch.context() as patched, faulty(fault) as stream:
            patched.setattr(sys, "stderr", stream)
            run = ecdp(*arguments, *([] if code == 2 or arguments[0][0] == "-" else ["--verbose"]))
        assert run.code == code, arguments
        assert (run.out == "") == (code == 2 or arguments == ["get", "nobody"]), arguments


@pytest.mark.parametrize(
    ("command", "redirection", "printed"),
    [
        ("--version", ">/dev/full", LOST.format(FAULTS["full"])),
        ("--version", ">/dev/full 2>&-", ""),
        # files of the run must not take the place of stdout
        ("check", ">&-", LOST.format(FAULTS["closed"])),
    ],
)
def test_a_process_ends_with_the_code_of_the_outcome(table, command, redirection, printed):
    extract = shlex.quote(str(table([ORDER | {"id": "A-1", "status": "paid"}]))) if command == "check" else ""
    run = subprocess.run(
        ["sh", "-c", f"{shlex.quote(sys.executable)} -m airflow_provider_ecdp {command} {extract} {redirection}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, printed)
