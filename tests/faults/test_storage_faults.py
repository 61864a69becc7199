"""Faults at our side of a run, in its midst: no law is broken, and the next run over the same folder ends it.

As the kill tests, with a fault instead of a kill.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_clock import FakeClock
from faults_laws import newest_rows
from foreign_server import KEY, ForeignServer, serving
from fsspec.implementations.memory import MemoryFileSystem
from plain_reader import PlainReader, ids_of

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.errors import StorageError
from airflow_provider_ecdp.ledger import write_clock
from airflow_provider_ecdp.ledger.compaction import compact, prune
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.push.run import PushSettings, push

IDS = ids_of(32)
#: Outcomes after so many orders: the fault comes then.
EARLY = 8


class Bucket(MemoryFileSystem):
    """An object store that can be full, or down."""

    store: dict = {}  # noqa: RUF012 - not that of other tests
    cachable = False
    error: OSError | None = None

    def _check(self):
        if self.error is not None:
            raise self.error

    def pipe_file(self, path, value, **options):
        self._check()
        super().pipe_file(path, value, **options)

    def ls(self, path, detail=True, **options):
        if self.error is not None and self.error.errno != errno.ENOSPC:
            raise self.error
        return super().ls(path, detail, **options)


@dataclass
class Fault:
    """One that can begin while a run goes on, and end after it. `stops` tells whether the run cannot go on."""

    folder: str
    filesystem: object = None
    stops: bool = True
    begin: object = lambda: None
    end: object = lambda: None

    def ledger(self):
        return Ledger(self.folder, self.filesystem, flush_seconds=0)

    def rows(self):
        if self.filesystem is None:
            return newest_rows(Path(self.folder))
        columns = ["order_id", "outcome", "at"]
        rows = self.ledger().rows(columns).read_all().sort_by("at").to_pylist()
        return {row["order_id"]: row for row in rows}


@pytest.fixture
def fault(request, tmp_path, monkeypatch):
    with contextlib.ExitStack() as stack:
        yield FAULTS[request.param](tmp_path, monkeypatch, stack)


def full_disk(tmp_path, monkeypatch, stack):
    del monkeypatch
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a disk")
    stack.callback(subprocess.run, ["umount", "--lazy", str(tmp_path)], check=True)
    ballast = tmp_path / "ballast"

    def fill():
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    return Fault(str(tmp_path / "results"), begin=fill, end=lambda: ballast.unlink(missing_ok=True))


def bucket(error):
    def make(tmp_path, monkeypatch, stack):
        del tmp_path
        filesystem = Bucket()
        stack.callback(Bucket.store.clear)
        fail = lambda: monkeypatch.setattr(filesystem, "error", error, raising=False)  # noqa: E731
        return Fault(
            "/bucket/results", filesystem, begin=fail, end=lambda: monkeypatch.setattr(filesystem, "error", None)
        )

    return make


def clock_back(tmp_path, monkeypatch, stack):
    del stack

    class Past(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime(2020, 1, 1, tzinfo=tz)

    # of this module alone: another that is imported meanwhile may need the real one. It stays there
    past = SimpleNamespace(datetime=Past, timedelta=dt.timedelta, UTC=dt.UTC)
    set_back = lambda: monkeypatch.setattr(write_clock, "dt", past)  # noqa: E731
    return Fault(str(tmp_path / "results"), stops=False, begin=set_back)


def deleted_folder(tmp_path, monkeypatch, stack):
    del monkeypatch, stack
    folder = tmp_path / "results"
    # moved and not removed: the run may be writing there
    return Fault(str(folder), stops=False, begin=lambda: folder.rename(tmp_path / "deleted"))


FAULTS = {
    "disk full": full_disk,
    "store full": bucket(OSError(errno.ENOSPC, "No space left on device")),
    "store down": bucket(ConnectionError(errno.ECONNREFUSED, "Connection refused")),
    "clock back": clock_back,
    "folder deleted": deleted_folder,
}


@pytest.fixture
def server():
    with serving(ForeignServer()) as server:
        yield server


def pushed(server, ledger, *, mode=Mode.ADD_OR_REPLACE, history=None, on_done=None, ids=IDS):
    clock = FakeClock()
    about = ClientSettings(base_url=server.url, max_in_flight=1)

    def progress(now):
        if on_done is not None and now.done >= EARLY:
            on_done()

    with EcdpClient(KEY, about, clock=clock, sleep=clock.sleep) as client:
        report = push(
            PlainReader(ids),
            client,
            PushSettings(mode=mode, batch_size=4, max_in_flight=1, results_limit=10_000),
            prior_runs=PriorRuns(ledger, history),
            progress=progress,
        )
    assert sum(report.summary[outcome] for outcome in OUTCOMES) == report.summary["total"] == len(ids)
    return report


OUTCOMES = ("accepted", "rejected", "invalid", "unresolved", "not_attempted", "skipped")


def once(function):
    calls = []
    return lambda: calls or calls.append(function())


@pytest.mark.parametrize(
    ("fault", "mode"),
    [*((fault, Mode.ADD) for fault in FAULTS), ("disk full", Mode.ADD_OR_REPLACE), ("clock back", Mode.ADD_OR_REPLACE)],
    indirect=["fault"],
)
def test_a_fault_in_the_midst_of_a_run_breaks_no_law(fault, mode, server):
    server.refuses = lambda order_id: order_id in IDS[:3]
    report = pushed(server, fault.ledger(), mode=mode, on_done=once(fault.begin))

    assert isinstance(report.stopped, StorageError) is fault.stops
    assert (report.stopped is None) is not fault.stops
    assert (report.summary["rejected"], report.summary["accepted"]) == (3, len(server.stored))
    # how soon a run notices a storage that fails depends on the load of the machine
    assert fault.stops or len(server.stored) == len(IDS) - 3
    fault.end()
    server.refuses = lambda _: False
    recorded = {i for i, row in fault.rows().items() if row["outcome"] in ("accepted", "skipped")}
    assert recorded <= server.stored.keys()
    before = server.writes.total()

    report = pushed(server, fault.ledger(), mode=mode)

    assert report.stopped is None
    assert report.summary["rejected"] == report.summary["unresolved"] == 0
    assert server.stored.keys() == set(IDS)
    assert {row["outcome"] for row in fault.rows().values()} <= {"accepted", "skipped"}
    assert fault.rows().keys() == set(IDS)
    # sent again is no more than what could not be recorded
    assert server.writes.total() - before <= len(IDS) - len(recorded)
    assert mode is not Mode.ADD or set(server.writes.values()) == {1}


@pytest.mark.parametrize("mode", [Mode.ADD_OR_REPLACE, Mode.ADD])
def test_two_runs_at_once_over_one_folder_lose_nothing(mode, server, tmp_path):
    together = threading.Barrier(2, timeout=120)
    threads = [
        threading.Thread(
            target=pushed, args=(server, Ledger(tmp_path)), kwargs={"mode": mode, "on_done": once(together.wait)}
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.stored.keys() == set(IDS)

    report = pushed(server, Ledger(tmp_path), mode=mode)

    assert report.summary["rejected"] == report.summary["unresolved"] == 0
    assert newest_rows(tmp_path).keys() == set(IDS)
    assert {row["outcome"] for row in newest_rows(tmp_path).values()} <= {"accepted", "skipped"}
    assert max(server.writes.values()) <= (1 if mode is Mode.ADD else 2)


def test_pushes_at_once_over_one_history_that_is_compacted_and_pruned_meanwhile(server, tmp_path):
    history, together = tmp_path / "shop" / "push" / "history" / "ecdp_default", threading.Barrier(2, timeout=120)
    ended = threading.Event()

    def maintain():
        together.wait()
        while not ended.is_set():
            compact(history)
            prune(tmp_path, keep_days=1)

    def run(number, ids):
        own = Ledger(tmp_path / "shop" / f"run{number}" / "push" / "0", flush_seconds=0)
        pushed(
            server,
            own,
            history=Ledger(history, flush_seconds=0),
            ids=ids,
            on_done=None if number else once(together.wait),
        )

    halves = (IDS, IDS[16:])
    threads = [threading.Thread(target=run, args=(number, ids)) for number, ids in enumerate(halves)]
    threads.append(threading.Thread(target=maintain))
    for thread in threads:
        thread.start()
    for thread in threads[:2]:
        thread.join()
    ended.set()
    threads[2].join()
    assert server.stored.keys() == newest_rows(history).keys() == set(IDS)
    posts = len(server.posts)

    report = pushed(server, None, history=Ledger(history))

    assert report.summary["skipped"] == len(IDS)
    assert len(server.posts) == posts
