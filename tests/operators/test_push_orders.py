import pytest
from airflow.sdk import DAG, task

from airflow_provider_ecdp.hooks.version_compat import AirflowFailException, AirflowSkipException
from airflow_provider_ecdp.operators.ecdp import EcdpPushOrdersOperator


@pytest.fixture(autouse=True)
def connection(sandbox, connect):
    connect(sandbox.url)


def test_a_list_of_orders_is_pushed(context, sandbox, order):
    xcom = EcdpPushOrdersOperator(task_id="push", orders=[order("1"), order("2")]).execute(context)
    assert xcom["summary"]["accepted"] == 2
    assert xcom["results_path"] is None
    assert sandbox.store.ids() == ["1", "2"]


def test_orders_can_be_a_generator(context, order):
    operator = EcdpPushOrdersOperator(task_id="push", orders=(order(str(i)) for i in range(3)))
    assert operator.execute(context)["summary"]["accepted"] == 3


def test_orders_can_be_a_function_that_is_called_when_the_task_runs(context, order):
    calls = []

    def orders(context, jinja_env):
        calls.append((context["ti"].dag_id, jinja_env is not None))
        return [order("1")]

    operator = EcdpPushOrdersOperator(task_id="push", orders=orders)
    assert not calls
    assert operator.execute(context)["summary"]["accepted"] == 1
    assert calls == [("shop", True)]


def test_rendered_orders_are_pushed_and_not_shown(context, order):
    with DAG("rendering", schedule=None):
        operator = EcdpPushOrdersOperator(task_id="push", orders=[order("{{ ti.task_id }}-1"), order("2")])
    operator.render_template_fields(context)
    assert str(operator.orders) == "2 orders, which may hold personal data and are not shown"
    operator.render_template_fields(context)
    results = operator.execute(context)["results"]
    assert [result["order_id"] for result in results] == ["push-1", "2"]


def test_a_function_is_called_once_when_it_is_rendered(context, order):
    calls = []

    def orders(context, jinja_env):  # noqa: ARG001  # Airflow's keywords
        calls.append(1)
        return [order("1")]

    with DAG("rendering", schedule=None):
        operator = EcdpPushOrdersOperator(task_id="push", orders=orders)
    operator.render_template_fields(context)
    assert operator.execute(context)["summary"]["accepted"] == 1
    assert calls == [1]


def test_what_airflow_stores_of_the_rendered_fields_holds_no_personal_data(context, order):
    from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

    with DAG("rendering", schedule=None):
        operator = EcdpPushOrdersOperator(task_id="push", orders=[order("1")])
    operator.render_template_fields(context)
    stored = _serialize_rendered_fields(operator)
    assert stored["orders"] == "1 orders, which may hold personal data and are not shown"
    assert "customer@example.com" not in str(stored)


def test_the_output_of_a_task_comes_before_the_push():
    with DAG("chain", schedule=None):

        @task
        def collect():
            return []

        operator = EcdpPushOrdersOperator(task_id="push", orders=collect())
    assert operator.upstream_task_ids == {"collect"}


@pytest.mark.parametrize("orders", ["[{'id': '1'}]", {"id": "1"}, 7, None])
def test_what_is_no_list_of_orders_fails_for_good(context, sandbox, orders):
    with pytest.raises(AirflowFailException, match="orders must be a list of dicts"):
        EcdpPushOrdersOperator(task_id="push", orders=orders).execute(context)
    assert not sandbox.store.requests


def test_an_element_that_is_no_order_fails_for_good(context, sandbox):
    with pytest.raises(AirflowFailException, match="element 0 is str"):
        EcdpPushOrdersOperator(task_id="push", orders=["1"]).execute(context)
    assert not sandbox.store.requests


def test_orders_that_failed_fail_the_task_for_good_and_xcom_is_there(context, sandbox, order):
    orders = [order("1"), order("2", currency="EURO"), order("3")]
    with pytest.raises(AirflowFailException, match="1 of 3 orders failed") as raised:
        EcdpPushOrdersOperator(task_id="push", orders=orders).execute(context)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert sandbox.store.ids() == ["1", "3"]
    xcom = context["ti"].xcoms["return_value"]
    assert (xcom["summary"]["accepted"], xcom["summary"]["invalid"]) == (2, 1)
    assert xcom["results"][0]["order_id"] == "2"


def test_no_orders_are_a_failure_a_skip_or_a_success(context):
    with pytest.raises(AirflowFailException, match="has no orders"):
        EcdpPushOrdersOperator(task_id="push", orders=[]).execute(context)
    with pytest.raises(AirflowSkipException, match="has no orders"):
        EcdpPushOrdersOperator(task_id="push", orders=[], on_empty="skip").execute(context)
    succeeded = EcdpPushOrdersOperator(task_id="push", orders=[], on_empty="succeed").execute(context)
    assert succeeded["summary"]["total"] == 0
