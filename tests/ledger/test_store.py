"""The ledger: files that are whole or absent, the newest row of an order, and when it is written."""

from __future__ import annotations

import datetime as dt
import os
import threading
from pathlib import Path

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.parquet as pq
import pytest
from fake_clock import FakeClock
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ConfigurationError, StorageError
from airflow_provider_ecdp.ledger import store, write_clock
from airflow_provider_ecdp.ledger.compaction import compact
from airflow_provider_ecdp.ledger.query import Results
from airflow_provider_ecdp.ledger.reader import COLUMNS, newest
from airflow_provider_ecdp.ledger.store import FLUSH_ROWS, FLUSH_SECONDS, SCHEMA, Ledger
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def memory():
    """fsspec's file system in memory, which works as an object store does."""
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]
    yield filesystem
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]


def settled(outcome, ids, hashes=None, **facts):
    orders = pa.RecordBatch.from_arrays(
        [pa.array(ids, pa.string()), pa.array(hashes or [f"hash of {i}" for i in ids], pa.string())],
        ["order_id", "content_hash"],
    )
    return BatchOutcome(orders, outcome, **facts)


def note(ledger, outcome, ids, hashes=None, *, reasons=None, **facts):
    ledger.add(settled(outcome, ids, hashes, **facts), reasons)


def accepted(ledger):
    """What need not be sent again: `order_id`, `content_hash`, `outcome`; None for a new ledger."""
    rows = ledger.rows(COLUMNS)
    return None if rows is None else newest(rows, ", ".join(COLUMNS[:3]), "outcome IN ('accepted', 'skipped')")


def taken(table):
    return dict(zip(table["order_id"].to_pylist(), table["content_hash"].to_pylist(), strict=True))


def files(folder):
    return sorted(path.name for path in folder.iterdir())


# what is written


def test_every_fact_of_an_order_is_written_in_the_documented_columns(folder):
    ledger = Ledger(folder)
    before = dt.datetime.now(dt.UTC)
    note(ledger, Outcome.REJECTED, ["A", None], reasons=["no such product", None], http_status=400, attempts=3)
    ledger.flush()

    (path,) = folder.iterdir()
    table = pq.read_table(path)
    assert table.schema.equals(SCHEMA)
    assert table.schema.names == [
        *("order_id", "content_hash", "outcome", "reason", "http_status", "attempts", "at"),
    ]
    first, second = table.to_pylist()
    assert before <= first.pop("at") <= dt.datetime.now(dt.UTC)
    assert first == {
        "order_id": "A",
        "content_hash": "hash of A",
        "outcome": "rejected",
        "reason": "no such product",
        "http_status": 400,
        "attempts": 3,
    }
    assert (second["order_id"], second["reason"]) == (None, None)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_written_and_read(folder, outcome):
    ledger = Ledger(folder)
    note(ledger, outcome, ["A"])
    ledger.flush()

    again = Ledger(folder)
    assert pq.read_table(folder)["outcome"].to_pylist() == [outcome.value]
    assert accepted(again)["order_id"].to_pylist() == ([] if outcome.failed else ["A"])
    assert again.replayable_orders()[0]["order_id"].to_pylist() == (["A"] if outcome.replayable else [])


def test_facts_that_are_not_known_are_null(folder):
    ledger = Ledger(folder)
    note(ledger, Outcome.NOT_ATTEMPTED, ["A"])
    ledger.flush()
    (row,) = pq.read_table(folder).to_pylist()
    assert (row["reason"], row["http_status"], row["attempts"]) == (None, None, 0)


def test_orders_of_many_small_batches_are_all_written(folder):
    ledger = Ledger(folder)
    for i in range(3000):
        note(ledger, Outcome.ACCEPTED, [f"{i}-{n}" for n in range(7)])
    ledger.flush()
    assert files(folder) == [files(folder)[0]]
    assert len(set(pq.read_table(folder)["order_id"].to_pylist())) == 21_000


def test_a_slice_of_a_batch_is_written_as_that_slice(folder):
    ledger = Ledger(folder)
    whole = settled(Outcome.ACCEPTED, [str(i) for i in range(10)])
    ledger.add(BatchOutcome(whole.orders.slice(3, 2), Outcome.ACCEPTED), None)
    ledger.flush()
    assert pq.read_table(folder)["order_id"].to_pylist() == ["3", "4"]


def test_the_folder_is_one_dataset_for_everybody(folder):
    """For people who look, with what they have: pyarrow, DuckDB, pandas."""
    for name in "AB":
        ledger = Ledger(folder)
        note(ledger, Outcome.ACCEPTED, [f"{name}{i}" for i in range(3)])
        ledger.flush()
    (folder / ".half.parquet.part").write_bytes(b"PAR1 and then a crash")

    assert pds.dataset(folder, format="parquet").count_rows() == 6
    with duckdb.connect(":memory:") as engine:
        count = engine.execute(f"SELECT outcome, count(*) FROM '{folder}/*.parquet' GROUP BY outcome").fetchall()
    assert count == [("accepted", 6)]


# when it is written


def test_nothing_is_written_before_it_is_due(folder, clock):
    ledger = Ledger(folder, clock=clock)
    assert ledger.due_in() is None
    note(ledger, Outcome.ACCEPTED, ["A"])
    ledger.flush_if_due()
    assert not folder.exists()
    assert ledger.due_in() == FLUSH_SECONDS

    clock.now += FLUSH_SECONDS - 0.5
    ledger.flush_if_due()
    assert not folder.exists()
    assert ledger.due_in() == 0.5

    clock.now += 0.5
    ledger.flush_if_due()
    assert ledger.due_in() is None
    ledger.flush()
    assert len(files(folder)) == 1


def test_the_time_to_the_next_flush_counts_from_the_last(folder, clock):
    ledger = Ledger(folder, clock=clock, flush_seconds=10)
    for wait, written in ((10, 1), (9, 1), (1, 2), (10, 3)):
        note(ledger, Outcome.ACCEPTED, ["A"])
        clock.now += wait
        ledger.flush_if_due()
        ledger._written()
        assert len(files(folder)) == written


def test_nothing_is_written_for_nothing(folder, clock):
    ledger = Ledger(folder, clock=clock)
    clock.now += 1000
    ledger.flush_if_due()
    ledger.flush()
    assert not folder.exists()


def test_much_is_written_without_waiting(folder, clock):
    ledger = Ledger(folder, clock=clock)
    note(ledger, Outcome.ACCEPTED, [str(i) for i in range(FLUSH_ROWS - 1)])
    ledger.flush_if_due()
    assert not folder.exists()
    note(ledger, Outcome.ACCEPTED, ["last"])
    ledger.flush_if_due()
    ledger._written()
    assert pq.read_table(folder).num_rows == FLUSH_ROWS


class Slow(Ledger):
    """Writes when it may."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.may, self.error = threading.Event(), None

    def _put(self, name, data):
        assert self.may.wait(60)
        if self.error:
            raise self.error
        super()._put(name, data)


class FullOnce(Ledger):
    """Its first write fails."""

    full = True

    def _put(self, name, data):
        if self.full:
            self.full = False
            raise OSError(28, "No space left on device")
        super()._put(name, data)


def test_the_last_flush_writes_what_the_write_before_it_could_not(folder, clock):
    ledger = FullOnce(folder, clock=clock)
    note(ledger, Outcome.ACCEPTED, ["1"])
    clock.now += FLUSH_SECONDS
    ledger.flush_if_due()
    note(ledger, Outcome.ACCEPTED, ["2"])
    ledger.flush()

    assert pq.read_table(folder)["order_id"].to_pylist() == ["1", "2"]


def test_a_slow_storage_does_not_hold_the_run_up(folder, clock):
    ledger = Slow(folder, clock=clock)
    for i in range(5):
        note(ledger, Outcome.ACCEPTED, [str(i)])
        clock.now += FLUSH_SECONDS
        ledger.flush_if_due()
    assert not folder.exists()
    ledger.may.set()
    ledger.flush()
    assert pq.read_table(folder)["order_id"].to_pylist() == ["0", "1", "2", "3", "4"]
    assert len(files(folder)) == 2


def test_what_could_not_be_written_is_reported_and_not_lost(folder, clock):
    ledger = Slow(folder, clock=clock)
    ledger.error = OSError("no space left on device")
    note(ledger, Outcome.ACCEPTED, ["A"])
    clock.now += FLUSH_SECONDS
    ledger.flush_if_due()
    note(ledger, Outcome.ACCEPTED, ["B"])
    ledger.may.set()
    with pytest.raises(StorageError, match="no space"):
        ledger.flush()
    ledger.error = None
    ledger.flush()
    assert pq.read_table(folder)["order_id"].to_pylist() == ["A", "B"]


def test_what_was_written_is_not_written_again(folder):
    ledger = Ledger(folder)
    note(ledger, Outcome.ACCEPTED, ["A"])
    ledger.flush()
    ledger.flush()
    note(ledger, Outcome.ACCEPTED, ["B"])
    ledger.flush()

    assert len(files(folder)) == 2
    assert sorted(pq.read_table(folder)["order_id"].to_pylist()) == ["A", "B"]


def test_files_are_added_in_the_order_of_their_names(folder):
    ledger = Ledger(folder)
    for i in range(12):
        note(ledger, Outcome.ACCEPTED, [str(i)])
        ledger.flush()
    in_order = [pq.read_table(folder / name)["order_id"].to_pylist()[0] for name in files(folder)]
    assert in_order == [str(i) for i in range(12)]


# the newest row counts


def test_a_new_ledger_holds_nothing_and_says_so(folder):
    ledger = Ledger(folder)
    assert not ledger.exists()
    assert accepted(ledger) is None
    assert ledger.replayable_orders() is None


def test_a_run_that_has_begun_has_left_a_sign(folder):
    Ledger(folder).begin()
    assert Ledger(folder).exists()
    assert accepted(Ledger(folder)).num_rows == 0

    Ledger(folder).begin()
    assert len(files(folder)) == 1


def test_the_newest_row_of_an_order_counts(folder):
    for outcomes in (
        {"ok": Outcome.ACCEPTED, "was ok": Outcome.ACCEPTED, "lost": Outcome.UNRESOLVED, "changed": Outcome.ACCEPTED},
        {"was ok": Outcome.REJECTED, "lost": Outcome.ACCEPTED, "changed": Outcome.ACCEPTED, "new": Outcome.REJECTED},
        {"changed": Outcome.SKIPPED, "stopped": Outcome.NOT_ATTEMPTED},
    ):
        ledger = Ledger(folder)
        number = len(files(folder)) if folder.exists() else 0
        for order_id, outcome in outcomes.items():
            note(ledger, outcome, [order_id], [f"content {number}"])
        ledger.flush()

    assert taken(accepted(Ledger(folder))) == {"ok": "content 0", "lost": "content 1", "changed": "content 2"}
    assert sorted(Ledger(folder).replayable_orders()[0]["order_id"].to_pylist()) == ["new", "stopped", "was ok"]


def test_the_newest_row_counts_within_a_run_too(folder):
    ledger = Ledger(folder)
    note(ledger, Outcome.UNRESOLVED, ["A"], ["h1"])
    note(ledger, Outcome.ACCEPTED, ["A"], ["h2"])
    ledger.flush()
    assert taken(accepted(Ledger(folder))) == {"A": "h2"}


def test_newest_means_by_time_and_not_by_the_name_of_a_file(folder):
    folder.mkdir()

    def written(name, outcome, at):
        row = {"order_id": "A", "content_hash": outcome, "outcome": outcome, "attempts": 1, "at": at}
        pq.write_table(pa.Table.from_pylist([row], SCHEMA), folder / name)

    written("z.parquet", "rejected", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    written("a.parquet", "accepted", dt.datetime(2026, 1, 2, tzinfo=dt.UTC))
    assert taken(accepted(Ledger(folder))) == {"A": "accepted"}


def test_orders_without_an_id_are_written_and_never_known(folder):
    ledger = Ledger(folder)
    note(ledger, Outcome.ACCEPTED, [None, None])
    note(ledger, Outcome.REJECTED, [None])
    ledger.flush()
    assert pq.read_table(folder).num_rows == 3
    assert (accepted(Ledger(folder)).num_rows, Ledger(folder).replayable_orders()[0].num_rows) == (0, 0)


def test_what_is_accepted_can_be_skipped_by_orders(folder):
    ledger = Ledger(folder)
    note(ledger, Outcome.ACCEPTED, ["A"])
    ledger.flush()
    assert accepted(Ledger(folder)).schema.field("order_id").type == pa.string()
    assert accepted(Ledger(folder)).schema.names[:2] == ["order_id", "content_hash"]


def test_what_is_pending_is_not_yet_known(folder):
    ledger = Ledger(folder)
    note(ledger, Outcome.ACCEPTED, ["A"])
    assert accepted(ledger) is None


@pytest.mark.parametrize(
    "name", ["results[1]", "run=2026-11-01T00:00:00+00:00", "with space", "a*b", "{x}", "a::b", "50%", "#1"]
)
def test_a_folder_may_have_any_name(tmp_path, name):
    ledger = Ledger(tmp_path / name)
    note(ledger, Outcome.ACCEPTED, ["A"])
    ledger.flush()
    assert taken(accepted(Ledger(str(tmp_path / name)))) == {"A": "hash of A"}
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert compact(tmp_path / name).files_after == 1
    with Results(tmp_path / name) as results:
        assert results.counts()[Outcome.ACCEPTED] == 1


def test_other_files_in_the_folder_are_left_alone(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "_SUCCESS").touch()
    (folder / ".x.parquet.part").write_bytes(b"PAR1")
    assert accepted(Ledger(folder)) is None

    ledger = Ledger(folder)
    note(ledger, Outcome.ACCEPTED, ["A"])
    ledger.flush()
    assert taken(accepted(ledger)) == {"A": "hash of A"}
    assert (folder / "notes.txt").read_text() == "mine"


# of mapped tasks


def test_what_is_left_is_reported_of_all_ledgers_in_a_folder_and_the_newest_row_counts(memory):
    for place, outcomes in (
        ("0/3", {"ok": Outcome.ACCEPTED, "cleared": Outcome.REJECTED}),
        ("1/3", {"lost": Outcome.UNRESOLVED}),
        ("0/7", {"cleared": Outcome.ACCEPTED}),
        ("_other/3", {"hidden": Outcome.REJECTED}),
        (".trash/3", {"hidden": Outcome.REJECTED}),
    ):
        ledger = Ledger(f"memory://bucket/[run]/push/{place}")
        for order_id, outcome in outcomes.items():
            note(ledger, outcome, [order_id])
        ledger.flush()
    memory.pipe("/bucket/[run]/push/1/3/.x.parquet.part", b"PAR1")
    memory.pipe("/bucket/[run]/push/1/3/_schema.json", b"{}")
    memory.pipe("/bucket/[run]/push-more/0/3/x.parquet", b"another task's")
    for above in (Ledger("memory://bucket/[run]/push"), Ledger("/bucket/[run]/push/", filesystem=memory)):
        assert above.replayable_orders()[0]["order_id"].to_pylist() == ["lost"]
        # what is accepted is asked of one ledger: shards that are listed anew have other orders
        assert (above.exists(), accepted(above)) == (False, None)


# whole or absent


class Breaking(LocalFileSystem):
    """A disk that is full until it is not."""

    cachable = False
    full = True

    def makedirs(self, path, exist_ok=False):
        if self.full:
            raise OSError(28, "No space left on device")
        super().makedirs(path, exist_ok=exist_ok)


def test_what_could_not_be_written_is_written_by_the_next_flush(folder):
    disk = Breaking()
    ledger = Ledger(folder, filesystem=disk)
    note(ledger, Outcome.ACCEPTED, ["A"])
    with pytest.raises(StorageError, match="No space left"):
        ledger.flush()
    assert not folder.exists()

    disk.full = False
    note(ledger, Outcome.ACCEPTED, ["B"])
    ledger.flush()
    assert taken(accepted(Ledger(folder))) == {"A": "hash of A", "B": "hash of B"}
    assert len(files(folder)) == 1


def test_a_crash_before_the_last_step_leaves_no_file_that_counts(folder, monkeypatch):
    """The last step gives the file its name; what came before is hidden, and nobody's data."""
    ledger = Ledger(folder)
    note(ledger, Outcome.ACCEPTED, ["A"])

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            ledger.flush()

    (left,) = files(folder)
    assert left.startswith(".")
    assert not Ledger(folder).exists()
    assert pds.dataset(folder, format="parquet").count_rows() == 0

    ledger.flush()
    assert taken(accepted(Ledger(folder))) == {"A": "hash of A"}


def test_a_local_file_has_its_name_only_once_it_is_whole(folder, monkeypatch):
    seen = []
    replace = os.replace

    def watched(source, target):
        seen.append((Path(source).name[0], pq.read_table(source).num_rows, Path(target).exists()))
        replace(source, target)

    ledger = Ledger(folder)
    note(ledger, Outcome.ACCEPTED, ["A", "B"])
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", watched)
        ledger.flush()
    assert seen == [(".", 2, False)]


class Watched(DirFileSystem):
    """A file system like SFTP, where a file is there from its first byte on; it notes what is done."""

    cachable = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.done = []

    def pipe_file(self, path, value, **kwargs):
        self.done.append(("write", Path(path).name[0]))
        return super().pipe_file(path, value, **kwargs)

    def mv(self, path1, path2, **kwargs):
        self.done.append(("move", Path(path1).name[0], Path(path2).suffix))
        return super().mv(path1, path2, **kwargs)


def test_a_file_on_a_server_has_its_name_only_once_it_is_whole(tmp_path):
    server = Watched(str(tmp_path), LocalFileSystem())
    ledger = Ledger("results", filesystem=server)
    note(ledger, Outcome.ACCEPTED, ["A"])
    ledger.flush()

    assert server.done == [("write", "."), ("move", ".", ".parquet")]
    assert taken(accepted(Ledger("results", filesystem=server))) == {"A": "hash of A"}
    assert len(files(tmp_path / "results")) == 1


# object stores, and several writers


def test_an_object_store_holds_a_ledger(memory):
    ledger = Ledger("memory://bucket/results")
    assert accepted(ledger) is None
    note(ledger, Outcome.ACCEPTED, ["A"])
    note(ledger, Outcome.UNRESOLVED, ["B"])
    ledger.flush()

    found = memory.ls("/bucket/results", detail=False)
    assert [Path(path).suffix for path in found] == [".parquet"]
    assert taken(accepted(Ledger("memory://bucket/results"))) == {"A": "hash of A"}
    # as Airflow's object storage gives it: a file system and a path in it
    again = Ledger("/bucket/results", filesystem=memory)
    assert again.replayable_orders()[0]["order_id"].to_pylist() == ["B"]


def test_two_writers_in_one_folder_do_not_write_over_each_other(folder):
    first, second = Ledger(folder), Ledger(folder)
    for i in range(3):
        note(first, Outcome.ACCEPTED, [f"first {i}"])
        note(second, Outcome.ACCEPTED, [f"second {i}"])
        first.flush()
        second.flush()

    assert len(files(folder)) == 6
    assert len(taken(accepted(Ledger(folder)))) == 6
    assert accepted(first).num_rows == accepted(second).num_rows == 6


def test_a_ledger_says_where_it_is(folder):
    assert Ledger(folder).path == str(folder)
    assert Ledger("memory://bucket/results").path == "memory://bucket/results"


def test_a_place_that_cannot_be_is_a_matter_of_configuration(tmp_path):
    with pytest.raises(ConfigurationError, match="results path nosuch://bucket/results: "):
        Ledger("nosuch://bucket/results")

    with pytest.raises(ConfigurationError, match="results path ' ' is empty"):
        Ledger(" ")

    (tmp_path / "file").touch()
    for inside in ("file", "file/results"):
        with pytest.raises(ConfigurationError, match="cannot be written"):
            Ledger(tmp_path / inside).begin()


# the order of writing


def test_the_row_that_was_written_last_counts_though_the_clock_has_gone_back(folder, monkeypatch):
    class Clock(dt.datetime):
        day = 3

        @classmethod
        def now(cls, tz=None):
            return dt.datetime(2026, 1, cls.day, tzinfo=tz)

    monkeypatch.setattr(write_clock.dt, "datetime", Clock)
    for day, content in ((3, "A"), (2, "B"), (1, "A again")):
        Clock.day = day
        ledger = Ledger(folder)
        ledger.begin()
        note(ledger, Outcome.ACCEPTED, ["1"], [content])
        note(ledger, Outcome.ACCEPTED, ["2"], [content])
        ledger.flush()
        assert taken(accepted(Ledger(folder))) == {"1": content, "2": content}
    names = files(folder)
    assert len(names) == 4
    assert all(name.startswith("20260103T000000.") for name in names)


def test_rows_of_one_moment_are_in_their_order(folder, monkeypatch):
    class Still(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime(2026, 1, 1, tzinfo=tz)

    monkeypatch.setattr(write_clock.dt, "datetime", Still)
    ledger = Ledger(folder)
    for i in range(50):
        note(ledger, Outcome.ACCEPTED, ["A"], [str(i)])
    ledger.flush()
    assert taken(accepted(ledger)) == {"A": "49"}


# small files


def test_the_small_files_of_a_long_run_become_few(folder):
    ledger = Ledger(folder)
    for i in range(200):
        note(ledger, Outcome.ACCEPTED, [str(i)], ["h"])
        ledger.flush()
    assert len(files(folder)) < 20
    assert sorted(pq.read_table(folder)["order_id"].to_pylist(), key=int) == [str(i) for i in range(200)]


def test_files_of_a_fast_run_are_merged_a_few_at_a_time(folder, monkeypatch):
    monkeypatch.setattr(store, "FLUSH_ROWS", 10)
    ledger = Ledger(folder)
    for i in range(20):
        note(ledger, Outcome.ACCEPTED, [f"{i}-{n}" for n in range(4)], ["h"] * 4)
        ledger.flush()
    rows = [pq.read_metadata(folder / name).num_rows for name in files(folder)]
    assert rows == [12, 12, 12, 12, 12, 12, 4, 4]


def test_a_crash_while_small_files_are_merged_loses_nothing(folder, monkeypatch):
    ledger = Ledger(folder)

    def crash(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger._filesystem, "rm_file", crash, raising=False)
    for i in range(15):
        note(ledger, Outcome.ACCEPTED, [str(i)], ["h"])
        ledger.flush()
    note(ledger, Outcome.ACCEPTED, ["15"], ["h"])
    with pytest.raises(KeyboardInterrupt):
        ledger.flush()
    assert {"0", "15"} <= set(taken(accepted(Ledger(folder))))


def test_a_file_that_is_merged_while_it_is_read_is_read_in_the_merged_one(folder):
    ledger = Ledger(folder)
    for i in range(3):
        note(ledger, Outcome.ACCEPTED, [str(i)])
        ledger.flush()
    rows = Ledger(folder).rows(COLUMNS)
    seen = rows.read_next_batch()["order_id"].to_pylist()
    merged = pq.read_table(folder)
    for name in files(folder):
        (folder / name).unlink()
    pq.write_table(merged, folder / "20990101T000000.000000-ab-000000.parquet")
    seen += rows.read_all()["order_id"].to_pylist()
    assert set(seen) == {"0", "1", "2"}


# other files in the folder


def test_a_damaged_file_is_named_and_nothing_is_believed_without_it(folder):
    ledger = Ledger(folder)
    note(ledger, Outcome.ACCEPTED, ["A"])
    ledger.flush()
    (folder / "broken.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ConfigurationError, match=r"broken\.parquet is damaged or is not a results file .* move it"):
        Ledger(folder).replayable_orders()


def test_a_foreign_file_is_ignored_with_a_word(folder, caplog):
    ledger = Ledger(folder)
    note(ledger, Outcome.REJECTED, ["A"])
    ledger.flush()
    pq.write_table(pa.table({"id": [1], "name": ["x"]}), folder / "foreign.parquet")
    assert Ledger(folder).replayable_orders()[0]["order_id"].to_pylist() == ["A"]
    assert "foreign.parquet has no outcomes" in caplog.text


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left on device"), StorageError),
        (ConnectionError("no route to host"), StorageError),
        (RuntimeError("a client's own error"), StorageError),
        (OSError(30, "Read-only file system"), ConfigurationError),
        (PermissionError(13, "Permission denied"), ConfigurationError),
    ],
)
def test_a_failure_that_may_pass_is_distinguished_from_one_that_stays(folder, error, kind):
    class Failing(LocalFileSystem):
        cachable = False

        def makedirs(self, *_, **__):
            raise error

    with pytest.raises(kind, match="cannot be written") as raised:
        Ledger(folder, filesystem=Failing()).begin()
    assert raised.value.transient is (kind is StorageError)
