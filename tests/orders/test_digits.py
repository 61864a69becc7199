"""A decimal keeps its digits everywhere: below one with its zero before the point, whatever its type."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

D = Decimal

#: types whose precision equals their scale, which Arrow infers for 0.00 and a warehouse gives to rates
TYPES = [pa.decimal32(2, 2), pa.decimal64(2, 2), pa.decimal128(2, 2), pa.decimal128(10, 10), pa.decimal128(38, 38)]
TYPES += [pa.decimal256(2, 2), pa.decimal256(76, 76)]

VALUES = [D("0.50"), D("-0.25"), D("0.00")]


def digits_of(type_):
    """Return the texts of VALUES with as many digits as a type has."""
    return [f"{value:.{type_.scale}f}" for value in VALUES]


@pytest.mark.parametrize("type_", TYPES, ids=str)
def test_in_every_field_of_an_order(read, with_columns, type_):
    fractions = pa.array(VALUES, pa.decimal256(76, type_.scale)).cast(type_)
    product = pa.StructArray.from_arrays(
        [pa.array(["p"] * 3), pa.array(["n"] * 3), fractions, pa.array([1] * 3)], ["id", "name", "price", "quantity"]
    )
    attribute = pa.StructArray.from_arrays([pa.array(["n"] * 3), fractions], ["name", "value"])
    places = pa.array(range(4), pa.int32())
    table = with_columns(
        totalValue=fractions,
        returnsValue=fractions,
        products=pa.ListArray.from_arrays(places, product),
        orderAttributes=pa.ListArray.from_arrays(places, attribute),
    )
    sent = [row.sent for row in read(table)]
    assert [order["totalValue"] for order in sent] == digits_of(type_)
    assert [order["returnsValue"] for order in sent] == digits_of(type_)
    assert [order["products"][0]["price"] for order in sent] == digits_of(type_)
    assert [order["orderAttributes"][0]["value"] for order in sent] == digits_of(type_)


def lines(type_):
    return pa.table(
        {
            "id": ["A", "A", "B"],
            "date": pa.array([0] * 3, pa.int64()).view(pa.timestamp("us", "UTC")),
            "email": ["a@example.com"] * 3,
            "fraction": pa.array(VALUES, pa.decimal256(76, type_.scale)).cast(type_),
            "pieces": pa.array([1, 2, 1]),
            "status": ["paid"] * 3,
        }
    )


@pytest.mark.parametrize("type_", [pa.decimal128(2, 2), pa.decimal64(2, 2)], ids=str)
def test_in_order_lines_their_sums_attributes_and_keys_of_a_map(read, type_):
    mapping = {
        "totalValue": {"sum": "fraction"},
        "returnsValue": {"sum": ["fraction", "pieces"]},
        "customer.email": "email",
        "products": {
            "id": "id",
            "name": "id",
            "price": "fraction",
            "quantity": "pieces",
            "order_by": "pieces",
            "productAttributes": {"Rate": "fraction", "Kind": {"column": "fraction", "map": {"0.50": "half"}}},
        },
    }
    first, second = sorted((row.sent for row in read(lines(type_), mapping=mapping)), key=lambda order: order["id"])
    assert (first["totalValue"], first["returnsValue"]) == ("0.25", "0.00")
    assert (second["totalValue"], second["returnsValue"]) == ("0.00", "0.00")
    assert [product["price"] for product in first["products"]] == ["0.50", "-0.25"]
    attributes = [[a["value"] for a in product["productAttributes"]] for product in first["products"]]
    assert attributes == [["0.50", "half"], ["-0.25", "-0.25"]]


def test_in_what_an_sql_text_computes(read, with_columns):
    sql = """
        SELECT id, date, .5 AS "totalValue", -.5 AS "returnsValue", customer,
            [{'id': 'p', 'name': 'n', 'price': .25, 'quantity': 2}] AS products,
            [{'name': 'n', 'value': .75}] AS "orderAttributes"
        FROM extract
    """
    [row] = read(with_columns(status=pa.array(["paid"])), sql=sql)
    assert (row.sent["totalValue"], row.sent["returnsValue"]) == ("0.5", "-0.5")
    assert row.sent["products"][0]["price"] == "0.25"
    assert row.sent["orderAttributes"] == [{"name": "n", "value": "0.75"}]
