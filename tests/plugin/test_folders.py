"""What the API server reads: folders that it computes itself, below roots that the deployment names."""

import re
import shlex

import pytest

SUMMARY = {"mode": "Add", "total": 1, "accepted": 1}


@pytest.fixture
def reported(server):
    """Leave a results path in XCom, and return the report."""

    def report(path, **other):
        server.push_xcom({"summary": SUMMARY, "results": [], "results_path": str(path), **other})
        return server.get(f"data/shop/{server.run}/push/-1").json()

    return report


@pytest.fixture
def elsewhere(tmp_path, server):
    """Results outside of the roots."""
    server.write(tmp_path / "0", ("SECRET", "accepted", None, 0), ("SECRET-2", "rejected", "x", 0))
    return tmp_path / "0"


def test_a_path_in_xcom_is_not_read(server, reported, elsewhere):
    other_dag = server.folder(dag_id="secret")
    server.write(other_dag, ("SECRET", "accepted", None, 0), ("SECRET-2", "accepted", None, 0))
    inside = server.folder()
    for path in (
        elsewhere,
        other_dag,
        f"{inside.parent}/../../../secret/{other_dag.relative_to(server.results / 'secret')}",
        f"file://{elsewhere}",
        f"local://{elsewhere}",
        f"http://127.0.0.1:1/{inside.relative_to(server.results)}",
        f"simplecache::file://{elsewhere}",
        "memory://x",
        "/",
        "",
    ):
        report = reported(path)
        assert report["source"] == "xcom", path
        assert "SECRET" not in str(report), path
        assert server.get(f"orders/shop/{server.run}/push/-1").status_code == 404


def test_a_reader_is_told_which_root_to_configure(server, reported, tmp_path, monkeypatch):
    folder = tmp_path / server.folder().relative_to(server.results)
    server.write(folder, ("A", "accepted", None, 0))
    (note,) = reported(folder)["notes"]
    assert str(folder) in note["text"]
    assert f"add {tmp_path} to results_roots in the section [ecdp]" in note["text"]
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_ROOTS", f"/nowhere, {tmp_path}/")
    report = reported(folder)
    assert (report["notes"], report["source"]) == ([], "results")


def test_a_reader_is_told_that_the_api_server_has_not_the_workers_disk(server, reported):
    (note,) = reported(server.folder())["notes"]
    assert "the API server finds nothing there" in note["text"]


def test_a_command_to_paste_holds_a_path_of_an_xcom_as_one_word(reported):
    (note,) = reported("/x'; rm -r ~ '")["notes"]
    (command,) = re.findall("ecdp results .*", note["text"])
    assert shlex.split(command) == ["ecdp", "results", "/x'; rm -r ~ '", "--failed"]


def test_a_path_with_credentials_is_shown_without_them(reported):
    report = reported("s3://user:hunter2@bucket/x")
    assert "hunter2" not in str(report)


@pytest.mark.parametrize(
    ("linked", "inside", "root"),
    [
        ("run", False, "{results}"),
        ("run", True, "{results}"),
        ("task", False, "file://{results}"),
        ("task", True, "{results}"),
        ("file", False, "{results}"),
        ("file", True, "file://{results}"),
    ],
)
def test_links_below_a_root_are_not_followed(server, reported, elsewhere, monkeypatch, linked, inside, root):
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", root.format(results=server.results))
    target = server.folder(dag_id="secret") if inside else elsewhere
    if inside:
        server.write(target, ("SECRET", "accepted", None, 0), ("SECRET-2", "rejected", "x", 0))
    folder = server.folder()
    link, leads_to = {
        "run": (folder.parents[1], target.parents[1]),
        "task": (folder.parent, target.parent),
        "file": (folder / "a.parquet", target / "a.parquet"),
    }[linked]
    link.parent.mkdir(parents=True)
    link.symlink_to(leads_to)
    for report in (reported(folder), server.get(f"data/shop/{server.run}").json()):
        assert (report["source"], "SECRET" in str(report)) == ("xcom", False)
    for kind in ("orders", "csv", "history"):
        for ids in (f"shop/{server.run}/push/-1", f"shop/{server.run}"):
            answer = server.get(f"{kind}/{ids}", order_id="SECRET")
            assert answer.status_code in {200, 404, 409}
            assert "SECRET-2" not in answer.text
            assert "SECRET" not in str(answer.json().get("rows", ""))
    link.unlink()


def test_columns_behind_a_link_are_not_read(server, elsewhere):
    server.write(server.folder(), ("A", "accepted", None, 0))
    note = elsewhere / "_schema-20261101T030000.000000-abcdefgh.json"
    note.write_text('{"at": "2026-11-01T03:00:00+00:00", "columns": {"SECRET": {}}}')
    columns = server.results / "shop" / "push" / "columns"
    columns.parent.mkdir(parents=True, exist_ok=True)
    columns.symlink_to(elsewhere)
    assert server.get(f"data/shop/{server.run}/push/-1").json()["columns"] is None
    columns.unlink()


def test_a_root_may_be_a_link(server, reported, tmp_path, monkeypatch):
    server.write(server.folder(), ("A", "accepted", None, 0))
    (tmp_path / "link").symlink_to(server.results)
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", str(tmp_path / "link"))
    assert reported(server.folder())["source"] == "results"


def test_the_results_of_the_newest_epoch_are_read(server, reported):
    for epoch in (2, 10, 9):
        server.write(server.folder(epoch=epoch), (f"epoch {epoch}", "accepted", None, 0))
    report = reported(server.folder(epoch=2))
    assert [one["count"] for one in report["outcomes"] if one["count"]] == [1]
    (order,) = server.get(f"orders/shop/{server.run}/push/-1").json()["rows"]
    assert order["order_id"] == "epoch 10"


def test_a_storage_without_an_answer_is_a_note(reported, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", "nosuch://bucket/x")
    report = reported("x")
    assert report["source"] == "xcom"
    assert "cannot be read: " in report["notes"][0]["text"]


def test_a_root_that_cannot_be_read_hides_no_other(server, reported, monkeypatch):
    for roots in ("nosuch://bucket/x,{results}", "{results},nosuch://bucket/x"):
        monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", "")
        monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_ROOTS", roots.format(results=server.results))
        server.write(server.folder(), ("A", "rejected", "x", 0))
        report = reported(server.folder())
        assert (report["source"], report["notes"]) == ("results", [])
        # another task may have kept its results there
        of_run = server.get(f"data/shop/{server.run}").json()
        assert of_run["source"] == "results"
        assert "Some of the results cannot be read: nosuch://" in of_run["notes"][0]["text"]
        for ids in (f"shop/{server.run}/push/-1", f"shop/{server.run}"):
            assert server.get(f"orders/{ids}").json()["total"] == 1
            history = server.get(f"history/{ids}", order_id="A").json()
            assert ([row["order_id"] for row in history["rows"]], len(history["unread"])) == (["A"], history["runs"])


def test_results_in_an_object_storage_are_read_with_the_connection_of_the_root(
    server, reported, s3, tmp_path, monkeypatch
):
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", "s3://aws_default@warehouse/results")
    server.write(tmp_path, ("A", "rejected", "x", 0), ("B", "accepted", None, 0))
    inside = server.folder().relative_to(server.results)
    s3.files.put(str(tmp_path / "a.parquet"), f"warehouse/results/{inside}/a.parquet")
    report = reported(f"s3://aws_default@warehouse/results/{inside}")
    assert (report["source"], report["notes"]) == ("results", [])
    (order,) = server.get(f"orders/shop/{server.run}/push/-1", failed=True).json()["rows"]
    assert order["order_id"] == "A"
    assert len(server.get(f"history/shop/{server.run}/push/-1", order_id="A").json()["rows"]) == 1
    assert server.get(f"orders/shop/{server.run}").json()["total"] == 2


def test_a_connection_in_airflows_database_is_found(server, reported, s3, tmp_path, monkeypatch):
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", "s3://aws_in_database@warehouse/results")
    server.write(tmp_path, ("A", "rejected", "x", 0))
    inside = server.folder().relative_to(server.results)
    s3.files.put(str(tmp_path / "a.parquet"), f"warehouse/results/{inside}/a.parquet")
    with create_session() as session:
        session.add(Connection.from_json(s3.connection(), conn_id="aws_in_database"))
    assert reported(f"s3://aws_in_database@warehouse/results/{inside}")["source"] == "results"
