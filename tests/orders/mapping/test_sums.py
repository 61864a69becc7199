"""Sums over the lines of an order: exact, or a problem of the order."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, localcontext

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.errors import ColumnsError
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.table import TableSource

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)

#: Of the products nothing is wide: only the sum is.
LINES = {
    "id": "order_no",
    "date": "ordered_at",
    "totalValue": {"sum": ["price", "qty"]},
    "customer.email": "email",
    "products": {"id": "email", "name": "email", "price": {"value": 1}, "quantity": {"value": 1}},
}


def line(order):
    return {"order_no": order, "ordered_at": NOON, "email": "a@example.com"}


def numbers(price, qty, **more):
    """Lines of the order A with columns of these types."""
    table = pa.Table.from_pylist([line("A")] * len(price))
    for name, column in {"price": price, "qty": qty, **more}.items():
        at = table.schema.get_field_index(name)
        table = table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
    return table


def decimals(scale, *values):
    return pa.array([None if v is None else Decimal(v) for v in values], pa.decimal128(38, scale))


SUMS = {
    "a price of Postgres and pieces": (
        numbers(decimals(16, "1500", "0.5"), pa.array([2, 3], pa.int32())),
        "3001.5000000000000000",
    ),
    "a small scale takes the most of the digits": (
        numbers(decimals(20, "1500", "0.5"), pa.array([2, 3], pa.int32())),
        "3001.50000000000000000000",
    ),
    "three factors of BigQuery": (
        numbers(decimals(9, "1500.25", "1"), decimals(9, "2", "1"), rate=decimals(9, "0.5", "1")),
        "1501.250000000000000000000000000",
    ),
    "whole thousands": (
        numbers(pa.array([Decimal("12E+3"), Decimal("1E+3")], pa.decimal128(5, -3)), decimals(2, "1.25", "2")),
        "17000.00",
    ),
    "the largest sum there is": (numbers(decimals(0, 5 * 10**37, 5 * 10**37 - 1), pa.array([1, 1])), "9" * 38),
    "floats of 32 bits, with the digits that are sent of each": (
        numbers(pa.array([1.1, 2.2], pa.float32()), pa.array([1, 2])),
        "5.5",
    ),
    "unsigned numbers of 64 bits": (
        numbers(pa.array([2**64 - 1], pa.uint64()), pa.array([10**18], pa.uint64())),
        str((2**64 - 1) * 10**18),
    ),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_is_exact_wherever_it_fits(read, name):
    table, total = SUMS[name]
    factors = ["price", "qty", *(["rate"] if "rate" in table.column_names else [])]
    [row] = read(table, mapping=LINES | {"totalValue": {"sum": factors}})
    assert row.sent["totalValue"] == total


@pytest.mark.parametrize(
    ("table", "before"),
    [
        (numbers(decimals(16, "1e21"), pa.array([100])), 22),
        (numbers(decimals(0, 5 * 10**37, 5 * 10**37), pa.array([1, 1])), 38),
        (numbers(decimals(20, "1"), decimals(17, "10")), 1),
    ],
    ids=["a product", "a sum", "hardly a digit"],
)
def test_a_sum_that_has_too_many_digits_is_that_order_s_problem(read, table, before):
    fine = line("B") | {"price": Decimal(1), "qty": Decimal(1)}
    good = pa.Table.from_pylist(
        [fine], pa.schema([f if f.name != "qty" else table.schema.field("qty") for f in table.schema])
    )
    first, second = sorted(read(pa.concat_tables([table, good]), mapping=LINES), key=lambda row: row.order_id)
    rule = f"a sum of at most {before} digits before the point"
    assert first.problems == [{"field": "totalValue", "rule": rule, "got": "more digits"}]
    assert Decimal(second.sent["totalValue"]) == 1


def test_a_sum_of_wide_numbers_that_lacks_a_line_is_missing_and_not_too_large(read):
    table = numbers(decimals(16, "1e21", None), pa.array([100, 1]))
    [row] = read(table, mapping=LINES)
    assert row.faults == {"totalValue": "required"}


@pytest.mark.parametrize("factors", [["rate"], ["rate", "price"]])
def test_a_sum_over_a_column_of_the_type_null_is_absent(read, factors):
    table = numbers(decimals(2, "1.50", "2"), pa.array([1, 1]), rate=pa.nulls(2))
    [row] = read(table, mapping=LINES | {"returnsValue": {"sum": factors}})
    assert "returnsValue" not in row.sent


def test_a_sum_that_has_too_many_digits_is_reported_beside_what_json_text_lacks(read):
    table = numbers(decimals(16, "1e21"), pa.array([100]), note=pa.array(["{"]))
    mapping = LINES | {"orderAttributes": "note"}
    [row] = read(table, mapping=mapping)
    assert row.faults == {
        "orderAttributes": "JSON text of a list of objects",
        "totalValue": "a sum of at most 22 digits before the point",
    }


def test_scales_that_no_product_has_are_refused_with_what_to_do():
    table = numbers(decimals(20, "1"), decimals(18, "1"))
    with pytest.raises(ColumnsError) as error:
        OrderReader(TableSource("t", table), OrderSettings(mapping=LINES)).__exit__()
    assert (
        "  - totalValue: the product would have 38 digits after the decimal point, of 38 in all: "
        "price is decimal128(38, 20), qty is decimal128(38, 18); "
        "cast them to smaller scales in the export, or compute the sum in an SQL text\n"
    ) in str(error.value)


SCALES = st.integers(0, 22)
WIDE = st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-(10**9), 10**9)


@settings(max_examples=examples(25))
@given(
    scales=st.tuples(SCALES, SCALES).filter(lambda s: sum(s) < 38),
    lines=st.lists(st.tuples(WIDE, WIDE), min_size=1, max_size=4),
)
def test_law_a_sum_is_exact_or_a_problem(read, scales, lines):
    with localcontext(prec=200):
        rows = [tuple(Decimal(n).scaleb(-s) for n, s in zip(row, scales, strict=True)) for row in lines]
        exact = sum(price * qty for price, qty in rows)
        # what does not fit on the way does not fit
        most = max(sum(abs(price * qty) for price, qty in rows), Decimal(0)) >= Decimal(10) ** (38 - sum(scales))
        table = numbers(decimals(scales[0], *(p for p, _ in rows)), decimals(scales[1], *(q for _, q in rows)))
        [row] = read(table, mapping=LINES)
        if row.problems:
            assert most
            assert row.faults == {"totalValue": f"a sum of at most {38 - sum(scales)} digits before the point"}
        else:
            assert Decimal(row.sent["totalValue"]) == exact
