import datetime as dt
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.sample import Sample
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.sandbox.server import SandboxServer

pytestmark = pytest.mark.slow

DAY = dt.date(2026, 11, 1)
SECRET = "a-key-that-nobody-may-read"
#: An outage: the client does not try again after a redirect, so no test waits for its pauses.
REDIRECTS = {"error_before": 1, "error_statuses": (302,)}


@pytest.fixture
def forty(airflow):
    """The configuration of a run that reads 40 good orders."""
    Sample(orders=40, day=DAY).write(airflow.extracts / "forty.parquet")
    return {"file": "forty.parquet"}


def test_a_retry_after_an_outage_goes_on_and_counts_the_whole_run(airflow, sandbox, connect, forty):
    connect(sandbox.url)
    sandbox.faults = Faults(**REDIRECTS, first_request=3, last_request=6)
    run = airflow.run("tried_push", conf=forty)
    assert (run.state, run.tries["push"]) == ("success", 2)
    summary = run.xcom["push"]["summary"]
    assert (summary["total"], summary["accepted"], summary["skipped"], summary["requests"]) == (40, 40, 0, 2)
    assert sandbox.store.total_writes() == 40


def test_a_retry_of_deletions_goes_on_and_counts_the_whole_run(airflow, sandbox, connect, forty):
    connect(sandbox.url)
    airflow.run("tried_push", conf=forty, logical_date=dt.datetime(2026, 11, 21, tzinfo=dt.UTC))
    # five deletions fail, and so does the last one that was accepted, sent again: the run stops
    sandbox.faults = Faults(**REDIRECTS, first_request=11, last_request=16)
    run = airflow.run("tried_deletions", conf=forty, logical_date=dt.datetime(2026, 11, 21, tzinfo=dt.UTC))
    assert (run.state, run.tries["delete"]) == ("success", 2)
    summary = run.xcom["delete"]["summary"]
    assert (summary["total"], summary["accepted"], summary["missing"], summary["requests"]) == (40, 40, 0, 30)
    assert sandbox.store.count() == 0


@pytest.fixture
def cleared(airflow):
    """Clear the task of a run, run it again, and return its XCom."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session

    def clear(run):
        with create_session() as session:
            (ti,) = session.query(TaskInstance).filter_by(dag_id="tried_push", run_id=run.dag_run.run_id)
            clear_task_instances([ti], session)
            ti.try_number += 1
            session.commit()
            _run_task(ti=ti, task=airflow.bag.dags["tried_push"].task_dict["push"])
            return ti.xcom_pull(task_ids="push", session=session)

    return clear


def test_clearing_a_task_pushes_again(airflow, sandbox, connect, forty, cleared):
    connect(sandbox.url)
    run = airflow.run("tried_push", conf=forty, logical_date=dt.datetime(2026, 11, 2, tzinfo=dt.UTC))
    first = run.xcom["push"]["results_path"]
    again = cleared(run)
    assert (again["summary"]["accepted"], again["summary"]["requests"]) == (40, 4)
    assert again["results_path"] != first
    assert sandbox.store.total_writes() == 80


def test_a_cleared_task_resumes_after_an_outage_that_outlasted_the_retries(airflow, sandbox, connect, forty, cleared):
    connect(sandbox.url)
    sandbox.faults = Faults(**REDIRECTS, first_request=3)
    conf = forty | {"on_clear": "resume"}
    run = airflow.run("tried_push", conf=conf, logical_date=dt.datetime(2026, 11, 9, tzinfo=dt.UTC))
    first = run.xcom["push"]
    assert (run.state, first["summary"]["accepted"]) == ("failed", 20)
    sandbox.faults = Faults()
    again = cleared(run)
    assert (again["summary"]["accepted"], again["summary"]["requests"]) == (40, 2)
    assert again["results_path"] == first["results_path"]
    assert sandbox.store.total_writes() == 40


def test_a_task_that_fails_for_good_is_not_retried_and_its_xcom_stays(airflow, sandbox, connect, forty):
    connect(sandbox.url)
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000013"}))
    run = airflow.run("tried_push", conf=forty, logical_date=dt.datetime(2026, 11, 3, tzinfo=dt.UTC))
    assert (run.state, run.tries["push"]) == ("failed", 1)
    assert run.xcom["push"]["results"][0]["order_id"] == "ORD-00000013"
    assert run.xcom["push"]["summary"]["accepted"] == 39


def test_a_task_that_is_out_of_retries_leaves_its_xcom(airflow, sandbox, connect, forty):
    connect(sandbox.url)
    sandbox.faults = Faults(**REDIRECTS, first_request=3)
    run = airflow.run("tried_push", conf=forty, logical_date=dt.datetime(2026, 11, 4, tzinfo=dt.UTC))
    assert (run.state, run.tries["push"]) == ("failed", 2)
    summary = run.xcom["push"]["summary"]
    assert (summary["accepted"], summary["unresolved"] + summary["not_attempted"]) == (20, 20)


@pytest.mark.parametrize("accepted", [True, False], ids=["orders-fail", "key-refused"])
def test_the_key_and_customers_are_in_no_log_and_no_rendered_field(
    airflow, connect, forty, capfd, rendered_fields, accepted
):
    with SandboxServer(SECRET if accepted else "another") as server:
        connect(server.url, password=SECRET)
        server.faults = Faults(reject_ids=frozenset({"ORD-00000013"}))
        run = airflow.run("tried_push", conf=forty, logical_date=dt.datetime(2026, 11, 5, tzinfo=dt.UTC))
    assert run.state == "failed"
    printed = capfd.readouterr()
    files = [path for path in (Path(os.environ["AIRFLOW_HOME"]) / "logs").rglob("*") if path.is_file()]
    logs = "\n".join([printed.out, printed.err, *(path.read_text(encoding="utf-8") for path in files)])
    assert "orders failed" in logs
    for text in (logs, rendered_fields(), str(run.xcom)):
        assert SECRET not in text
        assert "@example." not in text


def test_mapped_tasks_have_outcomes_and_folders_of_their_own(airflow, sandbox, connect, rendered_fields):
    connect(sandbox.url)
    for part in range(2):
        Sample(orders=20 + part, seed=part, day=DAY).write(airflow.extracts / f"part-{part}.parquet")
    run = airflow.run("tried_mapping")
    assert run.state == "success"
    assert [xcom["summary"]["total"] for xcom in run.xcom["push"]] == [20, 21]
    assert len({xcom["results_path"] for xcom in run.xcom["push"]}) == 2
    assert [xcom["summary"]["accepted"] for xcom in run.xcom["push_orders"]] == [1, 1]
    assert [xcom["summary"]["accepted"] for xcom in run.xcom["get"]] == [1, 2]
    assert "1 orders, which may hold personal data and are not shown" in rendered_fields()
    assert "customer@example.com" not in rendered_fields()


@pytest.fixture
def sharded(airflow):
    """A folder of 80 good orders in eight row groups."""
    Sample(orders=80, day=DAY).write(airflow.extracts / "eighty.parquet")
    folder = airflow.extracts / "sharded"
    folder.mkdir(exist_ok=True)
    pq.write_table(pq.read_table(airflow.extracts / "eighty.parquet"), folder / "orders.parquet", row_group_size=10)


@pytest.mark.usefixtures("sharded")
def test_shards_resume_and_remember_each_for_itself_and_for_all(airflow, sandbox, connect):
    connect(sandbox.url)
    # one shard meets an outage, and gives up: its retry goes on
    sandbox.faults = Faults(**REDIRECTS, first_request=4, last_request=7)
    run = airflow.run("tried_shards", conf={"most": 4}, logical_date=dt.datetime(2026, 11, 6, tzinfo=dt.UTC))
    total = run.xcom["add_up"]["summary"]
    assert (run.state, sorted(run.tries["push"])) == ("success", [1, 1, 1, 2])
    assert (total["total"], total["accepted"], total["shards"], total["shards_missing"]) == (80, 80, 4, 0)
    assert sandbox.store.total_writes() == 80
    # another layout the next time: what any shard had accepted is not sent again
    again = airflow.run("tried_shards", conf={"most": 2}, logical_date=dt.datetime(2026, 11, 7, tzinfo=dt.UTC))
    total = again.xcom["add_up"]["summary"]
    assert (total["total"], total["skipped"], total["requests"], total["shards"]) == (80, 80, 0, 2)


@pytest.mark.usefixtures("sharded")
def test_a_shard_that_fails_is_in_the_sum_and_one_without_a_result_is_missing(airflow, sandbox, connect):
    connect(sandbox.url)
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000013"}))
    shutil.rmtree(airflow.results / "sharded", ignore_errors=True)
    run = airflow.run(
        "tried_shards", conf={"most": 4, "outdated": 2}, logical_date=dt.datetime(2026, 11, 8, tzinfo=dt.UTC)
    )
    assert run.states["push"] == ["failed", "success", "failed", "success"]
    total = run.xcom["add_up"]
    assert (total["summary"]["accepted"], total["summary"]["rejected"], total["summary"]["total"]) == (59, 1, 60)
    assert (total["summary"]["shards_failed"], total["summary"]["shards_missing"]) == (1, 1)
    assert [result["order_id"] for result in total["results"]] == ["ORD-00000013"]


def test_a_dag_reads_s3_keeps_its_results_there_and_goes_on_from_them(airflow, sandbox, connect, s3, tmp_path, capfd):
    connect(sandbox.url)
    Sample(orders=40, day=DAY).write(tmp_path / "part.parquet")
    s3.files.put(str(tmp_path / "part.parquet"), "warehouse/orders/2026-11-06/part.parquet")
    sandbox.faults = Faults(**REDIRECTS, first_request=3, last_request=6)
    run = airflow.run("tried_storage", logical_date=dt.datetime(2026, 11, 6, tzinfo=dt.UTC))
    assert (run.state, run.tries["push"]) == ("success", 2)
    xcom = run.xcom["push"]
    assert (xcom["summary"]["accepted"], xcom["summary"]["requests"], sandbox.store.total_writes()) == (40, 2, 40)
    assert s3.files.find(xcom["results_path"].replace("s3://aws_default@", ""))
    assert "made-up-storage-secret" not in "".join(capfd.readouterr())


def test_a_sensor_is_deferred_while_ecdp_does_not_answer(airflow, connect, sandbox, store_in):
    connect(sandbox.url)
    store_in(sandbox, "S-1")
    sandbox.faults = Faults(error_before=1.0, error_statuses=(503,), last_request=3)
    run = airflow.run("tried_sensor", conf={"order_id": "S-1"})
    assert run.state == "success"
    assert run.xcom["wait"] == {"order_id": "S-1", "status": "Paid"}
    assert [request.status for request in sandbox.store.requests if request.method == "GET"] == [503, 503, 503, 200]
