"""The parameters of operators are the settings of their tables: signature, default_args, mapping and templates."""

from __future__ import annotations

import datetime as dt
import inspect
from pathlib import Path

import duckdb
import pytest
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_ecdp.errors import ConfigurationError, PushStoppedError
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException
from airflow_provider_ecdp.operators import ecdp
from airflow_provider_ecdp.operators.parameters import attribute, parameters_of, shown_default, templated
from airflow_provider_ecdp.sample import Sample
from airflow_provider_ecdp.transfers import parquet_to_ecdp_changes
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

OPERATORS = [
    ParquetToEcdpOperator,
    parquet_to_ecdp_changes.ParquetToEcdpStatusesOperator,
    parquet_to_ecdp_changes.ParquetToEcdpDeletionsOperator,
    ecdp.EcdpPushOrdersOperator,
    ecdp.EcdpUpdateOrderStatusOperator,
    ecdp.EcdpDeleteOrderOperator,
    ecdp.EcdpGetOrderOperator,
]


@pytest.fixture
def folder(tmp_path):
    """Two files of 10 orders each."""
    first, second = tmp_path / "orders_1.parquet", tmp_path / "orders_2.parquet"
    Sample(orders=10).write(first)
    duckdb.sql(f"COPY (SELECT * REPLACE ('second-' || id AS id) FROM '{first}') TO '{second}'")
    return tmp_path


@pytest.fixture
def run(sandbox, connect, context, folder):
    """Render the parameters, natively or as text, and run."""
    connect(sandbox.url)

    def execute(path=None, *, native=False, params=None, **arguments):
        with DAG("rendered", schedule=None, render_template_as_native_obj=native):
            made = ParquetToEcdpOperator(task_id="push", path=path or str(folder / "orders_1.parquet"), **arguments)
        context["params"] = params or {}
        made.render_template_fields(context)
        return made.execute(context)

    return execute


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_signature_and_the_docstring_are_those_of_the_table(operator):
    found = inspect.signature(operator).parameters
    for name, one in parameters_of(operator.tables, operator.left_out).items():
        assert found[name].default == shown_default(one)
        assert f":param {name}: {one.help}" in operator.__doc__
        assert attribute(name) in operator.template_fields


def test_the_default_args_of_a_dag_reach_every_parameter():
    given = {"batch_size": 7, "max_failed": "5%", "dry_run": True, "ecdp_conn_id": "shop", "path": "x.parquet"}
    with DAG("defaults", schedule=None, default_args=given):
        made = ParquetToEcdpOperator(task_id="push", batch_size=8)
    assert (made.batch_size, made.max_failed, made.check_only, made.ecdp_conn_id) == (8, "5%", True, "shop")
    assert made.path == "x.parquet"


def test_parameters_can_be_mapped_and_unknown_ones_are_refused():
    with DAG("mapped", schedule=None):
        mapped = ParquetToEcdpOperator.partial(task_id="push", mode="add", dry_run=True).expand(path=["a", "b"])
        made = mapped.unmap({"path": "a"})
        with pytest.raises(TypeError, match="btch_size"):
            ParquetToEcdpOperator.partial(task_id="other", btch_size=3)
        with pytest.raises(TypeError, match="btch_size"):
            ParquetToEcdpOperator(task_id="other", path="a", btch_size=3)
    assert (made.path, made.mode, made.check_only) == ("a", "add", True)


def test_the_output_of_a_task_is_a_parameter_and_makes_the_task_upstream():
    with DAG("outputs", schedule=None):

        @task
        def files():
            return ["a", "b"]

        made = ParquetToEcdpOperator(task_id="push", path=files(), dry_run=files())
    assert made.upstream_task_ids == {"files", "files__1"}


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_can_be_a_field_of_the_trigger_form(run, sandbox, native, dry_run):
    xcom = run(native=native, params={"dry_run": dry_run}, dry_run="{{ params.dry_run }}")
    assert xcom["summary"].get("dry_run", False) is dry_run
    assert sandbox.store.count() == (0 if dry_run else 10)


@pytest.mark.parametrize("native", [True, False])
def test_a_form_that_is_left_empty_gives_the_defaults(run, native):
    names = ("mode", "max_failed", "replay_from", "only_changed", "canary", "on_drift", "batch_size", "max_in_flight")
    params = dict.fromkeys(names)
    xcom = run(native=native, params=params, **{name: f"{{{{ params.{name} }}}}" for name in names})
    assert (xcom["summary"]["mode"], xcom["summary"]["accepted"]) == ("AddOrReplace", 10)


@pytest.mark.parametrize("native", [True, False])
def test_what_a_form_gives_is_read_as_its_kind(run, tmp_path, native):
    params = {"mode": "add", "max_failed": 0.5, "canary": 3, "on_empty": "skip", "batch_size": 4, "in_flight": 1}
    xcom = run(
        native=native,
        params=params | {"changed": True, "results": str(tmp_path / "results")},
        mode="{{ params.mode }}",
        max_failed="{{ params.max_failed }}",
        canary="{{ params.canary }}",
        on_empty="{{ params.on_empty }}",
        batch_size="{{ params.batch_size }}",
        max_in_flight="{{ params.in_flight }}",
        only_changed="{{ params.changed }}",
        results_path="{{ params.results }}",
    )
    assert (xcom["summary"]["mode"], xcom["summary"]["requests"]) == ("Add", 3)
    assert (tmp_path / "results" / "shop" / "push" / "history").exists()


#: Is over before anything is sent, whatever the machine does.
MOMENT = dt.timedelta(microseconds=1)


@pytest.mark.parametrize("limit", [0.000001, "{{ params.limit }}"])
def test_a_run_that_reaches_its_longest_time_records_everything_and_a_retry_resumes(
    run, sandbox, context, tmp_path, limit
):
    given = {"results_path": str(tmp_path / "results"), "max_duration": limit, "params": {"limit": "0.000001s"}}
    with pytest.raises(PushStoppedError, match="max_duration"):
        run(**given)
    summary = context["ti"].xcoms["return_value"]["summary"]
    assert (summary["total"], summary["not_attempted"], sandbox.store.count()) == (10, 10, 0)
    context["ti"].try_number = 2
    assert run(**given | {"max_duration": "2h"})["summary"]["accepted"] == 10


@pytest.mark.parametrize("limit", ["soon", "0m", -1, True, "-5m"])
def test_a_longest_time_that_is_none_is_refused_when_the_dag_is_parsed(limit):
    with pytest.raises(ConfigurationError, match="max_duration must be a time above 0"):
        ParquetToEcdpOperator(task_id="push", path="x.parquet", max_duration=limit)


def test_changes_have_a_longest_time_too(sandbox, connect, context, tmp_path):
    connect(sandbox.url)
    path = tmp_path / "deletions.parquet"
    duckdb.sql(f"COPY (SELECT 'O-' || i AS order_id FROM range(5) AS _(i)) TO '{path}'")
    made = parquet_to_ecdp_changes.ParquetToEcdpDeletionsOperator(task_id="d", path=str(path), max_duration=MOMENT)
    with pytest.raises(PushStoppedError, match="max_duration"):
        made.execute(context)
    assert context["ti"].xcoms["return_value"]["summary"]["not_attempted"] == 5
    assert not sandbox.store.requests


@pytest.mark.parametrize("native", [True, False])
def test_a_list_of_files_is_one_extract(run, folder, sandbox, native):
    paths = [str(folder / f"orders_{number}.parquet") for number in (1, 2)]
    xcom = run("{{ params.paths }}", native=native, params={"paths": paths})
    assert (xcom["summary"]["total"], sandbox.store.count()) == (20, 20)


def test_paths_can_be_objects(run, folder):
    assert run(folder / "orders_1.parquet")["summary"]["total"] == 10
    several = [folder / "orders_1.parquet", ObjectStoragePath(f"file://{folder}/orders_2.parquet")]
    assert run(several)["summary"]["total"] == 20


@pytest.mark.parametrize("text", ['{"dt": "2026-11-01"}', "{'dt': '2026-11-01'}", "{'dt': ['2026-11-01']}"])
def test_partitions_are_text_of_json_or_of_jinja(run, tmp_path, text):
    for day in ("2026-11-01", "2026-11-02"):
        part = tmp_path / "lake" / f"dt={day}"
        part.mkdir(parents=True)
        Sample(orders=5).write(part / "part.parquet")
    given = "{{ params.partitions }}"
    assert run(str(tmp_path / "lake"), params={"partitions": text}, partitions=given)["summary"]["total"] == 5


@pytest.mark.parametrize("native", [True, False])
def test_extracts_are_text_of_json(folder, native):
    extracts = {"orders": str(folder / "orders_1.parquet"), "more": [str(folder / "orders_2.parquet")]}
    sql = "SELECT * FROM orders UNION ALL SELECT * FROM more"
    made = {"extracts": "{{ params.extracts }}", "sql": sql, "dry_run": True}
    with DAG("extracts", schedule=None, render_template_as_native_obj=native):
        operator = ParquetToEcdpOperator(task_id="push", **made)
    operator.render_template_fields({"params": {"extracts": extracts}})
    assert {name: type(path).__name__ for name, path in operator._settings(operator.tables[0]).extracts.items()} == {
        "orders": "str",
        "more": "list",
    }


@pytest.mark.parametrize(
    ("arguments", "value", "message"),
    [
        ("path", None, "give path, or extracts"),
        ("path", 7, "path must be a path, a list of paths, or a shard"),
        ("path", [], "path must name at least one file"),
        ("path", ["a.parquet", 7], "path must be a path, a list of paths"),
        ("partitions", 7, "partitions must be a dict of columns and values, or its JSON text, not 7"),
        ("partitions", "{dt", "partitions must be a dict"),
        ("results_path", 7, "results_path must be a folder or the URL of one, not 7"),
        ("sql", 7, "sql must be text, not 7"),
        ("mapping", 7, "mapping must be a dict, or its JSON text, not 7"),
        ("object_storage_conn_id", 7, "object_storage_conn_id must be the id of a connection, not 7"),
        ("ecdp_conn_id", 7, "ecdp_conn_id must be the id of a connection, not 7"),
        ("dry_run", "perhaps", "dry_run must be true or false, not 'perhaps'"),
        ("only_changed", 2, "only_changed must be true or false, not 2"),
        ("mode", "upsert", "'upsert' is not a mode"),
        ("max_failed", "1 percent", "max_failed '1 percent' is neither"),
        ("max_in_flight", "many", "max_in_flight must be a whole number"),
        ("on_drift", [], "on_drift must be ignore, warn or fail"),
        ("replay_from", {}, "replay_from must be a folder"),
    ],
)
def test_a_value_of_another_kind_is_one_message_and_is_not_retried(run, sandbox, arguments, value, message):
    path = {} if arguments == "path" else {arguments: "{{ params.value }}"}
    with pytest.raises(AirflowFailException) as raised:
        run("{{ params.value }}" if arguments == "path" else None, native=True, params={"value": value}, **path)
    assert message in str(raised.value)
    assert not sandbox.store.requests


@pytest.mark.parametrize(
    ("value", "is_template"),
    [
        ("{{ ds }}", True),
        ("{% if ds %}a{% endif %}", True),
        ("orders.sql", True),
        ({"dt": "{{ ds }}"}, True),
        (["a", "{{ ds }}"], True),
        (lambda: 1, True),
        ("orders", False),
        (7, False),
        (None, False),
        (Path("a"), False),
        ({"dt": 1}, False),
    ],
)
def test_what_is_known_before_the_task_runs(value, is_template):
    assert templated(value, (".sql",)) is is_template


def test_an_error_of_a_dag_names_the_operator_and_the_task():
    with pytest.raises(ConfigurationError, match="EcdpGetOrderOperator get: missing must be fail or report, not 'no'"):
        ecdp.EcdpGetOrderOperator(task_id="get", order_id="1", missing="no")
