import traceback

import pyarrow as pa
import pytest

from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.errors import (
    ConfigurationError,
    ExtractError,
    NotFoundError,
    OrdersFailedError,
    PushStoppedError,
)
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.orders.sources.table import TableSource
from airflow_provider_ecdp.sandbox.faults import Faults

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def hook(sandbox, connect):
    connect(sandbox.url)
    with EcdpHook(policy=ONCE) as hook:
        yield hook


def test_a_hook_reads_nothing_until_it_is_used():
    hook = EcdpHook("ecdp_no_such_connection")
    assert hook.ecdp_conn_id == "ecdp_no_such_connection"


def test_the_default_connection_is_ecdp_default():
    assert EcdpHook().ecdp_conn_id == "ecdp_default"


def test_the_client_is_made_once_and_again_after_close(hook):
    client = hook.get_conn()
    assert hook.get_conn() is client
    hook.close()
    assert hook.get_conn() is not client


def test_requests_name_the_package_and_airflow(hook):
    from airflow import __version__

    assert hook.get_conn().settings.user_agent_suffix == f"apache-airflow/{__version__}"


def test_the_key_is_masked_in_logs(sandbox, connect):
    from airflow.sdk._shared.secrets_masker import redact

    connect(sandbox.url, password="a-key-that-only-this-test-has")
    with EcdpHook() as hook:
        hook.get_conn()
    assert redact("sent with a-key-that-only-this-test-has") == "sent with ***"


def test_test_connection_accepts_the_key_and_writes_nothing(hook, sandbox):
    ok, message = hook.test_connection()
    assert (ok, message) == (True, f"{sandbox.url} accepts the API key")
    assert [request.method for request in sandbox.store.requests] == ["GET"]
    assert sandbox.store.count() == 0


def test_test_connection_shows_a_wrong_key(sandbox, connect):
    connect(sandbox.url, password="not-the-key")
    ok, message = EcdpHook().test_connection()
    assert not ok
    assert "ECDP was reached, but it refused the API key" in message
    assert "not-the-key" not in message


def test_test_connection_shows_a_host_that_cannot_be_reached(connect, closed_port):
    connect(f"http://127.0.0.1:{closed_port}")
    ok, message = EcdpHook().test_connection()
    assert not ok
    assert "no connection" in message
    assert "key" not in message


@pytest.mark.parametrize(("path", "port"), [("/api", 0), ("/v2/orders/api", None)])
def test_test_connection_distinguishes_a_wrong_path_from_a_wrong_key(sandbox, connect, path, port):
    connect(f"{sandbox.url}{path}", port=port)
    ok, message = EcdpHook().test_connection()
    assert not ok
    assert message.startswith(f"the base URL {sandbox.url}{path} may be wrong: check its host and path")
    assert "the key was not checked" in message


def test_test_connection_shows_a_field_that_is_wrong(connect):
    connect("https://api.example.com", extra={"read_timeout": "long"})
    assert EcdpHook().test_connection() == (
        False,
        "connection 'ecdp_default', field 'read_timeout': it must be a number of seconds above 0, not 'long'",
    )


def test_airflows_own_test_of_a_connection_asks_the_hook(sandbox):
    from airflow.sdk import Connection

    if not hasattr(Connection, "test_connection"):
        pytest.skip("before Airflow 3.3 the API server alone tests connections, by way of its database")
    unsaved = Connection(conn_id="ecdp_unsaved", conn_type="ecdp", host=sandbox.url, password="sandbox-key")
    assert unsaved.test_connection() == (True, f"{sandbox.url} accepts the API key")


def test_orders_are_pushed_read_changed_and_deleted(hook, order):
    assert hook.push_orders([order("1")])["summary"]["accepted"] == 1
    assert hook.get_order("1")["customer"]["email"] == "customer@example.com"
    hook.update_order_status("1", "cancelled")
    assert hook.get_order("1")["status"] == "Canceled"
    assert hook.delete_order("1")["id"] == "1"
    with pytest.raises(NotFoundError):
        hook.get_order("1")


def test_a_status_that_the_api_does_not_list_is_refused_before_anything_is_sent(hook, sandbox):
    with pytest.raises(ConfigurationError, match="one of Placed, Paid, Completed, Canceled, got 'shipped'"):
        hook.update_order_status("1", "shipped")
    assert not sandbox.store.requests


def test_a_website_is_sent_with_a_status_if_given(hook, sandbox, order):
    hook.push_orders([order("1")])
    hook.update_order_status("1", "paid", website_id=7)
    assert sandbox.store.status_change("1") == {"orderId": "1", "orderStatus": "Paid", "websiteId": 7}


def test_pushed_orders_come_back_as_the_shape_of_xcom(hook, order):
    report = hook.push_orders([order("1"), order("2", currency="EURO")], max_failed=1)
    assert list(report) == ["summary", "results", "results_path", "warnings", "reasons"]
    assert [(r["order_id"], r["outcome"]) for r in report["results"]] == [("2", "invalid"), ("1", "accepted")]


def test_orders_that_failed_are_an_error_unless_tolerated(hook, sandbox, order):
    with pytest.raises(OrdersFailedError, match="1 of 2 orders failed") as raised:
        hook.push_orders([order("1"), order("2", currency="EURO")])
    assert raised.value.summary["accepted"] == 1
    assert sandbox.store.ids() == ["1"]


def test_an_extract_can_be_pushed_as_it_is(hook, sandbox, order):
    table = pa.Table.from_pylist([order("1") | {"date": "2026-11-01T10:00:00Z"}])
    assert hook.push_orders(TableSource("table", table))["summary"]["accepted"] == 1
    assert sandbox.store.ids() == ["1"]


def test_orders_that_are_no_list_are_refused(hook):
    with pytest.raises(ExtractError, match="the list of orders is NoneType, not a list of dicts"):
        hook.push_orders(None)


def test_no_orders_are_an_error_that_says_how_to_allow_them(hook):
    with pytest.raises(ExtractError, match="has no orders"):
        hook.push_orders([])
    assert hook.push_orders([], allow_empty=True)["summary"]["total"] == 0


def test_the_mode_is_read_in_any_spelling_and_a_wrong_one_sends_nothing(hook, sandbox, order):
    assert hook.push_orders([order("1")], mode="add")["summary"]["mode"] == "Add"
    with pytest.raises(ConfigurationError, match="'upsert' is not a mode"):
        hook.push_orders([order("2")], mode="upsert")
    with pytest.raises(ConfigurationError, match="max_failed"):
        hook.push_orders([order("2")], max_failed="many")
    assert sandbox.store.ids() == ["1"]


def test_an_outage_is_a_transient_error(hook, sandbox, order):
    sandbox.faults = Faults(error_before=1, error_statuses=(503,), retry_after=7)
    with pytest.raises(PushStoppedError) as raised:
        hook.push_orders([order("1")])
    assert (raised.value.retry_after, raised.value.key_refused) == (7.0, False)


def test_a_refused_key_stops_the_run_and_is_nowhere_in_the_error(sandbox, connect, order):
    connect(sandbox.url, password="not-the-key")
    with EcdpHook() as hook, pytest.raises(PushStoppedError) as raised:
        hook.push_orders([order("1")])
    assert raised.value.key_refused
    text = "".join(traceback.format_exception(raised.value))
    assert "not-the-key" not in text
    assert "customer@example.com" not in text


def test_the_connections_limits_and_matching_mode_are_used(sandbox, connect, order):
    connect(
        sandbox.url,
        extra={"batch_size": 2, "matching_mode": "Email", "send_match_by": "true", "max_in_flight": 1},
    )
    without = order("5", customer={"crmId": "C-5"})
    with EcdpHook() as hook:
        report = hook.push_orders([*(order(str(i)) for i in range(5)), without], max_failed=1)
    assert (report["summary"]["requests"], report["summary"]["invalid"]) == (3, 1)
    assert "email" in report["results"][0]["reason"]
    assert sandbox.store.log.in_flight_peak == 1


def test_arguments_go_before_the_connections_limits(sandbox, connect, order):
    connect(sandbox.url, extra={"batch_size": 2})
    with EcdpHook() as hook:
        assert hook.push_orders([order(str(i)) for i in range(6)], batch_size=3)["summary"]["requests"] == 2


def test_a_hook_that_is_stopped_sends_nothing(sandbox, connect, order):
    connect(sandbox.url)
    sandbox.faults = Faults(error_before=1, error_statuses=(503,), retry_after=3600)
    patient = RetryPolicy(max_attempts=5, retry_after_cap=3600, max_elapsed=36000)
    with EcdpHook(policy=patient) as hook:
        hook.stop()
        with pytest.raises(PushStoppedError):
            hook.push_orders([order("1")])
    assert sandbox.store.post_count == 0


def test_hooks_of_one_connection_share_its_limits(sandbox, connect, tmp_path, monkeypatch):
    connect(sandbox.url, conn_id="ecdp_shop", extra={"shared_limits": True, "max_in_flight": 4})
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", str(tmp_path / "results"))
    with EcdpHook("ecdp_shop") as first, EcdpHook("ecdp_shop", limits_path="/elsewhere") as second:
        first.get_conn()
        assert second.get_conn().in_flight_limit == 2
        assert len(list((tmp_path / "results" / "limits=ecdp_shop").iterdir())) == 2
    assert list((tmp_path / "results" / "limits=ecdp_shop").iterdir()) == []


def test_limits_are_shared_in_a_folder_that_has_to_be_named(sandbox, connect, tmp_path):
    connect(sandbox.url, extra={"shared_limits": "true"})
    with (
        EcdpHook() as hook,
        pytest.raises(ConfigurationError, match="shared_limits needs a folder that all tasks reach"),
    ):
        hook.get_conn()
    assert EcdpHook().test_connection()[0]
    with EcdpHook(limits_path=str(tmp_path)) as hook:
        assert hook.get_conn().in_flight_limit == 4
        assert (tmp_path / "limits=ecdp_default").is_dir()
