"""Objects and lists that a warehouse hands out as JSON text."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)

CUSTOMER = '{"email": "a@example.com", "crm_id": 17}'
PRODUCTS = '[{"id": 1, "name": "Mug", "price": 12.25, "quantity": 2, "image_url": "u"}]'


def order(**changes):
    row = {"id": "A-1", "date": NOON, "totalValue": Decimal("24.50"), "customer": CUSTOMER, "products": PRODUCTS}
    return row | changes


@pytest.fixture
def one(read):
    """Read one order."""

    def run(row, **more):
        table = row if isinstance(row, pa.Table) else pa.Table.from_pylist([row])
        [found] = read(table, **more)
        return found

    return run


def test_objects_and_lists_are_read_from_their_text(one):
    assert one(order(orderAttributes='[{"name": "Gift", "value": true}]')).sent == {
        "id": "A-1",
        "date": "2026-11-22T12:00:00.000Z",
        "totalValue": "24.50",
        "customer": {"email": "a@example.com", "crmId": "17"},
        "products": [{"id": "1", "name": "Mug", "price": "12.25", "quantity": "2", "imageUrl": "u"}],
        "orderAttributes": [{"name": "Gift", "value": "true"}],
    }


@pytest.mark.parametrize(
    "column",
    [
        pa.array([CUSTOMER], pa.large_string()),
        pa.array([CUSTOMER]).dictionary_encode(),
        pa.array([CUSTOMER], pa.json_()),
    ],
    ids=["large_string", "dictionary", "json"],
)
def test_every_kind_of_text_is_read(one, column):
    table = pa.Table.from_pylist([order()]).set_column(3, "CUSTOMER", column)
    assert one(table).sent["customer"] == {"email": "a@example.com", "crmId": "17"}


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('[{"name": "Gift", "value": "yes"}, {"name": "Note"}]', [{"name": "Gift", "value": "yes"}, {"name": "Note"}]),
        ('{"Gift": "yes", "Kg": 1.5}', [{"name": "Gift", "value": "yes"}, {"name": "Kg", "value": "1.5"}]),
        ("[]", []),
        ("{}", []),
        ("null", None),
        (None, None),
    ],
)
def test_attributes_are_a_list_or_an_object_by_their_names(one, text, sent):
    table = pa.Table.from_pylist([order()]).append_column("order_attributes", pa.array([text], pa.string()))
    found = one(table)
    assert found.sent.get("orderAttributes") == sent


def test_attributes_of_products_are_read_too(one):
    products = json.loads(PRODUCTS)
    products[0]["product_attributes"] = {"Colour": "red"}
    assert one(order(products=json.dumps(products))).sent["products"][0]["productAttributes"] == [
        {"name": "Colour", "value": "red"}
    ]


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"customer": "John Smith"}, "customer", "JSON text of an object"),
        ({"customer": "[]"}, "customer", "JSON text of an object"),
        ({"customer": ""}, "customer", "JSON text of an object"),
        ({"products": '{"id": 1}'}, "products", "JSON text of a list of objects"),
        ({"products": PRODUCTS[:-1]}, "products", "JSON text of a list of objects"),
        ({"orderAttributes": '"x"'}, "orderAttributes", "JSON text of a list of objects"),
    ],
)
def test_text_that_is_not_what_is_asked_for_is_that_order_s_problem(read, changes, field, rule):
    rows = [order(orderAttributes="[]") | changes, order(id="B", orderAttributes="[]")]
    first, second = read(pa.Table.from_pylist(rows))
    length = len(changes[field])
    assert first.problems == [{"field": field, "rule": rule, "got": f"text of {length} characters"}]
    assert second.problems == []


@pytest.mark.parametrize(("column", "rule"), [("customer", "required"), ("products", "required")])
@pytest.mark.parametrize("text", [None, "null"])
def test_what_is_absent_is_missing(read, column, rule, text):
    first, _ = read(pa.Table.from_pylist([order(**{column: text}), order()]))
    assert first.faults == {column: rule}


def test_values_inside_are_checked_like_any_other(one):
    products = '[{"id": "", "name": "x", "price": "NaN", "quantity": 1.5}, null, 7]'
    found = one(order(products=products, customer='{"email": null}'))
    assert found.faults == {
        "customer": "needs email, phone or crmId",
        "products[0].price": "a finite number",
        "products[0].quantity": "a whole number from -2147483648 to 2147483647",
        "products[1]": "required",
        **{f"products[2].{name}": "required" for name in ("id", "name", "price", "quantity")},
    }


@pytest.mark.parametrize("name", ["e", "a", "x"])
def test_a_column_whose_name_the_query_may_use_for_itself_is_not_read(one, name):
    members = {"id": "wrong", "name": "wrong", "email": "wrong", "key": "wrong", "value": "wrong"}
    found = one(order(orderAttributes='{"Gift": "yes"}', **{name: members}))
    assert found.sent["products"][0]["id"] == "1"
    assert found.sent["customer"]["email"] == "a@example.com"
    assert found.sent["orderAttributes"] == [{"name": "Gift", "value": "yes"}]


def test_an_sql_text_may_return_json(one):
    sql = "SELECT * REPLACE (customer::JSON AS customer) FROM extract"
    assert one(order(), sql=sql).sent["customer"] == {"email": "a@example.com", "crmId": "17"}


def test_a_mapping_names_keys_as_they_are_spelled(one):
    row = {
        "NO": "A-1",
        "AT": NOON,
        "SUM": 24.5,
        "WHO": '{"E-MAIL": "a@example.com"}',
        "ITEMS": '[{"SKU": 1, "TITLE": "Mug", "price": 12.25, "quantity": 2}]',
    }
    mapping = {
        "id": "NO",
        "date": "AT",
        "totalValue": "SUM",
        "customer": "WHO",
        "customer.email": "E-MAIL",
        "products": "ITEMS",
        "products.id": "SKU",
        "products.name": "TITLE",
    }
    found = one(row, mapping=mapping)
    assert found.sent["customer"] == {"email": "a@example.com"}
    assert found.sent["products"] == [{"id": "1", "name": "Mug", "price": "12.25", "quantity": "2"}]


def test_keys_that_begin_with_capital_letters_are_read_in_any_case(one):
    """Snowflake's OBJECT_CONSTRUCT(*) has the names of columns for keys."""
    items = [
        {"ID": 1, "NAME": "Mug", "PRICE": "12.250", "Quantity": 2, "IMAGE_URL": "u", "PRODUCT_ATTRIBUTES": {"Kg": 1}},
        None,
    ]
    found = one(order(customer='{"EMAIL": "a@example.com", "CRM_ID": 17}', products=json.dumps(items)))
    assert found.faults == {"products[1]": "required"}
    found = one(order(customer='{"EMAIL": "a@example.com", "CRM_ID": 17}', products=json.dumps(items[:1])))
    assert found.sent["customer"] == {"email": "a@example.com", "crmId": "17"}
    assert found.sent["products"] == [
        {
            "id": "1",
            "name": "Mug",
            "price": "12.250",
            "quantity": "2",
            "imageUrl": "u",
            "productAttributes": [{"name": "Kg", "value": "1"}],
        }
    ]


def test_a_mapping_finds_such_keys_in_any_case(one):
    row = order(customer='{"MAIL": "a@example.com"}', items='[{"SKU": "s", "TITLE": "t", "PRICE": 1, "QUANTITY": 2}]')
    del row["products"]
    mapping = {"customer": "customer", "customer.email": "mail", "products": "items"}
    mapping |= {"products.id": "SKU", "products.name": "title", "products.quantity": "QUANTITY"}
    found = one(row, mapping=mapping)
    assert found.sent["customer"] == {"email": "a@example.com"}
    assert found.sent["products"] == [{"id": "s", "name": "t", "price": "1", "quantity": "2"}]


def test_of_a_key_in_two_cases_the_first_counts(one):
    products = '[{"Id": "first", "ID": "second", "name": "x", "price": 1, "quantity": 1}]'
    assert one(order(products=products)).sent["products"][0]["id"] == "first"


@pytest.mark.parametrize("text", ['{"Id": 1}', '[{"Id": 1]', "7", '"[{\\"Id\\": 1}]"'])
def test_text_that_begins_so_and_is_no_list_is_a_problem_too(one, text):
    assert one(order(products=text)).faults == {"products": "JSON text of a list of objects"}


def test_json_in_order_lines_is_read_and_its_problems_are_the_order_s(read):
    def line(no, attributes, who='{"email": "a@example.com"}'):
        return {"no": no, "date": NOON, "who": who, "sku": "s", "price": 1, "qty": 1, "attributes": attributes}

    mapping = {
        "id": "no",
        "totalValue": {"sum": ["price", "qty"]},
        "customer": "who",
        "products": {
            "id": "sku",
            "name": "sku",
            "price": "price",
            "quantity": "qty",
            "productAttributes": "attributes",
        },
    }
    rows = [
        line("A", '{"Colour": "red"}'),
        line("A", None),
        line("B", "{"),
        line("B", "{}"),
        line("C", None, "no JSON"),
    ]
    found = {row.order_id: row for row in read(pa.Table.from_pylist(rows), mapping=mapping)}
    assert found["A"].problems == []
    assert [p.get("productAttributes") for p in found["A"].sent["products"]] == [
        [{"name": "Colour", "value": "red"}],
        None,
    ]
    assert found["B"].problems == [
        {
            "field": "products.productAttributes",
            "rule": "JSON text of a list of objects",
            "got": "text of 1 character",
        }
    ]
    assert [p["field"] for p in found["C"].problems] == ["customer"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"customer": '{"email": "a@example.com", "email": "b@example.com"}'}, "customer"),
        ({"products": PRODUCTS.replace('"id"', '"price": 1, "id"')}, "products"),
        ({"products": PRODUCTS.replace('"id"', '"product_attributes": {"A": 1, "A": 2}, "id"')}, "products[0]"),
        (
            {"products": PRODUCTS.replace('"id"', '"product_attributes": [{"name": "a", "name": "b"}], "id"')},
            "products[0]",
        ),
        ({"orderAttributes": '{"Gift": "yes", "Gift": "no"}'}, "orderAttributes[0]"),
        ({"orderAttributes": '[{"name": "Gift", "value": "}", "value": "no"}]'}, "orderAttributes[0]"),
    ],
)
def test_a_key_that_appears_twice_is_that_order_s_problem(read, changes, field):
    rows = [order(orderAttributes="[]") | changes, order(id="B", orderAttributes="[]")]
    first, second = read(pa.Table.from_pylist(rows))
    [problem] = first.problems
    assert (problem["rule"], problem["got"]) == ("one value for one key", "more")
    assert problem["field"].startswith(field)
    assert second.problems == []


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("7.0", "a number with a fraction"),
        ("1234567890123456.7", "a number with a fraction"),
        ("1e5", "a number with a fraction"),
        ('["a"]', "a list"),
        ('{"a": 1}', "an object"),
        ("NaN", "NaN or infinity"),
        ("-Infinity", "NaN or infinity"),
    ],
)
@pytest.mark.parametrize("key", ["crm_id", "crmId", "CRMID", r"crm\u005fid"])
def test_a_value_of_another_kind_is_no_text(one, key, value, got):
    first = '"X": 1, ' if key.isupper() else ""
    [problem] = one(order(customer=f'{{{first}"{key}" : {value}}}')).problems
    assert problem == {"field": "customer.crmId", "rule": "text", "got": got}


@pytest.mark.parametrize("number", ["123456789012345678", "12345678901234567890123", "-5", "0"])
def test_whole_numbers_keep_their_digits_as_text(one, number):
    assert one(order(customer=f'{{"crmId": {number}}}')).sent["customer"] == {"crmId": number}


@pytest.mark.parametrize("number", ["123456789012345678.91", "0.1234567890123456789", "33.333333333333336"])
def test_long_numbers_keep_their_digits(one, number):
    products = PRODUCTS.replace("12.25", number)
    assert one(order(products=products)).sent["products"][0]["price"] == number
    keyed = one(order(orderAttributes=f'{{"A": {number}}}')).sent["orderAttributes"]
    assert keyed == [{"name": "A", "value": number}]


def test_an_attribute_may_be_called_as_a_field_of_free_text(one):
    products = PRODUCTS.replace('"id"', '"product_attributes": {"category": 1.5, "url": 2}, "id"', 1)
    [product] = one(order(products=products)).sent["products"]
    assert product["productAttributes"] == [{"name": "category", "value": "1.5"}, {"name": "url", "value": "2"}]
