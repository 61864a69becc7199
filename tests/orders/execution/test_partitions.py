"""Extracts larger than memory, in parts: the same orders, in less memory."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.errors import ConfigurationError, MemoryLimitError
from airflow_provider_ecdp.orders import settings as order_settings
from airflow_provider_ecdp.orders.execution import partitions
from airflow_provider_ecdp.orders.execution.partitions import keys_of
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings, SentOrders
from airflow_provider_ecdp.orders.sources.table import TableSource

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)

#: Products come as the lines stand: the order of rows has to survive the cut.
SQL = """
SELECT no AS id, any_value(ts) AS date, sum(price) AS total_value, {'crmId': any_value(crm)} AS customer,
    list({'id': sku, 'name': sku, 'price': price, 'quantity': 1}) AS products
FROM extract GROUP BY no
"""

MAPPING = {
    "id": "no",
    "date": "ts",
    "totalValue": {"sum": "price"},
    "customer": {"crmId": "crm"},
    "products": {"id": "sku", "name": "sku", "price": "price", "quantity": {"value": 1}},
}


def lines(numbers, skus=None):
    count = len(numbers)
    return pa.table(
        {
            "no": numbers,
            "ts": pa.array([NOON] * count, pa.timestamp("us", "UTC")),
            "crm": pa.array([f"C-{n}" for n in numbers], pa.string()),
            "sku": pa.array(skus or [f"P-{i % 7}" for i in range(count)], pa.string()),
            "price": pa.array([Decimal(i % 9) for i in range(count)], pa.decimal128(10, 2)),
        }
    )


@pytest.fixture
def small_parts(monkeypatch):
    """Make parts so small that a few rows need several."""
    monkeypatch.setattr(partitions, "_SHARE", 60_000)
    monkeypatch.setattr(partitions, "_SMALL", 1000)


def read(extracts, **more):
    source = TableSource("t", extracts) if isinstance(extracts, pa.Table) else extracts
    with OrderReader(source, OrderSettings(**more)) as orders:
        selection = orders.select()
        rows = [row for batch in selection.read() for row in batch.to_pylist()]
        return rows, selection.repeated_ids, len(orders._parts)


def content(rows):
    return sorted(
        (str(r["order_id"]), r["content_hash"], r["json"], str(r["problems"]), r["skip_reason"] or "") for r in rows
    )


NUMBERS = [i * 7919 % 200 for i in range(600)]


KINDS = {
    "int64": pa.array(NUMBERS, pa.int64()),
    "string": pa.array([f"ORD-{n}" for n in NUMBERS]),
    "dictionary": pa.array([f"ORD-{n}" for n in NUMBERS]).dictionary_encode(),
    "decimal": pa.array([Decimal(n) for n in NUMBERS], pa.decimal128(38, 0)),
    "with nulls": pa.array([None if n < 5 else n for n in NUMBERS], pa.int32()),
}


# a mapping is cut as its SQL text is: of its kinds two
@pytest.mark.parametrize(
    ("how", "numbers"),
    [
        *(({"sql": SQL}, numbers) for numbers in KINDS.values()),
        *(({"mapping": MAPPING}, KINDS[kind]) for kind in ("string", "with nulls")),
    ],
    ids=[*(f"SQL-{kind}" for kind in KINDS), "mapping-string", "mapping-with nulls"],
)
@pytest.mark.usefixtures("small_parts")
@pytest.mark.slow
def test_orders_are_the_same_byte_for_byte_with_and_without_parts(how, numbers):
    table = lines(numbers)
    by = {"partition_by": "no"} if "sql" in how else {}
    in_parts, _, parts = read(table, **how, **by)
    assert parts > 3
    if "mapping" in how:
        # a mapping's parts are by the order's id, without being told
        assert content(in_parts) == content(read(table, sql=sorted_sql())[0])
    else:
        assert content(in_parts) == content(read(table, sql=SQL)[0])


def sorted_sql():
    return SQL.replace("'quantity': 1}", "'quantity': 1} ORDER BY sku, price")


@pytest.mark.parametrize("parts", [False, True])
def test_orders_of_lines_are_counted_before_they_are_read(parts, request):
    if parts:
        request.getfixturevalue("small_parts")
    with OrderReader(TableSource("t", lines(NUMBERS)), OrderSettings(mapping=MAPPING)) as orders:
        selection = orders.select()
        assert (selection.repeated_ids, selection.count, len(orders._parts) > 1) == (0, 200, parts)
        assert sum(map(len, selection.read())) == 200


def test_small_extracts_are_not_cut():
    assert read(lines(NUMBERS), mapping=MAPPING)[2] == 1


@pytest.mark.usefixtures("small_parts")
def test_without_a_key_nothing_is_cut():
    assert read(lines(NUMBERS), sql=SQL)[2] == 1


@pytest.mark.usefixtures("small_parts")
def test_each_extract_is_read_once_however_many_parts_there_are(tmp_path, monkeypatch):
    class Once(TableSource):
        times = 0

        def batches(self, columns):
            type(self).times += 1
            yield from super().batches(columns)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with OrderReader(Once("t", lines(NUMBERS)), OrderSettings(sql=SQL, partition_by="no")) as orders:
        list(orders.select().read())
        assert len(orders._parts) > 3
        assert list(tmp_path.glob("ecdp-parts-*/*.arrow"))
    assert Once.times == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("small_parts")
def test_ids_that_appear_twice_are_found_across_parts():
    # in capitals one id has two values in the column, which can be in two parts
    sql = SQL.replace("no AS id", "upper(no) AS id")
    names = [f"{'aA'[i % 2]}-{i // 2 % 50}" for i in range(400)]
    table = lines(pa.array(names)).set_column(2, "crm", pa.array(["C"] * 400))
    table = table.set_column(4, "price", pa.array([Decimal(1)] * 400)).set_column(3, "sku", pa.array(["P"] * 400))
    rows, twice, parts = read(table, sql=sql, partition_by="no")
    assert (twice, len(rows)) == (50, 100)
    assert parts > 3
    assert sorted(r["skip_reason"] or "" for r in rows) == [""] * 50 + ["repeated"] * 50
    assert {r["order_id"] for r in rows if r["skip_reason"] is None} == {f"A-{i}" for i in range(50)}
    assert not [r for r in rows if r["problems"]]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.slow
def test_orders_whose_rows_are_split_are_invalid_with_the_reason():
    rows, twice, _ = read(lines(pa.array([i // 4 for i in range(400)])), sql=SQL, partition_by="sku")
    assert twice == 100
    assert all(
        "partitions: do the rows of an order agree in the column partition_by?" in r["problems"][0]["got"] for r in rows
    )


@pytest.mark.usefixtures("small_parts")
def test_what_is_accepted_or_not_chosen_is_left_out_in_every_part(as_ledger):
    table = lines(NUMBERS)
    whole = {r["order_id"]: r for r in read(table, sql=SQL)[0]}
    with OrderReader(TableSource("t", table), OrderSettings(sql=SQL, partition_by="no")) as orders:
        known = [str(i) for i in range(100)]
        ledger = pa.table({"order_id": known, "content_hash": [whole[i]["content_hash"] for i in known]})
        selection = orders.select(
            sent=[SentOrders(as_ledger(ledger), {"accepted": "resumed"})],
            only=pa.table({"order_id": [str(i) for i in range(50, 200)]}),
        )
        rows = {row["order_id"]: row["skip_reason"] for batch in selection.read() for row in batch.to_pylist()}
        assert len(orders._parts) > 3
    assert rows == {str(i): "resumed" if i < 100 else None for i in range(50, 200)}


@pytest.mark.usefixtures("small_parts")
def test_an_extract_without_the_column_is_whole_in_every_part():
    extracts = {
        "orders": TableSource(
            "o", pa.table({"no": list(range(300)), "ts": [NOON] * 300, "shop": [i % 3 for i in range(300)]})
        ),
        "items": TableSource("i", lines([i % 300 for i in range(900)]).drop_columns(["ts"])),
        "shops": TableSource("s", pa.table({"shop": [0, 1, 2], "currency": ["PLN", "EUR", "GBP"]})),
    }
    sql = SQL.replace("FROM extract", "FROM items JOIN orders USING (no) JOIN shops USING (shop)").replace(
        "sum(price)", "any_value(shops.currency) AS currency, sum(price)"
    )
    in_parts, _, parts = read(extracts, sql=sql, partition_by="no")
    assert parts > 3
    assert content(in_parts) == content(read(extracts, sql=sql)[0])
    assert len(in_parts) == 300


@settings(max_examples=examples(6))
@given(
    numbers=st.lists(st.one_of(st.none(), st.integers(0, 30)), min_size=1, max_size=120),
    share=st.integers(10**4, 10**7),
)
@pytest.mark.slow
def test_law_any_cut_gives_the_same_orders(numbers, share):
    table = lines(pa.array(numbers, pa.int64()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitions, "_SHARE", share)
        patch.setattr(partitions, "_SMALL", 10**6)
        in_parts = read(table, sql=SQL, partition_by="no")[0]
    assert content(in_parts) == content(read(table, sql=SQL)[0])


# the column


def extract(**columns):
    return TableSource("t", pa.table(columns))


def test_the_column_is_found_in_every_extract_that_has_it_in_any_case():
    extracts = {"a": extract(ORDER_ID=[1]), "b": extract(order_id=[1]), "c": extract(x=[1])}
    assert keys_of("order_id", extracts) == {"a": "ORDER_ID", "b": "order_id"}


def test_each_extract_can_have_a_column_of_its_own():
    extracts = {"orders": extract(id=[1]), "items": extract(id=[1], order_id=[1])}
    assert keys_of({"orders": "id", "items": "order_id"}, extracts) == {"orders": "id", "items": "order_id"}


@pytest.mark.parametrize(
    ("given_", "extracts", "message"),
    [
        (
            "ordr_id",
            {"a": extract(order_id=[1]), "b": extract(x=[1])},
            "partition_by: there is no column 'ordr_id'; did you mean 'order_id'?",
        ),
        (
            {"a": "ordr_id"},
            {"a": extract(order_id=[1])},
            "partition_by: the extract a has no column 'ordr_id'; did you mean 'order_id'?",
        ),
        ({"x": "a"}, {"a": extract(a=[1]), "b": extract(a=[1])}, "partition_by: there is no extract x; there are a, b"),
        (
            "id",
            {"orders": extract(id=[1]), "items": extract(id=[1])},
            (
                "partition_by: orders and items have a column 'id' each, and not every id is that of the order; name "
                'the column of each that holds it, for example {"orders": "id", "items": "order_id"}'
            ),
        ),
        (
            "no",
            {"a": extract(no=[1]), "b": extract(no=["1"])},
            "partition_by: the columns must be of one type, and a.no is int64, b.no is string; cast them in the export",
        ),
    ],
)
def test_an_ambiguous_or_unknown_column_is_refused(given_, extracts, message):
    with pytest.raises(ConfigurationError) as refused:
        keys_of(given_, extracts)
    assert str(refused.value) == message


# memory


def test_the_message_names_what_helps_when_the_memory_does_not_do(monkeypatch):
    monkeypatch.setattr(order_settings, "LEAST_MEMORY", 0)
    table = lines(list(range(20_000)), [f"{i:0900}" for i in range(20_000)])
    sql = SQL + " ORDER BY len(products)"
    with (
        OrderReader(TableSource("t", table), OrderSettings(sql=sql, memory_limit="20MB")) as orders,
        pytest.raises(MemoryLimitError) as stopped,
    ):
        list(orders.read())
    assert str(stopped.value) == (
        "reading orders of t with the SQL text needs more memory than its limit; set partition_by "
        "(--partition-by) to the column that identifies the rows of an order, or raise memory_limit (--memory-limit)"
    )


@pytest.mark.usefixtures("small_parts")
def test_the_query_need_not_read_the_column_by_which_rows_are_cut():
    table = lines([1, 2, 3] * 100)
    rows, _, parts = read(table.append_column("shop", table["no"]), sql=SQL, partition_by="shop")

    assert parts > 1
    assert content(rows) == content(read(table, sql=SQL)[0])


def test_a_part_for_which_the_memory_does_not_do_is_halved(monkeypatch):
    monkeypatch.setattr(partitions, "_SHARE", 1)
    monkeypatch.setattr(partitions, "_SMALL", 1000)
    table = lines(list(range(20_000)), [f"{i:0900}" for i in range(20_000)])
    with OrderReader(
        TableSource("t", table), OrderSettings(sql=sorted_sql(), memory_limit="32MB", partition_by="no")
    ) as orders:
        selection = orders.select()
        before = len(orders._parts)
        assert sum(len(batch) for batch in selection.read()) == 20_000
        assert len(orders._parts) > before


#: Linux counts the memory of the process that started it among `ru_maxrss`.
RUN = """
import pathlib, re, sys
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
folder, limit, sql = sys.argv[1:]
names = ("orders", "items", "customers", "payments")
extracts = {name: ParquetSource.open(f"{folder}/{name}.parquet") for name in names}
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
threads = lambda: len(list(pathlib.Path("/proc/self/task").iterdir()))
before, threads_before = peak(), threads()
settings = OrderSettings(sql=sql, memory_limit=limit, partition_by="order_id")
with OrderReader(extracts, settings) as orders:
    count = bad = 0
    for batch in orders.select().read():
        count += len(batch)
        bad += len(batch) - batch.column("problems").null_count
print(count, bad, (peak() - before) // 1024, threads() - threads_before)
"""

JOINED = """
SELECT order_id AS id, any_value(ordered_at) AS date, sum(price * qty) AS total_value,
    {'email': any_value(email), 'crmId': any_value(customer_id)} AS customer,
    list_sort(list({'line': line, 'id': sku, 'name': name, 'price': price, 'quantity': qty})) AS products,
    [{'name': 'Payment', 'value': any_value(method)}, {'name': 'Note', 'value': left(any_value(note), 64)},
     {'name': 'Address', 'value': any_value(address)}, {'name': 'Reference', 'value': any_value(reference)}]
    AS order_attributes
FROM orders JOIN items USING (order_id) JOIN customers USING (customer_id) JOIN payments USING (order_id)
GROUP BY order_id
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory in /proc")
@pytest.mark.slow
def test_four_tables_ten_times_larger_than_the_memory_are_joined_within_it(tmp_path):
    # wide rows fill the memory: fewer of them have to become orders
    limit, orders = 40_000_000, 100_000
    shuffled = f"(i * 7919) % {orders}"
    tables = {
        "orders": f"SELECT {shuffled} AS order_id, i % 30000 AS customer_id, TIMESTAMPTZ '2026-01-01 00:00:00Z' "
        "+ i * INTERVAL 1 SECOND AS ordered_at, repeat(md5(i::VARCHAR), 110) AS note "
        f"FROM range({orders}) t(i)",
        "items": f"SELECT (i * 104729) % {orders} AS order_id, i AS line, 'SKU-' || (i % 5000) AS sku, "
        "'Product number ' || (i % 5000) || ', with a description that is somewhat longer' AS name, "
        f"(5 + i % 50)::DECIMAL(10, 2) AS price, 1 + i % 3 AS qty FROM range({3 * orders}) t(i)",
        "customers": "SELECT (i * 17) % 30000 AS customer_id, 'user' || i || '@example.com' AS email, "
        "repeat(md5(i::VARCHAR), 3) AS address FROM range(30000) t(i)",
        "payments": f"SELECT (i * 13) % {orders} AS order_id, ['card', 'blik'][1 + i % 2] AS method, "
        f"sha256(i::VARCHAR) AS reference FROM range({orders}) t(i)",
    }
    size = 0
    with duckdb.connect() as engine:
        for name, sql in tables.items():
            size += engine.sql(sql).to_arrow_table().nbytes
            # a row group is read whole: small ones of wide rows
            engine.execute(f"COPY ({sql}) TO '{tmp_path / name}.parquet' (ROW_GROUP_SIZE 4096)")
    assert size > 10 * limit

    arguments = [sys.executable, "-c", RUN, str(tmp_path), "40MB", JOINED]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    count, bad, megabytes, threads = map(int, done.stdout.split())
    assert (count, bad) == (orders, 0)
    # Arrow has a thread for each core of a machine, and each that decodes Parquet keeps memory
    assert threads == 0
    # the engine's 40 MB, its code and Arrow's buffers, which do not grow with the extract
    assert megabytes < 300
