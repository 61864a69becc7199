"""Many small files become few, an order is erased, and neither loses a row of another."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger import compaction, reader
from airflow_provider_ecdp.ledger.compaction import _Storage, compact, forget, prune
from airflow_provider_ecdp.ledger.query import Results
from airflow_provider_ecdp.ledger.reader import COLUMNS, newest
from airflow_provider_ecdp.ledger.store import SCHEMA, Ledger
from airflow_provider_ecdp.ledger.write_clock import WriteClock
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome

NOW = dt.datetime.now(dt.UTC)


def write(folder, name, rows):
    """Write rows of (order id, content, outcome, age in days)."""
    folder.mkdir(parents=True, exist_ok=True)
    table = [
        {"order_id": i, "content_hash": c, "outcome": o, "attempts": 1, "at": NOW - dt.timedelta(days=age)}
        for i, c, o, age in rows
    ]
    pq.write_table(pa.Table.from_pylist(table, SCHEMA), folder / f"{name}.parquet")


def rows(folder):
    return sorted(pq.read_table(folder).to_pylist(), key=lambda row: (row["at"], str(row["order_id"])))


def newest_of(folder):
    return sorted(newest(Ledger(folder).rows(COLUMNS), "*", "TRUE").to_pylist(), key=lambda row: row["order_id"])


def test_many_files_become_one_with_the_same_rows(tmp_path):
    for i in range(40):
        write(tmp_path, f"20260101T0000{i:02d}.000000-ab-000000", [(f"O{i % 7}", f"c{i}", "accepted", 40 - i)])
    before, latest = rows(tmp_path), newest_of(tmp_path)
    done = compact(tmp_path)
    assert (done.files_before, done.files_after, done.rows, done.dropped) == (40, 1, 40, 0)
    assert rows(tmp_path) == before
    assert newest_of(tmp_path) == latest
    assert len([*tmp_path.iterdir()]) == 1


def test_files_of_others_stay_as_they_are(tmp_path):
    extract = pa.table({"id": ["A"], "outcome": ["x"]})
    for folder, name in [("run", "orders"), ("extracts", "1"), ("extracts", "2")]:
        (tmp_path / folder).mkdir(exist_ok=True)
        pq.write_table(extract, tmp_path / folder / f"{name}.parquet")
    for name in "ab":
        write(tmp_path / "run", name, [(name, "c", "accepted", 1)])
    for keep_days in (None, 0):
        done = compact(tmp_path, keep_days=keep_days)
        assert done.files_after == 1
        assert len([*(tmp_path / "run").iterdir()]) == 2
        assert pq.read_table(tmp_path / "run" / "orders.parquet") == extract
        assert sorted(path.name for path in (tmp_path / "extracts").iterdir()) == ["1.parquet", "2.parquet"]


@pytest.mark.parametrize("name", ["orders.parquet", "notes.txt"])
def test_a_file_is_no_folder_of_results(tmp_path, name):
    pq.write_table(pa.table({"id": ["A"]}), tmp_path / name)
    for action in (lambda path: compact(path, keep_days=1), lambda path: forget(path, "A"), Results):
        with pytest.raises(ConfigurationError, match="is a file; name the folder that holds the results"):
            action(tmp_path / name)
    assert pq.read_table(tmp_path / name).num_rows == 1


def test_a_large_folder_of_other_files_is_not_walked_to_its_end(tmp_path, monkeypatch):
    """`ecdp results /` reads no more of the disk than shows that it is the wrong folder."""
    monkeypatch.setattr(reader, "_MOST_FOREIGN", 5)
    write(tmp_path / "run", "a", [("A", "c", "accepted", 1)])
    for name in ("_note.json", "_other.json", "photo-1", "photo-2", "photo-3", "photo-4", "photo-5"):
        (tmp_path / "run" / name).touch()
    with Results(tmp_path) as results:
        assert results.counts()["accepted"] == 1
    (tmp_path / "photo-6").touch()
    for action in (lambda path: compact(path, keep_days=1), lambda path: forget(path, "A"), Results):
        with pytest.raises(ConfigurationError, match="holds more than 5 files that are not results; name the folder"):
            action(tmp_path)


def test_a_folder_of_other_files_holds_no_results(tmp_path):
    pq.write_table(pa.table({"id": ["A"]}), tmp_path / "orders.parquet")
    with pytest.raises(ConfigurationError, match="has no results of a run"):
        Results(tmp_path)
    write(tmp_path, "begun", [])
    with Results(tmp_path) as results:
        assert not any(results.counts().values())


def test_old_runs_are_removed_and_what_outlives_them_stays(tmp_path):
    old, new = "20200101T000000.000000-ab-000000", f"{NOW:%Y%m%dT%H%M%S.%f}-ab-000000"
    stay = ["dag/new/task/1", "dag/task/history/conn", "dag/task/history/7", "dag/task/failed/conn/9", "deleted=conn"]
    go = ["dag/old/task/0", "dag/old/task/3/1", "history/old/task/0", "dag/old/failed/0/1"]
    for folder in [*stay, *go]:
        write(tmp_path / folder, new if folder == stay[0] else old, [("A", "c", "accepted", 900)])
        (tmp_path / folder / f"_target-{old}.json").write_text("{}")
    write(tmp_path / "dag/cleared/task/0", old, [("A", "c", "accepted", 900)])
    write(tmp_path / "dag/cleared/task/0", new, [("A", "c", "accepted", 0)])

    assert prune(tmp_path, keep_days=30, belongs=lambda folder: folder.startswith("other/")) == 0
    assert prune(tmp_path, keep_days=30) == len(go)
    assert all((tmp_path / folder).is_dir() for folder in [*stay, "dag/cleared/task/0"])
    assert not (tmp_path / "dag/old").exists()
    assert len([*(tmp_path / "dag/cleared/task/0").iterdir()]) == 2
    with pytest.raises(ConfigurationError, match="keep_days must be 1 or more"):
        prune(tmp_path, keep_days=0.5)


ROWS = st.tuples(
    st.sampled_from(["A", "B", "C", None]),
    st.sampled_from(["c1", "c2"]),
    st.sampled_from([outcome.value for outcome in Outcome]),
    st.integers(0, 100),
)


@settings(max_examples=examples(8, soak=500))
@given(files=st.lists(st.lists(ROWS, max_size=4), min_size=1, max_size=6), keep=st.integers(0, 100))
def test_the_newest_row_of_each_order_stays_whatever_is_dropped(tmp_path_factory, files, keep):
    folder = tmp_path_factory.mktemp("ledger")
    # no two rows have one time: rows of one ledger never have
    ages = iter(range(1000))
    for i, some in enumerate(files):
        write(folder, f"f{i}", [(o, c, out, age + 0.3 + next(ages) / 1e4) for o, c, out, age in some])
    latest = newest_of(folder)
    recent = [row for row in rows(folder) if row["at"] >= NOW - dt.timedelta(days=keep)]
    compact(folder, keep_days=keep)
    assert newest_of(folder) == latest
    assert all(row in rows(folder) for row in recent)


def test_the_ledgers_of_several_runs_stay_apart(tmp_path):
    for run in ("a", "b/c"):
        for i in range(3):
            write(tmp_path / run, f"f{i}", [(f"{run}{i}", "c", "accepted", i)])
    assert compact(tmp_path).files_after == 2
    assert {row["order_id"] for row in rows(tmp_path / "b" / "c")} == {"b/c0", "b/c1", "b/c2"}


@pytest.mark.parametrize("removed", range(4))
def test_a_kill_between_writing_and_removing_leaves_every_row(tmp_path, monkeypatch, removed):
    for i in range(4):
        write(tmp_path, f"f{i}", [(f"O{i}", "c", "accepted", i)])
    latest = newest_of(tmp_path)
    remove, left = _Storage.remove, [removed]

    def killed(storage, file):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        remove(storage, file)

    with monkeypatch.context() as patched:
        patched.setattr(_Storage, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            compact(tmp_path)
    assert newest_of(tmp_path) == latest
    compact(tmp_path)
    assert newest_of(tmp_path) == latest
    assert len(rows(tmp_path)) == 4


def test_a_run_that_writes_meanwhile_loses_nothing(tmp_path):
    ledger = Ledger(tmp_path)

    def note(i):
        orders = pa.RecordBatch.from_pydict({"order_id": [f"O{i}"], "content_hash": ["c"]})
        ledger.add(BatchOutcome(orders, Outcome.ACCEPTED), None)
        ledger.flush()

    for i in range(60):
        note(i)
        if i % 11 == 5:
            compact(tmp_path)
    assert {row["order_id"] for row in newest_of(tmp_path)} == {f"O{i}" for i in range(60)}


def test_a_run_that_has_begun_and_sent_nothing_has_begun_still(tmp_path):
    write(tmp_path, "a", [])
    write(tmp_path, "b", [])
    compact(tmp_path)
    assert Ledger(tmp_path).exists()


def test_a_folder_without_results_is_a_wrong_setting(tmp_path):
    with pytest.raises(ConfigurationError, match="has no results"):
        compact(tmp_path)
    with pytest.raises(ConfigurationError, match="has no results"):
        forget(tmp_path, "A")
    with pytest.raises(ConfigurationError, match="keep_days"):
        compact(tmp_path, keep_days=-1)


def test_an_order_is_erased_from_all_files(tmp_path):
    write(tmp_path / "run1", "a", [("A", "c", "accepted", 3), ("B", "c", "accepted", 3), (None, None, "invalid", 3)])
    write(tmp_path / "run2", "a", [("A", "c", "rejected", 2)])
    write(tmp_path / "run2", "b", [("AA", "c", "accepted", 1)])
    untouched = (tmp_path / "run2" / "b.parquet").stat().st_mtime_ns
    assert forget(tmp_path, "A") == 2
    assert forget(tmp_path, "A") == 0
    assert [row["order_id"] for row in rows(tmp_path)] == ["B", None, "AA"]
    assert (tmp_path / "run2" / "b.parquet").stat().st_mtime_ns == untouched
    assert not [*tmp_path.rglob(".*")]


def test_an_order_is_erased_also_from_files_into_which_its_rows_are_merged_meanwhile(tmp_path, monkeypatch):
    for name in "abc":
        write(tmp_path / "run", name, [("A", "c", "accepted", 1), ("B", "c", "accepted", 1)])
    read_file = compaction.read_file
    merged = []

    def read_and_merge(*arguments):
        batches = list(read_file(*arguments))
        if not merged:
            merged.append(True)
            compact(tmp_path)
        return iter(batches)

    monkeypatch.setattr(compaction, "read_file", read_and_merge)
    forget(tmp_path, "A")
    assert {row["order_id"] for row in rows(tmp_path)} == {"B"}


def test_a_file_that_a_killed_process_left_unfinished_is_erased_and_one_that_is_being_written_is_not(tmp_path):
    write(tmp_path, "a", [("B", "c", "accepted", 1)])
    clock = WriteClock()
    left = tmp_path / ".20260101T000000.000000-1234abcd-000000.parquet.part"
    writing = tmp_path / f".{clock.stamp()}-1234abcd-000000.parquet.part"
    for file in (left, writing):
        file.write_bytes(b"A, in part")
    assert forget(tmp_path, "A") == 0
    assert [*tmp_path.glob(".*")] == [writing]
