"""Made-up orders are plausible, the same for a seed, and as faulty as they are asked to be."""

from __future__ import annotations

import datetime as dt
from zoneinfo import available_timezones

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.sample import LINES_SQL, Sample


@pytest.fixture
def written(tmp_path):
    """Write a sample and return its path."""

    def write(**what):
        path = tmp_path / "sample.parquet"
        Sample(**what).write(path)
        return path

    return write


@pytest.fixture
def checked(written):
    """Write a sample and return its orders as they are read for a push, by id."""

    def check(**what):
        settings = OrderSettings(sql=LINES_SQL if what.get("lines") else None)
        with OrderReader(ParquetSource.open(written(**what)), settings) as orders:
            rows = [row for batch in orders.read() for row in batch.to_pylist()]
        assert len({row["order_id"] for row in rows}) == len(rows)
        return {row["order_id"]: row for row in rows}

    return check


def test_a_seed_gives_the_same_orders_and_another_seed_others(written):
    first = pq.read_table(written(orders=500, seed=7, faulty=20, odd=5))
    again = pq.read_table(written(orders=500, seed=7, faulty=20, odd=5))
    other = pq.read_table(written(orders=500, seed=8, faulty=20, odd=5))

    assert first.equals(again)
    assert first.schema.equals(other.schema)
    assert not first.equals(other)


def test_faults_change_no_other_order_and_no_type(written):
    good = pq.read_table(written(orders=300))
    mixed = pq.read_table(written(orders=300, faulty=20, odd=10))

    assert good.schema.types == mixed.schema.types
    assert sum(a != b for a, b in zip(good.to_pylist(), mixed.to_pylist(), strict=True)) == 30


def test_good_orders_break_no_rule_and_give_no_warning(checked):
    rows = checked(orders=5_000)

    assert len(rows) == 5_000
    assert all(row["problems"] is None and row["warnings"] is None for row in rows.values())


@pytest.mark.parametrize(("lines", "kinds"), [(False, 14), (True, 10)])
def test_each_kind_of_fault_breaks_one_rule_and_the_faulty_are_all_over_the_file(checked, lines, kinds):
    rows = checked(orders=1_000, faulty=kinds * 4, odd=6, lines=lines)

    broken = {order_id: row["problems"] for order_id, row in rows.items() if row["problems"]}
    assert len(broken) == kinds * 4
    assert len({(problems[-1]["field"], problems[-1]["rule"]) for problems in broken.values()}) == kinds
    # of a line without a price, the total cannot be told either
    assert all(len(problems) == 1 for problems in broken.values() if problems[-1]["field"] != "products[0].price")
    quarters = [sum(a <= int(order_id[4:12]) <= a + 249 for order_id in broken) for a in (1, 251, 501, 751)]
    assert quarters == [kinds] * 4
    odd = [row["warnings"] for row in rows.values() if row["warnings"] and not row["problems"]]
    assert [len(warnings) for warnings in odd] == [1] * 6


def test_order_lines_shaped_by_their_sql_are_the_orders(checked):
    nested = checked(orders=1_000, seed=3)
    shaped = checked(orders=1_000, seed=3, lines=True)

    assert {order_id: row["json"] for order_id, row in shaped.items()} == {
        order_id: row["json"] for order_id, row in nested.items()
    }


def test_the_columns_are_those_of_the_api_with_the_types_of_a_warehouse(written):
    schema = pq.read_schema(written(orders=10))

    assert schema.names == [
        *("id", "date", "timeZone", "websiteId", "status", "currency", "totalValue", "returnsValue"),
        *("customer", "products", "orderAttributes"),
    ]
    assert schema.field("totalValue").type == pa.decimal128(12, 2)
    assert schema.field("date").type == pa.timestamp("us", "UTC")
    assert schema.field("products").type.value_type.field("price").type == pa.decimal128(12, 2)


def test_the_shop_is_plausible(written):
    orders = pq.read_table(written(orders=3_000)).to_pylist()

    assert [order["id"] for order in orders] == [f"ORD-{i:08d}" for i in range(1, 3_001)]
    assert {order["status"] for order in orders} == {"placed", "paid", "completed", "canceled"}
    assert {order["currency"] for order in orders} == {"EUR", "PLN", "GBP", "USD", "CZK", "AUD"}
    assert {order["timeZone"] for order in orders} <= available_timezones()
    assert {len(order["products"]) for order in orders} == {1, 2, 3, 4, 5, 6}
    assert 0 < sum(order["returnsValue"] > 0 for order in orders) < 300
    assert all(order["date"].year == 2025 for order in orders)
    assert [order["date"] for order in orders] == sorted(order["date"] for order in orders)
    for order in orders:
        assert order["totalValue"] == sum(p["price"] * p["quantity"] for p in order["products"])
        assert order["returnsValue"] == sum(p["price"] * p["returned"] for p in order["products"])


def test_customers_come_back_and_lack_something_now_and_then_and_exist_nowhere(written):
    customers = [row["customer"] for row in pq.read_table(written(orders=3_000)).to_pylist()]

    for field in ("email", "phone", "crmId"):
        assert 0 < sum(customer[field] is None for customer in customers) < 2_000
    assert all(customer["email"] or customer["crmId"] for customer in customers)
    emails = [customer["email"] for customer in customers if customer["email"]]
    assert len(set(emails)) < len(emails)
    assert {email.rpartition("@")[2] for email in emails} == {"example.com", "example.org"}
    assert all(customer["phone"].startswith("+1555") for customer in customers if customer["phone"])


def test_a_day_holds_all_orders(written):
    dates = pq.read_table(written(orders=100, day=dt.date(2026, 2, 28)))["date"].to_pylist()

    assert {date.date() for date in dates} == {dt.date(2026, 2, 28)}


def test_no_orders_are_a_file_of_no_rows(written):
    assert pq.read_metadata(written(orders=0)).num_rows == 0


def test_a_file_is_cut_into_row_groups_that_a_reader_can_hold(written):
    assert pq.read_metadata(written(orders=50_000)).num_row_groups == 3


@pytest.mark.parametrize("what", [{"orders": 5, "faulty": 4, "odd": 2}, {"orders": -1}, {"faulty": -1}, {"odd": -1}])
def test_what_cannot_be_made_is_refused(what):
    with pytest.raises(ConfigurationError, match="orders cannot have"):
        Sample(**what)


def test_a_file_that_cannot_be_written_is_an_error_and_one_that_is_there_is_replaced(tmp_path):
    path = tmp_path / "it's here.parquet"
    Sample(orders=5).write(path)
    Sample(orders=3).write(path)

    assert pq.read_metadata(path).num_rows == 3
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Sample(orders=1).write(tmp_path / "absent" / "orders.parquet")
