"""POST /orders: what is stored, what is refused as a whole, and what the answer says."""

import json
from decimal import Decimal

import pytest

from airflow_provider_ecdp.sandbox.faults import Faults

# the example of the vendor's page, as text: its numbers are part of it
PAGE_EXAMPLE = """{
"mode": "Add",
"data": [
{
"id": "12345",
"date": "2024-11-06T10:10:00.055Z",
"timeZone": "Pacific Standard Time",
"websiteId": 1,
"status": "Completed",
"currency": "USD",
"totalValue": 150.00,
"returnsValue": 0,
"customer": {"email": "customer@example.com", "phone": "+15551234567", "crmId": "67890"},
"products": [
{
"id": "p001",
"name": "Wireless Earbuds",
"price": 75.00,
"quantity": 2,
"returned": 0,
"url": "https://example.com/products/wireless-earbuds",
"imageUrl": "https://example.com/images/wireless-earbuds.jpg",
"category": "Electronics",
"productAttributes": [{"name": "Color", "value": "Black"}, {"name": "Warranty", "value": "1 Year"}]
}
],
"orderAttributes": [{"name": "Shipping Method", "value": "Express"}, {"name": "Gift Wrap", "value": "Yes"}]
}
]
}"""

PROBLEM_FIELDS = {"type", "title", "status", "substatus", "detail", "instance"}


def test_the_example_of_the_page_is_stored_with_its_digits(sandbox, client):
    answer = client.send(PAGE_EXAMPLE)

    assert answer.status_code == 201
    assert '"totalValue": 150.00,' in sandbox.store.raw("12345")
    assert '"price": 75.00,' in client.get("12345").text.replace(":", ": ")
    stored = sandbox.store.get("12345")
    assert stored["totalValue"] == Decimal("150.00")
    assert str(stored["totalValue"]) == "150.00"
    assert stored == json.loads(PAGE_EXAMPLE, parse_float=Decimal)["data"][0]


@pytest.mark.parametrize("digits", ["12.500", "0.1000000000000000055511151231257827", "1e2", "1E-7", "-0.0", "-0", "7"])
def test_a_number_keeps_its_own_digits_on_the_way_in_and_out(sandbox, client, order, digits):
    text = json.dumps({"mode": "Add", "data": [order | {"totalValue": 0.125}]}).replace("0.125", digits)

    assert client.send(text).status_code == 201
    assert f'"totalValue": {digits}, ' in sandbox.store.raw("A-1")
    assert f'"totalValue":{digits},' in client.get("A-1").text


@pytest.mark.parametrize("order_id", ["A-1", "Zamówienie 7"])
def test_an_order_comes_back_as_it_was_sent_plus_a_customer_id(client, order, order_id):
    order["id"] = order_id
    client.post(order)

    answer = client.get(order_id)

    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == 0
    assert isinstance(body["data"]["customer"].pop("id"), int)
    assert body["data"] == order


def test_the_same_customer_has_the_same_id_in_each_order(client, order):
    client.post(order, order | {"id": "A-2"}, order | {"id": "A-3", "customer": {"crmId": "other"}})

    first, second, third = (client.get(f"A-{n}").json()["data"]["customer"]["id"] for n in (1, 2, 3))

    assert first == second != third


def test_add_refuses_an_id_that_exists_and_names_it(sandbox, client, order):
    client.post(order, mode="Add")

    answer = client.post(order | {"id": "A-0"}, order, mode="Add")

    assert answer.status_code == 400
    assert answer.json()["errors"] == ["data[1].id: already exists, which Add does not allow (order 'A-1')"]
    assert sandbox.store.ids() == ["A-1"]
    assert sandbox.store.writes("A-1") == 1


def test_add_takes_an_id_whose_order_was_deleted(sandbox, client, order):
    client.post(order, mode="Add")
    client.delete("A-1")

    assert client.post(order, mode="Add").status_code == 201
    assert sandbox.store.count() == 1


def test_replace_refuses_an_absent_and_a_deleted_id_and_names_them(sandbox, client, order):
    client.post(order, order | {"id": "A-2"})
    client.delete("A-2")

    answer = client.post(order, order | {"id": "A-2"}, order | {"id": "A-3"}, mode="Replace")

    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        "data[1].id: there is no such order (order 'A-2')",
        "data[2].id: there is no such order (order 'A-3')",
    ]
    assert sandbox.store.writes("A-1") == 1


@pytest.mark.parametrize("mode", ["Replace", "AddOrReplace"])
def test_replacing_takes_the_whole_new_order(sandbox, client, order, mode):
    client.post(order)
    client.put(orderId="A-1", orderStatus="Canceled")
    new = order | {"totalValue": 7, "status": "paid"}
    del new["orderAttributes"]

    assert client.post(new, mode=mode).status_code == 201
    assert sandbox.store.get("A-1") == new
    assert sandbox.store.status_change("A-1") is None
    assert sandbox.store.writes("A-1") == 2


def test_of_equal_ids_in_a_batch_the_last_wins_for_add_or_replace(sandbox, client, order):
    assert client.post(order, order | {"totalValue": 2}).status_code == 201

    assert sandbox.store.count() == 1
    assert sandbox.store.get("A-1")["totalValue"] == 2
    assert client.look("writes") == {"writes": {"A-1": 2}}


def test_equal_ids_in_a_batch_are_refused_for_add(sandbox, client, order):
    answer = client.post(order, order, mode="Add")

    assert answer.status_code == 400
    assert answer.json()["errors"] == ["data[1].id: is in this batch twice, which Add does not allow (order 'A-1')"]
    assert sandbox.store.count() == 0


def test_one_bad_order_keeps_its_whole_batch_out(sandbox, client, order):
    batch = [order | {"id": f"A-{n}"} for n in range(500)]
    batch[317] = batch[317] | {"customer": {"email": None}}
    batch[499] = batch[499] | {"totalValue": "12,5"}

    answer = client.post(*batch)

    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        "data[317].customer: at least one of email, phone, crmId is required (order 'A-317')",
        "data[499].totalValue: must be a number (order 'A-499')",
    ]
    assert sandbox.store.count() == 0


def test_a_refusal_is_a_problem_as_on_the_page(client, order):
    answer = client.post(order | {"currency": "US"})

    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    body = answer.json()
    assert set(body) == PROBLEM_FIELDS | {"errors"}
    assert (body["status"], body["substatus"], body["instance"]) == (400, "CustomerInvalidModelState", "/orders")


def test_a_refusal_repeats_no_value(client, order):
    order["customer"] = {
        "email": "jane.roe@example.com" + "x" * 320,
        "phone": "+48 600 100 200 300 400",
        "crmId": 77123,
    }
    order["status"] = "Jane Roe"
    order["date"] = "jane.roe"
    order["id"] = "jane-roe" * 20

    text = client.post(order).text.lower()

    assert "jane" not in text
    assert "600" not in text
    assert "77123" not in text


@pytest.mark.parametrize("headers", [{"x-api-key": None}, {"x-api-key": ""}, {"x-api-key": "sandbox-kez"}])
def test_the_key_is_checked_before_anything_else(sandbox, client, headers):
    sandbox.faults = Faults(error_before=1, max_bytes=1)

    for answer in (
        client.send("not JSON", headers=headers),
        client.get("A-1", headers=headers),
        client.session.put(f"{client.url}/orders/status", headers=headers),
        client.session.delete(f"{client.url}/orders/A-1", headers=headers),
        client.session.get(f"{client.url}/nowhere", headers=headers),
    ):
        assert answer.status_code == 401
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert set(answer.json()) == PROBLEM_FIELDS
    assert [entry.status for entry in sandbox.store.requests] == [401] * 5


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "the body is not JSON: EOF while parsing a value at line 1 column 0"),
        ('{"mode":"Add","data":[', "the body is not JSON: EOF while parsing a list at line 1 column 22"),
        ("[]", "must be an object"),
        ('{"data":[]}', "mode: is required"),
        ('{"mode":"add","data":[]}', "mode: must be 'Add', 'AddOrReplace' or 'Replace'"),
        ('{"mode":"Add"}', "data: is required"),
        ('{"mode":"Add","data":null}', "data: must be an array"),
        ('{"mode":"Add","data":{}}', "data: must be an array"),
        ('{"mode":"Add","data":[]}', "data: must not be empty"),
        ('{"mode":"Add","data":[null]}', "data[0]: must be an object"),
        ('{"mode":"Add","data":["A-1"]}', "data[0]: must be an object"),
        ('{"mode":"Add","matchBy":"Name","data":[]}', "matchBy: must be 'Email', 'PhoneNumber' or 'CrmId'"),
    ],
)
def test_a_body_of_the_wrong_form_is_refused(client, body, error):
    answer = client.send(body)

    assert answer.status_code == 400
    assert error in answer.json()["errors"]


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(sandbox, client, order, token):
    answer = client.send(json.dumps({"mode": "Add", "data": [order]}).replace("150.0", token))

    assert answer.status_code == 400
    assert answer.json()["errors"] == ["data[0].totalValue: must be a finite number (order 'A-1')"]
    assert sandbox.store.count() == 0


def test_a_token_that_json_does_not_know_is_refused_in_unknown_fields_too(client, order):
    answer = client.send(json.dumps({"mode": "Add", "data": [order | {"extra": float("nan")}]}))

    assert answer.status_code == 400
    assert answer.json()["errors"] == ["NaN and Infinity are not JSON"]


def test_a_text_that_speaks_of_infinity_is_stored(client, order):
    order["products"][0]["name"] = "Infinity mirror, NaN cm"

    assert client.post(order).status_code == 201


def test_text_that_is_not_utf_8_is_refused(client, order):
    body = json.dumps({"mode": "Add", "data": [order]}).encode().replace(b"Express", b"Expr\xe9s")

    assert client.send(body).status_code == 400


def test_of_a_repeated_name_the_last_value_counts_everywhere(sandbox, client, order):
    first, last = json.dumps([order, order]), json.dumps([order | {"id": "A-2"}])
    body = f'{{"mode":"Add","data":{first},"data":{last}}}'.replace('"id": "A-2"', '"id": "A-1", "id": "A-3"')

    assert client.send(body).status_code == 201
    assert sandbox.store.ids() == ["A-3"]
    assert sandbox.store.get("A-3")["id"] == "A-3"


def test_only_json_as_it_is_gets_read(client, order):
    text = json.dumps({"mode": "Add", "data": [order]})

    for headers in ({"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}):
        assert client.send(text, headers=headers).status_code == 415
    assert client.send(text, headers={"Content-Type": "Application/JSON; charset=utf-8"}).status_code == 201


# what the vendor's shop plugins send beyond the page: nulls for what is absent, matchBy, both cases of a status


@pytest.mark.parametrize("match_by", ["Email", "PhoneNumber", "CrmId", None])
@pytest.mark.parametrize("status", ["placed", "Placed", "PAID", "completed", "Completed", "canceled", "Canceled", None])
def test_a_payload_of_the_plugins_is_stored(sandbox, client, status, match_by):
    line = {"id": "p1", "name": "Mug", "price": 9, "quantity": 1}
    absent = dict.fromkeys(("returned", "url", "imageUrl", "category", "productAttributes"))
    order = {
        "id": "100000017",
        "date": "2024-11-06T10:10:00.000Z",
        "timeZone": "UTC",
        "websiteId": None,
        "status": status,
        "currency": None,
        "totalValue": 9,
        "returnsValue": None,
        "customer": {"email": "customer@example.com", "phone": None, "crmId": None},
        "products": [line | absent | {"productAttributes": [{"name": "Size", "value": None}]}, line | absent],
        "orderAttributes": None,
    }

    assert client.post(order, matchBy=match_by).status_code == 201
    assert sandbox.store.get("100000017") == order
    assert client.get("100000017").json()["data"]["products"] == order["products"]


def test_an_order_as_the_shop_plugin_of_woocommerce_writes_it_keeps_its_values(client):
    line = {"id": "17", "name": "Mug", "price": "99.995", "quantity": "2", "returned": None, "url": None}
    order = {
        "id": "100000018",
        "date": "2024-11-06T10:10:00.055123Z",
        "timeZone": "UTC",
        "websiteId": "7",
        "status": "Cancelled",
        "currency": "PLN",
        "totalValue": "199.99",
        "returnsValue": "0",
        "customer": {"email": "customer@example.com", "phone": None, "crmId": None},
        "products": [line],
        "orderAttributes": None,
    }

    assert client.post(order, matchBy="Email").status_code == 201
    read = client.get("100000018").json()["data"]
    assert read | {"customer": order["customer"]} == order
    assert Decimal(read["products"][0]["price"]) == Decimal("99.995")
    assert client.put(orderId="100000018", orderStatus="cancelled", websiteId="7").status_code == 200
    assert client.get("100000018").json()["data"]["status"] == "cancelled"


def test_unknown_fields_are_stored(sandbox, client, order):
    order |= {"channel": {"name": "shop", "share": 0.25}}
    order["customer"]["name"] = "n"

    assert client.post(order, dataSource="x").status_code == 201
    assert sandbox.store.get("A-1")["channel"]["share"] == Decimal("0.25")
    assert client.get("A-1").json()["data"]["channel"] == {"name": "shop", "share": 0.25}


def test_what_is_merely_odd_is_stored(client, order):
    order["products"] = [order["products"][0] | {"quantity": -3, "price": -1.5, "returned": 9}]
    order |= {"date": "2999-01-01T00:00:00Z", "totalValue": -1}
    order["customer"] = {"email": "no at sign"}

    assert client.post(order, order | {"id": "A-2", "products": []}).status_code == 201
