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


@pytest.fixture
def together(read):
    """Read orders in one reading, each with changes of its own; return the rows by case."""

    def run(changes):
        rows = [order(orderAttributes="[]") | change for change in changes.values()]
        return dict(zip(changes, read(pa.Table.from_pylist(rows)), strict=True))

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


def test_attributes_are_a_list_or_an_object_by_their_names(read):
    sent = {
        '[{"name": "Gift", "value": "yes"}, {"name": "Note"}]': [{"name": "Gift", "value": "yes"}, {"name": "Note"}],
        '{"Gift": "yes", "Kg": 1.5}': [{"name": "Gift", "value": "yes"}, {"name": "Kg", "value": "1.5"}],
        "[]": [],
        "{}": [],
        "null": None,
        "": None,
        " \u200b": None,
        None: None,
    }
    table = pa.Table.from_pylist([order()] * len(sent)).append_column("order_attributes", pa.array(list(sent)))
    rows = zip(sent, read(table), strict=True)
    assert {text: row.sent.get("orderAttributes") for text, row in rows} == sent


def test_attributes_of_products_are_read_too(one):
    products = json.loads(PRODUCTS)
    products[0]["product_attributes"] = {"Colour": "red"}
    assert one(order(products=json.dumps(products))).sent["products"][0]["productAttributes"] == [
        {"name": "Colour", "value": "red"}
    ]


@pytest.mark.parametrize("key", ["productAttributes", "product_attributes", "PRODUCTATTRIBUTES"])
def test_attributes_of_products_that_are_a_single_value_are_that_order_s_problem(together, key):
    product = PRODUCTS if key[0] == "p" else PRODUCTS.replace('"id"', '"Id"')
    absent = ["null", '""']
    values = ['"red"', r'"{\"Colour\": 1}"', "7", "1.5", "true", "NaN", *absent]
    rows = together({value: {"products": product.replace("}", f', "{key}": {value}}}')} for value in values})
    assert [rows.pop(value).sent["products"][0].get("productAttributes") for value in absent] == [None, None]
    assert [row.problems for row in rows.values()] == len(rows) * [
        [
            {
                "field": "products[0].productAttributes[0].name",
                "rule": "JSON text of a list of objects",
                "got": "a single value",
            }
        ]
    ]


def test_text_that_is_not_what_is_requested_is_that_order_s_problem(together):
    rules = {
        ("customer", "John Smith"): "JSON text of an object",
        ("customer", "[]"): "JSON text of an object",
        ("customer", ""): "JSON text of an object",
        ("products", '{"id": 1}'): "JSON text of a list of objects",
        ("products", PRODUCTS[:-1]): "JSON text of a list of objects",
        ("products", "70"): "JSON text of a list of objects",
        # begins as a list with capital letters does
        ("products", '{"Id": 1}'): "JSON text of a list of objects",
        ("products", '[{"Id": 1]'): "JSON text of a list of objects",
        ("products", '"[{\\"Id\\": 1}]"'): "JSON text of a list of objects",
        ("orderAttributes", '"x"'): "JSON text of a list of objects",
    }
    rows = together({case: dict([case]) for case in rules} | {"good": {}})
    assert rows.pop("good").problems == []
    assert {case: row.problems for case, row in rows.items()} == {
        (field, text): [{"field": field, "rule": rule, "got": f"text of {len(text)} characters"}]
        for (field, text), rule in rules.items()
    }


def test_what_is_absent_is_missing(together):
    rows = together({(column, text): {column: text} for column in ("customer", "products") for text in (None, "null")})
    assert {case: row.faults for case, row in rows.items()} == {case: {case[0]: "required"} for case in rows}


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


def test_a_column_whose_name_the_query_may_use_for_itself_is_not_read(one):
    members = {"id": "wrong", "name": "wrong", "email": "wrong", "key": "wrong", "value": "wrong"}
    found = one(order(orderAttributes='{"Gift": "yes"}', **dict.fromkeys("eax", members)))
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


def test_a_name_that_may_be_a_key_or_a_column_is_a_key_and_the_log_says_so(one, caplog):
    row = order(mail="b@example.com", customer='{"mail": "a@example.com"}')
    mapping = {"customer": "customer", "customer.email": "mail", "products": "products", "products.id": "id"}
    assert one(row, mapping=mapping).sent["customer"] == {"email": "a@example.com"}
    assert caplog.messages == [
        "customer: 'mail' is read as a key of the JSON text in column customer, not as the column of that name"
    ]


def test_a_mapping_makes_attributes_of_keys_and_of_columns(read):
    values = {'"red"': "red", "1.50": "1.5", "true": "true", "null": None, "[1]": "a list", "NaN": "NaN or infinity"}
    rows = [
        {**order(), "brand": "B", "products": PRODUCTS.replace('"id"', f'"colour": {value}, "id"')} for value in values
    ]
    mapping = {"products": "products", "products.productAttributes": {"Colour": "colour", "Brand": "brand"}}
    path = "products[0].productAttributes[0].value"
    for row, expected in zip(read(pa.Table.from_pylist(rows), mapping=mapping), values.values(), strict=True):
        if row.problems:
            assert row.problems == [{"field": path, "rule": "text", "got": expected}]
        else:
            names = {a["name"]: a["value"] for a in row.sent["products"][0]["productAttributes"]}
            assert names == ({"Colour": expected} if expected else {}) | {"Brand": "B"}


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


def test_names_and_values_of_attributes_are_read_in_any_case_and_no_text_is_taken_for_a_key(together):
    quoting = [{"name": 'x "NAME": y', "value": '"Value":'}, {"NAME": "n", "VALUE": "Name"}]
    product = '[{"id": 1, "name": "Mug", "price": 1, "quantity": 2, "productAttributes": %s}]'
    texts = {
        "upper": '[{"NAME": "Colour", "VALUE": 1.5}]',
        "title": '[{"Name": "Colour", "Value": 1.5}]',
        "one": '[{"name": "Colour", "Value": 1.5}]',
    }
    cases = {(name, "order"): {"orderAttributes": text} for name, text in texts.items()}
    cases |= {(name, "product"): {"products": product % text} for name, text in texts.items()}
    rows = together(cases | {"quoting": {"orderAttributes": json.dumps(quoting)}})
    assert [list(a.values()) for a in rows.pop("quoting").sent["orderAttributes"]] == [
        ['x "NAME": y', '"Value":'],
        ["n", "Name"],
    ]
    for (_, of), row in rows.items():
        owner, key = (row.sent, "orderAttributes") if of == "order" else (row.sent["products"][0], "productAttributes")
        assert owner[key] == [{"name": "Colour", "value": "1.5"}]


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


def test_a_key_that_appears_twice_is_that_order_s_problem(together):
    fields = {
        ("customer", '{"email": "a@example.com", "email": "b@example.com"}'): "customer",
        ("products", PRODUCTS.replace('"id"', '"price": 1, "id"')): "products",
        ("products", f'{PRODUCTS[:-2]}, "x": 1}}, {PRODUCTS[1:-2]}, "x": 1, "x": 2}}]'): "products",
        # more keys than are compared in pairs
        ("products", json.dumps([{str(n): 1 for n in range(150)}]).replace("}", ', "149": 1}')): "products",
        ("products", PRODUCTS.replace('"id"', '"product_attributes": {"A": 1, "A": 2}, "id"')): "products[0]",
        (
            "products",
            PRODUCTS.replace('"id"', '"product_attributes": [{"name": "a", "name": "b"}], "id"'),
        ): "products[0]",
        ("orderAttributes", '{"Gift": "yes", "Gift": "no"}'): "orderAttributes[0]",
        ("orderAttributes", '[{"name": "Gift", "value": "}", "value": "no"}]'): "orderAttributes[0]",
    }
    rows = together({case: dict([case]) for case in fields} | {"good": {}})
    assert rows.pop("good").problems == []
    for case, row in rows.items():
        [problem] = row.problems
        assert (problem["rule"], problem["got"]) == ("one value for one key", "more")
        assert problem["field"].startswith(fields[case])


def test_two_spellings_of_a_key_are_that_order_s_problem(together):
    product = '{"id": "P", "name": "n", "price": 1, "quantity": 1'
    others = {
        "customer": [
            '{"email": "a", "Email": "b"}',
            '{"EMAIL": "a", "email": "b"}',
            '{"phone": "1", "eMail": 1, "email": 2}',
        ],
        "products": [
            '[{"Id": "first", "ID": "second", "name": "x", "price": 1, "quantity": 1}]',
            *(f'[{product}, "imageUrl": "a", "{key}": "b"}}]' for key in ("imageURL", "IMAGE_URL", "imageurl")),
        ],
    }
    others = {(field, text): {field: text} for field, texts in others.items() for text in texts}
    for (field, _), row in together(others).items():
        assert row.problems == [{"field": field, "rule": "one key for one field", "got": "two spellings of it"}]
    cases = {
        "customer": {"customer": '{"crm_id": "1", "crmId": "2"}'},
        "products": {"products": f'[{product}, "imageUrl": "a", "image_url": "b"}}]'},
        # keys of two objects, and text that looks like a key
        "two": {"products": f'[{product}, "imageUrl": "a"}}, {product}, "image_url": "b"}}]'},
        "text": {"customer": '{"crm_id": "\\"crmId\\""}'},
    }
    rows = together(cases)
    for field in ("customer", "products"):
        assert rows[field].problems == [{"field": field, "rule": "one key for one field", "got": "two spellings of it"}]
    assert [product["imageUrl"] for product in rows["two"].sent["products"]] == ["a", "b"]
    assert rows["text"].sent["customer"] == {"crmId": '"crmId"'}


def test_a_value_of_another_kind_is_no_text(together):
    kinds = {
        "7.0": "a number with a fraction",
        "1234567890123456.7": "a number with a fraction",
        "1e5": "a number with a fraction",
        '["a"]': "a list",
        '{"a": 1}': "an object",
        "NaN": "NaN or infinity",
        "-Infinity": "NaN or infinity",
    }
    keys = ['"crm_id"', '"crmId"', '"X": 1, "CRMID"', r'"crm\u005fid"']
    rows = together({(key, value): {"customer": f"{{{key} : {value}}}"} for key in keys for value in kinds})
    assert {case: row.problems for case, row in rows.items()} == {
        (key, value): [{"field": "customer.crmId", "rule": "text", "got": kinds[value]}] for key, value in rows
    }


def test_numbers_keep_their_digits(together):
    whole = ["123456789012345678", "12345678901234567890123", "-5", "0"]
    fractions = ["123456789012345678.91", "0.1234567890123456789", "33.333333333333336"]
    rows = together(
        {number: {"customer": f'{{"crmId": {number}}}'} for number in whole}
        | {
            number: {"products": PRODUCTS.replace("12.25", number), "orderAttributes": f'{{"A": {number}}}'}
            for number in fractions
        }
    )
    for number in whole:
        assert rows[number].sent["customer"] == {"crmId": number}
    for number in fractions:
        assert rows[number].sent["products"][0]["price"] == number
        assert rows[number].sent["orderAttributes"] == [{"name": "A", "value": number}]


def test_an_attribute_may_be_called_as_a_field_of_free_text(one):
    products = PRODUCTS.replace('"id"', '"product_attributes": {"category": 1.5, "url": 2}, "id"', 1)
    [product] = one(order(products=products)).sent["products"]
    assert product["productAttributes"] == [{"name": "category", "value": "1.5"}, {"name": "url", "value": "2"}]
