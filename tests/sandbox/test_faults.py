"""Each fault as a client meets it over HTTP, and what is stored meanwhile."""

import threading
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest
import requests

from airflow_provider_ecdp.sandbox.faults import Faults


def test_errors_before_store_nothing_and_errors_after_store_everything(sandbox, client, order):
    sandbox.faults = Faults(error_before=1, error_statuses=(502,))
    assert client.post(order).status_code == 502
    assert sandbox.store.count() == 0

    sandbox.faults = Faults(error_after=1, error_statuses=(500,))
    answer = client.post(order)
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert sandbox.store.writes("A-1") == 1


def test_each_listed_status_turns_up(sandbox, client):
    sandbox.faults = Faults(error_before=1, error_statuses=(403, 409, 500, 502, 503, 504))

    assert {client.get("A-1").status_code for _ in range(100)} == {403, 409, 500, 502, 503, 504}


def test_a_redirect_points_to_where_a_follower_is_seen(sandbox, client, order):
    sandbox.faults = Faults(error_before=1, error_statuses=(307,), last_request=1)

    answer = client.post(order)

    assert [step.status_code for step in answer.history] == [307]
    assert answer.status_code == 404
    assert [entry.path for entry in sandbox.store.requests] == ["/orders", "/redirected"]


@pytest.mark.parametrize("fault", [{"throttle": 1}, {"error_before": 1, "error_statuses": (503,)}])
def test_retry_after_comes_with_a_429_and_a_503(sandbox, client, order, fault):
    def header(**setting):
        sandbox.faults = Faults(**fault, **setting)
        return client.post(order).headers.get("Retry-After")

    assert header() is None
    assert header(retry_after=3) == "3"
    assert header(retry_after=0.25) == "0.25"
    assert header(retry_after="soon") == "soon"
    assert parsedate_to_datetime(header(retry_after=120, retry_after_date=True)).utcoffset() is not None
    assert sandbox.store.count() == 0


def test_retry_after_does_not_come_with_a_500(sandbox, client):
    sandbox.faults = Faults(error_before=1, error_statuses=(500,), retry_after=3)

    assert "Retry-After" not in client.get("A-1").headers


def test_requests_above_the_rate_are_answered_429_and_not_processed(sandbox, client, order):
    sandbox.faults = Faults(requests_per_second=0.001, retry_after=7)

    assert client.post(order).status_code == 201
    answer = client.post(order)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert sandbox.store.writes("A-1") == 1


@pytest.mark.parametrize(("fault", "stored"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_breaks_the_connection(sandbox, client, order, fault, stored):
    sandbox.faults = Faults(**{fault: 1})

    with pytest.raises(requests.ConnectionError) as caught:
        client.post(order)

    assert "Connection reset by peer" in str(caught.value)
    assert sandbox.store.count() == stored
    sandbox.faults = Faults()
    assert client.post(order).status_code == 201


def test_a_reset_spares_the_other_connections(sandbox, client, order):
    with requests.Session() as other:
        other.headers["x-api-key"] = "sandbox-key"
        other.get(f"{client.url}/orders/A-1").raise_for_status if False else None
        sandbox.faults = Faults(reset_before=1, methods=("POST",))
        with pytest.raises(requests.ConnectionError):
            client.post(order)

        assert other.get(f"{client.url}/orders/A-1").status_code == 404


@pytest.mark.parametrize(("fault", "stored"), [("hang_before", 0), ("hang_after", 1)])
def test_a_hanging_request_runs_into_the_timeout_of_its_client(sandbox, client, order, fault, stored):
    sandbox.faults = Faults(**{fault: 1})
    client.post(order | {"id": "warm"}) if False else None

    with pytest.raises(requests.ReadTimeout):
        client.send('{"mode":"Add","data":[%s]}' % __import__("json").dumps(order), timeout=0.2)

    assert sandbox.store.count() == stored


