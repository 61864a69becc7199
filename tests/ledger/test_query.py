"""Questions to the results of one run and of many."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.query import Filter, Folders, Results, Sort, rows_of
from airflow_provider_ecdp.ledger.store import SCHEMA
from airflow_provider_ecdp.results.outcome import Outcome

START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def write(folder, *rows, name="a"):
    """Write rows of (order id, outcome, reason, hour)."""
    folder.mkdir(parents=True, exist_ok=True)
    table = [
        {"order_id": i, "outcome": o, "reason": r, "attempts": 1, "at": START + dt.timedelta(hours=hour)}
        for i, o, r, hour in rows
    ]
    pq.write_table(pa.Table.from_pylist(table, SCHEMA), folder / f"{name}.parquet")


@pytest.fixture
def root(tmp_path):
    write(
        tmp_path / "run1",
        ("A", "accepted", None, 0),
        ("B", "rejected", "order B: unknown product 12", 0),
        ("C", "rejected", "order C: unknown product 7", 1),
        (None, "invalid", "id: required, got missing", 1),
    )
    write(tmp_path / "run2", ("A", "skipped", "accepted before", 24), ("B", "accepted", None, 25), name="b")
    write(tmp_path / "run2", ("C", "unresolved", "no answer within 60 seconds", 26), name="c")
    write(tmp_path / "dag" / "task" / "history" / "conn", ("A", "accepted", None, 30))
    return tmp_path


def ids(page):
    return [row.order_id for row in page.rows]


def test_the_newest_row_of_each_order_is_counted(root):
    with Results(root) as results:
        assert {o.value: n for o, n in results.counts().items() if n} == {
            "accepted": 1,
            "invalid": 1,
            "unresolved": 1,
            "skipped": 1,
        }


def test_one_run_is_asked_alone(root):
    with Results(root / "run1") as results:
        assert {o.value: n for o, n in results.counts().items() if n} == {"accepted": 1, "invalid": 1, "rejected": 2}
        assert [(r.reason, r.count, r.example) for r in results.reasons()] == [
            ("rejected: order …: unknown product N", 2, "B"),
            ("invalid: id: required, got missing", 1, None),
        ]


def test_rows_are_filtered_sorted_and_cut_into_pages(root):
    with Results(root / "run1") as results:
        assert ids(results.page(Filter(failed=True), sort=Sort.ORDER_ID)) == ["B", "C", None]
        assert ids(results.page(Filter(failed=True), sort=Sort.ORDER_ID, descending=True)) == ["C", "B", None]
        page = results.page(Filter(failed=True), sort=Sort.ORDER_ID, offset=1, limit=1)
        assert (ids(page), page.total) == (["C"], 3)
        assert ids(results.page(Filter(outcomes=[Outcome.ACCEPTED]))) == ["A"]
        assert ids(results.page(Filter(reason="UNKNOWN product 1"))) == ["B"]
        assert ids(results.page(Filter(order="b"))) == ["B"]
        assert results.page(Filter(failed=True, outcomes=[Outcome.ACCEPTED])).total == 0


@pytest.mark.parametrize("text", ["'", "' OR TRUE --", "%", '"', "\\"])
def test_what_is_searched_is_no_sql(root, text):
    with Results(root) as results:
        assert results.page(Filter(reason=text)).total == 0
        assert results.page(Filter(order=text)).total == 0
        assert results.page(Filter(text=text)).total == 0
        assert results.page(Filter(fold=text)).total == 0
        assert results.history(text) == []


def test_the_history_of_an_order_is_in_the_order_of_writing(root):
    with Results(root) as results:
        assert [(row.run, row.outcome.value) for row in results.history("B")] == [
            ("run1", "rejected"),
            ("run2", "accepted"),
        ]


def test_runs_have_their_counts_the_newest_first(root):
    with Results(root) as results:
        runs = results.runs()
    assert [(run.path, run.total, run.failed) for run in runs] == [("run2", 3, 1), ("run1", 4, 3)]
    assert runs[1].first == START
    assert runs[1].as_json()["rejected"] == 2


def test_a_dag_a_run_and_a_task_may_be_called_as_the_folders_that_all_runs_share(tmp_path):
    runs = ("history/run/push/1", "dag/history/push/1", "dag/run/history/1", "failed/failed/failed/0/1")
    for i, run in enumerate(runs):
        write(tmp_path / run, (str(i), "rejected", "no", i))
    with Results(tmp_path) as results:
        assert sorted(run.path for run in results.runs()) == sorted(runs)
    with Results([Folders(tmp_path / "dag" / "run", inside=["history/1"])]) as results:
        assert results.counts()[Outcome.REJECTED] == 1


def test_a_list_of_failed_orders_is_no_run(tmp_path):
    write(tmp_path / "dag/run/push/1", ("A", "rejected", "no", 0))
    shared = ("dag/push/failed/conn/0123456789abcdef", "dag/push/history/conn", "deleted=conn")
    for folder in shared:
        write(tmp_path / folder, ("A", "skipped", "no longer in the extract", 9))
    with Results(tmp_path) as results:
        assert [run.path for run in results.runs()] == ["dag/run/push/1"]
        assert results.counts()[Outcome.REJECTED] == 1


def test_all_rows_can_be_read_one_after_the_other(root):
    with Results(root) as results:
        assert [row.order_id for row in results.each()] == [None, "A", "B", "C"]


def test_a_folder_without_results_is_a_wrong_setting(tmp_path):
    with pytest.raises(ConfigurationError, match="has no results of a run"):
        Results(tmp_path)


def test_results_in_an_object_storage(root):
    with Results(f"file://{root}/run1") as results:
        assert results.page(Filter(failed=True)).total == 3


def test_one_text_is_searched_in_ids_and_in_reasons(root):
    with Results(root / "run1") as results:
        assert ids(results.page(Filter(text="PRODUCT 7"))) == ["C"]
        assert ids(results.page(Filter(text="a"))) == ["A"]
        assert results.page(Filter(text="a", failed=True)).total == 0


def test_the_orders_of_a_reason_are_those_that_it_counts(root):
    write(
        root / "run3", ("D", "rejected", None, 0), ("E", "rejected", "order E: too large", 0), ("F", "invalid", "E", 0)
    )
    for run in ("run1", "run2", "run3"):
        with Results(root / run) as results:
            reasons = results.reasons()
            pages = {one.reason: results.page(Filter(fold=one.reason)) for one in reasons}
            assert {reason: page.total for reason, page in pages.items()} == {one.reason: one.count for one in reasons}
            assert sum(one.count for one in reasons) == results.page(Filter(failed=True)).total
            assert all(one.example in [*ids(pages[one.reason]), None] for one in reasons)


def test_reasons_that_differ_in_the_id_of_the_order_are_one(tmp_path):
    rows = [(f"{i}", "rejected", f"order {i}: HTTP 400, unknown product {i}", 0) for i in range(1000, 1500)]
    write(tmp_path, *rows, ("", "rejected", "x", 0), ("x", "rejected", "x", 0), (None, "rejected", "x", 0))
    with Results(tmp_path) as results:
        assert [(one.reason, one.count) for one in results.reasons()] == [
            ("rejected: order N: HTTP 400, unknown product N", 500),
            ("rejected: x", 2),
            ("rejected: …", 1),
        ]
        assert [results.page(Filter(fold=one.reason)).total for one in results.reasons()] == [500, 2, 1]


def test_folders_that_are_named_are_added_up_each_with_its_own_newest_rows(root):
    with Results([Folders(root, inside=["run1", "run2"])]) as results:
        assert {o.value: n for o, n in results.counts().items() if n} == {
            "accepted": 2,
            "rejected": 2,
            "invalid": 1,
            "unresolved": 1,
            "skipped": 1,
        }
    write(root / "run1", ("B", "accepted", None, 2), name="later")
    with Results([Folders(root, inside=["run1"])]) as results:
        assert results.page(Filter(order="B")).rows[0].outcome is Outcome.ACCEPTED
        assert results.page().total == 4
    with Results([Folders(root, inside=["run1"]), Folders(root, inside=["run2"])]) as results:
        assert results.page().total == 7
        assert {run.path for run in results.runs()} == {"run1", "run2"}


def test_a_timeline_has_all_orders_that_were_sent_or_failed(root):
    with Results(root / "run1") as results:
        intervals = results.timeline(most=10)
    assert intervals[0].start == START
    assert {one.seconds for one in intervals} == {600}
    assert [(i, one.sent, one.failed) for i, one in enumerate(intervals) if one.sent] == [(0, 2, 1), (6, 2, 2)]
    assert len(intervals) == 7
    with Results(root / "run1") as results:
        assert len(results.timeline(most=1)) == 1


def test_orders_of_one_interval_are_added_up_wherever_in_it_they_are(tmp_path):
    # five orders of one request have one time
    write(tmp_path, *[(f"{i}", "accepted", None, (i - i % 5) / 36_000) for i in range(25)])
    with Results(tmp_path) as results:
        timeline = results.timeline()
    assert [(one.seconds, one.sent, one.requests) for one in timeline] == [(1, 10, 2), (1, 10, 2), (1, 5, 1)]


def test_a_run_in_which_nothing_was_sent_has_no_timeline(tmp_path):
    (tmp_path / "run").mkdir()
    rows = [{"order_id": "A", "outcome": "skipped", "attempts": 0, "at": START}]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), tmp_path / "run" / "a.parquet")
    with Results(tmp_path / "run") as results:
        assert results.timeline() == []


def test_the_rows_of_one_order_are_found_in_a_folder_and_those_inside(root):
    rows = rows_of(LocalFileSystem(), str(root), "results", "B")
    assert {(row.run.rpartition("/")[2], row.outcome.value) for row in rows} == {
        ("run1", "rejected"),
        ("run2", "accepted"),
    }
    assert rows_of(LocalFileSystem(), str(root), "results", "b") == []
    assert rows_of(LocalFileSystem(), str(root / "nowhere"), "results", "B") == []


def test_times_are_read_where_pytz_is_absent(tmp_path):
    """Only tools for development bring it."""
    program = """
import sys
sys.modules["pytz"] = None
import pyarrow as pa
from airflow_provider_ecdp.cli import main
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome
ledger = Ledger(sys.argv[1])
ledger.begin()
orders = pa.RecordBatch.from_pydict({"order_id": ["A-1"], "content_hash": ["0" * 32]})
ledger.add(BatchOutcome(orders, Outcome.REJECTED), ["no"])
ledger.flush()
for options in (["--csv"], ["--json"], ["--order", "A-1"], []):
    assert main(["results", sys.argv[1], *options]) == 0, options
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "A-1" in done.stdout


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"outcome": "refused"}, "the outcome 'refused'"),
        ({"outcome": None}, "the outcome None"),
        ({"at": None}, "rows without a time"),
    ],
)
def test_rows_of_another_version_are_refused_and_not_left_out_of_the_counts(tmp_path, change, problem):
    rows = [
        {"order_id": "A", "outcome": "accepted", "at": START},
        {"order_id": "B", "outcome": "accepted", "at": START} | change,
    ]
    (tmp_path / "run").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), tmp_path / "run" / "a.parquet")
    with pytest.raises(ConfigurationError, match=f"{problem}, which this version"):
        Results(tmp_path / "run")
    with pytest.raises(ConfigurationError, match=f"results holds {problem}"):
        rows_of(LocalFileSystem(), str(tmp_path), "results", "B")
    assert len(rows_of(LocalFileSystem(), str(tmp_path), "results", "A")) == 1
