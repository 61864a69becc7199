"""`ecdp mapping suggest`: what it prints, edited as its comments say, makes the orders of a mapping written by hand."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from online_retail import MAPPING as RETAIL

from airflow_provider_ecdp.sample import Sample

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def orders_by(pointed, ecdp):
    """Push an extract by a mapping, and return what the sandbox stored."""

    def push(extract, mapping, *options):
        pointed.reset()
        run = ecdp("push", extract, "--mapping", mapping, "--json", "--max-failed", "100%", *options)
        assert run.code == 0, run.err
        return {order_id: pointed.store.get(order_id) for order_id in pointed.store.ids()}

    return push


def edited(text, *edits):
    """Replace text in a suggestion: each edit has to find its place."""
    for place, other in edits:
        assert text.count(place) == 1, f"{place}\n{text}"
        text = text.replace(place, other)
    return text


def test_the_order_lines_of_a_shop_become_the_orders_of_a_mapping_by_hand(ecdp, orders_by, online_retail, tmp_path):
    extract = tmp_path / "lines.parquet"
    pq.write_table(pq.read_table(online_retail).slice(0, 3000), extract)
    suggested = edited(
        ecdp("mapping", "suggest", extract).out,
        ('// "timeZone": {"value": "Europe/Warsaw"},', '"timeZone": {"value": "Europe/London"},'),
        ('// "currency": {"value": "EUR"},', '"currency": {"value": "GBP"},'),
        ('// "status": {"value": "completed"},', f'"status": {json.dumps(RETAIL["status"])},'),
    )

    by_hand = orders_by(extract, json.dumps(RETAIL), "--timezone", "Europe/London")
    assert orders_by(extract, suggested, "--timezone", "Europe/London") == by_hand
    assert len(by_hand) > 100


def test_a_flat_table_becomes_the_orders_of_the_mapping_in_the_docs(ecdp, orders_by, tmp_path):
    extract = tmp_path / "lines.parquet"
    Sample(orders=30, lines=True).write(extract)
    (documented,) = re.findall(
        r"<!-- file: mapping.json -->\n```json\n(.*?)```", (DOCS / "orders.md").read_text(encoding="utf-8"), re.DOTALL
    )
    unused = '{"shipping_method": "shipping_method", "gift_wrap": "gift_wrap", "color": "color"}'
    suggested = edited(
        ecdp("mapping", "suggest", extract).out,
        ('"websiteId": "shop_id"', '"websiteId": {"value": 1}'),
        ('"status": "order_status"', '"status": {"column": "order_status", "map": {"cancel*": "canceled"}}'),
        ('"currency": "currency"', '"currency": {"column": "currency", "default": "EUR"}'),
        *(
            (f'    "{name}": "{column}",\n', "")
            for name, column in (
                ("returned", "returned"),
                ("url", "product_url"),
                ("imageUrl", "image_url"),
                ("category", "category"),
            )
        ),
        (f'// "productAttributes": {unused}', '"productAttributes": {"Color": "color"}'),
        (
            f'// "orderAttributes": {unused}',
            '"orderAttributes": {"Shipping Method": "shipping_method", "Source": {"value": "warehouse"}}',
        ),
    )

    by_hand = orders_by(extract, documented)
    assert orders_by(extract, suggested) == by_hand
    assert len(by_hand) == 30


def test_what_is_suggested_for_rows_that_are_orders_is_pushed_unedited(ecdp, orders_by, table):
    item = {"sku": "p-1", "title": "Mug", "unit_price": 9.5, "qty": 2}
    row = {
        "order_no": "A-1",
        "created": dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
        "grand_total": 19.0,
        "buyer": {"mail": "a@example.com"},
        "items": [item],
    }
    extract = table([row])

    (order,) = orders_by(extract, ecdp("mapping", "suggest", extract).out).values()
    assert (order["id"], order["totalValue"], order["customer"]) == ("A-1", 19, {"email": "a@example.com"})
    assert order["products"] == [{"id": "p-1", "name": "Mug", "price": 9.5, "quantity": 2}]


def test_a_program_gets_the_mapping_and_what_is_missing(ecdp, table):
    found = ecdp("mapping", "suggest", table([{"order_no": "A-1", "sku": "p"}] * 2), "--json").json

    assert found["mapping"] == {"id": "order_no", "products": {"id": "sku"}}
    assert found["missing"].keys() >= {"date", "totalValue", "customer.crmId", "products.price"}
    assert found["lines"] is True


def test_the_column_of_the_id_can_be_named(ecdp, table):
    extract = table([{"nr": "A-1", "order_id": 1}])

    assert ecdp("mapping", "suggest", extract, "--order-id", "nr", "--json").json["mapping"]["id"] == "nr"
    run = ecdp("mapping", "suggest", extract, "--order-id", "order_ids")
    assert (run.code, run.err) == (2, "ecdp: there is no column 'order_ids'; did you mean 'order_id'?\n")
    run = ecdp("mapping", "suggest", extract, "--order-id", "")
    assert (run.code, run.err) == (2, "ecdp: there is no column ''\n")


def test_a_column_whose_values_cannot_be_ids_is_refused(ecdp, table):
    for values in ([["a"]], [{"a": 1}], [1.5]):
        run = ecdp("mapping", "suggest", table([{"x": value} for value in values]), "--order-id", "x")
        assert run.code == 2
        assert run.err.startswith("ecdp: --order-id: the column 'x' is ")


def test_an_extract_of_any_columns_gets_a_suggestion(ecdp, table):
    schema = pa.schema([("a\nb", pa.int8()), ('q"uote', pa.float64()), ("//", pa.string()), ("*/", pa.string())])
    run = ecdp("mapping", "suggest", table([], schema))

    assert run.code == 0, run.err
    assert "MISSING" in run.out
    assert r"a\nb" in run.out
