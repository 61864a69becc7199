import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.errors import ConfigurationError, PushStoppedError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException, AirflowSkipException
from airflow_provider_ecdp.operators import base
from airflow_provider_ecdp.operators.sharding import summarise
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.transfers.parquet_to_ecdp_changes import (
    ParquetToEcdpDeletionsOperator,
    ParquetToEcdpStatusesOperator,
)

IDS = [f"O-{i:02}" for i in range(20)]


@pytest.fixture(autouse=True)
def stored(sandbox, connect, store_in):
    """Twenty orders that ECDP has."""
    connect(sandbox.url, extra={"max_in_flight": 2})
    store_in(sandbox, *IDS)


@pytest.fixture
def write(tmp_path):
    def extract(name="changes.parquet", **columns):
        pq.write_table(pa.table(columns), tmp_path / name)
        return str(tmp_path / name)

    return extract


def without_retries(operator):
    """Take one try for a request, so that an outage takes no time."""
    operator.hook = EcdpHook(operator.ecdp_conn_id, policy=RetryPolicy(max_attempts=1))
    return operator


def statuses(path, **arguments):
    return without_retries(ParquetToEcdpStatusesOperator(task_id="statuses", path=path, **arguments))


def deletions(path, **arguments):
    return without_retries(ParquetToEcdpDeletionsOperator(task_id="deletions", path=path, **arguments))


def requests(sandbox, method):
    return [request for request in sandbox.store.requests if request.method == method]


def test_statuses_of_a_file_are_changed_and_every_row_has_an_outcome(context, sandbox, write):
    xcom = statuses(write(order_id=["O-01", "O-02", "O-01"], status=["paid", "cancelled", "completed"])).execute(
        context
    )
    assert [sandbox.store.get(i)["status"] for i in ("O-01", "O-02")] == ["Completed", "Canceled"]
    assert (xcom["summary"]["operation"], xcom["summary"]["total"], xcom["summary"]["accepted"]) == (
        "update_status",
        3,
        3,
    )
    assert xcom["results"][0] == {
        "order_id": "O-01",
        "outcome": "accepted",
        "reason": None,
        "http_status": 200,
        "attempts": 1,
    }
    assert xcom["results_path"] is None


def test_orders_of_a_folder_are_deleted_and_once_more(context, sandbox, write, tmp_path):
    write("a.parquet", order_id=["O-01", "O-02"])
    write("b.parquet", order_id=["O-03"])
    assert deletions(str(tmp_path)).execute(context)["summary"]["accepted"] == 3
    assert sandbox.store.ids() == [i for i in IDS if i not in ("O-01", "O-02", "O-03")]
    again = deletions(str(tmp_path)).execute(context)
    assert (again["summary"]["accepted"], again["summary"]["missing"]) == (3, 3)


def test_a_mapping_names_columns_and_statuses(context, sandbox, write):
    mapping = {"order_id": "no", "status": {"column": "state", "map": {"shipped": "completed"}}}
    statuses(write(no=["O-01"], state=["Shipped"]), mapping=mapping).execute(context)
    assert sandbox.store.get("O-01")["status"] == "Completed"


def test_a_mapping_may_be_json_text_and_the_partitions_that_are_wanted_are_read_alone(
    context, sandbox, write, tmp_path
):
    for day, order_id in ((1, "O-01"), (2, "O-02")):
        (tmp_path / f"lake/dt=2026-11-0{day}").mkdir(parents=True)
        write(f"lake/dt=2026-11-0{day}/a.parquet", no=[order_id])
    (tmp_path / "ids.json").write_text('{"order_id": "{{ params.column }}"}', "utf-8")
    with DAG("partitions", schedule=None, template_searchpath=str(tmp_path)):
        operator = ParquetToEcdpDeletionsOperator(
            task_id="deletions",
            path=f"{tmp_path}/lake",
            partitions={"dt": "{{ params.day }}"},
            mapping="ids.json",
        )
    context["params"] = {"day": "2026-11-02", "column": "no"}
    operator.render_template_fields(context)
    assert operator.execute(context)["summary"]["accepted"] == 1
    assert "O-01" in sandbox.store.ids()
    assert "O-02" not in sandbox.store.ids()


@pytest.mark.parametrize("kind", [statuses, deletions])
def test_a_dry_run_shows_what_would_be_done_and_sends_and_keeps_nothing(
    kind, make_context, sandbox, write, tmp_path, capsys
):
    results = tmp_path / "results"
    kind(write("a.parquet", order_id=["O-01"], status=["paid"]), results_path=str(results)).execute(make_context())
    sent, kept = len(sandbox.store.requests), sorted(results.rglob("*"))
    path = write(order_id=["O-01", "O-01", "O-02", None, ""], status=["paid"] * 5)
    look = {"results_path": str(results), "dry_run": True}
    capsys.readouterr()
    xcom = kind(path, max_failed=2, **look).execute(make_context())
    json.dumps(xcom)
    summary = xcom["summary"]
    assert (summary["dry_run"], summary["total"], summary["requests"]) == (True, 5, 0)
    assert (summary["invalid"], summary["skipped"], summary["not_attempted"]) == (2, 2, 1)
    assert xcom["check"] == {
        "summary": {
            "rows": 5,
            "valid": 3,
            "invalid": 2,
            "to_send": 1,
            "skipped": 1,
            "repeated": 1,
            "requests": 1,
        },
        "problems": [
            {
                "field": "order id",
                "rule": "must be text or a whole number",
                "count": 1,
                "examples": [None],
                "got": [{"value": "nothing", "count": 1}],
            },
            {
                "field": "order id",
                "rule": "must not be empty or blank",
                "count": 1,
                "examples": [""],
                "got": [],
            },
        ],
    }
    log = capsys.readouterr().out
    assert "Dry run: 5 rows checked; nothing was sent" in log
    assert "1 change would be sent, one request each" in log
    assert "1 skipped: accepted before, according to this run's results" in log
    assert "1 skipped: repeats the order's previous change" in log
    assert summarise([xcom, xcom])["summary"]["not_attempted"] == 2
    context = make_context()
    with pytest.raises(AirflowFailException, match="dry run: 2 of 5 rows are invalid; the log and `check` in XCom"):
        kind(path, max_failed=1, **look).execute(context)
    assert context["ti"].xcoms["return_value"]["summary"]["invalid"] == 2
    assert len(sandbox.store.requests) == sent
    assert sorted(results.rglob("*")) == kept


@pytest.mark.parametrize("kind", [statuses, deletions])
def test_a_dry_run_of_nothing_and_of_too_much_does_as_the_run_would(kind, context, write):
    empty = write(order_id=pa.array([], pa.string()), status=pa.array([], pa.string()))
    with pytest.raises(AirflowSkipException):
        kind(empty, dry_run=True, on_empty="skip").execute(context)
    with pytest.raises(AirflowFailException, match=r"max_deletions \(19\)"):
        deletions(write(order_id=IDS), max_deletions=19, dry_run=True).execute(context)


def test_what_is_templated_is_rendered_and_sql_can_be_a_file(context, sandbox, write, tmp_path):
    write("of_changes.parquet", no=["O-01", "O-02"], state=["gone", "there"])
    (tmp_path / "gone.sql").write_text("SELECT no AS order_id FROM extract WHERE state = '{{ params.state }}'", "utf-8")
    with DAG("rendering", schedule=None, template_searchpath=str(tmp_path)):
        operator = ParquetToEcdpDeletionsOperator(
            task_id="changes",
            path=f"{tmp_path}/of_{{{{ ti.task_id }}}}.parquet",
            sql="gone.sql",
            missing="{{ params.missing }}",
            max_failed="{{ params.tolerated }}",
            results_path=f"{tmp_path}/{{{{ params.results }}}}",
        )
        mapped = ParquetToEcdpStatusesOperator(task_id="m", path="x", mapping={"order_id": "{{ params.column }}"})
    context["ti"].task_id = "changes"
    context["params"] = {"state": "gone", "missing": "fail", "tolerated": "1%", "results": "results", "column": "no"}
    operator.render_template_fields(context)
    mapped.render_template_fields(context)
    assert operator.execute(context)["summary"]["accepted"] == 1
    assert "O-01" not in sandbox.store.ids()
    assert mapped.mapping == {"order_id": "no"}


def test_rows_that_failed_fail_the_task_for_good_after_the_others_and_xcom_shows_which(context, write, tmp_path):
    path = write(order_id=["O-01", "nobody", "O-02", None], status=["paid", "paid", "shipped", "paid"])
    with pytest.raises(AirflowFailException, match="3 of 4 orders failed") as raised:
        statuses(path, results_path=str(tmp_path / "results")).execute(context)
    assert "rejected: ECDP has no such order (for example order nobody)" in str(raised.value)
    xcom = context["ti"].xcoms["return_value"]
    assert (xcom["summary"]["accepted"], xcom["summary"]["rejected"], xcom["summary"]["invalid"]) == (1, 1, 2)
    held = pq.read_table(xcom["results_path"]).to_pylist()
    assert {(row["order_id"], row["outcome"]) for row in held} == {
        ("O-01", "accepted"),
        ("nobody", "rejected"),
        ("O-02", "invalid"),
        (None, "invalid"),
    }


def test_what_is_tolerated_does_not_fail_the_task(context, write):
    path = write(order_id=["O-01", "nobody"], status=["paid", "paid"])
    assert statuses(path, max_failed="50%").execute(context)["summary"]["rejected"] == 1
    assert statuses(path, missing="report").execute(context)["summary"]["skipped"] == 1


def test_an_outage_is_left_to_airflows_retries_which_go_on_where_it_stopped(make_context, sandbox, write, tmp_path):
    path, results = write(order_id=IDS, status=["completed"] * 20), str(tmp_path / "results")
    sandbox.faults = Faults(throttle=1, retry_after=11, first_request=8)
    with pytest.raises(PushStoppedError) as raised:
        statuses(path, results_path=results).execute(make_context())
    assert raised.value.retry_after == 11.0
    done = [i for i in IDS if sandbox.store.get(i)["status"] == "Completed"]
    assert len(done) == 7
    sandbox.faults = Faults()
    before = len(requests(sandbox, "PUT"))
    xcom = statuses(path, results_path=results).execute(make_context(try_number=2))
    summary = xcom["summary"]
    assert (summary["total"], summary["accepted"], summary["skipped"], summary["requests"]) == (20, 20, 0, 13)
    assert len(requests(sandbox, "PUT")) - before == 13


def test_a_killed_task_records_what_it_has_sent_and_a_retry_goes_on(
    make_context, sandbox, write, tmp_path, monkeypatch
):
    path, results = write(order_id=IDS), str(tmp_path / "results")
    killed = deletions(path, results_path=results, missing="fail")

    def kill_when_some_are_deleted(_):
        if len(sandbox.store.ids()) < 20:
            killed.on_kill()

    monkeypatch.setattr(killed, "_progress_logger", lambda: kill_when_some_are_deleted)
    with pytest.raises(PushStoppedError, match="the task was cancelled"):
        killed.execute(make_context())
    left = len(sandbox.store.ids())
    assert 0 < left < 20
    xcom = deletions(path, results_path=results, missing="fail").execute(make_context(try_number=2))
    assert (xcom["summary"]["accepted"], xcom["summary"]["requests"]) == (20, left)
    assert sandbox.store.ids() == []


def test_a_cleared_task_sends_everything_again(make_context, write, tmp_path):
    path, results = write(order_id=IDS[:3], status=["paid"] * 3), str(tmp_path / "results")
    first = statuses(path, results_path=results).execute(make_context())
    cleared = statuses(path, results_path=results).execute(make_context(try_number=2, max_tries=4))
    assert (cleared["summary"]["accepted"], cleared["summary"]["requests"]) == (3, 3)
    assert cleared["results_path"] != first["results_path"]


def test_a_run_that_is_made_again_under_its_name_skips_what_is_accepted(context, write, tmp_path, capsys):
    path, results = write(order_id=["O-01"], status=["paid"]), str(tmp_path / "results")
    statuses(path, results_path=results).execute(context)
    xcom = statuses(path, results_path=results).execute(context)
    assert (xcom["summary"]["skipped"], xcom["summary"]["requests"]) == (1, 0)
    assert "has results of an earlier run with the same id" in capsys.readouterr().out


def test_too_many_deletions_delete_nothing_and_fail_for_good(context, sandbox, write):
    path = write(order_id=IDS)
    with pytest.raises(AirflowFailException, match=r"has 20 rows, more than max_deletions \(19\), so nothing was sent"):
        deletions(path, max_deletions=19).execute(context)
    assert not requests(sandbox, "DELETE")
    assert deletions(path, max_deletions=20).execute(context)["summary"]["accepted"] == 20


@pytest.mark.parametrize("kind", [statuses, deletions])
def test_an_extract_without_rows_is_a_failure_a_skip_or_a_success(kind, context, write):
    path = write(order_id=pa.array([], pa.string()), status=pa.array([], pa.string()))
    with pytest.raises(AirflowFailException, match="has no changes"):
        kind(path).execute(context)
    with pytest.raises(AirflowSkipException, match="has no changes"):
        kind(path, on_empty="skip").execute(context)
    assert kind(path, on_empty="succeed").execute(context)["summary"]["total"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "/nowhere.parquet"}, "no such file"),
        ({"sql": "SELECT no FROM extract"}, "the SQL text cannot be run"),
        ({"mapping": {"order_id": "order_i"}}, "there is no column 'order_i'; did you mean 'order_id'"),
        ({"missing": "{{ 'ignore' }}"}, "missing must be fail or report, not 'ignore'"),
        ({"max_failed": "{{ 'some' }}"}, "max_failed"),
        ({"max_in_flight": "{{ 'some' }}"}, "max_in_flight must be a whole number, 1 to 64, not 'some'"),
        ({"memory_limit": "{{ '1KB' }}"}, "memory_limit must be a size of at least 32MB"),
    ],
)
@pytest.mark.parametrize("kind", [statuses, deletions])
def test_what_is_wrong_fails_for_good_before_anything_is_sent(kind, context, sandbox, write, arguments, message):
    given = {"path": write(order_id=["O-01"], status=["paid"])} | arguments
    operator = kind(given.pop("path"), **given)
    operator.render_template_fields(context)
    # that of the test was made before templates were rendered
    del operator.hook
    with pytest.raises(AirflowFailException, match=message):
        operator.execute(context)
    assert not [*requests(sandbox, "PUT"), *requests(sandbox, "DELETE")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_deletions": -1}, "ParquetToEcdpDeletionsOperator deletions: max_deletions must be a whole number, 0"),
        ({"max_deletions": "ten"}, "max_deletions must be a whole number"),
        ({"max_in_flight": 0}, "max_in_flight must be a whole number, 1 to 64"),
        ({"on_empty": "ignore"}, "on_empty must be fail, skip or succeed"),
        ({"missing": "ignore"}, "missing must be fail or report, not 'ignore'"),
        ({"max_failed": "some"}, "max_failed 'some' is neither"),
        ({"sql": "SELECT 1", "mapping": {"order_id": "a"}}, "sql and mapping exclude"),
    ],
)
def test_a_number_that_is_none_is_refused_when_the_dag_is_parsed(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        ParquetToEcdpDeletionsOperator(task_id="deletions", path="x", **arguments)


def test_a_refused_key_fails_for_good_after_one_deletion(context, connect, sandbox, write):
    connect(sandbox.url, password="not-the-key")
    with pytest.raises(AirflowFailException, match="API key was refused") as raised:
        deletions(write(order_id=IDS)).execute(context)
    assert "not-the-key" not in str(raised.value)
    assert len(requests(sandbox, "DELETE")) == 1
    assert context["ti"].xcoms["return_value"]["summary"]["not_attempted"] == 20


def test_the_counts_are_logged_as_a_table(context, write, tmp_path, capsys):
    xcom = deletions(write(order_id=IDS), results_path=str(tmp_path / "results")).execute(context)
    log = capsys.readouterr().out
    assert "ECDP delete: 20 orders in " in log
    assert re.search(r"^  accepted +20$", log, re.MULTILINE)
    assert f"results of every order: {xcom['results_path']}" in log


def test_outlets_and_lineage_are_reported(context, write, monkeypatch):
    collector = pytest.importorskip("airflow.sdk.lineage", reason="Airflow 3.3 has it here").HookLineageCollector()
    monkeypatch.setattr(base, "get_hook_lineage_collector", lambda: collector)
    context["outlet_events"] = OutletEventAccessors()
    path = write(order_id=["O-01"])
    asset = Asset("ecdp_orders")
    xcom = deletions(path, outlets=[asset]).execute(context)
    assert context["outlet_events"][asset].extra == {**xcom["summary"], "results_path": None}
    assert [read.asset.uri for read in collector.collected_assets.inputs] == [f"file://{path}"]
