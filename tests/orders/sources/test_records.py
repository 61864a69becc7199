"""Orders that are Python dicts: every type of a value, and wrong shapes as problems of their own order."""

from __future__ import annotations

import datetime as dt
import json
import numbers
import uuid
from collections import OrderedDict
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import pyarrow as pa
import pytest

from airflow_provider_ecdp.errors import ExtractError
from airflow_provider_ecdp.orders.sources.records import source_from_records

D = Decimal
WHOLE = "a whole number from -2147483648 to 2147483647"
MOMENT = "a date and time with a time zone, from year 1 to 9999"


@pytest.fixture(scope="module")
def take(read):
    """Read named orders together; return the rows by name."""
    return lambda orders, **settings: dict(
        zip(orders, read(source_from_records(list(orders.values())), **settings), strict=True)
    )


def line(good, **fields):
    return good | {"products": [good["products"][0] | fields]}


def faults(rows):
    return {name: row.faults for name, row in rows.items()}


def test_values_are_sent_as_they_are(take, good):
    numbers = {
        "decimal": (D("20.50"), "20.50"),
        "decimal, many digits": (D("20.500000000000000000000000000000001"), "20.500000000000000000000000000000001"),
        "decimal, exponent": (D("1E+2"), "100"),
        "decimal, small": (D("1E-20"), "0.00000000000000000001"),
        "decimal, minus nothing": (D("-0.00"), "-0.00"),
        "int": (20, "20"),
        "large int": (10**30, "1" + "0" * 30),
        "float": (20.5, "20.5"),
        "small float": (1e-7, "1e-07"),
        "large float": (1e22, "1e+22"),
        "text": ("20.50", "20.50"),
    }
    rows = take({name: good | {"totalValue": value} for name, (value, _) in numbers.items()})
    assert {name: row.sent["totalValue"] for name, row in rows.items()} == {n: sent for n, (_, sent) in numbers.items()}


def test_whole_numbers_may_be_of_any_kind(take, good):
    kinds = {"int": 2, "float": 2.0, "decimal": D("2.00"), "text": "2", "text of a float": "2.0"}
    rows = take({name: line(good, quantity=value) for name, value in kinds.items()})
    assert [row.sent["products"][0]["quantity"] for row in rows.values()] == ["2"] * len(kinds)


def test_text_may_be_a_number_a_truth_or_a_uuid(take, good):
    kinds = {7: "7", 10**30: "1" + "0" * 30, True: "true", uuid.UUID(int=1): str(uuid.UUID(int=1)), "ż": "ż"}
    rows = take({repr(value): good | {"id": value} for value in kinds})
    assert [row.order_id for row in rows.values()] == list(kinds.values())


def test_dates_are_datetimes_dates_or_text(take, good):
    plus = dt.timezone(dt.timedelta(hours=5, minutes=30))
    dates = {
        "UTC": (dt.datetime(2026, 7, 1, 10, 30, 0, 123999, tzinfo=dt.UTC), "2026-07-01T10:30:00.123Z"),
        "offset": (dt.datetime(2026, 7, 1, 10, 30, tzinfo=plus), "2026-07-01T05:00:00.000Z"),
        "text": ("2026-07-01T10:30:00Z", "2026-07-01T10:30:00.000Z"),
        "first year": (dt.datetime(1, 1, 1, tzinfo=dt.UTC), "0001-01-01T00:00:00.000Z"),
    }
    naive = {
        "naive": (dt.datetime(2026, 7, 1, 10, 30), "2026-07-01T08:30:00.000Z"),  # noqa: DTZ001 - no zone is the point
        "date": (dt.date(2026, 7, 1), "2026-06-30T22:00:00.000Z"),
        "naive text": ("2026-07-01 10:30", "2026-07-01T08:30:00.000Z"),
    }
    orders = {name: good | {"date": value} for name, (value, _) in (dates | naive).items()}
    declared, undeclared = take(orders, timezone="Europe/Warsaw"), take(orders)

    assert {name: row.sent["date"] for name, row in declared.items()} == {n: s for n, (_, s) in (dates | naive).items()}
    assert {name: undeclared[name].sent["date"] for name in dates} == {n: sent for n, (_, sent) in dates.items()}
    assert [undeclared[name].faults for name in naive] == [{"date": MOMENT}] * 3


def test_an_offset_with_seconds_is_that_orders_problem(take, good):
    odd = dt.timezone(dt.timedelta(hours=1, minutes=24, seconds=5))
    rows = take({"odd": good | {"date": dt.datetime(1900, 1, 1, tzinfo=odd)}, "good": good})
    assert faults(rows) == {"odd": {"date": MOMENT}, "good": {}}


def test_keys_match_in_every_style(take, good):
    order = {
        "ID": 7,
        "date": good["date"],
        "total_value": 20.5,
        "time_zone": "Europe/Warsaw",
        "CUSTOMER": {"crm_id": 42},
        "Products": [
            {
                "ID": 1,
                "Name": "x",
                "PRICE": 20.5,
                "Quantity": 1,
                "image_url": "u",
                "product_attributes": [{"NAME": "n"}],
            }
        ],
        "order_attributes": ({"name": "gift", "value": True},),
        "note": object(),
        5: "a key that is no text",
    }
    sent = take({"order": order})["order"].sent

    assert sent == {
        "id": "7",
        "date": "2026-01-02T10:30:00.000Z",
        "timeZone": "Central European Standard Time",
        "totalValue": "20.5",
        "customer": {"crmId": "42"},
        "products": [
            {
                "id": "1",
                "name": "x",
                "price": "20.5",
                "quantity": "1",
                "imageUrl": "u",
                "productAttributes": [{"name": "n"}],
            }
        ],
        "orderAttributes": [{"name": "gift", "value": "true"}],
    }


def test_two_spellings_of_a_key_that_is_ignored_are_no_problem(take, good):
    order = {**good, "Note": 1, "note": 2, "customer": {"crmId": "7", "Name": "a", "name": "b"}}
    rows = take({"order": order})
    assert faults(rows) == {"order": {}}
    assert rows["order"].sent["customer"] == {"crmId": "7"}


def test_any_mapping_is_an_order(take, good):
    rows = take({"ordered": OrderedDict(good), "frozen": MappingProxyType(good)})
    assert faults(rows) == {"ordered": {}, "frozen": {}}


def test_what_came_through_json_is_an_order(take, good):
    order = json.loads(json.dumps(good | {"date": "2026-01-02T10:30:00Z", "totalValue": 20.5}, default=float))
    assert take({"order": order})["order"].sent["totalValue"] == "20.5"


def test_one_bad_value_does_not_decide_for_the_others(take, good):
    rows = take({"text": good | {"totalValue": "n/a"}, "number": good, "none": good | {"totalValue": None}})
    assert faults(rows) == {
        "text": {"totalValue": "a finite number"},
        "number": {},
        "none": {"totalValue": "required"},
    }


def test_optional_fields_that_no_order_has_are_not_there(good):
    extract = source_from_records([good, good | {"currency": None}])
    assert "currency" not in extract.schema.names
    assert "currency" in source_from_records([good, good | {"currency": "EUR"}]).schema.names


ATTRIBUTE_OF_PRODUCT = {"products[0].productAttributes[0].value": "a finite number"}


def test_a_value_that_cannot_be_its_fields_is_that_orders_problem(take, good):
    infinite, nan = float("inf"), float("nan")
    cases = {
        "id is a list": (good | {"id": ["a"]}, {"id": "text or a whole number"}),
        "id is a dict": (good | {"id": {}}, {"id": "text or a whole number"}),
        "id is bytes": (good | {"id": b"x"}, {"id": "text or a whole number"}),
        "id is an object": (good | {"id": object()}, {"id": "text or a whole number"}),
        "total is text": (good | {"totalValue": "1,50"}, {"totalValue": "a finite number"}),
        "total is true": (good | {"totalValue": True}, {"totalValue": "a finite number"}),
        "total is nan": (good | {"totalValue": nan}, {"totalValue": "required"}),
        "total is infinite": (good | {"totalValue": infinite}, {"totalValue": "a finite number"}),
        "total is no decimal": (good | {"totalValue": D("NaN")}, {"totalValue": "required"}),
        "total is no decimal, loudly": (good | {"totalValue": D("sNaN")}, {"totalValue": "required"}),
        "id is a float": (good | {"id": 7.0}, {"id": "text or a whole number"}),
        "id is a large float": (good | {"id": 1e22}, {"id": "text or a whole number"}),
        "id is a decimal with a fraction": (good | {"id": D("7.0")}, {"id": "text or a whole number"}),
        "id is a date": (good | {"id": dt.date(2026, 1, 1)}, {"id": "text or a whole number"}),
        "id is nan": (good | {"id": nan}, {"id": "required"}),
        "e-mail is nan": (
            good | {"customer": {"email": nan}},
            {"customer": "needs email, phone or crmId"},
        ),
        "price is nan": (line(good, price=nan), {"products[0].price": "required"}),
        "currency is a number": (good | {"currency": 7.5}, {"currency": "text or a whole number"}),
        "total is an infinite decimal": (good | {"totalValue": D("-Infinity")}, {"totalValue": "a finite number"}),
        "total is beyond doubles": (good | {"totalValue": D("1E+400")}, {"totalValue": "a finite number"}),
        "total is a fraction": (good | {"totalValue": Fraction(1, 3)}, {"totalValue": "a finite number"}),
        "total is longer than numbers are": (good | {"totalValue": 10**5000}, {"totalValue": "number (double)"}),
        "total is a list": (good | {"totalValue": [1]}, {"totalValue": "number (double)"}),
        "quantity is half": (line(good, quantity=1.5), {"products[0].quantity": WHOLE}),
        "quantity is true": (line(good, quantity=True), {"products[0].quantity": WHOLE}),
        "quantity is too much": (line(good, quantity=2**31), {"products[0].quantity": WHOLE}),
        "date is a number": (good | {"date": 1730887800}, {"date": MOMENT}),
        "date is a time": (good | {"date": dt.time(1)}, {"date": "string (date-time)"}),
        "customer is text": (good | {"customer": "a@b"}, {"customer": "object"}),
        "customer is a list": (good | {"customer": [{"email": "a@b"}]}, {"customer": "object"}),
        "email is a dict": (good | {"customer": {"email": {}}}, {"customer.email": "text or a whole number"}),
        "products are a dict": (good | {"products": good["products"][0]}, {"products": "list of objects"}),
        "products are text": (good | {"products": "[]"}, {"products": "list of objects"}),
        "products are a generator": (good | {"products": iter(good["products"])}, {"products": "list of objects"}),
        "a product is text": (good | {"products": ["Mug", *good["products"]]}, {"products[0]": "object"}),
        "a product is none": (good | {"products": [None]}, {"products[0]": "required"}),
        "attributes are a dict": (good | {"orderAttributes": {"a": "b"}}, {}),
        "a value in a dict is a list": (good | {"orderAttributes": {"a": [1]}}, {"orderAttributes[0].value": "string"}),
        "a value is infinite": (line(good, productAttributes={"a": -infinite}), ATTRIBUTE_OF_PRODUCT),
        "a value is an infinite decimal": (line(good, productAttributes={"a": D("Infinity")}), ATTRIBUTE_OF_PRODUCT),
        "an attribute is a pair": (good | {"orderAttributes": [("a", "b")]}, {"orderAttributes[0]": "object"}),
        "a value is a list": (
            good | {"orderAttributes": [{"name": "a", "value": [1]}]},
            {"orderAttributes[0].value": "string"},
        ),
        "two keys are one field": (good | {"total_value": 1}, {"total_value": "one key for one field"}),
        "half of a pair": (good | {"id": "a\ud800"}, {"id": "text in UTF-8"}),
        "half of a pair inside": (
            good | {"customer": {"email": "a\udc00@b"}},
            {"customer.email": "text in UTF-8"},
        ),
        "nothing": ({}, dict.fromkeys(("id", "date", "totalValue", "customer", "products"), "required")),
        "good": (good, {}),
    }
    rows = take({name: order for name, (order, _) in cases.items()})

    assert faults(rows) == {name: expected for name, (_, expected) in cases.items()}
    # one fault is one problem, and makes nothing else odd
    assert [name for name, row in rows.items() if len(row.problems) != len(row.faults)] == []
    assert "no_products" not in {name for row in rows.values() for name in row.named_warnings}


def test_markers_of_missing_values_are_absent(take, good):
    nan = float("nan")
    empty = {"currency": nan, "status": D("NaN"), "returnsValue": nan, "websiteId": nan, "timeZone": nan}
    empty |= {"orderAttributes": nan, "customer": {"email": "a@example.com", "phone": nan, "crmId": D("sNaN")}}
    rows = take({"nan": good | empty, "none": good | {"customer": {"email": "a@example.com"}}})
    assert rows["nan"].sent == rows["none"].sent


def test_empty_text_in_place_of_optional_attributes_is_absent(take, good):
    [product] = good["products"]
    texts = ("", " \u00a0")
    rows = take({t: good | {"orderAttributes": t, "products": [product | {"productAttributes": t}]} for t in texts})
    for row in rows.values():
        assert ("orderAttributes" in row.sent, "productAttributes" in row.sent["products"][0]) == (False, False)


def test_a_wrong_kind_is_reported_and_not_the_value(take, good):
    rows = take({"a": good | {"customer": ["anna@example.com"]}, "b": good | {"id": {"secret": "anna@example.com"}}})
    assert [row.problems for row in rows.values()] == [
        [{"field": "customer", "rule": "object", "got": "list"}],
        [{"field": "id", "rule": "text or a whole number", "got": "dict"}],
    ]


class Foreign:
    """A number of another library: as numpy's are, it is registered as one."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text


class ForeignInteger(Foreign):
    """A whole number of another library."""


numbers.Real.register(Foreign)
numbers.Integral.register(ForeignInteger)


def test_numbers_of_other_libraries_are_numbers(take, good):
    rows = take({"n": line(good, quantity=Foreign("2"), price=Foreign("10.25")) | {"id": ForeignInteger("7")}})
    assert (rows["n"].order_id, rows["n"].sent["products"][0]["price"]) == ("7", "10.25")


def test_a_decimal_of_a_billion_digits_is_not_written_out(take, good):
    rows = take({"large": good | {"totalValue": D("1E+999999999")}, "small": good | {"totalValue": D("1E-999999999")}})
    assert rows["large"].faults == {"totalValue": "a finite number"}
    assert rows["small"].sent["totalValue"] == "1E-999999999"


def test_no_orders_are_an_empty_extract(read):
    extract = source_from_records([])
    assert (extract.rows, read(extract)) == (0, [])


def test_orders_may_come_from_a_generator(read, good):
    extract = source_from_records((good | {"id": str(i)} for i in range(5000)), "what the callable returned")
    assert (extract.name, extract.rows) == ("what the callable returned", 5000)
    assert [row.order_id for row in read(extract)] == [str(i) for i in range(5000)]


@pytest.mark.parametrize("given", [None, 5, "[]", b"[]", {"id": "1"}], ids=repr)
def test_what_is_no_list_of_dicts_is_refused(given):
    with pytest.raises(ExtractError, match=f"^the list of orders is {type(given).__name__}, not a list of dicts$"):
        source_from_records(given)


@pytest.mark.parametrize("element", [None, "1", ["id", "1"], 7], ids=repr)
def test_an_element_that_is_no_dict_is_refused_by_its_position(good, element):
    with pytest.raises(ExtractError, match=f"element 1 is {type(element).__name__}, not a dict of an order"):
        source_from_records([good, element])


def test_records_can_be_shaped_by_an_sql_text(read, good):
    sql = "SELECT *, 'EUR' AS currency FROM extract WHERE id <> '2'"
    rows = read(source_from_records([good | {"id": i} for i in (1, 2, 3)]), sql=sql)
    assert [(row.order_id, row.sent["currency"]) for row in rows] == [("1", "EUR"), ("3", "EUR")]


def test_attributes_may_be_a_dict_and_a_list_may_be_an_array(take, good):
    attributes = [{"name": "gift", "value": "true"}]
    rows = take(
        {
            "lists": good | {"orderAttributes": attributes},
            "others": good | {"orderAttributes": {"gift": True}, "products": pa.array(good["products"])},
        }
    )
    assert rows["others"].sent == rows["lists"].sent
