"""What a report says."""

import csv
import io
import json
import re
from importlib.resources import files

import pytest

from airflow_provider_ecdp.results.outcome import Outcome

WEIRD = """<script>alert('1')</script>"'; DROP TABLE results --"""


@pytest.fixture
def pushed(server):
    """The results of a push in which orders have failed."""
    server.write(
        server.folder(),
        *[(f"ok-{i}", "accepted", None, i) for i in range(5)],
        ("R-1", "rejected", "order R-1: unknown product 7", 3),
        ("R-2", "rejected", "order R-2: unknown product 8", 3),
        (WEIRD, "invalid", "currency: exactly 3 characters, got 2 characters", 0),
        (None, "invalid", "id: required, got missing", 0),
        ("U", "not_attempted", None, 9),
    )
    server.push_xcom(
        {
            "summary": {"mode": "Add", "total": 10, "accepted": 5, "rejected": 2, "invalid": 2, "not_attempted": 1},
            "results": [],
            "results_path": str(server.folder()),
            "warnings": {"old_date": {"count": 1, "example": "ok-1"}},
            "reasons": [],
        }
    )
    return f"shop/{server.run}/push/-1"


def counts(report):
    return {one["outcome"]: one["count"] for one in report["outcomes"] if one["count"]}


def ids(answer):
    return [row["order_id"] for row in answer.json()["rows"]]


def test_a_task_instance(server, pushed):
    report = server.get(f"data/{pushed}").json()
    assert counts(report) == {"accepted": 5, "rejected": 2, "invalid": 2, "not_attempted": 1}
    assert (report["source"], report["summary"]["mode"], report["notes"]) == ("results", "Add", [])
    assert report["reasons"][0] == {"reason": "rejected: order …: unknown product N", "count": 2, "example": "R-1"}
    assert sum(one["sent"] for one in report["timeline"]) == 7
    assert report["warnings"]["old_date"]["count"] == 1
    assert report["results_path"] == str(server.folder())


def test_the_page_groups_outcomes_by_the_facts_that_it_is_sent(server, pushed):
    for path in (pushed, f"shop/{server.run}"):
        facts = server.get(f"data/{path}").json()["facts"]
        assert [(one["outcome"], one["failed"]) for one in facts] == [(one.value, one.failed) for one in Outcome]
        assert [one["outcome"] for one in facts if one["sent"]] == ["accepted", "rejected", "unresolved"]


def test_the_page_lists_no_outcomes_itself():
    static = files("airflow_provider_ecdp.plugin") / "static"
    scripts = {one.name: one.read_text("utf-8") for one in static.iterdir() if one.name.endswith(".js")}
    assert "charts.js" in scripts
    names = "|".join(Outcome)
    listed = {name: re.findall(rf"\.(?:{names})\b|\[\"(?:{names})\"", text) for name, text in scripts.items()}
    assert {name: found for name, found in listed.items() if found} == {}


def test_signs_that_the_style_adds_are_silent():
    """A screen reader would say them: the button "Order up-down arrow"."""
    style = (files("airflow_provider_ecdp.plugin") / "static" / "report.css").read_text("utf-8")
    signs = re.findall(r'content: ("[^"]+");', style)
    assert signs
    assert re.findall(r'content: ("[^"]+") / "";', style) == signs


def test_the_placeholder_of_a_task_that_is_not_mapped(server, pushed):
    assert server.get(f"data/{pushed.removesuffix('-1')}{{MAP_INDEX}}").json()["source"] == "results"


def test_orders_are_searched_filtered_sorted_and_cut_into_pages(server, pushed):
    path = f"orders/{pushed}"
    assert server.get(path).json()["total"] == 10
    assert ids(server.get(path, failed=True, sort="order_id")) == [WEIRD, "R-1", "R-2", "U", None]
    assert ids(server.get(path, outcome="rejected", sort="order_id", descending=True)) == ["R-2", "R-1"]
    assert ids(server.get(path, outcome=["rejected", "not_attempted"], sort="order_id", limit=1, offset=2)) == ["U"]
    assert ids(server.get(path, text="PRODUCT 8")) == ["R-2"]
    assert ids(server.get(path, reason="rejected: order …: unknown product N", sort="order_id")) == ["R-1", "R-2"]
    for wrong in (
        {"limit": 201},
        {"offset": -1},
        {"offset": 10**30},
        {"sort": "run; --"},
        {"outcome": "good"},
        {"text": "x" * 501},
    ):
        assert server.get(path, **wrong).status_code == 422, wrong


@pytest.mark.parametrize("text", [WEIRD, "'", '"', "%", "\\", "\x00", "' OR 1=1 --"])
def test_odd_texts_are_looked_for_and_nothing_else(server, pushed, text):
    expected = [WEIRD] if text in WEIRD else []
    assert ids(server.get(f"orders/{pushed}", text=text)) == expected
    assert server.get(f"orders/{pushed}", reason=text).json()["total"] == 0
    rows = server.get(f"history/{pushed}", order_id=text).json()["rows"]
    assert [row["order_id"] for row in rows] == ([WEIRD] if text == WEIRD else [])


def test_the_csv_has_what_the_filter_lets_through(server, pushed):
    formulas = ["=1+1", "\n=1+1", "\uff1d1+1"]
    server.write(server.folder(), *[(text, "rejected", "@x", 0) for text in formulas], name="formula")
    answer = server.get(f"csv/{pushed}", outcome="rejected")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="orders.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sorted(row["order_id"] for row in rows) == sorted([*(f"'{text}" for text in formulas), "R-1", "R-2"])
    assert {row["run"] for row in rows} == {server.run}


def test_the_history_of_an_order_is_that_of_the_task_in_this_run_and_those_before(server, pushed):
    before = f"scheduled__{server.day.replace(month=10, day=31).isoformat()}"
    server.write(server.folder(run_id=before), ("R-1", "accepted", None, -86400))
    server.write(server.folder("push_more", run_id=before), ("R-1", "accepted", None, -86400))
    rows = server.get(f"history/{pushed}", order_id="R-1").json()["rows"]
    assert [(row["run"], row["outcome"], row["this_run"]) for row in rows] == [
        (before, "accepted", False),
        (server.run, "rejected", True),
    ]
    # seen from the run before, this one has not been yet
    assert len(server.get(f"history/shop/{before}/push/-1", order_id="R-1").json()["rows"]) == 1
    assert len(server.get(f"history/shop/{server.run}", order_id="R-1").json()["rows"]) == 3


def test_a_run_that_cannot_be_read_hides_no_other_from_the_history(server, pushed):
    before = f"scheduled__{server.day.replace(month=10, day=31).isoformat()}"
    server.write(server.folder(run_id=before), ("R-1", "accepted", None, -86400))
    (server.folder(run_id=before) / "half.parquet").write_bytes(b"PAR1")
    history = server.get(f"history/{pushed}", order_id="R-1").json()
    assert ([row["outcome"] for row in history["rows"]], history["unread"]) == (["rejected"], [before])
    first = f"scheduled__{server.day.replace(month=10, day=30).isoformat()}"
    server.write(server.folder(run_id=first), ("R-1", "refused", None, -2 * 86400))
    assert len(server.get(f"history/{pushed}", order_id="R-1").json()["unread"]) == 2
    answer = server.get(f"history/shop/{first}/push/-1", order_id="R-1")
    assert (answer.status_code, "holds the outcome 'refused'" in answer.json()["detail"]) == (409, True)


def test_a_run_is_compared_with_those_before(server, pushed):
    before = f"scheduled__{server.day.replace(month=10, day=31).isoformat()}"
    server.push_xcom({"summary": {"total": 4, "accepted": 3, "skipped": 1}}, run_id=before)
    server.push_xcom({"summary": {"total": 9, "accepted": 9}}, "push_more", run_id=before)
    earlier = server.get(f"data/{pushed}").json()["earlier"]
    assert [(one["run_id"], one["accepted"], one["skipped"], one["rejected"]) for one in earlier] == [
        (before, 3, 1, 0),
        (server.run, 5, 0, 2),
    ]
    of_run = server.get(f"data/shop/{server.run}").json()["earlier"]
    assert [(one["accepted"], one["skipped"]) for one in of_run] == [(12, 1), (5, 0)]


def test_without_results_there_is_what_xcom_holds(server):
    one = {
        "order_id": "A",
        "outcome": "rejected",
        "reason": "no",
        "http_status": 400,
        "attempts": 1,
        "order": {"customer": 1},
    }
    summary = {"operation": "read", "total": 2, "accepted": 1, "rejected": 1}
    reasons = [{"reason": "rejected: no", "count": 1, "example": "A"}]
    server.push_xcom({"summary": summary, "results": [one], "results_path": None, "warnings": {}, "reasons": reasons})
    report = server.get(f"data/shop/{server.run}/push/-1").json()
    assert (report["source"], report["reasons"], report["notes"]) == ("xcom", reasons, [])
    assert counts(report) == {"accepted": 1, "rejected": 1}
    # orders that were read are customers' data
    assert report["results"] == [{k: v for k, v in one.items() if k != "order"}]


def test_a_dry_run_says_which_rules_are_broken(server):
    rule = {"field": "currency", "rule": "required", "count": 2, "examples": ["A"]}
    summary = {"mode": "Add", "total": 3, "invalid": 2, "not_attempted": 1, "dry_run": True}
    server.push_xcom({"summary": summary, "results": [], "results_path": None, "check": {"problems": [rule]}})
    reason = {"reason": "invalid: currency: required", "count": 2, "example": "A"}
    for path in (f"data/shop/{server.run}/push/-1", f"data/shop/{server.run}"):
        report = server.get(path).json()
        assert (report["reasons"], report["summary"]["dry_run"], report["earlier"]) == ([reason], True, [])
        # an order that a run would send has not failed
        assert [one["outcome"] for one in report["outcomes"] if one["failed"] and one["count"]] == ["invalid"]
    assert "not_attempted" not in [one["outcome"] for one in report["facts"] if one["failed"]]


def test_a_task_that_has_left_nothing(server, monkeypatch):
    path = f"data/shop/{server.run}/push/-1"
    assert "See the task's log" in server.get(path).json()["notes"][0]["text"]
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", "")
    assert "set results_path in the section [ecdp]" in server.get(path).json()["notes"][0]["text"]


def test_a_task_of_another_kind(server):
    server.push_xcom({"summary": "of another kind"}, "other")
    assert server.get(f"data/shop/{server.run}/other/-1").json()["kind"] == "other"


def test_xcom_of_any_shape_is_harmless(server):
    shapes = [None, 1, "x", [], {}, [1], {"x": 1}, [{"count": "x"}], {"a": {"count": 1}}, True]
    for name in ("summary", "results", "reasons", "warnings", "check", "results_path"):
        for shape in shapes:
            value = {"summary": {"total": "x", "accepted": "1", "rejected": None}, name: shape}
            server.push_xcom(value)
            for path in (f"data/shop/{server.run}/push/-1", f"data/shop/{server.run}"):
                assert server.get(path).status_code == 200, value
    for shape in shapes:
        server.push_xcom(shape)
        assert server.get(f"data/shop/{server.run}/push/-1").status_code == 200, shape


def test_the_page_gets_of_an_xcom_only_what_it_can_show(server):
    """The script of the page takes a number for a number, and a reason for a text."""
    ok = {"order_id": None, "outcome": "rejected", "reason": "no", "http_status": 400, "attempts": 1}
    server.push_xcom(
        {
            "summary": {"total": 3, "accepted": 1, "mode": {"a": 1}, "requests": "many", "bytes": 9, "dry_run": "x"},
            "results": [
                {"outcome": "refused"},
                {"outcome": ["rejected"]},
                ok | {"reason": {"a": 1}, "attempts": "x"},
                ok,
            ],
            "reasons": [{"reason": 5, "count": 1}, {"reason": "rejected: no", "count": 2, "example": 7}],
            "warnings": {"a": {"count": "x"}, "b": {"count": 2, "example": []}},
            "check": {"problems": [{"field": "id", "rule": "required", "count": 1, "examples": 7}]},
        }
    )
    report = server.get(f"data/shop/{server.run}/push/-1").json()
    assert report["summary"] == {"total": 3, "accepted": 1, "bytes": 9}
    assert report["results"] == [ok | {"reason": None, "attempts": None}, ok]
    assert report["reasons"] == [{"reason": "rejected: no", "count": 2, "example": None}]
    assert report["warnings"] == {"b": {"count": 2, "example": None}}


@pytest.fixture
def task_failed(server):
    """The task `push` of the run has failed."""
    server.set_state("push", "failed")
    yield
    server.set_state("push", "success")


@pytest.mark.usefixtures("task_failed")
def test_a_task_that_broke_off_is_told_from_one_whose_report_is_all(server):
    server.write(server.folder(), ("A", "accepted", None, 0))
    for path in (f"shop/{server.run}/push/-1", f"shop/{server.run}"):
        report = server.get(f"data/{path}").json()
        assert report["ended_early"]
        assert "The task failed before it could report" in report["notes"][0]["text"]
    # another try that has reported, whatever a storage of XCom makes of it
    server.push_xcom("s3://bucket/key")
    for path in (f"shop/{server.run}/push/-1", f"shop/{server.run}"):
        report = server.get(f"data/{path}").json()
        assert ("ended_early" in report, report["notes"]) == (False, [])


@pytest.mark.usefixtures("task_failed")
def test_a_task_that_failed_without_an_outcome_has_not_ended_early(server):
    """An empty extract fails a task that has begun to record its results."""
    server.write(server.folder())
    report = server.get(f"data/shop/{server.run}/push/-1").json()
    assert ("ended_early" in report, report["source"]) == (False, None)
    assert "This task instance recorded no outcomes" in report["notes"][0]["text"]
    of_run = server.get(f"data/shop/{server.run}").json()
    assert "ended_early" not in of_run
    assert [note["text"][:52] for note in of_run["notes"]] == ["No outcome can be shown of tasks that failed: push. "]


def test_an_extract_without_orders_misses_no_results(server):
    server.push_xcom({"summary": {"total": 0}, "results_path": str(server.folder())})
    for path in (f"shop/{server.run}/push/-1", f"shop/{server.run}"):
        assert server.get(f"data/{path}").json()["notes"] == []


def test_an_id_that_an_extract_holds_twice_counts_twice(server, pushed):
    counted = {"total": 7, "accepted": 5, "invalid": 2}
    server.push_xcom({"summary": counted, "results_path": str(server.folder())})
    assert counts(server.get(f"data/{pushed}").json()) == {"accepted": 5, "invalid": 2}
    # the results of another try are not those that XCom is about
    server.push_xcom({"summary": counted, "results_path": str(server.folder(epoch=7))})
    assert counts(server.get(f"data/{pushed}").json())["rejected"] == 2


@pytest.mark.usefixtures("pushed")
@pytest.mark.parametrize("roots", [1, 2])
def test_a_dag_run_adds_up_its_tasks(server, monkeypatch, tmp_path, roots):
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_ROOTS", str(tmp_path))
    more = server.folder("push_more")
    # an operator with a results_path of its own
    more = more if roots == 1 else tmp_path / more.relative_to(server.results)
    server.write(more, ("R-1", "accepted", None, 0))
    for index in range(2):
        server.write(server.folder("push_shards", index, epoch=1), (f"S-{index}", "accepted", None, 0))
        server.write(server.folder("push_shards", index), ("older", "rejected", "x", 0))
        server.push_xcom({"summary": {"total": 1, "accepted": 1}}, "push_shards", index)
    report = server.get(f"data/shop/{server.run}").json()
    assert counts(report) == {"accepted": 8, "rejected": 2, "invalid": 2, "not_attempted": 1}
    assert [(one["task_id"], one["map_index"]) for one in report["tasks"]] == [
        ("push", -1),
        ("push_more", -1),
        ("push_shards", 0),
        ("push_shards", 1),
    ]
    assert report["tasks"][0]["counts"]["rejected"] == 2
    assert server.get(f"orders/shop/{server.run}").json()["total"] == 13
    assert report["notes"] == []
    assert sum(one["sent"] for one in report["timeline"]) == 10
    twice = server.get(f"orders/shop/{server.run}", text="R-1", sort="outcome").json()["rows"]
    assert [row["outcome"] for row in twice] == ["accepted", "rejected"]
    assert len(list(csv.DictReader(io.StringIO(server.get(f"csv/shop/{server.run}").text)))) == 13


def test_a_dag_run_without_results_adds_up_xcom(server):
    reason = {"reason": "rejected: no", "count": 2, "example": "A"}
    server.push_xcom({"summary": {"total": 4, "accepted": 2, "rejected": 2}, "reasons": [reason]})
    other = {"reason": "rejected: no", "count": 1, "example": "B"}
    server.push_xcom({"summary": {"total": 1, "rejected": 1}, "reasons": [other], "results_path": "/x"}, "push_more")
    report = server.get(f"data/shop/{server.run}").json()
    assert report["reasons"] == [reason | {"count": 3}]
    assert "has no results of this run" in report["notes"][0]["text"]
    assert (report["source"], counts(report)) == ("xcom", {"accepted": 2, "rejected": 3})


def test_the_columns_that_were_read(server, pushed):
    folder = server.results / "shop" / "push" / "columns"
    folder.mkdir(parents=True)
    kept = {"at": "2026-11-01T03:00:00+00:00", "columns": {"extract": {"id": "string"}}}
    (folder / "_schema-20261101T030000.000000-abcdefgh.json").write_text(json.dumps(kept))
    columns = server.get(f"data/{pushed}").json()["columns"]
    assert columns == {"at": kept["at"], "extracts": kept["columns"]}


def test_airflow_gives_the_links_that_the_worker_has_kept(server):
    server.push_xcom("ecdp/report/shop/run/push/-1", key="_link_SyncReportLink")
    path = f"/api/v2/dags/shop/dagRuns/{server.run}/taskInstances/push/links"
    links = server.client.get(path, headers=server.headers()).json()["extra_links"]
    assert links == {"Sync report": "ecdp/report/shop/run/push/-1", "Results folder": None, "What to do": None}


def test_a_task_that_was_renamed_since_is_still_in_the_report_of_its_run(server):
    server.rename_task()
    folder = server.folder("push_before", dag_id="renamed")
    server.write(folder, ("A", "rejected", "x", 0), ("B", "accepted", None, 0))
    run = server.get(f"data/renamed/{server.run}").json()
    assert [(task["task_id"], task["counts"]["rejected"]) for task in run["tasks"]] == [("push_before", 1)]
    assert run["source"] == "results"
    assert server.get(f"orders/renamed/{server.run}").json()["total"] == 2
    task = server.get(f"data/renamed/{server.run}/push_before/-1").json()
    assert (task["kind"], task["source"]) == ("orders", "results")
