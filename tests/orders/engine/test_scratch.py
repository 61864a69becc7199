"""Folders with customers' data: no end of a run leaves them, and no run removes those of another that lives."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from airflow_provider_ecdp.orders.engine import scratch
from airflow_provider_ecdp.orders.engine.scratch import scratch_folder

fcntl = pytest.importorskip("fcntl")

RUN = """
import sys
from airflow_provider_ecdp.orders.engine.scratch import scratch_folder
with scratch_folder("parts") as parts, scratch_folder("spill") as spill:
    for folder in (parts, spill):
        (folder / "0-0.arrow").write_text("a customer")
        (folder / "inner").mkdir()
        (folder / "inner" / "more").write_text("another")
    print(parts, spill, flush=True)
    sys.stdin.read()
"""

TOGETHER = """
import sys
from airflow_provider_ecdp.orders.engine.scratch import scratch_folder
print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    with scratch_folder("parts") as folder:
        (folder / "rows").write_text("mine")
        with scratch_folder("spill"):
            assert (folder / "rows").read_text() == "mine"
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A folder of this test's own for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def started():
    """Start a program of this text, which ends with the test at the latest."""
    processes = []

    def start(text):
        processes.append(
            subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def killed(started):
    """Return the folders that a run had when it was killed."""
    process = started(RUN)
    folders = [Path(name) for name in process.stdout.readline().split()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(folders) == 2
    return folders


def test_a_folder_is_its_users_alone_and_goes_with_its_run(temporary):
    with scratch_folder("parts") as folder:
        assert folder.parent == temporary
        assert folder.name.startswith("ecdp-parts-")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "rows").write_text("a customer")
    assert list(temporary.iterdir()) == []


def test_a_folder_goes_with_a_run_that_fails(temporary):
    def fail():
        with scratch_folder("spill") as folder:
            (folder / "rows").write_text("a customer")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_run_has_left_is_removed_by_the_next(temporary, started):
    left = killed(started)
    assert all((folder / "inner" / "more").exists() for folder in left)
    with scratch_folder("spill") as folder:
        assert list(temporary.iterdir()) == [folder]


def test_the_folders_of_a_run_that_lives_are_not_touched(temporary, started):
    process = started(RUN)
    folders = [Path(name) for name in process.stdout.readline().split()]
    with scratch_folder("parts"), scratch_folder("parts"):
        assert all((folder / "inner" / "more").exists() for folder in folders)
        assert len(list(temporary.iterdir())) == 4
    process.communicate("")
    assert process.returncode == 0
    assert list(temporary.iterdir()) == []


def test_what_is_cut_short_while_it_is_removed_is_removed_by_the_run_after(temporary, started, monkeypatch):
    killed(started)

    def cut_short(*_):
        raise OSError("killed")

    monkeypatch.setattr(scratch.shutil, "rmtree", cut_short)
    with scratch_folder("parts"):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert len(list(temporary.iterdir())) == 3
    with scratch_folder("parts") as folder:
        assert list(temporary.iterdir()) == [folder]


def test_folders_of_others_of_other_names_and_without_a_lock_are_left_alone(temporary, started, monkeypatch):
    other, unlocked = temporary / "ecdp-sandbox-1", temporary / "ecdp-parts-unlocked"
    for folder in (other, unlocked):
        folder.mkdir()
    (other / ".lock").touch()
    (temporary / "ecdp-spill-file").touch()
    (temporary / "ecdp-spill-link").symlink_to(other)
    with monkeypatch.context() as patch:
        left = killed(started)
        patch.setattr(os, "getuid", lambda: -1)
        with scratch_folder("parts"):
            assert all(folder.exists() for folder in left)
    with scratch_folder("parts"):
        pass
    names = {path.name for path in temporary.iterdir()}
    assert names == {"ecdp-sandbox-1", "ecdp-parts-unlocked", "ecdp-spill-file", "ecdp-spill-link"}


def test_runs_that_start_at_once_do_not_take_each_others_folders(temporary, started):
    processes = [started(TOGETHER) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("moment", ["before it has its lock file", "before it is locked"])
def test_a_folder_that_another_run_takes_while_it_is_made_is_made_again(temporary, monkeypatch, moment):
    taken = []

    def remove(folder):
        if not taken:
            taken.append(folder)
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()

    if moment == "before it has its lock file":
        made = tempfile.mkdtemp

        def take(**given):
            folder = made(**given)
            remove(Path(folder))
            return folder

        monkeypatch.setattr(tempfile, "mkdtemp", take)
    else:
        locked = scratch._locked

        def take(lock, folder):
            remove(folder)
            return locked(lock, folder)

        monkeypatch.setattr(scratch, "_locked", take)
    with scratch_folder("parts") as folder:
        assert [folder] == list(temporary.iterdir()) != taken
        (folder / "rows").write_text("a customer")
    assert list(temporary.iterdir()) == []


def test_a_folder_that_is_taken_again_and_again_is_had_without_a_lock(temporary, monkeypatch):
    monkeypatch.setattr(scratch, "_locked", lambda *_: False)
    with scratch_folder("parts") as folder:
        assert list(folder.iterdir()) == []
    assert not folder.exists()
    assert len(list(temporary.iterdir())) == 5


def test_where_nothing_can_be_locked_nothing_of_others_is_removed(temporary, started, monkeypatch):
    left = killed(started)

    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with scratch_folder("parts") as folder:
        assert {folder, *left} == set(temporary.iterdir())
    monkeypatch.setattr(scratch, "_LOCKS", False)
    with scratch_folder("parts") as folder:
        assert {folder, *left} == set(temporary.iterdir())
        assert list(folder.iterdir()) == []
    assert set(left) == set(temporary.iterdir())


def test_threads_of_one_process_have_folders_of_their_own(temporary):
    together, faults = threading.Barrier(4), []

    def run():
        together.wait(timeout=60)
        for _ in range(50):
            with scratch_folder("spill") as folder:
                (folder / "rows").write_text("a customer")
                if not (folder / "rows").exists():
                    faults.append(folder)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert list(temporary.iterdir()) == []
