"""Several extracts by their names, joined by an SQL text, and the columns that are read of each."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError, ExtractError, SqlError
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.table import TableSource

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)

TABLES = {
    "orders": pa.table(
        {
            "order_id": pa.array([1, 2, 3], pa.int64()),
            "customer_id": pa.array([10, 20, 10], pa.int32()),
            "placed": pa.array([NOON] * 3),
            "note": ["n"] * 3,
        }
    ),
    "items": pa.table(
        {
            "order_id": pa.array([1, 1, 2, 3], pa.int64()),
            "sku": ["a", "b", "a", "c"],
            "price": pa.array([Decimal("1.50"), Decimal("2.00"), Decimal("1.50"), Decimal("9.00")]),
            "qty": pa.array([2, 1, 1, 1], pa.int32()),
            "note": ["n"] * 4,
        }
    ),
    "customers": pa.table(
        {
            "customer_id": pa.array([10, 20], pa.int32()),
            "contact": [{"email": "a@example.com", "other": "x"}, {"email": "b@example.com", "other": "x"}],
            "note": ["n"] * 2,
        }
    ),
}

SQL = """
SELECT o.order_id AS id, any_value(o.placed) AS date, sum(i.price * i.qty) AS total_value,
    {'email': any_value(c.contact.email)} AS customer,
    list({'id': i.sku, 'name': i.sku, 'price': i.price, 'quantity': i.qty} ORDER BY i.sku) AS products
FROM orders AS o JOIN items AS i USING (order_id) JOIN customers AS c USING (customer_id)
GROUP BY o.order_id
"""


class Recorder:
    """An extract that notes which columns are read."""

    def __init__(self, name, table):
        self.extract = TableSource(name, table)
        self.name, self.schema, self.rows = name, table.schema, table.num_rows
        self.read = []

    def batches(self, columns):
        self.read.append(list(columns))
        yield from self.extract.batches(columns)


def recorders():
    return {name: Recorder(f"{name}.parquet", table) for name, table in TABLES.items()}


def test_extracts_are_joined_by_their_names():
    with OrderReader(recorders(), OrderSettings(sql=SQL)) as orders:
        rows = {row["order_id"]: row for batch in orders.read() for row in batch.to_pylist()}
        assert orders.name == "orders (orders.parquet), items (items.parquet), customers (customers.parquet)"
        assert orders.rows == 9
    assert {i: row["problems"] for i, row in rows.items()} == {"1": None, "2": None, "3": None}
    assert rows["1"]["json"] == (
        '{"id":"1","date":"2026-11-22T12:00:00.000Z","totalValue":5.00,"customer":{"email":"a@example.com"},'
        '"products":[{"id":"a","name":"a","price":1.50,"quantity":2},{"id":"b","name":"b","price":2.00,"quantity":1}]},'
    )


def test_only_the_columns_that_a_query_needs_are_read_of_each_extract():
    extracts = recorders()
    with OrderReader(extracts, OrderSettings(sql=SQL)) as orders:
        selection = orders.select()
        assert {name: extract.read for name, extract in extracts.items()} == {
            "orders": [["order_id", "customer_id"]],
            "items": [["order_id"]],
            "customers": [["customer_id"]],
        }
        list(selection.read())
        assert {name: extract.read[1] for name, extract in extracts.items()} == {
            "orders": ["order_id", "customer_id", "placed"],
            "items": ["order_id", "sku", "price", "qty"],
            "customers": ["customer_id", "contact"],
        }
        read, ignored = orders.columns["items"]
        assert (read, ignored) == (TABLES["items"].schema.remove(4), ["note"])


def test_a_column_that_only_a_filter_needs_is_read():
    extracts = recorders()
    with OrderReader(
        extracts, OrderSettings(sql=SQL.replace("GROUP", "WHERE i.note = 'n' AND o.note > 'a' GROUP"))
    ) as orders:
        assert sum(len(batch) for batch in orders.read()) == 3
    assert extracts["items"].read == [["order_id", "sku", "price", "qty", "note"]]


def test_a_member_of_a_struct_is_read_with_its_column():
    """The engine's plan names the member: `contact.email`."""
    table = pa.table({"id": ["1"], "contact": [{"email": "a@example.com", "deep": {"er": "x"}}]})
    sql = (
        "SELECT id, TIMESTAMPTZ '2026-01-01 00:00:00Z' AS date, 1 AS total_value, {'crmId': contact.deep.er} AS "
        "customer, [{'id': 'a', 'name': 'a', 'price': 1, 'quantity': 1}] AS products FROM extract"
    )
    with OrderReader(TableSource("t", table), OrderSettings(sql=sql)) as orders:
        [row] = [row for batch in orders.read() for row in batch.to_pylist()]
    assert '"customer":{"crmId":"x"}' in row["json"]


def test_an_extract_that_the_sql_text_does_not_mention_is_not_read():
    extracts = recorders() | {"extra": Recorder("extra", pa.table({"a": [1]}))}
    with OrderReader(extracts, OrderSettings(sql=SQL)) as orders:
        list(orders.read())
    assert extracts["extra"].read == []


def test_one_extract_can_have_a_name_too():
    sql = "SELECT * FROM shop"
    with pytest.raises(ColumnsError, match="the SQL text's result is missing columns that an order needs"):
        OrderReader({"shop": TableSource("t", TABLES["orders"])}, OrderSettings(sql=sql)).__exit__()


def test_an_sql_text_that_does_not_bind_names_the_columns_of_each_extract():
    with pytest.raises(SqlError) as refused:
        OrderReader(recorders(), OrderSettings(sql=SQL.replace("i.sku", "i.skuu"))).__exit__()
    assert "skuu" in str(refused.value)
    assert str(refused.value).endswith(
        "The extract orders has: order_id, customer_id, placed, note\n"
        "The extract items has: order_id, sku, price, qty, note\n"
        "The extract customers has: customer_id, contact, note"
    )


def test_a_file_that_cannot_be_read_is_its_own_error_whichever_extract_it_is():
    class Broken(Recorder):
        def batches(self, columns):
            yield from super().batches(columns)
            raise ExtractError("customers.parquet: cannot be read")

    extracts = recorders() | {"customers": Broken("customers", TABLES["customers"])}
    with (
        OrderReader(extracts, OrderSettings(sql=SQL)) as orders,
        pytest.raises(ExtractError, match=r"^customers\.parquet: cannot be read$"),
    ):
        orders.select()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "extracts: at least one is needed"),
        (
            ["order items"],
            "extracts: 'order items' is not a name of an extract: use letters, digits and _, not ecdp_ at its start",
        ),
        (["1a"], "extracts: '1a' is not a name of an extract"),
        (["ecdp_zones"], "extracts: 'ecdp_zones' is not a name of an extract"),
        ([""], "extracts: '' is not a name of an extract"),
        ([7], "extracts: 7 is not a name of an extract"),
        (["Order"], "extracts: 'Order' is a reserved SQL keyword; choose another name, such as Orders"),
        (["items", "ITEMS"], "extracts: 'items' appears twice; SQL names are not case-sensitive"),
    ],
)
def test_a_name_that_sql_would_not_take_is_refused(names, message):
    with pytest.raises(ConfigurationError) as refused:
        OrderReader({name: TableSource("t", TABLES["orders"]) for name in names}, OrderSettings(sql=SQL)).__exit__()
    assert message in str(refused.value)


@pytest.mark.parametrize("more", [{}, {"mapping": {"id": "order_id"}}])
def test_extracts_with_names_need_an_sql_text(more):
    with pytest.raises(
        ConfigurationError, match=r"extracts with names need an SQL text that selects from them \(sql\)"
    ):
        OrderReader(recorders(), OrderSettings(**more)).__exit__()


NAMES = [f"column_{n}" for n in range(1200)]
WIDE = pa.table({name: pa.array([1]) for name in NAMES})


@pytest.mark.parametrize(
    "settings",
    [{}, {"sql": "SELECT * FROM extract"}, {"sql": "SELECT nothing FROM extract"}, {"mapping": {"id": "order_nr"}}],
    ids=["columns", "SQL that does not fit", "SQL that fails", "mapping"],
)
def test_of_thousands_of_columns_a_message_names_thirty(settings):
    with pytest.raises((ColumnsError, SqlError)) as refused:
        OrderReader(TableSource("wide", WIDE), OrderSettings(**settings)).__exit__()
    refusal = str(refused.value)
    assert " and 1,170 more" in refusal
    assert "column_29" in refusal
    assert "column_30" not in refusal.partition(" has: ")[2]
    assert len(refusal) < 2500


def test_thirty_columns_are_all_named():
    with pytest.raises(ColumnsError) as refused:
        OrderReader(TableSource("wide", WIDE.select(NAMES[:30])), OrderSettings(mapping={"id": "x"})).__exit__()
    assert str(refused.value).endswith("column_28, column_29")
