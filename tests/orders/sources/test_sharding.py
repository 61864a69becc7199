"""Shards: together they are the extract, no order is torn, sizes are balanced, and they fit XCom."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import example, given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError, ExtractError
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources import sharding as shards_module
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.shard import open_shard
from airflow_provider_ecdp.orders.sources.sharding import cut
from airflow_provider_ecdp.sample import LINES_SQL, Sample

#: Row groups of files, by the number of their rows.
LAYOUTS = st.lists(st.lists(st.integers(0, 40), max_size=6), min_size=1, max_size=4)
EXAMPLES = settings(max_examples=examples(60))
#: Each shard opens an engine.
FEW_EXAMPLES = settings(EXAMPLES, max_examples=examples(12))


class Extracts:
    """Files in memory; `at` opens them, and `shards` cuts them and opens what comes out."""

    def __init__(self):
        self.filesystem = MemoryFileSystem()
        self.filesystem.store.clear()

    def write(self, layout, ids):
        ids = iter(ids)
        self.filesystem.makedirs("/orders", exist_ok=True)
        for number, groups in enumerate(layout):
            schema = pa.schema({"no": pa.string(), "line": pa.int64()})
            with (
                self.filesystem.open(f"/orders/{number}.parquet", "wb") as sink,
                pq.ParquetWriter(sink, schema) as writer,
            ):
                for rows in groups:
                    columns = [[next(ids) for _ in range(rows)], list(range(rows))]
                    writer.write_table(pa.table(columns, schema=schema))

    def whole(self):
        return ParquetSource.open("/orders", filesystem=self.filesystem)

    def cut(self, most, **settings):
        # as they come out of XCom
        return json.loads(json.dumps(cut(self.whole(), most, path="memory://orders", **settings)))

    def read(self, shard, column="no"):
        extract = open_shard(shard, "/orders", self.filesystem)
        found = [value for batch in extract.batches([column]) for value in batch.column(0).to_pylist()]
        assert len(found) == extract.rows == shard["rows"]
        return found


@pytest.fixture
def extracts():
    return Extracts()


def lines_of(lengths, rows):
    """Return the ids of order lines, orders having these lengths in turn."""
    ids, number = [], 0
    while len(ids) < rows:
        ids += [f"O-{number:04d}"] * lengths[number % len(lengths)]
        number += 1
    return ids[:rows]


# the laws


@EXAMPLES
@given(LAYOUTS, st.integers(1, 12))
def test_shards_are_the_extract_and_none_is_much_larger_than_the_others(layout, most):
    extracts, rows = Extracts(), sum(map(sum, layout))
    extracts.write(layout, (str(i) for i in range(rows)))
    shards = extracts.cut(most)
    assert [no for shard in shards for no in extracts.read(shard)] == [str(i) for i in range(rows)]
    assert 1 <= len(shards) <= most
    weights = [max(size, n) for file in extracts.whole().files for n, size in file.row_groups if n]
    assert sum(shard["bytes"] for shard in shards) == sum(weights)
    assert max(shard["bytes"] for shard in shards) <= sum(weights) / most + max(weights, default=0)
    assert all(shard["rows"] for shard in shards) or rows == 0


@EXAMPLES
@given(LAYOUTS, st.integers(1, 12), st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_a_cut_goes_to_where_the_next_order_begins_and_splits_none(layout, most, lengths):
    extracts, rows = Extracts(), sum(map(sum, layout))
    ids = lines_of(lengths, rows)
    extracts.write(layout, ids)
    shards = extracts.cut(most, order_id="no")
    read = [extracts.read(shard) for shard in shards]
    assert [no for found in read for no in found] == ids
    assert 1 <= len(shards) <= most
    begins = [i for i in range(rows) if i == 0 or ids[i] != ids[i - 1]]
    ends, end = [], 0
    for shard in extracts.cut(most)[:-1]:
        end += shard["rows"]
        ends.append(next((begin for begin in begins if begin >= end), None))
    cuts, end = [], 0
    for shard in shards[:-1]:
        end += shard["rows"]
        cuts.append(end)
    assert cuts == sorted({end for end in ends if end is not None})


@FEW_EXAMPLES
@given(LAYOUTS, st.integers(1, 12), st.randoms(use_true_random=False))
def test_scattered_rows_of_an_order_come_together(layout, most, random):
    extracts, rows = Extracts(), sum(map(sum, layout))
    ids = lines_of([3], rows)
    random.shuffle(ids)
    extracts.write(layout, ids)
    shards = extracts.cut(most, order_id="no", scattered=True)
    read = [extracts.read(shard) for shard in shards]
    assert Counter(no for found in read for no in found) == Counter(ids)
    assert sum(len(set(found)) for found in read) == len(set(ids))
    assert 1 <= len(shards) <= most
    assert all(shard["rows"] for shard in shards) or rows == 0


def test_each_row_group_is_looked_at_once_and_once_more_where_it_is_cut(extracts, monkeypatch):
    extracts.write([[2] * 100] * 4, (f"O-{i // 3}" for i in range(800)))
    looked, piece = [], shards_module._Group.piece
    monkeypatch.setattr(shards_module._Group, "piece", lambda group, cut: looked.append(1) or piece(group, cut))
    for order_id, most in ((None, 400), ("no", 600)):
        looked.clear()
        shards = extracts.cut(100, order_id=order_id)
        assert len(shards) == 100
        assert sum(looked) <= most


# what cannot be cut


def test_rows_of_an_order_that_are_scattered_are_refused(extracts):
    extracts.write([[4, 4]], ["a", "a", "b", "c", "d", "b", "c", "e"])
    with pytest.raises(
        ExtractError, match="the rows of 2 orders are scattered, and a cut would split them: b, c; sort"
    ):
        extracts.cut(2, order_id="no")
    # in one shard there is nothing to tear
    assert len(extracts.cut(1, order_id="no")) == 1


def test_rows_without_an_id_may_be_anywhere(extracts):
    extracts.write([[2, 2]], [None, "a", None, "b"])
    shards = extracts.cut(2, order_id="no")
    assert [extracts.read(shard) for shard in shards] == [[None, "a"], [None, "b"]]


def test_an_order_that_is_longer_than_a_shard_makes_fewer_of_them(extracts):
    extracts.write([[5] * 4], ["a"] * 19 + ["b"])
    assert [shard["rows"] for shard in extracts.cut(4, order_id="no")] == [19, 1]


def test_an_extract_without_rows_is_one_shard_for_the_task_to_judge(extracts):
    extracts.write([[]], [])
    for arguments in ({}, {"order_id": "no"}, {"order_id": "no", "scattered": True}):
        (shard,) = extracts.cut(3, **arguments)
        assert extracts.read(shard) == []


@pytest.mark.parametrize("most", [0, -1, True, 2.0, "2"])
def test_an_invalid_number_of_shards_is_refused(extracts, most):
    extracts.write([[1]], ["a"])
    with pytest.raises(ConfigurationError, match="must be a whole number, 1 or more"):
        extracts.cut(most)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scattered": True}, "scattered needs order_id"),
        ({"order_id": "noo"}, "there is no column 'noo'; did you mean 'no'?"),
    ],
)
def test_invalid_settings_are_refused(extracts, arguments, message):
    extracts.write([[1]], ["a"])
    with pytest.raises(ConfigurationError, match=message.replace("?", "[?]")):
        extracts.cut(2, **arguments)


def test_a_nested_column_is_not_an_id(tmp_path):
    pq.write_table(pa.table({"who": [{"id": 1}]}), tmp_path / "orders.parquet")
    with pytest.raises(ConfigurationError, match="which cannot be an id"):
        cut(ParquetSource.open(tmp_path), 2, path="", order_id="who")


@pytest.mark.parametrize("values", [pa.array([1, 1, 2, 2]), pa.array(["a", "a", "b", "b"]).dictionary_encode()])
def test_an_id_may_be_a_number_or_a_dictionary(tmp_path, values):
    pq.write_table(pa.table({"no": values}), tmp_path / "orders.parquet", row_group_size=1)
    extract = ParquetSource.open(tmp_path)
    assert [shard["rows"] for shard in cut(extract, 4, path="", order_id="NO")] == [2, 2]
    assert sum(shard["rows"] for shard in cut(extract, 4, path="", order_id="no", scattered=True)) == 4


# what puts the rows of an order together

LINE = {"customer.email": "email", "date": "at", "totalValue": {"sum": "products_price"}, "products.id": "sku"}
BY_NO = {**LINE, "id": "no"}


@pytest.fixture
def lines(tmp_path):
    """Two lines of each of three orders, the second of them in two row groups."""
    columns = {
        "no": ["a", "a", "b", "b", "c", "c"],
        "shop": [1] * 6,
        "email": ["customer@example.com"] * 6,
        "at": [dt.datetime(2026, 11, 1, tzinfo=dt.UTC)] * 6,
        "sku": [str(i) for i in range(6)],
        "products_name": ["Mug"] * 6,
        "products_price": [1] * 6,
        "products_quantity": [1] * 6,
    }
    pq.write_table(pa.table(columns), tmp_path / "lines.parquet", row_group_size=3)
    whole = ParquetSource.open(tmp_path / "lines.parquet")

    def opened(order_id, **arguments):
        shards = cut(whole, 2, path="lines", order_id=order_id, **arguments)
        return [open_shard(shard, str(tmp_path / "lines.parquet"), whole.filesystem) for shard in shards]

    return opened


@pytest.mark.parametrize(
    ("order_id", "settings_", "reason"),
    [
        (None, {"mapping": BY_NO}, "between any two rows, and orders are grouped by no: part of an order would"),
        ("shop", {"mapping": BY_NO}, "by shop, and orders are grouped by no: part of an order would"),
        (None, {"mapping": {**LINE, "id": {"column": "no", "default": "x"}}}, "are grouped by a computed id"),
        (None, {"sql": "SELECT * FROM extract", "partition_by": "no"}, "are grouped by no: part of an order would"),
    ],
)
def test_orders_that_a_cut_may_have_split_are_refused(lines, order_id, settings_, reason):
    for shard in lines(order_id):
        with pytest.raises(ConfigurationError, match=rf"lines \(shard \d of \d\) was cut .*{reason}.*pass order_id, "):
            OrderReader(shard, OrderSettings(**settings_))


@pytest.mark.parametrize("scattered", [False, True])
def test_orders_that_no_cut_has_split_are_combined(lines, scattered, caplog):
    texts = []
    for shard in lines("no", scattered=scattered):
        with OrderReader(shard, OrderSettings(mapping=BY_NO)) as orders:
            texts += [json.loads(text[:-1]) for batch in orders.read() for text in batch.column("json").to_pylist()]
    assert sorted((order["id"], len(order["products"])) for order in texts) == [("a", 2), ("b", 2), ("c", 2)]
    assert not caplog.messages


@pytest.mark.parametrize(
    ("order_id", "settings_", "reason"),
    [
        (
            None,
            {"sql": "SELECT * FROM extract"},
            "was cut between any two rows: if the SQL text combines rows of several",
        ),
        ("no", {"sql": "SELECT * FROM extract"}, None),
        ("no", {"sql": "SELECT * FROM extract", "partition_by": "no"}, None),
        (
            "no",
            {"mapping": {**LINE, "id": {"column": "no", "default": "x"}}},
            "if the id that the mapping makes combines",
        ),
        (None, {}, None),
    ],
)
def test_where_it_cannot_be_seen_whether_a_cut_splits_orders_the_log_warns(lines, order_id, settings_, reason, caplog):
    for shard in lines(order_id):
        caplog.clear()
        with contextlib.suppress(ColumnsError):
            OrderReader(shard, OrderSettings(**settings_)).__exit__()
        assert [reason in message for message in caplog.messages] == ([True] if reason else [])


# what is opened


def test_files_that_were_written_again_are_not_read_by_an_old_list(extracts):
    extracts.write([[4, 4]], map(str, range(8)))
    by_rows, by_ids = extracts.cut(2), extracts.cut(2, order_id="no", scattered=True)
    extracts.write([[4, 5]], map(str, range(9)))
    for shard in (*by_rows, *by_ids):
        with pytest.raises(
            ExtractError, match=r"was rewritten after its shards were listed: 9 rows and \d+ bytes, not 8 and"
        ):
            extracts.read(shard)


def test_as_many_other_rows_are_noticed_too(extracts):
    extracts.write([[4, 4]], map(str, range(8)))
    shards = extracts.cut(2)
    extracts.write([[4, 4]], (f"other-{i}" for i in range(8)))
    with pytest.raises(ExtractError, match="was rewritten after"):
        extracts.read(shards[1])


@pytest.mark.parametrize("shard", [{}, {"path": "x", "shard": 1, "shards": 2}, {"path": "x", "files": [1]}])
def test_an_object_that_is_no_shard_is_refused(shard):
    with pytest.raises(ConfigurationError, match=r"must be a path, or a shard from shards\(\)"):
        open_shard(shard, "x", MemoryFileSystem())


def test_only_the_row_groups_of_a_shard_are_read(extracts, monkeypatch):
    extracts.write([[10, 10, 10]], map(str, range(30)))
    shards, read = extracts.cut(3), []
    original = pq.ParquetFile.iter_batches

    def iter_batches(self, *arguments, row_groups, **options):
        read.append(row_groups)
        return original(self, *arguments, row_groups=row_groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    extracts.read(shards[1])
    assert read == [[1]]


def test_every_shard_has_the_columns_and_types_of_the_whole_extract(tmp_path):
    for day, table in (
        ("2026-11-01", {"id": pa.array([1], pa.int32())}),
        ("2026-11-02", {"id": pa.array([2], pa.int64()), "currency": ["EUR"]}),
        ("none", {"id": pa.array([3], pa.int32())}),
    ):
        (tmp_path / f"dt={day}").mkdir()
        pq.write_table(pa.table(table), tmp_path / f"dt={day}" / "orders.parquet")
    whole = ParquetSource.open(tmp_path)
    shards = cut(whole, 3, path=str(tmp_path))
    opened = [open_shard(shard, str(tmp_path), whole.filesystem) for shard in shards]
    assert [extract.rows for extract in opened] == [1, 1, 1]
    for extract in opened:
        assert {(f.name, f.type) for f in extract.schema} == {(f.name, f.type) for f in whole.schema}
    rows = [
        row for extract in opened for batch in extract.batches(["id", "currency", "dt"]) for row in batch.to_pylist()
    ]
    assert rows == [
        {"id": 1, "currency": None, "dt": "2026-11-01"},
        {"id": 2, "currency": "EUR", "dt": "2026-11-02"},
        {"id": 3, "currency": None, "dt": "none"},
    ]


NUMBERS = [pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(21, 2), pa.decimal128(5, 4)]


@EXAMPLES
@given(st.lists(st.sampled_from(NUMBERS), min_size=2, max_size=5), st.integers(2, 5))
@example([pa.float32(), pa.decimal128(21, 2), pa.int64(), pa.float32()], 4)
@example([pa.int64(), pa.decimal128(21, 2), pa.float32(), pa.int64()], 2)
def test_types_that_differ_between_files_are_one_type_in_all_shards_whatever_their_order(types, most):
    extracts = Extracts()
    for number, type_ in enumerate(types):
        with extracts.filesystem.open(f"/orders/{number}.parquet", "wb") as sink:
            pq.write_table(pa.table({"no": [number], "price": pa.array([1.0]).cast(type_)}), sink)
    whole = extracts.whole()
    opened = [open_shard(shard, "/orders", extracts.filesystem) for shard in extracts.cut(most)]
    assert {extract.schema.field("price").type for extract in opened} == {whole.schema.field("price").type}
    assert [no for extract in opened for batch in extract.batches(["no"]) for no in batch[0].to_pylist()] == [
        *range(len(types))
    ]


def test_files_of_one_kind_are_not_listed_in_each_shard(extracts):
    extracts.write([[10]] * 4, map(str, range(40)))
    shards = extracts.cut(4)
    assert not any("like" in shard for shard in shards)
    assert max(len(json.dumps(shard)) for shard in shards) < 200


def test_orders_of_shards_are_those_of_the_extract(tmp_path):
    Sample(orders=300, lines=True, day=dt.date(2026, 11, 1)).write(tmp_path / "whole.parquet")
    pq.write_table(pq.read_table(tmp_path / "whole.parquet"), tmp_path / "lines.parquet", row_group_size=150)
    whole = ParquetSource.open(tmp_path / "lines.parquet")

    def read(extract):
        with OrderReader(extract, OrderSettings(sql=LINES_SQL)) as orders:
            return sorted(text for batch in orders.read() for text in batch.column("json").to_pylist())

    expected = read(whole)
    for scattered in (False, True):
        shards = cut(whole, 3, path="", order_id="order_id", scattered=scattered)
        assert len(shards) == 3
        path = str(tmp_path / "lines.parquet")
        found = [text for shard in shards for text in read(open_shard(shard, path, whole.filesystem))]
        assert sorted(found) == expected


def test_order_lines_of_a_real_shop_are_not_split(online_retail):
    whole = ParquetSource.open(online_retail)
    shards = cut(whole, 4, path=str(online_retail), order_id="InvoiceNo")
    ids = [
        {
            no
            for batch in open_shard(s, str(online_retail), whole.filesystem).batches(["InvoiceNo"])
            for no in batch[0].to_pylist()
        }
        for s in shards
    ]
    assert [shard["rows"] for shard in shards] == [10080, 9920, 10018, 9504]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 1892
