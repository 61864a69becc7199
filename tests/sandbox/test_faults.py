"""Each fault as a client meets it over HTTP, and what is stored meanwhile."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from types import SimpleNamespace

import pytest
import requests

from airflow_provider_ecdp.sandbox import gate
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
    statuses = (403, 409, 500, 502, 503, 504)
    sandbox.faults = Faults(error_before=1, error_statuses=statuses)

    assert {client.get("A-1").status_code for _ in range(100)} == set(statuses)


def test_a_redirect_leads_to_where_a_follower_is_seen(sandbox, client, order):
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

    with pytest.raises(requests.ConnectionError, match="Connection reset by peer"):
        client.post(order)

    assert sandbox.store.count() == stored
    sandbox.faults = Faults()
    assert client.post(order).status_code == 201


def test_a_reset_spares_the_other_connections(sandbox, client, order):
    sandbox.faults = Faults(reset_before=1, methods=("POST",), latency_ms=100)

    def read(_number):
        return requests.get(f"{client.url}/orders/A-1", headers={"x-api-key": "sandbox-key"}, timeout=60).status_code

    with ThreadPoolExecutor(4) as threads:
        reads = threads.map(read, range(4))
        with pytest.raises(requests.ConnectionError):
            client.post(order)

    assert list(reads) == [404] * 4


@pytest.mark.parametrize(("fault", "stored"), [("hang_before", 0), ("hang_after", 1)])
def test_a_hanging_request_runs_into_the_timeout_of_its_client(sandbox, client, order, fault, stored):
    sandbox.faults = Faults(**{fault: 1})

    with pytest.raises(requests.ReadTimeout):
        client.send(json.dumps({"mode": "Add", "data": [order]}), timeout=(60, 0.3))

    # the request may arrive after its client has left
    patience = time.monotonic() + 60
    while not sandbox.store.requests and time.monotonic() < patience:
        time.sleep(0.01)
    assert sandbox.store.requests[0].fault == fault
    assert sandbox.store.count() == stored


def test_a_hanging_request_ends_with_a_reset_for_a_client_that_waits_longer(sandbox, client):
    sandbox.faults = Faults(hang_before=1, hang_seconds=0.05)

    with pytest.raises(requests.ConnectionError, match="Connection reset by peer"):
        client.get("A-1")


def test_an_answer_cut_short_breaks_the_promise_of_its_content_length(sandbox, client, order):
    client.post(order)
    sandbox.faults = Faults(cut_short=1)

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        client.get("A-1")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        client.post(order)
    assert sandbox.store.writes("A-1") == 2


@pytest.mark.parametrize("fault", ["cut_json", "empty", "html_after"])
def test_an_unreadable_answer_has_the_status_of_the_readable_one(sandbox, client, order, fault):
    client.post(order)
    sandbox.faults = Faults(**{fault: 1})

    for answer, status in ((client.post(order), 201), (client.get("A-1"), 200)):
        assert answer.status_code == status
        with pytest.raises(requests.exceptions.JSONDecodeError):
            answer.json()
    assert answer.headers["Content-Type"].startswith("text/html" if fault == "html_after" else "application/json")
    assert (answer.content == b"") is (fault == "empty")
    assert sandbox.store.writes("A-1") == 2


def test_a_proxy_answers_502_in_html_and_nothing_is_stored(sandbox, client, order):
    sandbox.faults = Faults(html_before=1)

    answer = client.post(order)

    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert sandbox.store.count() == 0


def test_a_400_for_nothing_names_nobody_and_spares_other_methods(sandbox, client, order):
    client.post(order)
    sandbox.faults = Faults(blame_nobody=1)

    answer = client.post(order)

    assert answer.status_code == 400
    assert answer.json()["errors"] == ["One or more orders are invalid."]
    assert client.get("A-1").status_code == 200
    assert sandbox.store.writes("A-1") == 1


def test_orders_are_refused_by_number_and_by_id(sandbox, client, order):
    sandbox.faults = Faults(reject_every=3, reject_ids={"B"})
    batch = [order | {"id": order_id} for order_id in ("A-1", "A-3", "B", "3-A", "A-10", "A12")]

    answer = client.post(*batch)

    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        "data[1]: is refused (order 'A-3')",
        "data[2]: is refused (order 'B')",
        "data[5]: is refused (order 'A12')",
    ]
    assert sandbox.store.count() == 0
    assert client.post(*(batch[at] for at in (0, 3, 4))).status_code == 201


def test_a_refusal_names_the_first_few_or_nobody(sandbox, client, order):
    batch = [order | {"id": f"A-{n}"} for n in range(10)]

    sandbox.faults = Faults(reject_every=2, max_errors=2)
    assert [error[:8] for error in client.post(*batch).json()["errors"]] == ["data[0]:", "data[2]:"]

    sandbox.faults = Faults(reject_every=2, vague=True)
    assert client.post(*batch).json()["errors"] == ["One or more orders are invalid."]
    assert client.post(order | {"date": "x"}).json()["errors"] == ["One or more orders are invalid."]


def test_a_batch_that_is_too_large_is_answered_413(sandbox, client, order):
    size = len(json.dumps({"mode": "AddOrReplace", "data": [order]}))

    sandbox.faults = Faults(max_bytes=size)
    assert client.post(order).status_code == 201
    assert client.post(order | {"id": "A-10"}).status_code == 413

    sandbox.faults = Faults(max_orders=2)
    assert client.post(order, order).status_code == 201
    assert client.post(order, order, order).status_code == 413
    assert sandbox.store.writes("A-1") == 3


def test_latency_lets_requests_overlap(sandbox, monkeypatch):
    sandbox.faults = Faults(latency_ms=300)
    together = asyncio.Barrier(4)
    monkeypatch.setattr(gate, "asyncio", SimpleNamespace(sleep=lambda _: together.wait()))

    def read(_number):
        requests.get(f"{sandbox.url}/orders/A-1", headers={"x-api-key": "sandbox-key"}, timeout=60)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(read, range(4)))

    assert sandbox.store.log.in_flight_peak == 4
    assert sandbox.store.log.in_flight == 0


def test_the_same_seed_gives_the_same_run(sandbox, client, order):
    def run(seed):
        sandbox.reset(Faults(seed=seed, throttle=0.1, error_before=0.2, error_after=0.2, html_after=0.1, empty=0.1))
        for number in range(40):
            client.post(order | {"id": f"A-{number}"})
        return [(entry.status, entry.fault) for entry in sandbox.store.requests], sandbox.store.ids()

    first = run(7)

    assert len({fault for _, fault in first[0]}) > 4
    assert run(7) == first
    assert run(8) != first
