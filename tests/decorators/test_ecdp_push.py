"""`@task.ecdp_push` takes what a function returns."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException, AirflowSkipException


@pytest.fixture(autouse=True)
def connection(sandbox, connect):
    connect(sandbox.url, extra={"max_in_flight": 1})


@pytest.fixture
def operator():
    """Make the operator of a function that returns a value."""

    def make(value, **arguments):
        with DAG("shop", schedule=None):

            @task.ecdp_push(**arguments)
            def push():
                return value

            return push().operator

    return make


def table(order):
    return pa.Table.from_pylist([order("A-1"), order("A-2")])


RETURNED = {
    "dicts": lambda order, _: [order("A-1"), order("A-2")],
    "a generator of dicts": lambda order, _: (order(i) for i in ("A-1", "A-2")),
    "a table": lambda order, _: table(order),
    "a batch": lambda order, _: table(order).to_batches()[0],
    "a reader": lambda order, _: table(order).to_reader(),
    "a path": lambda _, path: str(path),
    "a path object": lambda _, path: path,
    "a path of Airflow's": lambda _, path: ObjectStoragePath(f"file://{path}"),
    "a list of paths": lambda _, path: [str(path)],
}


@pytest.mark.parametrize("returned", RETURNED.values(), ids=RETURNED)
def test_a_function_returns_dicts_an_arrow_table_or_a_path(operator, order, context, sandbox, tmp_path, returned):
    pq.write_table(table(order), tmp_path / "orders.parquet")
    xcom = operator(returned(order, tmp_path / "orders.parquet")).execute(context)
    assert (xcom["summary"]["accepted"], xcom["summary"]["total"]) == (2, 2)
    assert sandbox.store.count() == 2


def test_it_takes_the_parameters_of_the_transfer(operator, order, context):
    orders = pa.Table.from_pylist([order("A-1", currency="euro"), order("A-2")]).rename_columns({"id": "number"})
    push = operator(orders, sql="SELECT number AS id, * EXCLUDE number FROM extract", mode="add", max_failed=1)
    xcom = push.execute(context)
    assert (xcom["summary"]["mode"], xcom["summary"]["accepted"], xcom["summary"]["invalid"]) == ("Add", 1, 1)
    assert push.task_type == "_EcdpPushDecoratedOperator"
    assert push.custom_operator_name == "@task.ecdp_push"
    assert "path" not in push.parameters


def test_a_function_gets_its_arguments_and_the_context(order, context, sandbox):
    with DAG("shop", schedule=None):

        @task.ecdp_push
        def push(prefix, ti=None):
            assert ti.run_id == "scheduled__2026-11-01T03:00:00+00:00"
            return [order(f"{prefix}-1")]

        made = push("B").operator
    made.execute(context)
    assert sandbox.store.get("B-1")


def test_an_empty_list_and_a_missing_file_follow_the_settings(operator, context):
    with pytest.raises(AirflowFailException, match="the result of the function has no orders"):
        operator([]).execute(context)
    with pytest.raises(AirflowSkipException):
        operator([], on_empty="skip").execute(context)
    with pytest.raises(AirflowSkipException):
        operator("/no/such/file.parquet", on_missing="skip").execute(context)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "returned None: add the return"),
        (7, "must return a list of dicts, an Arrow table or a path, not int"),
        ({"id": "A-1"}, "must return a list of dicts, an Arrow table or a path, not dict"),
        (b"orders", "must return a list of dicts, an Arrow table or a path, not bytes"),
    ],
)
def test_what_is_no_orders_is_refused(operator, context, sandbox, value, problem):
    with pytest.raises(AirflowFailException, match=problem):
        operator(value).execute(context)
    assert not sandbox.store.requests


def test_a_wrong_parameter_is_an_error_of_the_dag_that_names_the_task(operator):
    with pytest.raises(ConfigurationError, match="push: mode: 'upsert' is not a mode"):
        operator([], mode="upsert")
