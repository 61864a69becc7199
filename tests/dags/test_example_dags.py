import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.sample import Sample

pytestmark = pytest.mark.slow

DAGS = Path(__file__).parents[2] / "dags"
DAY = dt.date(2026, 11, 1)
#: when the orders of the day are pushed
NIGHT = dt.datetime(2026, 11, 2, 3, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def connection(sandbox, connect):
    connect(sandbox.url)


def test_every_example_parses_and_is_documented(airflow):
    assert airflow.bag.import_errors == {}
    examples = {dag_id: dag for dag_id, dag in airflow.bag.dags.items() if dag_id.startswith("example_")}
    assert set(examples) == {path.stem for path in DAGS.glob("example_*.py")}
    for dag in examples.values():
        assert dag.doc_md
        assert dag.tags == {"ecdp"}
        assert dag.catchup is False
        assert all(task.retries == 3 for task in dag.tasks)


@pytest.mark.parametrize("path", sorted(DAGS.glob("example_*.py")), ids=lambda path: path.stem)
def test_the_parts_that_the_docs_include_are_marked_in_pairs(path):
    text = path.read_text(encoding="utf-8")
    starts, ends = re.findall(r"# \[START (\w+)\]", text), re.findall(r"# \[END (\w+)\]", text)
    assert starts
    assert starts == ends


def test_the_nightly_push(airflow, sandbox):
    Sample(orders=2000, faulty=8, odd=3, day=DAY).write(airflow.extracts / "orders_2026-11-01.parquet")
    run = airflow.run("example_ecdp_nightly_push", logical_date=NIGHT)
    xcom = run.xcom["push_orders"]
    assert run.state == "success"
    assert (xcom["summary"]["total"], xcom["summary"]["accepted"], xcom["summary"]["invalid"]) == (2000, 1992, 8)
    assert [result["outcome"] for result in xcom["results"]] == ["invalid"] * 8 + ["accepted"] * 992
    assert xcom["results_path"].startswith(f"{airflow.results}/example_ecdp_nightly_push/")
    assert duckdb.sql(f"SELECT count(*) FROM '{xcom['results_path']}/*.parquet'").fetchall() == [(2000,)]
    assert sandbox.store.count() == 1992


def test_a_late_extract_is_waited_for(airflow, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_FS_DEFAULT", "fs://")
    Sample(orders=20, day=DAY).write(airflow.extracts / "orders_2026-09-01.parquet")
    run = airflow.run("example_ecdp_late_extract", logical_date=dt.datetime(2026, 9, 1, tzinfo=dt.UTC))
    assert run.states == {"wait_for_orders": "success", "push_orders": "success"}
    assert sandbox.store.count() == 20


def test_the_sensor_waits_while_the_extract_is_not_there(airflow, monkeypatch, context):
    monkeypatch.setenv("AIRFLOW_CONN_FS_DEFAULT", "fs://")
    sensor = airflow.bag.dags["example_ecdp_late_extract"].task_dict["wait_for_orders"]
    waiting = sensor.prepare_for_execution()
    waiting.filepath = str(airflow.extracts / "orders_2026-09-02.parquet")
    assert waiting.poke(context) is False
    Sample(orders=1, day=DAY).write(waiting.filepath)
    assert waiting.poke(context) is True


def test_a_night_with_too_many_faults_fails_once_and_xcom_shows_which(airflow, sandbox):
    Sample(orders=200, faulty=3, day=DAY).write(airflow.extracts / "orders_2026-11-02.parquet")
    run = airflow.run("example_ecdp_nightly_push", logical_date=NIGHT + dt.timedelta(days=1))
    assert (run.state, run.tries["push_orders"]) == ("failed", 1)
    assert run.xcom["push_orders"]["summary"]["invalid"] == 3
    assert sandbox.store.count() == 197
    links = run.links("push_orders")
    assert links["SyncReportLink"].endswith("/push_orders/-1")
    assert links["FailureDocsLink"].endswith("ecdp/docs/troubleshooting#orders-failed")
    assert not links["ResultsFolderLink"]
    # the button of the sync report
    Sample(orders=200, day=DAY).write(airflow.extracts / "orders_2026-11-02.parquet")
    again = airflow.run(
        "example_ecdp_nightly_push",
        logical_date=NIGHT + dt.timedelta(days=1, milliseconds=1),
        conf={"replay_from": run.xcom["push_orders"]["results_path"]},
    )
    summary = again.xcom["push_orders"]["summary"]
    assert (again.state, summary["total"], summary["accepted"]) == ("success", 3, 3)
    assert sandbox.store.count() == 200


def test_a_message_goes_to_a_webhook_where_failures_are_tolerated(airflow, webhook):
    for day, faulty in ((1, 1), (2, 0)):
        Sample(orders=100, faulty=faulty, day=DAY).write(airflow.extracts / f"orders_2026-10-{day:02}.parquet")
    first, second = (
        airflow.run("example_ecdp_notification", logical_date=dt.datetime(2026, 10, day, 3, tzinfo=dt.UTC))
        for day in (2, 3)
    )
    assert (first.state, second.state) == ("success", "success")
    (body,) = webhook
    headline, reason, path, where = body["text"].splitlines()
    assert headline == (
        "ECDP: example_ecdp_notification.push_orders succeeded; its failures were tolerated: "
        "1 of 100 orders failed (99 accepted, 1 invalid)"
    )
    assert reason.startswith("1 x invalid: ")
    assert path == f"Outcome of every order: {first.xcom['push_orders']['results_path']}"
    assert first.dag_run.run_id in where
    assert first.xcom["push_orders"]["summary"]["verified"] == 20
    assert first.xcom["push_orders"]["summary"]["verified_differ"] == 0
    # what the next runs compare with
    assert second.pull("push_orders", "ecdp_volumes") == [100, 100]


def test_an_order_is_waited_for(airflow, sandbox):
    run = airflow.run("example_ecdp_wait_for_order")
    assert run.state == "success"
    assert run.xcom["wait_for_order"] == {"order_id": "wait-1", "status": "Paid"}
    assert sandbox.store.count() == 1


def test_a_function_that_returns_orders_is_a_push(airflow, sandbox):
    run = airflow.run("example_ecdp_decorator")
    assert run.state == "success"
    assert run.xcom["push_orders"]["summary"]["accepted"] == 3
    assert sandbox.store.get("2026-11-01-3")["totalValue"] == Decimal("29.90")


def test_order_lines(airflow, sandbox):
    lines = {
        "InvoiceNo": ["1001", "1001", "C1002", "1003"],
        "StockCode": ["A", "B", "A", "A"],
        "Description": ["A mug", "A bowl", "A mug", "A mug"],
        "Quantity": pa.array([2, 1, -1, 1], pa.int32()),
        "InvoiceDate": [dt.datetime(2026, 7, 1, 9, minute) for minute in (1, 0, 30, 45)],  # noqa: DTZ001 - as warehouses have it
        "UnitPrice": [Decimal(text) for text in ("2.550", "10.000", "2.550", "1.000")],
        "CustomerID": ["17850", "17850", "13047", "13047"],
    }
    pq.write_table(pa.table(lines), airflow.extracts / "order_lines_2026-11-05.parquet")
    run = airflow.run("example_ecdp_order_lines", logical_date=dt.datetime(2026, 11, 5, tzinfo=dt.UTC))
    summary = run.xcom["push_order_lines"]["summary"]
    # a quantity below zero is a failure in this example
    assert run.state == "success"
    assert (summary["total"], summary["accepted"], summary["invalid"]) == (3, 2, 1)
    assert sandbox.store.ids() == ["1001", "1003"]
    sent = sandbox.store.get("1001")
    assert (sent["date"], sent["timeZone"]) == ("2026-07-01T08:00:00.000Z", "GMT Standard Time")
    assert (sent["totalValue"], sent["customer"]) == (Decimal("15.100"), {"crmId": "17850"})
    assert [product["id"] for product in sent["products"]] == ["A", "B"]


def test_order_lines_of_a_real_shop(airflow, sandbox, online_retail):
    (airflow.extracts / "order_lines_2026-11-01.parquet").symlink_to(online_retail)
    run = airflow.run("example_ecdp_order_lines")
    summary = run.xcom["push_order_lines"]["summary"]
    assert run.state == "success"
    assert (summary["total"], summary["accepted"], summary["invalid"]) == (1892, 1340, 552)
    sent = sandbox.store.get("536365")
    # 2010-12-01 08:26 in London, and the digits of the warehouse
    assert (sent["date"], sent["timeZone"]) == ("2010-12-01T08:26:00.000Z", "GMT Standard Time")
    assert (sent["totalValue"], sent["customer"]) == (Decimal("139.120"), {"crmId": "17850"})
    assert '"totalValue":139.120,' in sandbox.store.raw("536365")
    assert (sent["status"], len(sent["products"])) == ("Completed", 7)
    # the next day's extract is the same: nothing has changed, and nothing that was taken is sent again
    (airflow.extracts / "order_lines_2026-11-02.parquet").symlink_to(online_retail)
    again = airflow.run("example_ecdp_order_lines", logical_date=dt.datetime(2026, 11, 2, tzinfo=dt.UTC))
    summary = again.xcom["push_order_lines"]["summary"]
    assert (summary["accepted"], summary["skipped"], summary["invalid"], summary["requests"]) == (0, 1340, 552, 0)


def test_statuses_and_deletions(airflow, sandbox):
    Sample(orders=5, day=DAY).write(airflow.extracts / "orders_2026-11-03.parquet")
    airflow.run("example_ecdp_nightly_push", logical_date=NIGHT + dt.timedelta(days=2))
    duckdb.sql(
        f"""COPY (SELECT * FROM (VALUES
            ('ORD-00000001', 'completed'), ('ORD-00000002', 'cancelled'), ('ORD-00000003', 'deleted'),
            ('ORD-99999999', 'paid'), ('ORD-99999998', 'deleted')) AS changes (order_id, status)
        ) TO '{airflow.extracts}/order_changes_2026-11-03.parquet' (FORMAT parquet)"""
    )
    run = airflow.run("example_ecdp_statuses_and_deletions", logical_date=dt.datetime(2026, 11, 3, tzinfo=dt.UTC))
    assert run.state == "success"
    updated, deleted, read = (run.xcom[task] for task in ("update_statuses", "delete_orders", "read_back"))
    assert (updated["summary"]["accepted"], updated["summary"]["skipped"], updated["summary"]["missing"]) == (2, 1, 1)
    assert (deleted["summary"]["accepted"], deleted["summary"]["missing"]) == (2, 1)
    assert {result["order_id"]: result["order"] and result["order"]["status"] for result in read["results"]} == {
        "ORD-00000001": "Completed",
        "ORD-00000002": "Canceled",
        "ORD-99999999": None,
    }
    assert "customer" not in str(read)
    assert sandbox.store.ids() == ["ORD-00000001", "ORD-00000002", "ORD-00000004", "ORD-00000005"]


def test_change_extracts(airflow, sandbox):
    Sample(orders=5, day=DAY).write(airflow.extracts / "orders_2026-11-04.parquet")
    day = dt.datetime(2026, 11, 4, tzinfo=dt.UTC)
    airflow.run("example_ecdp_nightly_push", logical_date=day + dt.timedelta(days=1))
    duckdb.sql(
        f"""COPY (SELECT * FROM (VALUES
            ('ORD-00000001', 'paid'), ('ORD-00000002', 'VOIDED'), ('ORD-99999999', 'paid'), ('ORD-00000001', 'shipped')
        ) AS changes (order_no, state)) TO '{airflow.extracts}/order_statuses_2026-11-04.parquet' (FORMAT parquet)"""
    )
    duckdb.sql(
        f"""COPY (SELECT 'ORD-00000003' AS order_id)
        TO '{airflow.extracts}/order_deletions_2026-11-04.parquet' (FORMAT parquet)"""
    )
    run = airflow.run("example_ecdp_change_extracts", logical_date=day)
    assert run.state == "success"
    updated, deleted = run.xcom["update_statuses"], run.xcom["delete_orders"]
    assert (updated["summary"]["accepted"], updated["summary"]["skipped"], updated["summary"]["missing"]) == (3, 1, 1)
    assert deleted["summary"]["accepted"] == 1
    assert [sandbox.store.get(f"ORD-0000000{i}")["status"] for i in (1, 2)] == ["Completed", "Canceled"]
    assert "ORD-00000003" not in sandbox.store.ids()
    assert duckdb.sql(f"SELECT count(*) FROM '{updated['results_path']}/*.parquet'").fetchall() == [(4,)]


def test_taskflow_with_the_hook(airflow, sandbox):
    run = airflow.run("example_ecdp_taskflow")
    assert run.state == "success"
    assert run.xcom["push_orders"]["summary"]["accepted"] == 3
    assert run.xcom["record_returns"]["accepted"] == 1
    assert sandbox.store.get("2026-11-01-1")["returnsValue"] == Decimal("59.8")
    assert "returnsValue" not in sandbox.store.get("2026-11-01-2")


def test_shards_on_any_worker_and_their_sum(airflow, sandbox):
    folder = airflow.extracts / "all_orders"
    folder.mkdir()
    Sample(orders=300, faulty=2, day=DAY).write(airflow.extracts / "whole.parquet")
    pq.write_table(pq.read_table(airflow.extracts / "whole.parquet"), folder / "orders.parquet", row_group_size=50)
    run = airflow.run("example_ecdp_sharded", conf={"shards": 3})
    # two shards have a bad order each: the sum is there, and the run is red
    assert (run.state, run.states["all_pushed"]) == ("failed", "upstream_failed")
    assert sorted(run.states["push_orders"]) == ["failed", "failed", "success"]
    total = run.xcom["add_up"]
    assert (total["summary"]["total"], total["summary"]["accepted"], total["summary"]["invalid"]) == (300, 298, 2)
    assert (total["summary"]["shards"], total["summary"]["shards_failed"]) == (3, 2)
    assert [result["outcome"] for result in total["results"]] == ["invalid"] * 2
    ledgers = duckdb.sql(f"SELECT count(*) FROM '{total['results_path']}/*/*/*.parquet'").fetchall()
    assert (sandbox.store.count(), ledgers) == (298, [(300,)])


def test_the_trigger_form_offers_a_normal_run_a_dry_run_a_full_resync_and_a_replay(airflow, sandbox):
    Sample(orders=20, faulty=2, day=DAY).write(airflow.extracts / "form.parquet")

    def run(hour, **form):
        # all of them: in one process, Airflow keeps those of the run before
        defaults = {"run": "normal", "max_failed": "1%", "replay_from": None}
        conf = {"path": str(airflow.extracts / "form.parquet"), **defaults, **form}
        moment = dt.datetime(2026, 11, 20, hour, tzinfo=dt.UTC)
        return airflow.run("example_ecdp_trigger_form", logical_date=moment, conf=conf)

    dry = run(1, run="dry run", max_failed="2")
    assert (dry.state, dry.xcom["push_orders"]["summary"]["not_attempted"], sandbox.store.count()) == ("success", 18, 0)
    strict = run(2)
    summary = strict.xcom["push_orders"]["summary"]
    assert (strict.state, summary["accepted"], summary["invalid"], sandbox.store.count()) == ("failed", 18, 2, 18)
    normal = run(3, run="normal", max_failed="2").xcom["push_orders"]["summary"]
    assert (normal["accepted"], normal["skipped"], normal["requests"]) == (0, 18, 0)
    full = run(4, run="full resync", max_failed="2").xcom["push_orders"]["summary"]
    assert (full["accepted"], full["skipped"]) == (18, 0)
    Sample(orders=20, day=DAY).write(airflow.extracts / "form.parquet")
    replay = run(5, run="replay", replay_from=strict.xcom["push_orders"]["results_path"])
    assert (replay.state, replay.xcom["push_orders"]["summary"]["accepted"]) == ("success", 2)
    assert sandbox.store.count() == 20
