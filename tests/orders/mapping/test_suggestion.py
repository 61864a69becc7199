"""A suggested mapping: read as it is written, and edited as it says, it makes the orders of one written by hand."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.orders.mapping.spec import ColumnMapping, from_json
from airflow_provider_ecdp.orders.mapping.suggestion import find_order_id, likely_columns, suggest

WRITTEN = {
    "id": "InvoiceNo",
    "date": "InvoiceDate",
    "timeZone": {"value": "Europe/London"},
    "currency": {"value": "GBP"},
    "totalValue": {"sum": ["UnitPrice", "Quantity"]},
    "customer": {"crmId": "CustomerID"},
    "products": {"id": "StockCode", "name": "Description", "price": "UnitPrice", "quantity": "Quantity"},
}


def test_order_lines_of_a_shop_are_mapped_as_by_hand(online_retail):
    schema = pq.read_schema(online_retail)
    assert find_order_id(schema) == "InvoiceNo"
    text = suggest(schema, repeats=True).text(["a heading"])
    for name, constant, meant in (("timeZone", "Europe/Warsaw", "Europe/London"), ("currency", "EUR", "GBP")):
        line = f'"{name}": {{"value": "{constant}"}},'
        assert f"// {line}" in text
        text = text.replace(f"// {line}", line.replace(constant, meant))

    assert ColumnMapping.parse(text) == ColumnMapping.parse(WRITTEN)


def test_nested_columns_are_reached_by_dots_and_a_list_holds_products():
    item = pa.struct([("sku", pa.string()), ("title", pa.string()), ("unit_price", pa.float64()), ("qty", pa.int32())])
    schema = pa.schema(
        [
            ("order_no", pa.string()),
            ("created_at", pa.timestamp("us", "UTC")),
            ("grand_total", pa.decimal128(10, 2)),
            ("buyer", pa.struct([("mail", pa.string()), ("phone", pa.string())])),
            ("items", pa.list_(item)),
        ]
    )
    found = suggest(schema)

    assert (found.missing, found.lines) == ({}, False)
    assert from_json(found.text()) == {
        "id": "order_no",
        "date": "created_at",
        "totalValue": "grand_total",
        "customer": {"email": "buyer.mail", "phone": "buyer.phone"},
        "products": "items",
        "products.id": "sku",
        "products.name": "title",
        "products.price": "unit_price",
        "products.quantity": "qty",
    }


def test_blanks_and_hyphens_in_names_do_not_count():
    names = ["Order No.", "Created At", "Grand Total", "Customer E-mail", "Item SKU", "Item-Name", "Unit Price", "Qty"]
    types = {"Created At": pa.timestamp("us", "UTC"), "Grand Total": pa.decimal128(9, 2), "Unit Price": pa.float64()}
    types |= {"Qty": pa.int32()}
    found = suggest(pa.schema([(name, types.get(name, pa.string())) for name in names]), repeats=True)
    assert (found.missing, found.unused) == ({}, [])
    assert from_json(found.text()) == {
        "id": "Order No.",
        "date": "Created At",
        "totalValue": "Grand Total",
        "customer": {"email": "Customer E-mail"},
        "products": {"id": "Item SKU", "name": "Item-Name", "price": "Unit Price", "quantity": "Qty"},
    }


@pytest.mark.parametrize("type_", [pa.string(), pa.json_(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_text_that_is_called_as_a_list_holds_the_products(type_):
    schema = pa.schema([("order_no", pa.string()), ("order_items", type_), ("items", type_)])
    found = suggest(schema)
    assert (found.mapping["products"], found.lines) == ("items", False)
    assert found.notes["products"].startswith("if it is JSON text of a list")
    assert likely_columns(schema)["products"] == ["items"]


@pytest.mark.parametrize("buyer", [["id", "mail", "created_at", "status"], ["status", "created_at", "mail", "id"]])
def test_a_member_of_another_object_is_not_the_order_s(buyer):
    moment = pa.timestamp("us", "UTC")
    members = pa.struct([(name, moment if name == "created_at" else pa.string()) for name in buyer])
    columns = [("buyer", members), ("order_no", pa.string()), ("placed_at", moment), ("state", pa.string())]
    mapping = suggest(pa.schema(columns)).mapping
    assert (mapping["id"], mapping["date"], mapping["status"]) == ("order_no", "placed_at", "state")
    assert mapping["customer"] == {"email": "buyer.mail", "crmId": "buyer.id"}
    assert "id" not in suggest(pa.schema(columns[:1])).mapping


def test_lines_that_cannot_be_summed_say_why():
    columns = {name: pa.string() for name in ("order_id", "sku", "title", "unit_price", "qty")}
    reason = suggest(pa.schema(columns), repeats=True).missing["totalValue"]
    assert reason.startswith("unit_price is string, qty is string, which cannot be summed: cast it to a decimal")


def test_what_is_missing_is_named_with_the_column_whose_type_is_in_the_way():
    found = suggest(pa.schema([("a", pa.int32()), ("customer_id", pa.float64())]))

    assert set(found.missing) == {"id", "date", "totalValue", "customer.crmId", "products"}
    assert "customer_id is double, which customer.crmId cannot be" in found.text()


def test_comments_and_a_last_comma_are_no_part_of_a_mapping_and_strings_keep_theirs():
    text = '{"id": "a//b", /* no */ "date": "c,}", // "x": 1\n "status": {"value": "paid",}, }'
    assert from_json(text) == {"id": "a//b", "date": "c,}", "status": {"value": "paid"}}


def test_missing_fields_are_said_with_the_columns_that_may_hold_them(online_retail):
    lines = likely_columns(pq.read_schema(online_retail))
    assert lines["id"] == ["InvoiceNo"]
    assert lines["customer"] == lines["customer.crmId"] == ["CustomerID"]
    assert lines["products"] == ["StockCode", "Description", "UnitPrice", "Quantity"]
    item = pa.struct([("sku", pa.string()), ("qty", pa.int32())])
    nested = likely_columns(pa.schema([("basket", pa.list_(item)), ("mail", pa.string())]))
    assert nested["products"] == ["basket"]
    assert (nested["products.id"], nested["products.quantity"]) == (["sku"], ["qty"])
    assert nested["customer"] == ["mail"]


@pytest.mark.parametrize(
    "type_",
    [
        pa.null(),
        pa.dense_union([pa.field("a", pa.int8())]),
        pa.list_(pa.struct([])),
        pa.struct([]),
        pa.dictionary(pa.int8(), pa.string()),
        pa.map_(pa.string(), pa.int8()),
        pa.decimal256(76, 2),
        pa.duration("s"),
        pa.binary(4),
    ],
    ids=str,
)
def test_a_column_of_any_type_has_a_suggestion(type_):
    schema = pa.schema([("order_id", type_), ("items", type_), ("price", type_)])
    assert suggest(schema).text()
    likely_columns(schema)


def test_the_columns_of_shopify_and_magento_are_found():
    names = ["Name", "Email", "Financial Status", "Created at", "Currency", "Total", "Billing Phone", "Id"]
    names += ["Lineitem quantity", "Lineitem name", "Lineitem price", "Lineitem sku"]
    found = suggest(pa.schema([(name, pa.string()) for name in names]), repeats=True)
    assert (found.missing, found.unused) == ({}, ["Name"])
    assert from_json(found.text())["products"] == {
        "id": "Lineitem sku",
        "name": "Lineitem name",
        "price": "Lineitem price",
        "quantity": "Lineitem quantity",
    }
    magento = pa.schema([("increment_id", pa.string()), ("date_created", pa.timestamp("us", "UTC"))])
    assert list(suggest(magento).mapping.values()) == ["increment_id", "date_created"]
