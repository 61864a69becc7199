"""Orders too large for the memory, and many large ones: the others are read, and what is held together is bounded."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.errors import MemoryLimitError
from airflow_provider_ecdp.orders import settings as order_settings
from airflow_provider_ecdp.orders.engine.connection import locked_engine
from airflow_provider_ecdp.orders.execution.catalog import Catalog
from airflow_provider_ecdp.orders.execution.large_orders import KeyedPart
from airflow_provider_ecdp.orders.execution.partitions import Part
from airflow_provider_ecdp.orders.execution.segments import Segments, pieces
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources import parquet
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.table import TableSource

LIMIT = 16_000_000


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    """Less memory than a user can set: large orders are then small ones, which are read at once."""
    monkeypatch.setattr(order_settings, "LEAST_MEMORY", LIMIT)


def orders(sizes, ids=None):
    """One order of as many products as each of `sizes` says."""
    count, total = len(sizes), sum(sizes)
    ids = ids or [f"ORD-{n}" for n in range(count)]
    offsets = [0]
    for size in sizes:
        offsets.append(offsets[-1] + size)
    names = pa.array([f"P{n}" for n in range(total)])
    price, quantity = pa.repeat(pa.scalar(Decimal("1.25")), total), pa.repeat(pa.scalar(1), total)
    products = pa.StructArray.from_arrays([names, names, price, quantity], ["id", "name", "price", "quantity"])
    columns = {
        "id": pa.array(ids),
        "date": pa.repeat(pa.scalar("2026-11-22T10:00:00Z"), count),
        "total_value": pa.repeat(pa.scalar(Decimal("12.50")), count),
        "customer": pa.StructArray.from_arrays([pa.array(ids)], ["crmId"]),
        "products": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), products),
    }
    return pa.table(columns)


def lines(sizes):
    """The same as order lines."""
    ids = [f"ORD-{n}" for n, size in enumerate(sizes) for _ in range(size)]
    count = len(ids)
    return pa.table(
        {
            "no": pa.array(ids),
            "date": pa.repeat(pa.scalar("2026-11-22T10:00:00Z"), count),
            "total": pa.repeat(pa.scalar(Decimal("12.50")), count),
            "crm": pa.array(ids),
            "sku": pa.array([f"P{n}" for n in range(count)]),
            "price": pa.repeat(pa.scalar(Decimal("1.25")), count),
            "quantity": pa.repeat(pa.scalar(1), count),
        }
    )


MAPPING = {
    "id": "no",
    "date": "date",
    "totalValue": "total",
    "customer.crmId": "crm",
    "products.id": "sku",
    "products.name": "sku",
    "products.price": "price",
    "products.quantity": "quantity",
}


def read(source, **settings):
    """Return the outcome of each order by its id, a problem or None, and the bytes of the largest batch."""
    outcomes, largest = [], 0
    with OrderReader(source, OrderSettings(memory_limit="16MB", **settings)) as reader:
        for batch in reader.select().read():
            largest = max(largest, batch.column("json").nbytes)
            problems = [p and p[0] for p in batch.column("problems").to_pylist()]
            outcomes += zip(batch.column("order_id").to_pylist(), problems, strict=True)
    return outcomes, largest


def test_many_large_orders_are_handed_over_a_few_at_a_time(tmp_path):
    table = orders([1_000] * 60 + [2] * 3_000 + [1_000] * 60)
    pq.write_table(table, tmp_path / "orders.parquet")

    outcomes, largest = read(ParquetSource.open(tmp_path / "orders.parquet"))

    assert outcomes == [(order_id, None) for order_id in table["id"].to_pylist()]
    # of 8 MB of JSON
    assert largest < LIMIT / 8


#: As the mapping.
SQL = """
    SELECT no AS id, any_value(date) AS date, any_value(total) AS total_value, {'crmId': any_value(crm)} AS customer,
        list({'id': sku, 'name': sku, 'price': price, 'quantity': quantity}) AS products
    FROM extract GROUP BY no
"""


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        (TableSource("t", orders([2, 60_000, 3, 60_000, 2])), {}),
        (TableSource("t", orders([2, 60_000, 3, 60_000, 2])), {"sql": "SELECT * FROM extract WHERE id <> 'x'"}),
        (TableSource("t", lines([2, 60_000, 3, 60_000, 2])), {"mapping": MAPPING}),
        (TableSource("t", lines([2, 60_000, 3, 60_000, 2])), {"sql": SQL, "partition_by": "no"}),
    ],
    ids=["orders", "sql", "lines", "sql of lines"],
)
def test_an_order_that_the_memory_has_no_room_for_is_invalid_and_the_others_are_read(source, settings):
    outcomes, _ = read(source, **settings)

    problem = {
        "field": "order",
        "rule": "an order that fits memory_limit (--memory-limit), which is 16MB",
        "got": "a larger one",
    }
    expected = {"ORD-0": None, "ORD-1": problem, "ORD-2": None, "ORD-3": problem, "ORD-4": None}
    assert len(outcomes) == 5
    assert dict(outcomes) == expected


def test_with_another_of_its_id_neither_is_read():
    outcomes, _ = read(TableSource("t", orders([2, 60_000, 3], ["A", "B", "B"])))

    assert sorted((order_id, problem and problem["field"]) for order_id, problem in outcomes) == [
        ("A", None),
        ("B", "id"),
        ("B", "order"),
    ]


def test_a_batch_is_cut_into_pieces_by_its_bytes():
    batch = orders([1] * 100 + [500] + [1] * 100).to_batches()[0]

    cut = list(pieces(batch, 10_000))

    assert pa.Table.from_batches(cut) == pa.Table.from_batches([batch])
    assert all(piece.nbytes <= 10_000 or len(piece) == 1 for piece in cut)
    assert list(pieces(batch, batch.nbytes)) == [batch]


def test_what_shares_a_dictionary_is_not_cut():
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000), pa.array(["x" * 100_000]))
    batch = pa.record_batch({"word": words})

    assert list(pieces(batch, 10_000)) == [batch]


def test_segments_are_complete_though_nothing_reads_them():
    segments = Segments(TableSource("t", orders([500] * 10)), ["id", "products"], 640_000)

    assert [segment.single for segment in segments] == [True] * 10
    segments = Segments(TableSource("t", orders([5] * 10_000)), ["id", "products"], 16_000_000)
    assert [segment.single for segment in segments] == [False]


def test_a_row_group_is_read_in_batches_of_bounded_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH_BYTES", 100_000)
    pq.write_table(orders([100] * 100), tmp_path / "orders.parquet", row_group_size=50)

    source = ParquetSource.open(tmp_path / "orders.parquet")

    assert [len(batch) for batch in source.batches(["id"])] == [50, 50]
    assert max(batch.nbytes for batch in source.batches(["id", "products"])) <= 100_000


@pytest.mark.parametrize("encode", ["string", "dictionary", "int64", "decimal128"])
def test_halves_of_a_part_hold_each_row_once(encode):
    ids = pa.array(["10", "11", "10", None, "13"])
    if encode in ("int64", "decimal128"):
        ids = ids.cast(pa.int64()).cast(pa.decimal128(20, 0) if encode == "decimal128" else pa.int64())
    else:
        ids = ids.dictionary_encode() if encode == "dictionary" else ids.cast(encode)
    source = TableSource("t", pa.table({"no": ids, "line": [1, 2, 3, 4, 5]}))
    other = TableSource("o", pa.table({"no": pa.array([13, 14]), "line": [6, 7]}))
    whole = KeyedPart(Part(0, False, {"extract": source, "other": other}), {"extract": "no"})

    pieces, leaves = [whole], []
    while pieces:
        piece = pieces.pop()
        halves = piece.halves()
        pieces += halves
        leaves += [] if halves else [piece]

    read = [
        [row for batch in leaf.part.sources["extract"].batches(["line"]) for row in batch.column(0).to_pylist()]
        for leaf in leaves
    ]
    assert read == [[1, 3], [2], [4], [5]]
    assert all(leaf.is_one_value and leaf.part.sources["other"] is other for leaf in leaves)


def test_an_sql_text_of_lines_without_partition_by_ends_the_run_and_says_so():
    with pytest.raises(MemoryLimitError, match="set partition_by"):
        read(TableSource("t", lines([2, 60_000, 3])), sql=SQL)


def test_an_order_with_few_long_lines_is_found_among_orders_with_as_many_lines():
    table = lines([2] * 40)
    names = table["sku"].to_pylist()
    names[50:52] = ["x" * 3_000_000] * 2
    source = TableSource("t", table.set_column(4, "sku", pa.array(names)))

    outcomes, _ = read(source, sql=SQL, partition_by="no")
    assert [order_id for order_id, problem in outcomes if problem] == ["ORD-25"]
    assert len(outcomes) == 40


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM extract WHERE id <> 'x'", True),
        ("WITH o AS (SELECT id, upper(date) AS date FROM extract) SELECT * FROM o WHERE len(date) > 0", True),
        ("SELECT id FROM extract LIMIT 3", False),
        ("SELECT DISTINCT id FROM extract", False),
        ("SELECT id, unnest(products) FROM extract", False),
        ("SELECT id, row_number() OVER () FROM extract", False),
        ("SELECT id, (SELECT max(date) FROM extract) FROM extract", False),
        ("SELECT id FROM extract UNION ALL SELECT id FROM extract", False),
        ("SELECT id FROM extract ORDER BY id", False),
        ("SELECT id FROM extract TABLESAMPLE 10%", False),
    ],
)
def test_the_engine_s_plan_tells_whether_an_sql_text_goes_row_by_row(sql, expected):
    with locked_engine(memory_limit="64MB", threads=1) as engine:
        assert Catalog(engine, TableSource("t", orders([2]))).is_row_by_row(sql) is expected


@pytest.mark.parametrize(
    "numbers", [pa.array([1.5, 2.5]), pa.array(["1", "2"]).cast(pa.string_view())], ids=["float", "view"]
)
def test_keys_of_other_types_are_not_halved(numbers):
    source = TableSource("t", pa.table({"no": numbers}))

    assert KeyedPart(Part(0, False, {"extract": source}), {"extract": "no"}).halves() == []


def test_ids_of_an_extract_that_nothing_can_halve_are_not_kept():
    def many(_):
        for _ in range(20):
            yield pa.record_batch({"order_id": pa.array([f"{n:01000}" for n in range(500)])})

    with OrderReader(TableSource("t", orders([1]))) as reader:
        tracemalloc.start()
        for _ in reader._reading.runner.run(reader._all, "reading orders", many):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # 10 MB of ids in total
    assert peak < 3_000_000
