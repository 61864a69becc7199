import errno

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.errors import ConfigurationError, PushStoppedError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException
from airflow_provider_ecdp.ledger import store
from airflow_provider_ecdp.ledger.atomic_write import put_whole
from airflow_provider_ecdp.operators.ecdp import (
    EcdpDeleteOrderOperator,
    EcdpGetOrderOperator,
    EcdpUpdateOrderStatusOperator,
)
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.transfers.parquet_to_ecdp_changes import ParquetToEcdpDeletionsOperator


@pytest.fixture(autouse=True)
def stored(sandbox, connect, store_in):
    """Three orders that ECDP has: 1, 2 and 3."""
    connect(sandbox.url)
    store_in(sandbox, "1", "2", "3")


def without_retries(operator):
    operator.hook = EcdpHook(operator.ecdp_conn_id, policy=RetryPolicy(max_attempts=1))
    return operator


def outcomes(xcom):
    return {result["order_id"]: result["outcome"] for result in xcom["results"]}


@pytest.mark.parametrize("order_id", ["1", ["1"], ("1",), 1, iter(["1"]), "['1']", "[1]"])
def test_one_order_or_many_are_read(context, order_id):
    xcom = EcdpGetOrderOperator(task_id="get", order_id=order_id).execute(context)
    assert outcomes(xcom) == {"1": "accepted"}
    assert xcom["results"][0]["order"]["customer"]["email"] == "customer@example.com"


@pytest.mark.parametrize(("operator", "events"), [(EcdpGetOrderOperator, 0), (EcdpDeleteOrderOperator, 1)])
def test_reading_makes_no_asset_event(context, operator, events):
    asset = Asset("ecdp_orders")
    context["outlet_events"] = OutletEventAccessors()
    task = operator(task_id="by_id", order_id="1", outlets=[asset])
    task.execute(context)
    assert len(task.outlets) == events
    assert bool(context["outlet_events"][asset].extra) is bool(events)


def test_the_customer_can_be_left_out_of_xcom(context):
    xcom = EcdpGetOrderOperator(task_id="get", order_id="1", include_customer=False).execute(context)
    assert "customer" not in xcom["results"][0]["order"]
    assert "example.com" not in str(xcom)


def test_one_status_for_many_orders(context, sandbox):
    operator = EcdpUpdateOrderStatusOperator(task_id="status", order_id=["1", "2"], status="completed", website_id="7")
    assert outcomes(operator.execute(context)) == {"1": "accepted", "2": "accepted"}
    assert sandbox.store.status_change("2") == {"orderId": "2", "orderStatus": "Completed", "websiteId": 7}


def test_a_status_for_each_order(context, sandbox):
    updates = [{"order_id": "1", "status": "paid"}, {"order_id": "2", "status": "cancelled", "website_id": 3}]
    operator = EcdpUpdateOrderStatusOperator(task_id="status", updates=updates, website_id=7)
    assert operator.execute(context)["summary"]["accepted"] == 2
    assert sandbox.store.status_change("1") == {"orderId": "1", "orderStatus": "Paid", "websiteId": 7}
    assert sandbox.store.status_change("2") == {"orderId": "2", "orderStatus": "Canceled", "websiteId": 3}
    # as templates render them
    operator = EcdpUpdateOrderStatusOperator(task_id="status", updates=str(updates), website_id="None")
    assert operator.execute(context)["summary"]["accepted"] == 2
    assert sandbox.store.status_change("1") == {"orderId": "1", "orderStatus": "Paid"}


def test_updates_that_are_not_dicts_are_refused_with_a_website_too(context):
    with pytest.raises(AirflowFailException, match=r"updates\[0\]: must be a dict with order_id and status, got str"):
        EcdpUpdateOrderStatusOperator(task_id="status", updates=["1"], website_id=7).execute(context)


def test_orders_are_deleted_and_once_more(context, sandbox):
    operator = EcdpDeleteOrderOperator(task_id="delete", order_id=["1", "2"])
    assert operator.execute(context)["summary"]["missing"] == 0
    again = operator.execute(context)
    assert outcomes(again) == {"1": "accepted", "2": "accepted"}
    assert again["summary"]["missing"] == 2
    assert sandbox.store.ids() == ["3"]


def test_a_failed_order_fails_the_task_for_good_after_the_others_were_done(context, sandbox):
    operator = EcdpDeleteOrderOperator(task_id="delete", order_id=["9", "1", "2"], missing="fail")
    with pytest.raises(AirflowFailException, match="1 of 3 orders failed"):
        operator.execute(context)
    assert sandbox.store.ids() == ["3"]
    assert outcomes(context["ti"].xcoms["return_value"]) == {"9": "rejected", "1": "accepted", "2": "accepted"}


@pytest.mark.parametrize("max_failed", [1, "1", "50%", 0.5])
def test_max_failed_is_what_is_tolerated(context, max_failed):
    operator = EcdpGetOrderOperator(task_id="get", order_id=["1", "9"], max_failed=max_failed)
    assert outcomes(operator.execute(context)) == {"9": "rejected", "1": "accepted"}


def test_missing_orders_are_only_reported_if_that_is_requested(context):
    operator = EcdpGetOrderOperator(task_id="get", order_id=["1", "9"], missing="report")
    assert outcomes(operator.execute(context)) == {"1": "accepted", "9": "skipped"}


def test_an_outage_is_left_to_airflows_retries_with_what_is_known_in_xcom(context, sandbox):
    sandbox.faults = Faults(throttle=1, retry_after=11, first_request=2)
    operator = without_retries(EcdpDeleteOrderOperator(task_id="delete", order_id=["1", "2", "3"]))
    with pytest.raises(PushStoppedError) as raised:
        operator.execute(context)
    assert raised.value.retry_after == 11.0
    assert outcomes(context["ti"].xcoms["return_value"]) == {
        "1": "accepted",
        "2": "not_attempted",
        "3": "not_attempted",
    }


def test_a_refused_key_fails_the_task_for_good(context, connect, sandbox):
    connect(sandbox.url, password="not-the-key")
    before = len(sandbox.store.requests)
    with pytest.raises(AirflowFailException, match="API key was refused") as raised:
        EcdpGetOrderOperator(task_id="get", order_id=["1", "2"]).execute(context)
    assert "not-the-key" not in str(raised.value)
    assert len(sandbox.store.requests) == before + 2
    assert set(outcomes(context["ti"].xcoms["return_value"]).values()) == {"not_attempted"}


@pytest.mark.parametrize("from_files", [False, True])
def test_deletions_that_cannot_be_noted_are_an_outage_with_what_was_done_in_xcom(
    context, sandbox, tmp_path, monkeypatch, from_files
):
    def put(filesystem, folder, name, data):
        if "/deleted=" in folder and sandbox.store.count() < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        put_whole(filesystem, folder, name, data)

    monkeypatch.setattr(store, "put_whole", put)
    pq.write_table(pa.table({"order_id": ["1", "2"]}), tmp_path / "ids.parquet")
    settings = {"task_id": "delete", "results_path": str(tmp_path / "results")}
    operator = (
        ParquetToEcdpDeletionsOperator(path=str(tmp_path / "ids.parquet"), **settings)
        if from_files
        else EcdpDeleteOrderOperator(order_id=["1", "2"], **settings)
    )
    with pytest.raises(PushStoppedError, match="No space left on device") as raised:
        operator.execute(context)
    # Airflow retries
    assert raised.value.transient
    assert sandbox.store.ids() == ["3"]
    assert outcomes(context["ti"].xcoms["return_value"]) == {"1": "accepted", "2": "accepted"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_failed": "{{ 'some' }}"}, "max_failed"),
        ({"missing": "{{ 'ignore' }}"}, "must be fail or report"),
    ],
)
def test_a_templated_value_that_is_wrong_fails_for_good_before_anything_is_sent(context, sandbox, arguments, message):
    before = len(sandbox.store.requests)
    operator = EcdpDeleteOrderOperator(task_id="delete", order_id="1", **arguments)
    operator.render_template_fields(context)
    with pytest.raises(AirflowFailException, match=message):
        operator.execute(context)
    assert len(sandbox.store.requests) == before


@pytest.mark.parametrize("limit", [-1, 1.5, "ten", True])
def test_a_limit_that_is_no_count_is_refused_when_the_dag_is_parsed(limit):
    with pytest.raises(ConfigurationError, match="EcdpGetOrderOperator get: results_limit must be a whole number"):
        EcdpGetOrderOperator(task_id="get", order_id="1", results_limit=limit)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"order_id": "1"},
        {"status": "paid"},
        {"order_id": "1", "status": "paid", "updates": []},
        {"order_id": "1", "updates": []},
    ],
)
def test_statuses_are_given_in_one_way_or_the_other(arguments):
    with pytest.raises(ConfigurationError, match="give order_id and status, or updates"):
        EcdpUpdateOrderStatusOperator(task_id="status", **arguments)


def test_no_updates_at_all_are_a_success(context):
    assert EcdpUpdateOrderStatusOperator(task_id="status", updates=[]).execute(context)["summary"]["total"] == 0


def test_xcom_is_not_pushed_by_a_task_that_pushes_none(context):
    operator = EcdpGetOrderOperator(task_id="get", order_id="9", do_xcom_push=False)
    with pytest.raises(AirflowFailException):
        operator.execute(context)
    assert context["ti"].xcoms == {}


def test_a_killed_task_stops_between_two_orders_and_is_tried_again(context, sandbox, monkeypatch):
    operator = EcdpDeleteOrderOperator(task_id="delete", order_id=["1", "2", "3"])
    monkeypatch.setattr(operator, "_progress_logger", lambda: lambda _: operator.on_kill())
    with pytest.raises(PushStoppedError, match="stopped: the task was cancelled\n2 of 3 orders failed"):
        operator.execute(context)
    assert sandbox.store.ids() == ["2", "3"]
    summary = context["ti"].xcoms["return_value"]["summary"]
    assert (summary["accepted"], summary["not_attempted"]) == (1, 2)


def test_killing_a_task_before_it_runs_does_nothing():
    EcdpDeleteOrderOperator(task_id="delete", order_id="1").on_kill()


@pytest.mark.parametrize("kind", [EcdpGetOrderOperator, EcdpUpdateOrderStatusOperator, EcdpDeleteOrderOperator])
def test_ids_and_connection_are_templated(kind):
    assert {"order_id", "ecdp_conn_id", "max_failed", "missing"} <= set(kind.template_fields)
