"""GET, PUT and DELETE of one order, and ids that are hard on a path."""

import http.client
from urllib.parse import urlsplit

import pytest

ODD_IDS = [
    "12",
    "status",
    "a/b",
    "/",
    "a//b/",
    "a b",
    "a?b=c",
    "a#b",
    "a%2Fb",
    "100%",
    "a+b&c;d",
    "zażółć 😀",
    'quo"te\\s',
    "{12}",
    "line\nbreak",
    "nul\0l",
    " 1 ",
    "x" * 128,
]


def problem_status(answer):
    body = answer.json()
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert set(body) >= {"type", "title", "status", "substatus", "detail", "instance"}
    assert body["status"] == answer.status_code
    return answer.status_code


@pytest.mark.parametrize("order_id", ODD_IDS)
def test_an_order_of_any_id_can_be_read_changed_and_deleted(sandbox, client, order, order_id):
    client.post(order | {"id": order_id}, order | {"id": "other"})

    assert client.get(order_id).json()["data"]["id"] == order_id
    assert client.put(orderId=order_id, orderStatus="Paid").status_code == 200
    assert client.get(order_id).json()["data"]["status"] == "Paid"
    answer = client.delete(order_id)
    assert (answer.status_code, answer.json()["data"]["id"]) == (200, order_id)
    assert sandbox.store.ids() == ["other"]


def raw_get(sandbox, path):
    parts = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.putheader("x-api-key", "sandbox-key")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_an_id_is_one_segment_of_the_path(sandbox, client, order):
    client.post(order | {"id": "a/b"})

    assert raw_get(sandbox, "/orders/a%2Fb")[0] == 200
    assert raw_get(sandbox, "/orders/a%2fb?x=1")[0] == 200
    assert raw_get(sandbox, "/orders/%61%2Fb")[0] == 200
    assert raw_get(sandbox, "/orders/a/b")[0] == 404
    assert raw_get(sandbox, "/orders/a%2Fb/")[0] == 404
    assert raw_get(sandbox, "/orders/")[0] == 404
    assert raw_get(sandbox, "/orders/%FF")[0] == 404


def test_dots_as_an_id_are_no_other_path(sandbox, client, order):
    client.post(order | {"id": ".."})

    assert raw_get(sandbox, "/orders/%2E%2E")[0] == 200


def test_an_absent_order_is_a_404_for_every_method(client):
    assert problem_status(client.get("A-1")) == 404
    assert problem_status(client.delete("A-1")) == 404
    assert problem_status(client.put(orderId="A-1", orderStatus="Paid")) == 404


def test_a_deleted_order_is_gone_and_stays_marked(sandbox, client, order):
    client.post(order)

    assert client.delete("A-1").status_code == 200
    assert problem_status(client.delete("A-1")) == 404
    assert problem_status(client.get("A-1")) == 404
    assert problem_status(client.put(orderId="A-1", orderStatus="Paid")) == 404
    assert sandbox.store.get("A-1") is None
    assert (sandbox.store.count(), sandbox.store.count_deleted()) == (0, 1)


def test_delete_answers_with_the_order_as_get_does(client, order):
    client.post(order)
    shown = client.get("A-1").json()

    assert client.delete("A-1").json() == shown


@pytest.mark.parametrize("status", ["placed", "Paid", "COMPLETED", "canceled", "Cancelled"])
def test_put_changes_the_status_and_nothing_else(sandbox, client, order, status):
    client.post(order)

    assert client.put(orderId="A-1", orderStatus=status).status_code == 200
    assert sandbox.store.get("A-1") == order | {"status": status}
    assert sandbox.store.writes("A-1") == 1


def test_put_gives_a_status_to_an_order_that_came_without(client, order):
    del order["status"]
    client.post(order)
    client.put(orderId="A-1", orderStatus="Paid")

    assert client.get("A-1").json()["data"]["status"] == "Paid"


@pytest.mark.parametrize("website_id", [7, None])
def test_put_takes_the_website_that_the_magento_plugin_sends(sandbox, client, order, website_id):
    client.post(order)

    assert client.put(orderId="A-1", orderStatus="Paid", websiteId=website_id).status_code == 200
    assert sandbox.store.status_change("A-1") == {"orderId": "A-1", "orderStatus": "Paid", "websiteId": website_id}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "orderId: is required"),
        ({"orderId": "", "orderStatus": "Paid"}, "orderId: must have at least 1 characters"),
        ({"orderId": 1, "orderStatus": "Paid"}, "orderId: must be a string"),
        ({"orderId": "A-1"}, "orderStatus: is required"),
        ({"orderId": "A-1", "orderStatus": None}, "orderStatus: must be a string"),
        ({"orderId": "A-1", "orderStatus": ""}, "orderStatus: must be one of placed, paid, completed, canceled"),
        ({"orderId": "A-1", "orderStatus": "Paid", "websiteId": "x"}, "websiteId: must be a whole number"),
    ],
)
def test_put_refuses_a_bad_body(sandbox, client, order, body, error):
    client.post(order)

    answer = client.put(**body)

    assert problem_status(answer) == 400
    assert error in answer.json()["errors"]
    assert sandbox.store.get("A-1") == order


def test_put_refuses_an_absent_body(client):
    answer = client.session.put(f"{client.url}/orders/status", headers={"Content-Type": "application/json"})

    assert problem_status(answer) == 400
    assert answer.json()["errors"][0].startswith("the body is not JSON")


def test_other_methods_and_paths_are_not_answered_in_the_form_of_the_api(client):
    answers = [
        (client.session.put(f"{client.url}/orders/A-1", json={}), 405),
        (client.session.get(f"{client.url}/orders"), 405),
        (client.session.get(f"{client.url}/"), 404),
        (client.session.post(f"{client.url}/order", json={}), 404),
        (client.session.get(f"{client.url}/api/orders/A-1"), 404),
    ]
    assert [(answer.status_code, answer.headers["content-type"].partition(";")[0]) for answer, _ in answers] == [
        (status, "text/plain") for _, status in answers
    ]


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com", "[::1].example.com", "localhost.example.com"])
@pytest.mark.parametrize("path", ["/orders/A-1", "/_sandbox/orders"])
def test_only_a_loopback_name_in_host_is_answered(client, host, path):
    assert client.session.get(f"{client.url}{path}", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]:80", "127.0.0.2"])
def test_every_loopback_name_in_host_is_answered(client, host):
    assert client.session.get(f"{client.url}/orders/A-1", headers={"Host": host}).status_code == 404
