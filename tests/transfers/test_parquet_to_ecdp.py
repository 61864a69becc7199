import datetime as dt
import re
import traceback
from pathlib import Path

import duckdb
import pytest
from airflow.sdk import DAG, Asset, ObjectStoragePath
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.errors import ConfigurationError, MissingSourceError, PushStoppedError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException, AirflowSkipException
from airflow_provider_ecdp.ledger import write_clock
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.operators.ecdp import EcdpDeleteOrderOperator
from airflow_provider_ecdp.results.folders import deletions_folder
from airflow_provider_ecdp.sample import LINES_SQL, Sample
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator
from airflow_provider_ecdp.transfers.parquet_to_ecdp_changes import ParquetToEcdpDeletionsOperator

DAY = dt.date(2026, 11, 1)


@pytest.fixture(autouse=True)
def connection(sandbox, connect):
    connect(sandbox.url, extra={"max_in_flight": 1})


@pytest.fixture
def extract(tmp_path):
    """A file of 40 good orders."""
    path = tmp_path / "orders_2026-11-01.parquet"
    Sample(orders=40, day=DAY).write(path)
    return path


@pytest.fixture
def push(extract):
    """Make the operator; without retries of single requests, so that an outage takes no time."""

    def make(path=extract, **arguments):
        operator = ParquetToEcdpOperator(task_id="push", path=str(path), batch_size=10, **arguments)
        operator.hook = EcdpHook("ecdp_default", policy=RetryPolicy(max_attempts=1))
        return operator

    return make


def results_in(folder):
    return duckdb.sql(f"SELECT order_id, outcome FROM '{folder}/*.parquet'").fetchall()


def test_a_file_is_pushed_and_every_order_has_an_outcome(push, context, sandbox):
    xcom = push().execute(context)
    assert sandbox.store.count() == 40
    summary = xcom["summary"]
    assert (summary["mode"], summary["total"], summary["accepted"], summary["requests"]) == ("AddOrReplace", 40, 40, 4)
    assert len(xcom["results"]) == 40
    assert xcom["results"][0] == {
        "order_id": "ORD-00000001",
        "outcome": "accepted",
        "reason": None,
        "http_status": 201,
        "attempts": 1,
    }
    assert xcom["results_path"] is None


@pytest.mark.parametrize("path", ["{}", "file://{}", "{}/*_2026-11-??.parquet", "file://{}/*.parquet"])
def test_a_path_is_a_folder_a_glob_or_a_url(push, context, extract, sandbox, path):
    push(path=path.format(extract.parent)).execute(context)
    assert sandbox.store.count() == 40


def test_a_path_can_be_an_object_of_airflows(context, extract, sandbox):
    path = ObjectStoragePath(f"file://{extract}")
    ParquetToEcdpOperator(task_id="push", path=path).execute(context)
    assert sandbox.store.count() == 40


def test_path_mode_and_sql_are_templated_and_sql_can_be_a_file(context, sandbox, tmp_path):
    Sample(orders=20, lines=True, day=DAY).write(tmp_path / "lines_push.parquet")
    (tmp_path / "orders.sql").write_text(LINES_SQL + "HAVING order_id != '{{ params.without }}'", encoding="utf-8")
    with DAG("rendering", schedule=None, template_searchpath=str(tmp_path)):
        operator = ParquetToEcdpOperator(
            task_id="push",
            path=f"{tmp_path}/lines_{{{{ ti.task_id }}}}.parquet",
            sql="orders.sql",
            mode="{{ params.mode }}",
            max_failed="{{ params.tolerated }}",
        )
    context["params"] = {"without": "ORD-00000007", "mode": "add", "tolerated": "1%"}
    operator.render_template_fields(context)
    xcom = operator.execute(context)
    assert (xcom["summary"]["mode"], xcom["summary"]["accepted"]) == ("Add", 19)
    assert sandbox.store.count() == 19


def test_naive_timestamps_are_read_in_the_zone_that_is_named(push, context, sandbox, tmp_path):
    path = tmp_path / "naive.parquet"
    duckdb.sql(
        f"""COPY (SELECT '1' AS id, TIMESTAMP '2026-07-01 12:00:00' AS date, 1.5 AS total_value,
        {{'email': 'a@example.com'}} AS customer,
        [{{'id': 'p', 'name': 'n', 'price': 1.5, 'quantity': 1}}] AS products) TO '{path}'"""
    )
    push(path=path, timezone="Europe/Warsaw").execute(context)
    assert sandbox.store.get("1")["date"] == "2026-07-01T10:00:00.000Z"


def test_warnings_are_counted_and_can_be_made_errors(push, context, tmp_path):
    path = tmp_path / "odd.parquet"
    Sample(orders=30, odd=3, day=DAY).write(path)
    xcom = push(path=path).execute(context)
    assert (xcom["summary"]["accepted"], xcom["summary"]["warnings"]) == (30, 3)
    promoted = push(path=path, warnings_as_errors="status_spelling", max_failed=1).execute(context)
    assert (promoted["summary"]["accepted"], promoted["summary"]["invalid"]) == (29, 1)
    with pytest.raises(ConfigurationError, match="there is no warning status_speling"):
        push(path=path, warnings_as_errors=["status_speling"])


def test_orders_that_failed_fail_the_task_for_good_after_all_was_sent_and_recorded(push, context, sandbox, tmp_path):
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000003"}))
    with pytest.raises(AirflowFailException, match="1 of 40 orders failed") as raised:
        push(results_path=str(tmp_path / "results")).execute(context)
    assert "ORD-00000003" in str(raised.value)
    assert sandbox.store.count() == 39
    xcom = context["ti"].xcoms["return_value"]
    assert xcom["results"][0]["outcome"] == "rejected"
    assert sorted(results_in(xcom["results_path"]))[2] == ("ORD-00000003", "rejected")
    assert len(results_in(xcom["results_path"])) == 40


def test_some_failures_can_be_tolerated(push, context, sandbox):
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000003"}))
    assert push(max_failed="2.5%").execute(context)["summary"]["rejected"] == 1


def test_the_list_in_xcom_is_cut_and_the_results_are_whole(push, context, sandbox, tmp_path):
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000030"}))
    xcom = push(results_limit=5, max_failed=1, results_path=str(tmp_path / "results")).execute(context)
    assert [result["order_id"] for result in xcom["results"]][:2] == ["ORD-00000030", "ORD-00000001"]
    assert len(xcom["results"]) == 5
    assert len(results_in(xcom["results_path"])) == 40


def test_an_outage_is_retried_by_airflow_and_the_retry_goes_on_where_it_stopped(push, make_context, sandbox, tmp_path):
    results = str(tmp_path / "results")
    sandbox.faults = Faults(error_before=1, error_statuses=(500,), first_request=3)
    first = make_context()
    with pytest.raises(PushStoppedError):
        push(results_path=results).execute(first)
    assert first["ti"].xcoms["return_value"]["summary"]["accepted"] == 20
    sandbox.faults = Faults()
    second = push(results_path=results).execute(make_context(try_number=2))
    # the counts are those of the whole run
    assert (second["summary"]["total"], second["summary"]["accepted"], second["summary"]["skipped"]) == (40, 40, 0)
    assert second["summary"]["requests"] == 2
    assert second["results_path"] == first["ti"].xcoms["return_value"]["results_path"]
    assert sandbox.store.total_writes() == 40


def test_a_cleared_task_pushes_everything_again(push, make_context, sandbox, tmp_path):
    results = str(tmp_path / "results")
    push(results_path=results).execute(make_context(max_tries=3))
    again = push(results_path=results).execute(make_context(try_number=2, max_tries=4))
    assert (again["summary"]["accepted"], again["summary"]["requests"]) == (40, 4)
    assert sandbox.store.total_writes() == 80


def test_a_run_over_the_results_of_another_of_its_name_skips_and_says_so(push, make_context, tmp_path, capsys):
    results = str(tmp_path / "results")
    push(results_path=results).execute(make_context())
    assert "results of an earlier run" not in capsys.readouterr().out
    again = push(results_path=results).execute(make_context())
    assert again["summary"]["skipped"] == 40
    assert "results of an earlier run" in capsys.readouterr().out


def test_a_retry_in_mode_add_sends_nothing_twice_even_without_results(push, make_context, sandbox):
    sandbox.faults = Faults(reset_after=1, first_request=3)
    with pytest.raises(PushStoppedError):
        push(mode="add").execute(make_context())
    assert sandbox.store.count() > 20
    sandbox.faults = Faults()
    second = push(mode="add").execute(make_context(try_number=2))
    assert second["summary"]["accepted"] == 40
    assert sandbox.store.total_writes() == 40


def test_only_changed_orders_are_sent_in_later_runs(push, make_context, sandbox, tmp_path):
    results = str(tmp_path / "results")
    push(results_path=results, only_changed=True).execute(make_context(run_id="first"))
    changed = tmp_path / "changed.parquet"
    duckdb.sql(
        f"""COPY (SELECT * REPLACE (if(id = 'ORD-00000005', 'canceled', status) AS status)
        FROM '{tmp_path}/orders_2026-11-01.parquet') TO '{changed}'"""
    )
    second = push(path=changed, results_path=results, only_changed=True).execute(make_context(run_id="second"))
    assert (second["summary"]["accepted"], second["summary"]["skipped"]) == (1, 39)
    assert sandbox.store.repeated_writes() == {"ORD-00000005": 2}


def test_a_full_resync_is_noted_in_a_history_that_is_there(push, make_context, tmp_path):
    results, changed = str(tmp_path / "results"), tmp_path / "changed.parquet"
    duckdb.sql(
        f"""COPY (SELECT * REPLACE ('canceled' AS status) FROM '{tmp_path}/orders_2026-11-01.parquet') TO '{changed}'"""
    )

    def run(run_id, **arguments):
        return push(results_path=results, **arguments).execute(make_context(run_id=run_id))["summary"]

    # nobody compares: no history is made
    assert run("one")["accepted"] == 40
    assert not list(tmp_path.glob("results/*/*/history"))
    assert run("two", only_changed=True)["accepted"] == 40
    assert run("resync", path=changed)["accepted"] == 40
    assert run("three", only_changed=True)["accepted"] == 40
    assert run("four", only_changed=True)["skipped"] == 40


@pytest.mark.parametrize("from_files", [False, True])
def test_an_order_that_another_task_has_deleted_is_sent_again(push, make_context, tmp_path, from_files):
    results = str(tmp_path / "results")
    push(results_path=results, only_changed=True).execute(make_context(run_id="one"))
    ids = tmp_path / "deletions.parquet"
    duckdb.sql(f"COPY (SELECT 'ORD-00000005' AS order_id) TO '{ids}'")
    how = {"task_id": "delete", "results_path": results}
    operator = (
        ParquetToEcdpDeletionsOperator(path=str(ids), **how)
        if from_files
        else EcdpDeleteOrderOperator(order_id="ORD-00000005", **how)
    )
    operator.execute(make_context(run_id="one"))
    two = push(results_path=results, only_changed=True).execute(make_context(run_id="two"))["summary"]
    assert (two["accepted"], two["skipped"]) == (1, 39)


def test_results_of_old_runs_are_removed_and_an_order_is_still_known(push, make_context, tmp_path, monkeypatch):
    class Past(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime(2020, 1, 1, tzinfo=tz)

    def run(run_id):
        settings = {"results_path": str(tmp_path / "results"), "only_changed": True, "keep_results_days": 30}
        return push(**settings).execute(make_context(run_id=run_id))

    with monkeypatch.context() as patch:
        patch.setattr(write_clock.dt, "datetime", Past)
        first = run("first")
    assert first["summary"]["accepted"] == 40
    assert Path(first["results_path"]).is_dir()
    second = run("second")
    assert second["summary"]["skipped"] == 40
    assert not Path(first["results_path"]).exists()
    assert Path(second["results_path"]).is_dir()


def test_the_deletions_of_a_connection_are_compacted_as_its_history_is(push, make_context, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_ecdp.operators.results._MANY_FILES", 2)
    settings = {"results_path": str(tmp_path), "only_changed": True, "keep_results_days": 30}
    push(**settings).execute(make_context(run_id="first"))
    deletions = Path(deletions_folder(str(tmp_path), "ecdp_default"))
    for order_id in ("ORD-00000005", "ORD-00000006", "ORD-00000005"):
        ledger = Ledger(deletions)
        ledger.note_deleted([order_id])
        ledger.flush()
    assert len(list(deletions.glob("*.parquet"))) == 3

    second = push(**settings).execute(make_context(run_id="second"))["summary"]
    assert (second["accepted"], second["skipped"]) == (2, 38)
    assert len(list(deletions.glob("*.parquet"))) == 1
    assert push(**settings).execute(make_context(run_id="third"))["summary"]["skipped"] == 40


def test_what_another_connection_took_is_no_reason_to_skip(push, make_context, sandbox, connect, tmp_path):
    results = str(tmp_path / "results")
    push(results_path=results, only_changed=True).execute(make_context(run_id="first"))
    connect(sandbox.url, conn_id="ecdp_other")
    other = push(results_path=results, only_changed=True, ecdp_conn_id="ecdp_other")
    assert other.execute(make_context(run_id="second"))["summary"]["accepted"] == 40


def test_only_changed_needs_a_memory(push, context, sandbox):
    with pytest.raises(AirflowFailException, match="only_changed needs results_path: set it"):
        push(only_changed=True).execute(context)
    assert not sandbox.store.requests


def test_orders_that_were_refused_are_replayed(push, make_context, sandbox, tmp_path):
    results = str(tmp_path / "results")
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000003", "ORD-00000020"}))
    first = push(results_path=results, max_failed=2).execute(make_context(run_id="first"))
    sandbox.faults = Faults()
    replayed = push(results_path=results, replay_from=first["results_path"]).execute(make_context(run_id="second"))
    assert (replayed["summary"]["total"], replayed["summary"]["accepted"]) == (2, 2)
    assert sandbox.store.count() == 40


def test_the_results_path_of_airflows_settings_is_used(push, context, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", str(tmp_path / "from-settings"))
    assert push().execute(context)["results_path"].startswith(f"{tmp_path}/from-settings/shop/")


def test_results_can_be_under_a_url(push, context, tmp_path):
    xcom = push(results_path=f"file://{tmp_path}/results").execute(context)
    assert xcom["results_path"].startswith(f"file://{tmp_path}/results/shop/")
    assert Ledger(xcom["results_path"]).rows(["order_id"]).read_all().num_rows == 40


def test_mapped_tasks_keep_their_results_apart(push, make_context, tmp_path):
    results = str(tmp_path / "results")
    paths = {push(results_path=results).execute(make_context(map_index=i))["results_path"] for i in (0, 1)}
    assert len(paths) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number, 1 or more, not 0"),
        ({"batch_bytes": "4MB"}, "batch_bytes must be a whole number"),
        ({"max_in_flight": 1.5}, "max_in_flight must be a whole number"),
        ({"request_budget": -1}, "request_budget must be a whole number"),
        ({"results_limit": -1}, "results_limit must be a whole number"),
        ({"on_empty": "ignore"}, "on_empty must be fail, skip or succeed"),
        ({"on_drift": "stop"}, "on_drift must be ignore, warn or fail"),
        ({"mode": "upsert"}, "mode: 'upsert' is not a mode"),
        ({"max_failed": "1 percent"}, "max_failed '1 percent' is neither a count"),
        ({"timezone": "Mars/Olympus"}, "timezone must be an IANA time zone, such as Europe/Warsaw"),
        ({"dry_run": "perhaps"}, "dry_run must be true or false, not 'perhaps'"),
        ({"only_changed": 2}, "only_changed must be true or false, not 2"),
        ({"mapping": {"id": 7}}, "mapping"),
        ({"results_path": 7}, "results_path must be a folder or the URL of one, not 7"),
    ],
)
def test_a_parameter_that_is_wrong_is_an_error_of_the_dag_that_names_it(arguments, message):
    with pytest.raises(ConfigurationError, match=f"ParquetToEcdpOperator push: {re.escape(message)}"):
        ParquetToEcdpOperator(task_id="push", path="orders.parquet", **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sql": "SELECT 1 AS id FROM extract"}, "date"),
        ({"sql": "SELEC"}, "SQL text does not parse"),
        ({"sql": "SELECT * FROM read_csv('/etc/passwd')"}, "SQL"),
        ({"path": "/no/such/file.parquet"}, "no such file"),
        ({"path": "gs://bucket/orders.parquet"}, "install the Airflow provider"),
        ({"replay_from": "/no/such/results"}, "has no results of an earlier run"),
    ],
)
def test_what_no_retry_can_heal_fails_for_good_before_anything_is_sent(push, context, sandbox, arguments, message):
    with pytest.raises(AirflowFailException, match=message):
        push(**arguments).execute(context)
    assert not sandbox.store.requests


def test_a_file_that_is_no_parquet_fails_for_good(push, context, tmp_path):
    (tmp_path / "text.parquet").write_text("id,date", encoding="utf-8")
    with pytest.raises(AirflowFailException, match="cannot be read as Parquet"):
        push(path=tmp_path / "text.parquet").execute(context)


def test_a_missing_file_is_a_failure_a_retry_or_a_skip(push, context, sandbox):
    missing = "/no/such/file.parquet"
    with pytest.raises(AirflowFailException, match="Check whether the export has run") as failed:
        push(path=missing).execute(context)
    assert "Airflow does not retry this" in str(failed.value)
    with pytest.raises(MissingSourceError, match="no such file") as retried:
        push(path=missing, on_missing="retry", retries=3).execute(context)
    assert "Airflow retries this while the task has retries left (retries=3)" in str(retried.value)
    with pytest.raises(AirflowSkipException, match="no such file"):
        push(path=missing, on_missing="skip").execute(context)
    assert not sandbox.store.requests


@pytest.mark.parametrize(("on_missing", "kind"), [("fail", AirflowFailException), ("retry", MissingSourceError)])
def test_the_log_of_a_failed_task_has_one_line_of_this_package_in_its_traceback(push, context, on_missing, kind):
    with pytest.raises(kind) as failed:
        push(path="/no/such/file.parquet", on_missing=on_missing, retries=3).execute(context)
    ours = [frame.name for frame in traceback.extract_tb(failed.tb) if "airflow_provider_ecdp" in frame.filename]
    assert ours == ["execute"]
    assert "".join(traceback.format_exception(failed.value)).count("Traceback") == 1


def test_the_message_of_a_failed_task_says_what_to_do_with_what_why_and_how_to_list_the_orders(
    push, context, sandbox, tmp_path
):
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000013"}))
    with pytest.raises(AirflowFailException) as failed:
        push(results_path=str(tmp_path / "results"), retries=3).execute(context)
    first, *_, last = lines = str(failed.value).splitlines()
    assert first == "Correct the orders that failed: the reasons follow (connection 'ecdp_default')."
    assert last == "Airflow does not retry this, even where the task has retries: the same would fail again."
    path = context["ti"].xcoms["return_value"]["results_path"]
    assert f"To list the failed orders: ecdp results {path} --failed" in lines


def test_an_extract_without_orders_is_a_failure_a_skip_or_a_success(push, context, tmp_path):
    path = tmp_path / "empty.parquet"
    Sample(orders=0, day=DAY).write(path)
    with pytest.raises(AirflowFailException, match="has no orders"):
        push(path=path).execute(context)
    with pytest.raises(AirflowSkipException, match="has no orders"):
        push(path=path, on_empty="skip").execute(context)
    assert push(path=path, on_empty="succeed").execute(context)["summary"]["total"] == 0


def test_a_refused_key_fails_for_good_and_is_nowhere_in_the_error(push, context, connect, sandbox):
    connect(sandbox.url, password="not-the-key")
    with pytest.raises(AirflowFailException, match="API key was refused") as raised:
        push().execute(context)
    text = "".join(traceback.format_exception(raised.value))
    assert "not-the-key" not in text
    assert "@" not in text.replace("@contextmanager", "")
    assert len(sandbox.store.requests) == 2
    assert context["ti"].xcoms["return_value"]["summary"]["not_attempted"] == 40


def test_a_connection_that_is_wrong_fails_for_good(push, context, connect):
    connect("https://api.example.com", extra={"read_timeout": "long"})
    with pytest.raises(AirflowFailException, match="field 'read_timeout'"):
        push().execute(context)


def test_the_counts_are_logged_as_a_table(push, context, sandbox, tmp_path, capsys):
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000003"}))
    xcom = push(max_failed=1, results_path=str(tmp_path / "results")).execute(context)
    log = capsys.readouterr().out
    assert "ECDP AddOrReplace: 40 orders in " in log
    assert re.search(r"^  accepted +39$", log, re.MULTILINE)
    assert re.search(r"^  rejected +1$", log, re.MULTILINE)
    assert f"results of every order: {xcom['results_path']}" in log


def test_a_task_that_is_killed_before_anything_is_sent_sends_nothing(push, context, sandbox):
    killed = push()
    killed.on_kill()
    killed.hook.stop()
    with pytest.raises(PushStoppedError, match="the task was cancelled"):
        killed.execute(context)
    assert sandbox.store.count() == 0


def test_a_killed_task_records_what_it_has_sent_and_a_retry_goes_on(push, make_context, sandbox, tmp_path, monkeypatch):
    results = str(tmp_path / "results")
    killed = push(results_path=results)

    def kill_when_some_are_stored(_):
        if sandbox.store.count():
            killed.on_kill()

    monkeypatch.setattr(killed, "_progress_logger", lambda: kill_when_some_are_stored)
    with pytest.raises(PushStoppedError, match="the task was cancelled"):
        killed.execute(make_context())
    sent = sandbox.store.count()
    assert 0 < sent < 40
    xcom = push(results_path=results).execute(make_context(try_number=2))
    assert xcom["summary"]["accepted"] == 40
    assert sandbox.store.total_writes() == 40


def test_outlets_get_the_counts(context, push):
    context["outlet_events"] = OutletEventAccessors()
    asset = Asset("ecdp_orders")
    xcom = push(outlets=[asset]).execute(context)
    assert context["outlet_events"][asset].extra == {**xcom["summary"], "results_path": None}


def test_the_extract_is_reported_to_lineage(push, context, extract, monkeypatch):
    from airflow_provider_ecdp.operators import base

    collector = pytest.importorskip("airflow.sdk.lineage", reason="Airflow 3.3 has it here").HookLineageCollector()
    monkeypatch.setattr(base, "get_hook_lineage_collector", lambda: collector)
    push().execute(context)
    assert [read.asset.uri for read in collector.collected_assets.inputs] == [f"file://{extract}"]


def test_parsing_a_dag_loads_no_arrow_and_no_duckdb():
    import subprocess
    import sys

    code = (
        "import sys; from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator as P;"
        "from airflow_provider_ecdp.transfers import parquet_to_ecdp_changes as m;"
        "from airflow_provider_ecdp.operators.ecdp import EcdpPushOrdersOperator;"
        "P(task_id='push', path='x.parquet');"
        "m.ParquetToEcdpStatusesOperator(task_id='s', path='x.parquet');"
        "m.ParquetToEcdpDeletionsOperator(task_id='d', path='x.parquet', max_deletions=1);"
        "print(sorted({'pyarrow', 'duckdb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
