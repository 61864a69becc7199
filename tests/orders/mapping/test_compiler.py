"""Orders made of columns by a mapping: one row an order, or one row an order line."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import examples
from online_retail import MAPPING as RETAIL

from airflow_provider_ecdp.errors import ColumnsError
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.table import TableSource

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def line(order="A-1", sku="P-1", **changes):
    return {
        "order_no": order,
        "ordered_at": NOON,
        "email": f"{order.lower()}@example.com",
        "sku": sku,
        "title": f"Product {sku}",
        "price": Decimal("10.25"),
        "qty": 2,
    } | changes


LINES = {
    "id": "order_no",
    "date": "ordered_at",
    "totalValue": {"sum": ["price", "qty"]},
    "customer.email": "email",
    "products": {"id": "sku", "name": "title", "price": "price", "quantity": "qty"},
}

FLAT = {
    "id": "order_no",
    "date": "ordered_at",
    "totalValue": "price",
    "customer": {"email": "email"},
    "products": "items",
}

FLAT_OF_BUYER = {name: source for name, source in FLAT.items() if name != "customer"} | {"customer": "buyer"}

#: A row that is an order, with its products in a list.
ROW = {
    "order_no": "A-1",
    "ordered_at": NOON,
    "email": "a@example.com",
    "price": Decimal("20.50"),
    "items": [{"id": "P-1", "name": "Mug", "price": Decimal("10.25"), "quantity": 2}],
}


@pytest.fixture
def shape(read):
    """Read rows by a mapping; return what is sent, by id."""

    def run(rows, mapping, **more):
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
        found = read(table, mapping=mapping, **more)
        assert not [row.problems for row in found if row.problems]
        return {row.order_id: row.sent for row in found}

    return run


def refused(rows, mapping):
    with pytest.raises(ColumnsError) as error:
        OrderReader(TableSource("t", pa.Table.from_pylist(rows)), OrderSettings(mapping=mapping)).__exit__()
    return str(error.value)


# one row, one order


def test_columns_of_any_name_become_fields(shape):
    assert shape([ROW], FLAT) == {
        "A-1": {
            "id": "A-1",
            "date": "2026-11-22T12:00:00.000Z",
            "totalValue": "20.50",
            "customer": {"email": "a@example.com"},
            "products": [{"id": "P-1", "name": "Mug", "price": "10.25", "quantity": "2"}],
        }
    }


def test_what_the_mapping_does_not_name_is_matched_by_its_name(shape):
    row = ROW | {"status": "paid", "CURRENCY": "PLN", "customer_phone": "+48", "website_id": 3}
    order = shape([row], FLAT)["A-1"]
    assert (order["status"], order["currency"], order["websiteId"]) == ("Paid", "PLN", "3")
    assert order["customer"] == {"email": "a@example.com", "phone": "+48"}


def test_the_mapping_counts_more_than_a_name(shape):
    order = shape([ROW | {"status": "shipped", "state": "paid"}], FLAT | {"status": "state"})["A-1"]
    assert order["status"] == "Paid"


def test_two_columns_of_one_name_are_refused_unless_one_is_mapped(shape):
    row = ROW | {"websiteId": 1, "website_id": 2}
    assert "- websiteId: 'websiteId' and 'website_id' both have the name of this field; map one of them" in refused(
        [row], FLAT
    )
    assert shape([row], FLAT | {"websiteId": "website_id"})["A-1"]["websiteId"] == "2"


@pytest.mark.parametrize(
    ("constant", "sent"), [("PLN", "PLN"), (616, "616"), (Decimal("7.50"), "7.50"), (True, "true"), ("it's", "it's")]
)
def test_a_constant_is_sent_with_every_order(shape, constant, sent):
    order = shape([ROW], FLAT | {"orderAttributes": {"What": {"value": constant}}})["A-1"]
    assert order["orderAttributes"] == [{"name": "What", "value": sent}]


def test_a_constant_stands_for_a_whole_field(shape):
    assert shape([ROW], FLAT | {"currency": {"value": "PLN"}})["A-1"]["currency"] == "PLN"


@pytest.mark.parametrize(
    ("state", "sent"),
    [("shipped", "Completed"), ("SHIPPED", "Completed"), ("new-web", "Placed"), ("paid", "Paid"), (None, None)],
)
def test_a_map_changes_values_in_any_case_and_leaves_the_others(shape, state, sent):
    mapping = FLAT | {"status": {"column": "state", "map": {"shipped": "completed", "new*": "placed"}}}
    rows = pa.Table.from_pylist([ROW | {"state": state}, ROW | {"order_no": "B", "state": "paid"}])
    assert shape(rows, mapping)["A-1"].get("status") == sent


def test_a_value_that_the_map_does_not_know_is_shown_as_a_problem(read):
    mapping = FLAT | {"status": {"column": "state", "map": {"shipped": "completed"}}}
    [row] = read(pa.Table.from_pylist([ROW | {"state": "returned"}]), mapping=mapping)
    assert row.problems == [{"field": "status", "rule": "one of placed, paid, completed, canceled", "got": "returned"}]


@pytest.mark.parametrize(("state", "sent"), [("shipped", "Completed"), ("returned", "Placed"), (None, "Placed")])
def test_the_default_of_a_map_is_for_all_other_values(shape, state, sent):
    mapping = FLAT | {"status": {"column": "state", "map": {"shipped": "completed"}, "default": "placed"}}
    rows = pa.Table.from_pylist([ROW | {"state": state}, ROW | {"order_no": "B", "state": "x"}])
    assert shape(rows, mapping)["A-1"]["status"] == sent


def test_a_map_reads_numbers_too(shape):
    order = shape([ROW | {"code": 3}], FLAT | {"status": {"column": "code", "map": {3: "paid"}}})["A-1"]
    assert order["status"] == "Paid"


def test_what_is_special_in_patterns_of_sql_is_not_in_a_map(shape):
    mapping = FLAT | {"currency": {"column": "c", "map": {"a_%*": "PLN", "a*": "EUR"}}}
    rows = [ROW | {"c": "axx"}, ROW | {"order_no": "B", "c": "A_%\\z"}]
    assert {i: o["currency"] for i, o in shape(rows, mapping).items()} == {"A-1": "EUR", "B": "PLN"}


@pytest.mark.parametrize(
    ("column", "default", "sent"),
    [
        (pa.array([None, "EUR"]), "PLN", "PLN"),
        (pa.array([None, "EUR"]).dictionary_encode(), "PLN", "PLN"),
        (pa.array([None, 7], pa.int64()), 1, "1"),
        (pa.array([None, 7], pa.int64()), "none", "none"),
        (pa.array([None, Decimal("7.5")]), Decimal("0.25"), "0.25"),
    ],
)
def test_a_default_stands_in_for_what_is_absent(shape, column, default, sent):
    table = pa.Table.from_pylist([ROW, ROW | {"order_no": "B"}]).append_column("c", column)
    orders = shape(table, FLAT | {"orderAttributes": {"c": {"column": "c", "default": default}}})
    assert orders["A-1"]["orderAttributes"] == [{"name": "c", "value": sent}]


@pytest.mark.parametrize("type_", [pa.float16(), pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("default", ["9007199254740993", "0.1234567", "1e40"])
def test_a_default_beside_floats_keeps_its_digits(read, type_, default):
    table = pa.Table.from_pylist([ROW]).append_column("total", pa.array([None], type_))
    [row] = read(table, mapping=FLAT | {"totalValue": {"column": "total", "default": Decimal(default)}})
    assert Decimal(row.sent["totalValue"]) == Decimal(default)


def test_attributes_without_a_value_are_left_out_and_an_empty_list_too(shape):
    rows = pa.Table.from_pylist(
        [ROW | {"gift": "yes", "weight": 1.5}, ROW | {"order_no": "B", "gift": None, "weight": None}]
    )
    orders = shape(rows, FLAT | {"orderAttributes": {"Gift Wrap": "gift", "Weight": "weight"}})
    assert orders["A-1"]["orderAttributes"] == [
        {"name": "Gift Wrap", "value": "yes"},
        {"name": "Weight", "value": "1.5"},
    ]
    assert "orderAttributes" not in orders["B"]


def test_a_column_is_found_in_another_case_and_a_member_of_a_struct_by_a_dot(shape):
    row = {"ORDER_NO" if name == "order_no" else name: value for name, value in ROW.items()}
    row |= {"BUYER": {"contact": {"Mail": "m@example.com"}}}
    mapping = FLAT | {"customer": {"email": "buyer.contact.mail"}}
    assert shape([row], mapping)["A-1"]["customer"] == {"email": "m@example.com"}


@pytest.mark.parametrize("name", ["e", "p", "a", "x", "o", "ecdp"])
def test_a_column_whose_name_a_query_may_use_for_itself_is_a_column(shape, name):
    """To the engine, `p.id` can be a member of a column `p`."""
    members = {"order_no": "wrong", "id": "wrong", "sku": "wrong", "value": "wrong", "email": "wrong"}
    items = [{"sku": "P-1", "name": "Mug", "price": Decimal("10.25"), "quantity": 2}]
    mapping = FLAT | {"products.id": "sku", "orderAttributes": {"A": "email"}}
    order = shape([ROW | {name: members, "items": items}], mapping)["A-1"]
    assert order["products"][0]["id"] == "P-1"
    assert order["orderAttributes"] == [{"name": "A", "value": "a@example.com"}]


def test_a_name_with_a_dot_is_a_column_first(shape):
    row = ROW | {"a.b": "1@example.com", "a": {"b": "2@example.com"}}
    assert shape([row], FLAT | {"customer": {"email": "a.b"}})["A-1"]["customer"] == {"email": "1@example.com"}


def test_names_may_have_braces(shape):
    row = ROW | {"sums{0}": {"total{eur}": 20.5, "site{}": 2.0}}
    mapping = FLAT | {
        "totalValue": "sums{0}.total{eur}",
        "returnsValue": {"column": "sums{0}.total{eur}", "default": "0.00"},
        "websiteId": {"column": "sums{0}.site{}", "map": {"3": "1"}},
    }
    order = shape([row], mapping)["A-1"]
    assert (order["totalValue"], order["returnsValue"], order["websiteId"]) == ("20.5", "20.5", "2")


def test_members_of_an_object_that_is_a_column_are_mapped_or_matched(shape):
    row = ROW | {"buyer": {"mail": "m@example.com", "phone": "+48"}, "crm": 17}
    mapping = FLAT | {"customer": "buyer", "customer.email": "mail", "customer.crmId": "crm"}
    assert shape([row], mapping)["A-1"]["customer"] == {"email": "m@example.com", "phone": "+48", "crmId": "17"}


def test_an_object_that_is_absent_stays_absent(read):
    rows = [ROW | {"buyer": {"mail": "m@example.com"}}, ROW | {"order_no": "B", "buyer": None}]
    mapping = {name: source for name, source in FLAT.items() if name != "customer"}
    _, second = read(pa.Table.from_pylist(rows), mapping=mapping | {"customer": "buyer", "customer.email": "mail"})
    assert second.faults == {"customer": "required"}


def test_members_of_products_that_are_a_list_are_mapped_or_matched(shape):
    items = [{"sku": "P-1", "title": "Mug", "price": Decimal("10.25"), "quantity": 2, "colour": "red"}]
    mapping = FLAT | {
        "products.id": "sku",
        "products.name": "title",
        "products.category": {"value": "Cups"},
        "products.productAttributes": {"Colour": "colour", "Order": "order_no"},
    }
    assert shape([ROW | {"items": items}], mapping)["A-1"]["products"] == [
        {
            "id": "P-1",
            "name": "Mug",
            "price": "10.25",
            "quantity": "2",
            "category": "Cups",
            "productAttributes": [{"name": "Colour", "value": "red"}, {"name": "Order", "value": "A-1"}],
        }
    ]


def test_products_of_a_list_keep_their_order_and_an_absent_one_is_a_problem(read):
    items = [{"sku": s, "name": "x", "price": Decimal(1), "quantity": 1} for s in "cab"]
    mapping = FLAT | {"products.id": "sku"}
    first, second = read(
        pa.Table.from_pylist([ROW | {"items": items}, ROW | {"order_no": "B", "items": [None]}]), mapping=mapping
    )
    assert [p["id"] for p in first.sent["products"]] == ["c", "a", "b"]
    assert second.faults == {"products[0]": "required"}


# one row, one line


def test_lines_with_one_id_are_an_order_wherever_they_are(shape):
    rows = [line("A", "2"), line("B", "1"), line("A", "1"), line("B", "3"), line("A", "3", qty=1)]
    orders = shape(rows, LINES)
    assert {i: [p["id"] for p in o["products"]] for i, o in orders.items()} == {"A": ["1", "2", "3"], "B": ["1", "3"]}
    assert {i: o["totalValue"] for i, o in orders.items()} == {"A": "51.25", "B": "41.00"}


def test_lines_are_sorted_by_the_columns_that_say_so(shape):
    rows = [line(sku="x", no=2, part=1), line(sku="z", no=1, part=2), line(sku="y", no=1, part=1)]
    mapping = LINES | {"products.order_by": ["no", "part"]}
    assert [p["id"] for p in shape(rows, mapping)["A-1"]["products"]] == ["y", "z", "x"]
    assert list(shape(rows, mapping)["A-1"]["products"][0]) == ["id", "name", "price", "quantity"]


def test_an_attribute_of_lines_is_the_product_s_own_and_one_of_the_order_is_shared(shape):
    rows = [line(sku="1", colour="red", ship="air"), line(sku="2", colour=None, ship="air")]
    mapping = LINES | {"products.productAttributes": {"Colour": "colour"}, "orderAttributes": {"Shipping": "ship"}}
    order = shape(rows, mapping)["A-1"]
    assert [p.get("productAttributes") for p in order["products"]] == [[{"name": "Colour", "value": "red"}], None]
    assert order["orderAttributes"] == [{"name": "Shipping", "value": "air"}]


def test_values_that_differ_between_lines_are_reported_and_the_smallest_is_taken(read):
    rows = [
        line(email="b@example.com", currency="PLN", ship="air", ordered_at=NOON + dt.timedelta(minutes=1)),
        line(email="a@example.com", currency="PLN", ship="sea"),
        line("B-2", currency="EUR", ship="air"),
    ]
    first, second = sorted(
        read(pa.Table.from_pylist(rows), mapping=LINES | {"orderAttributes": {"Ship": "ship"}}),
        key=lambda row: row.order_id,
    )
    rule = "lines_differ: a value of the order differs between its lines, and the smallest was taken"
    assert first.warnings == [
        {"field": field, "rule": rule, "got": "more than one value"}
        for field in ("date", "customer.email", "orderAttributes.Ship")
    ]
    assert first.sent["customer"] == {"email": "a@example.com"}
    assert first.sent["date"] == "2026-11-22T12:00:00.000Z"
    assert second.warnings == []


def test_two_customers_in_the_lines_of_an_order_are_not_mixed(read):
    rows = [
        line(email="zoe@example.com", phone="+48111", crm="1"),
        line(email="adam@example.com", phone="+48999", crm="2"),
        line(email=None, phone="+48000", crm="0"),
    ]
    mapping = LINES | {"customer.phone": "phone", "customer.crmId": "crm"}
    for lines in itertools.permutations(rows):
        [row] = read(pa.Table.from_pylist(lines), mapping=mapping)
        assert row.sent["customer"] == {"email": "adam@example.com", "phone": "+48999", "crmId": "2"}
        assert [warning["field"] for warning in row.warnings] == ["customer.email", "customer.phone", "customer.crmId"]


def test_one_field_that_differs_takes_the_whole_customer_from_one_line(read):
    rows = [line(email="a@example.com", phone=None), line(email="b@example.com", phone="+48999")]
    [row] = read(pa.Table.from_pylist(rows), mapping=LINES | {"customer.phone": "phone"})
    assert row.sent["customer"] == {"email": "a@example.com"}
    assert [warning["field"] for warning in row.warnings] == ["customer.email"]


def test_a_customer_that_does_not_differ_is_gathered_from_all_lines(read):
    rows = [line(email=None, phone="+48999"), line(email="a@example.com", phone=None)]
    [row] = read(pa.Table.from_pylist(rows), mapping=LINES | {"customer.phone": "phone"})
    assert row.sent["customer"] == {"email": "a@example.com", "phone": "+48999"}
    assert row.warnings == []


def test_customers_that_are_a_struct_are_not_mixed_either(read):
    rows = [
        line(buyer={"mail": "zoe@example.com", "phone": "+48111"}, crm="1"),
        line(buyer={"mail": "adam@example.com", "phone": "+48999"}, crm="2"),
        line(buyer=None, crm="0"),
    ]
    mapping = LINES | {"customer": "buyer", "customer.email": "mail", "customer.crmId": "crm"}
    for lines in (rows, rows[::-1]):
        [row] = read(pa.Table.from_pylist(lines), mapping=mapping)
        assert row.sent["customer"] == {"email": "adam@example.com", "phone": "+48999", "crmId": "2"}


def test_a_date_stays_with_its_time_zone_where_zones_differ(read):
    rows = [
        line(ordered_at=NOON, zone="Europe/Warsaw"),
        line(ordered_at=NOON + dt.timedelta(hours=1), zone="Asia/Tokyo"),
    ]
    for lines in (rows, rows[::-1]):
        [row] = read(pa.Table.from_pylist(lines), mapping=LINES | {"timeZone": "zone"})
        assert row.sent["date"] == "2026-11-22T12:00:00.000Z"
        assert row.sent["timeZone"] == "Central European Standard Time"
        assert [warning["field"] for warning in row.warnings] == ["date", "timeZone"]


def test_a_time_zone_that_only_a_later_line_has_counts_where_none_differs(read):
    rows = [line(ordered_at=NOON, zone=None), line(ordered_at=NOON + dt.timedelta(hours=1), zone="Asia/Tokyo")]
    [row] = read(pa.Table.from_pylist(rows), mapping=LINES | {"timeZone": "zone"})
    assert (row.sent["date"], row.sent["timeZone"]) == ("2026-11-22T12:00:00.000Z", "Tokyo Standard Time")
    assert [warning["field"] for warning in row.warnings] == ["date"]


def test_differing_lines_can_be_made_an_error(read):
    rows = [line(currency="PLN"), line(currency="EUR")]
    [row] = read(pa.Table.from_pylist(rows), mapping=LINES, warnings_as_errors=frozenset({"lines_differ"}))
    assert [p["field"] for p in row.problems] == ["currency"]


def test_a_line_without_a_value_says_nothing_against_the_others(read):
    rows = [line(currency=absent, email=absent) for absent in (None, "", " ", "\u00a0")]
    [row] = read(pa.Table.from_pylist([*rows, line(currency="PLN", email="a@example.com")]), mapping=LINES)
    assert row.warnings == []
    assert (row.sent["currency"], row.sent["customer"]["email"]) == ("PLN", "a@example.com")


def test_empty_text_of_a_total_or_a_date_is_ignored_beside_the_order_s_first_line(read):
    """Exports of shops have the values of an order on its first line only."""
    first, other = line(total="41.00", ordered_at="2026-11-01T10:00:00Z"), line(sku="P-2", total="", ordered_at=" ")
    [row] = read(pa.Table.from_pylist([first, other]), mapping=LINES | {"totalValue": "total"})
    assert (row.problems, row.warnings) == ([], [])
    assert (row.sent["totalValue"], row.sent["date"]) == ("41.00", "2026-11-01T10:00:00.000Z")


def test_a_dictionary_is_compared_by_its_texts(read):
    table = pa.Table.from_pylist([line(), line()])
    table = table.append_column("currency", pa.array(["PLN", "EUR"]).dictionary_encode())
    [row] = read(table, mapping=LINES)
    assert row.sent["currency"] == "EUR"


def test_bytes_that_are_not_marked_as_text_are_text_in_lines_too(shape):
    table = pa.Table.from_pylist([line(sku="1"), line(sku="2")])
    for name in ("email", "title"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.binary()))
    table = table.append_column("ship", pa.array([b"air", b"air"])).append_column("colour", pa.array([b"red", None]))
    mapping = LINES | {"orderAttributes": {"Ship": "ship"}, "products.productAttributes": {"Colour": "colour"}}
    order = shape(table, mapping)["A-1"]
    assert order["orderAttributes"] == [{"name": "Ship", "value": "air"}]
    assert order["customer"] == {"email": "a-1@example.com"}
    assert [p["name"] for p in order["products"]] == ["Product 1", "Product 2"]
    assert [p.get("productAttributes") for p in order["products"]] == [[{"name": "Colour", "value": "red"}], None]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(['{"Gift": "yes"}'] * 2),
        pa.array([[{"name": "Gift", "value": "yes"}]] * 2),
        pa.array([[("Gift", "yes")]] * 2, pa.map_(pa.string(), pa.string())),
    ],
    ids=["JSON", "list", "MAP"],
)
def test_a_column_of_attributes_is_one_of_the_order_or_of_its_products(shape, column):
    table = pa.Table.from_pylist([line(sku="1"), line(sku="2")])
    table = table.append_column("of_order", column).append_column("of_line", column)
    mapping = LINES | {"orderAttributes": "of_order", "products.productAttributes": "of_line"}
    order = shape(table, mapping)["A-1"]
    assert order["orderAttributes"] == [{"name": "Gift", "value": "yes"}]
    assert [p["productAttributes"] for p in order["products"]] == [[{"name": "Gift", "value": "yes"}]] * 2


def test_attributes_that_differ_between_lines_are_reported(read):
    rows = [line(attributes='{"Gift": "yes"}'), line(attributes='{"Gift": "no"}')]
    [row] = read(pa.Table.from_pylist(rows), mapping=LINES | {"orderAttributes": "attributes"})
    assert [warning["field"] for warning in row.warnings] == ["orderAttributes"]
    assert row.sent["orderAttributes"] == [{"name": "Gift", "value": "no"}]


def test_lines_without_an_id_are_one_order_without_an_id(read):
    [row] = read(
        pa.Table.from_pylist([line() | {"order_no": None}, line() | {"order_no": None}]).cast(
            pa.Table.from_pylist([line()]).schema
        ),
        mapping=LINES,
    )
    assert row.faults == {"id": "required"}


def test_a_sum_that_lacks_a_line_is_no_sum(read):
    [row] = read(pa.Table.from_pylist([line(), line(qty=None)]), mapping=LINES)
    assert row.faults == {"totalValue": "required", "products[1].quantity": "required"}


def test_a_sum_of_doubles_does_not_depend_on_the_order_of_the_lines(read):
    # these add up to 0.6000000000000001 or to 0.6
    prices = [0.1, 0.2, 0.3]
    totals = set()
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        rows = [line(sku=str(i), price=prices[i], qty=1) for i in order]
        [row] = read(pa.Table.from_pylist(rows), mapping=LINES)
        totals.add(row.sent["totalValue"])
    assert len(totals) == 1


def test_a_sum_takes_numbers_as_wide_as_a_warehouse_has_them(shape):
    table = pa.Table.from_pylist([line(), line()])
    wide = table.set_column(5, "price", pa.array([Decimal("10.25")] * 2, pa.decimal128(38, 2)))
    wide = wide.set_column(6, "qty", pa.array([Decimal(2)] * 2, pa.decimal128(38, 0)))
    assert shape(wide, LINES)["A-1"]["totalValue"] == "41.00"


def test_a_sum_of_one_column_of_integers_is_whole(shape):
    rows = [line(amount=9_000_000_000_000_000_000), line(amount=9_000_000_000_000_000_000)]
    assert shape(rows, LINES | {"totalValue": {"sum": "amount"}})["A-1"]["totalValue"] == "18000000000000000000"


def test_a_total_that_the_lines_repeat_is_taken_as_it_is(shape):
    assert shape([line(total=41), line(total=41)], LINES | {"totalValue": "total"})["A-1"]["totalValue"] == "41"


def test_an_id_that_is_mapped_groups_by_what_is_sent(shape):
    mapping = LINES | {"id": {"column": "order_no", "map": {"old": "new"}}}
    assert [len(o["products"]) for o in shape([line("old"), line("new")], mapping).values()] == [2]


def test_a_column_of_the_shop_s_own_named_like_a_field_belongs_to_the_order(shape):
    rows = [line(products_category="Cups"), line(products_category="Mugs")]
    assert sorted(p["category"] for p in shape(rows, LINES)["A-1"]["products"]) == ["Cups", "Mugs"]


def test_lines_are_explained(open_orders):
    mapping = LINES | {"currency": {"value": "PLN"}, "products.order_by": "sku"}
    table = pa.Table.from_pylist([line(status="paid", note="n")])
    with open_orders(table, mapping=mapping) as orders:
        assert orders.explained == {
            "id": "column order_no",
            "date": "column ordered_at",
            "status": "column status",
            "currency": "constant PLN",
            "totalValue": "sum of price * qty over the lines",
            "customer.email": "column email",
            "products": "lines with the same id, sorted by sku",
            "products.id": "column sku",
            "products.name": "column title",
            "products.price": "column price",
            "products.quantity": "column qty",
        }
        [(read_, ignored)] = orders.columns.values()
    assert read_.names == ["order_no", "ordered_at", "email", "sku", "title", "price", "qty", "status"]
    assert ignored == ["note"]


# what is refused


def test_every_column_and_field_that_is_not_there_is_named_with_the_nearest_and_with_what_is_there():
    mapping = LINES | {
        "id": "order_nr",
        "customer.email": "mail",
        "customer.mail": "email",
        "products": LINES["products"] | {"id": "zzz", "order_by": "prise"},
        "orderAttributes": {"Ship": "titel"},
    }
    assert refused([line()], mapping).splitlines() == [
        "the mapping does not fit the columns of the extract:",
        "  - customer.mail is not a field of the API; did you mean 'customer.email' or 'customer.crmId' or 'customer'?",
        "  - id: there is no column 'order_nr'; did you mean 'order_no' or 'ordered_at'?",
        "  - customer.email: there is no column 'mail'; did you mean 'email'?",
        "  - products.order_by: there is no column 'prise'; did you mean 'price'?",
        "  - products.id: there is no column 'zzz'",
        "  - orderAttributes.Ship: there is no column 'titel'; did you mean 'title'?",
        "The extract has: order_no, ordered_at, email, sku, title, price, qty",
    ]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("currency", "PLN"),
        ("timeZone", "Europe/Warsaw"),
        ("timeZone", "Tokyo Standard Time"),
        ("status", "Placed"),
        ("status", "cancelled"),
    ],
)
def test_a_value_where_a_columns_name_belongs_shows_how_a_constant_is_written(field, name):
    message = refused([line()], LINES | {field: name})
    assert (
        f"""  - {field}: there is no column '{name}'; for a constant write {{"value": "{name}"}}"""
        in message.splitlines()
    )


def test_the_nearest_name_is_reported_after_how_a_constant_is_written():
    message = refused([line(placed_=1)], LINES | {"status": "placed"})
    hint = """; for a constant write {"value": "placed"}; did you mean 'placed_'?"""
    assert f"  - status: there is no column 'placed'{hint}" in message.splitlines()


@pytest.mark.parametrize(
    ("field", "name"),
    [("currency", "pln"), ("currency", "CURR"), ("timeZone", "zone"), ("status", "state_"), ("totalValue", "PLN")],
)
def test_what_cannot_be_a_constant_of_its_field_is_a_columns_name(field, name):
    assert "for a constant" not in refused([line()], LINES | {field: name})


def test_what_is_required_and_nowhere_is_named():
    rule = "required, but neither the mapping nor a column"
    assert refused([line()], {"products.id": "sku"}).splitlines()[1:-1] == [
        f"  - id: {rule}'s name provides it; did you mean 'order_no'?",
        f"  - date: {rule}'s name provides it; did you mean 'ordered_at'?",
        f"  - totalValue: {rule}'s name provides it",
        f"  - customer: {rule}'s name provides it; did you mean 'email'?",
        f"  - products.name: {rule} named products_name provides it; did you mean 'title'?",
        f"  - products.price: {rule} named products_price provides it; did you mean 'price'?",
        f"  - products.quantity: {rule} named products_quantity provides it; did you mean 'qty'?",
    ]


@pytest.mark.parametrize(
    ("rows", "mapping", "problem"),
    [
        ([ROW], FLAT | {"totalValue": {"sum": "price"}}, "totalValue: a sum needs order lines, one per row"),
        ([ROW], FLAT | {"products.order_by": "x"}, "products.order_by needs order lines, one per row"),
        ([line()], LINES | {"id": {"value": "A"}}, "id: order lines are grouped by it, so it cannot be a constant"),
        (
            [line()],
            LINES | {"totalValue": {"sum": ["price", "sku"]}},
            "totalValue: only numbers can be summed, and price is decimal128(4, 2), sku is string",
        ),
        (
            [ROW],
            FLAT | {"orderAttributes": {"Items": "items.id"}},
            "orderAttributes.Items: there is no column 'items.id'; did you mean 'items'?",
        ),
        (
            [ROW | {"box": {"a": 1}}],
            FLAT | {"orderAttributes": {"Box": "box"}},
            "orderAttributes.Box: an attribute must be a single value, not struct<a: int64>",
        ),
        (
            [ROW | {"box": {"a": 1}}],
            FLAT | {"status": {"column": "box", "default": "paid"}},
            "status: map and default are for single values, and box is struct<a: int64>",
        ),
    ],
)
def test_an_invalid_mapping_is_refused(rows, mapping, problem):
    assert f"  - {problem}" in refused(rows, mapping)


def test_a_type_that_cannot_be_the_field_s_is_reported_with_the_column_and_beside_what_is_missing():
    mapping = LINES | {"id": "order_nr", "totalValue": "ordered_at", "date": "when", "products": LINES["products"]}
    mapping["products"] = mapping["products"] | {"name": "rate", "quantity": "ordered_at", "url": "link"}
    message = refused([line(when=NOON.replace(tzinfo=None), rate=1.5)], mapping)
    assert message.splitlines() == [
        "the mapping does not fit the columns of the extract:",
        "  - id: there is no column 'order_nr'; did you mean 'order_no' or 'ordered_at'?",
        "  - products.url: there is no column 'link'",
        (
            "  - date (column when): the column is timestamp[us], which has no time zone; "
            "set timezone (--timezone) to the zone of its values, for example Europe/Warsaw"
        ),
        "  - totalValue (column ordered_at): must be number (double), not timestamp[us, tz=UTC]",
        (
            "  - products.name (column rate): must be text, not double: an id stored as a fraction has lost its form; "
            "cast it in the export"
        ),
        "  - products.quantity (column ordered_at): must be integer (int32), not timestamp[us, tz=UTC]",
        "The extract has: order_no, ordered_at, email, sku, title, price, qty, when, rate",
    ]


def test_a_member_of_a_wrong_type_is_reported_with_the_column_that_holds_it():
    message = refused(
        [ROW | {"buyer": {"email": 1.5}, "items": [{"sku": "x"}]}], FLAT_OF_BUYER | {"products.id": "sku"}
    )
    assert (
        "  - customer.email (column buyer): must be text, not double: an id stored as a fraction has lost its form;"
        in message
    )
    assert "  - products.price (column items): required, but there is no such column" in message
    assert "products.id" not in message


def test_an_object_that_is_no_struct_is_reported_with_its_column():
    message = refused([line()], LINES | {"customer": "qty"})
    assert "  - customer (column qty): must be a struct, not int64" in message


def test_a_struct_without_a_field_of_the_customer_is_reported_with_its_column():
    mapping = {name: source for name, source in LINES.items() if name != "customer.email"}
    message = refused([line(buyer={"mail": "a@example.com"})], mapping | {"customer": "buyer"})
    assert "  - customer (column buyer): needs email, phone or crmId; all are missing" in message


def test_a_timestamp_without_a_zone_is_taken_where_one_is_declared(shape):
    rows = [line(ordered_at=NOON.replace(tzinfo=None))]
    assert shape(rows, LINES, timezone="Europe/Warsaw")["A-1"]["date"] == "2026-11-22T11:00:00.000Z"


def test_columns_that_differ_in_case_only_are_distinguished_by_it_and_refused_in_a_third(shape):
    row = ROW | {"state": "paid", "STATE": "placed"}
    assert shape([row], FLAT | {"status": "STATE"})["A-1"]["status"] == "Placed"
    assert shape([row], FLAT | {"status": "state"})["A-1"]["status"] == "Paid"
    assert "- status: there is no column 'State'; did you mean 'state'?" in refused([row], FLAT | {"status": "State"})


# laws

SKUS = st.sampled_from(["P-1", "P-2", "ż", "'", ""])
ROWS = st.lists(
    st.builds(
        line,
        order=st.sampled_from(["A", "B", "c", "D", "E", "F", "G", "H"]),
        sku=SKUS,
        qty=st.integers(-2, 3),
        price=st.decimals(0, 99, places=2),
        currency=st.sampled_from(["PLN", "EUR", None]),
        no=st.one_of(st.none(), st.integers(0, 3)),
        rate=st.floats(0, 10, width=32),
    ),
    min_size=1,
    max_size=32,
)
SCHEMA = pa.schema(
    [
        ("order_no", pa.string()),
        ("ordered_at", pa.timestamp("us", "UTC")),
        ("email", pa.string()),
        ("sku", pa.string()),
        ("title", pa.string()),
        ("price", pa.decimal128(10, 2)),
        ("qty", pa.int32()),
        ("currency", pa.string()),
        ("no", pa.int32()),
        ("rate", pa.float64()),
    ]
)


@settings(max_examples=examples(8, soak=500))
@given(rows=ROWS, seed=st.integers(0, 99), by=st.booleans())
def test_law_the_same_lines_in_another_order_are_the_same_orders(read, rows, seed, by):
    mapping = LINES | {"returnsValue": {"sum": ["rate", "price"]}} | ({"products.order_by": "no"} if by else {})
    shuffled = random.Random(seed).sample(rows, len(rows))

    def orders(rows):
        found = read(pa.Table.from_pylist(rows, SCHEMA), mapping=mapping)
        return {r.order_id: (r.text, r.content_hash, r.problems, r.warnings) for r in found}

    assert orders(rows) == orders(shuffled)


@settings(max_examples=examples(8, soak=500))
@given(rows=ROWS)
def test_law_lines_are_the_orders_that_python_makes_of_them(read, rows):
    found = {r.order_id: r for r in read(pa.Table.from_pylist(rows, SCHEMA), mapping=LINES)}
    expected: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        expected.setdefault(row["order_no"], []).append(row)
    assert found.keys() == expected.keys()
    for order_id, lines in expected.items():
        order = found[order_id].sent
        products = sorted((row["sku"], row["title"], row["price"], row["qty"]) for row in lines)
        assert [(p["id"], p["name"], Decimal(p["price"]), int(p["quantity"])) for p in order["products"]] == products
        assert Decimal(order["totalValue"]) == sum(row["price"] * row["qty"] for row in lines)
        currencies = {row["currency"] for row in lines} - {None}
        assert order.get("currency") == min(currencies, default=None)
        assert ("lines_differ" in found[order_id].named_warnings) == (len(currencies) > 1)


# the real shop

RETAIL_SQL = """
SELECT
    InvoiceNo AS id,
    min(InvoiceDate) AS date,
    'Europe/London' AS "timeZone",
    CASE WHEN InvoiceNo LIKE 'C%' THEN 'canceled' ELSE 'completed' END AS status,
    'GBP' AS currency,
    sum(UnitPrice * Quantity) AS "totalValue",
    {'crmId': min(CustomerID)} AS customer,
    list({'id': StockCode, 'name': Description, 'price': UnitPrice, 'quantity': Quantity}
        ORDER BY StockCode, Description, UnitPrice, Quantity) AS products
FROM extract
GROUP BY InvoiceNo
"""


def content(rows):
    return {row.order_id: (row.text, row.content_hash, row.problems) for row in rows}


def test_the_real_shop_by_mapping_and_by_sql_are_the_same_orders_byte_for_byte(read, online_retail):
    extract = ParquetSource.open(online_retail)
    by_mapping = content(read(extract, mapping=RETAIL, timezone="Europe/London"))
    assert by_mapping == content(read(extract, sql=RETAIL_SQL, timezone="Europe/London"))
    assert len(by_mapping) == 1892
    assert sum(not problems for *_, problems in by_mapping.values()) == 1623


@pytest.mark.slow
def test_the_real_shop_shuffled_in_twenty_files_by_day_is_the_same_orders(read, online_retail, tmp_path):
    table = pq.read_table(online_retail)
    order = list(range(table.num_rows))
    random.Random(7).shuffle(order)
    shuffled = table.take(pa.array(order))
    for number in range(20):
        part = shuffled.slice(number * table.num_rows // 20, table.num_rows // 20 + 1)
        end = (number + 1) * table.num_rows // 20 - number * table.num_rows // 20
        for day, rows in by_day(part.slice(0, end)).items():
            folder = tmp_path / f"dt={day}"
            folder.mkdir(exist_ok=True)
            pq.write_table(rows, folder / f"{number:02}.parquet")
    whole = content(read(ParquetSource.open(online_retail), mapping=RETAIL, timezone="Europe/London"))
    parts = ParquetSource.open(tmp_path)
    assert len(parts.files) > 20
    assert content(read(parts, mapping=RETAIL, timezone="Europe/London")) == whole
    assert content(read(parts, sql=RETAIL_SQL, timezone="Europe/London")) == whole


def by_day(table):
    days = [moment.date() for moment in table.column("InvoiceDate").to_pylist()]
    return {day: table.filter(pa.array([d == day for d in days])) for day in set(days)}


def test_the_json_text_of_a_mapping_makes_the_same_orders(read, online_retail):
    extract = ParquetSource.open(online_retail)
    by_text = content(read(extract, mapping=json.dumps(RETAIL), timezone="UTC"))
    assert by_text == content(read(extract, mapping=RETAIL, timezone="UTC"))
