"""What the sandbox tells about itself over HTTP."""

import json

import requests

from airflow_provider_ecdp.sandbox.faults import Faults


def test_counts_show_what_was_asked_and_what_is_stored(client, order):
    client.post(order, order | {"id": "A-2"}, order | {"id": "A-3"})
    client.post(order)
    client.put(orderId="A-1", orderStatus="Paid")
    client.get("A-1")
    client.delete("A-2")

    assert client.look("counts") == {
        "stored": 2,
        "deleted": 1,
        "written": 4,
        "posts": 2,
        "gets": 1,
        "puts": 1,
        "deletes": 1,
        "in_flight_peak": 1,
    }
    assert client.look("writes") == {"writes": {"A-1": 2}}


def test_orders_are_listed_with_their_digits_in_pages(sandbox, client, order):
    client.send(json.dumps({"mode": "Add", "data": [order, order | {"id": "A-2"}]}).replace("150.0", "150.000"))
    client.post(order | {"id": "A-3"})

    page = requests.get(f"{sandbox.url}/_sandbox/orders?limit=2&offset=1", timeout=60)

    assert page.json()["total"] == 3
    assert [each["id"] for each in page.json()["orders"]] == ["A-2", "A-3"]
    assert '"totalValue": 150.000,' in page.text


def test_each_request_is_recorded_without_its_contents(sandbox, client, order):
    sandbox.faults = Faults(error_after=2, error_statuses=(500,))
    size = len(client.post(order, order | {"id": "A-2"}).request.body)
    client.post(order)
    client.get("a/b")
    client.session.get(f"{client.url}/orders/A-1?x=1", headers={"x-api-key": "wrong"})

    log = client.look("requests")

    assert log["total"] == 4
    assert log["by_status"] == {"201": 1, "500": 1, "404": 1, "401": 1}
    assert log["by_fault"] == {"error_after": 1}
    assert [(each["method"], each["path"], each["status"], each["fault"]) for each in log["requests"]] == [
        ("POST", "/orders", 201, None),
        ("POST", "/orders", 500, "error_after"),
        ("GET", "/orders/a%2Fb", 404, None),
        ("GET", "/orders/A-1", 401, None),
    ]
    assert [(each["orders"], each["size"]) for each in log["requests"][:1]] == [(2, size)]
    assert "sandbox-key" not in json.dumps(log)
    assert "example.com" not in json.dumps(log)
    assert client.look("requests?limit=1&offset=2")["requests"] == log["requests"][2:3]


def test_faults_are_read_and_set_over_http(sandbox, client):
    sandbox.faults = Faults(empty=0.5)
    settings = {"error_before": 1, "error_statuses": [503], "retry_after": 2, "reject_ids": ["A-1"], "seed": 4}

    answer = requests.put(f"{sandbox.url}/_sandbox/faults", json=settings, timeout=60)

    assert answer.status_code == 200
    assert sandbox.faults == Faults(
        error_before=1, error_statuses=(503,), retry_after=2, reject_ids=frozenset({"A-1"}), seed=4
    )
    assert client.look("faults") == answer.json()
    assert answer.json().items() >= settings.items()
    assert client.get("A-1").headers["Retry-After"] == "2"


def test_faults_without_sense_are_refused_and_the_old_ones_stay(sandbox):
    sandbox.faults = Faults(empty=0.5)

    for body, word in (
        ('{"empty": 1.5}', "empty"),
        ('{"emtpy": 1}', "emtpy"),
        ('{"empty": "x"}', "empty"),
        ("", "JSON"),
    ):
        answer = requests.put(f"{sandbox.url}/_sandbox/faults", data=body, timeout=60)
        assert answer.status_code == 400
        assert word in answer.json()["errors"][0]
    assert sandbox.faults == Faults(empty=0.5)


def test_a_reset_forgets_orders_and_requests_and_starts_the_faults_again(sandbox, client, order):
    sandbox.faults = Faults(error_before=2, error_statuses=(500,))
    client.post(order)

    assert requests.delete(f"{sandbox.url}/_sandbox", timeout=60).status_code == 200

    assert client.look("counts")["posts"] == client.look("counts")["written"] == 0
    assert client.look("requests")["requests"] == []
    assert [client.get("A-1").status_code for _ in range(2)] == [404, 500]


def test_looking_is_neither_recorded_nor_hit_by_faults(sandbox, client):
    sandbox.faults = Faults(reset_before=1)

    assert client.look("counts")["stored"] == 0
    assert client.look("requests")["total"] == 0
