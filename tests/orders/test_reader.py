"""Orders as a stream: what is read and when, duplicate ids, orders of earlier runs, and a real shop's lines."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections import Counter
from decimal import Decimal
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError, ExtractError, SqlError
from airflow_provider_ecdp.orders import settings as order_settings
from airflow_provider_ecdp.orders.engine.connection import locked_engine
from airflow_provider_ecdp.orders.reader import SentOrders
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.table import TableSource


class Recorder:
    """An extract of many small batches that notes which columns were asked for, and how many batches were read."""

    name = "the recorded extract"

    def __init__(self, table, rows_of_batch=2048):
        self.table = table
        self.rows_of_batch = rows_of_batch
        self.asked = []
        self.read = 0

    @property
    def schema(self):
        return self.table.schema

    @property
    def rows(self):
        return len(self.table)

    def batches(self, columns):
        self.asked.append(list(columns))
        for batch in self.table.select(list(columns)).to_batches(max_chunksize=self.rows_of_batch):
            self.read += 1
            yield batch


@pytest.fixture
def many(with_columns):
    """Make a recorder of good orders with ids from 0 on."""
    return lambda count, **arrays: Recorder(with_columns(id=pa.array([str(i) for i in range(count)]), **arrays))


def ids(orders):
    return [order_id for batch in orders.read() for order_id in batch.column("order_id").to_pylist()]


# what is read


def test_only_the_columns_that_orders_are_made_of_are_read(many, open_orders):
    extract = many(3, note=pa.array(["x"] * 3), CURRENCY=pa.array(["EUR"] * 3))
    with open_orders(extract) as orders:
        assert extract.asked == []
        selection = orders.select()
        assert extract.asked == [["id"]]
        assert ids(selection) == ["0", "1", "2"]

    assert [set(columns) for columns in extract.asked] == [
        {"id"},
        {"id", "date", "totalValue", "customer", "products", "CURRENCY"},
    ]


def test_only_the_columns_that_an_sql_text_needs_are_read(many, open_orders):
    extract = many(2, note=pa.array(["x"] * 2), shop=pa.array(["s"] * 2), rank=pa.array([2, 1]))
    sql = "SELECT shop || id AS id, date, totalValue, customer, products, note AS remark FROM extract ORDER BY rank"
    with open_orders(extract, sql=sql) as orders:
        assert ids(orders.select()) == ["s1", "s0"]

    assert [set(columns) for columns in extract.asked] == [
        {"id", "shop", "rank"},
        {"id", "shop", "rank", "date", "totalValue", "customer", "products"},
    ]


def test_columns_whose_names_differ_in_case_alone_are_distinguished(many, open_orders):
    extract = many(2, ID=pa.array(["a", "b"]))
    with open_orders(extract, sql='SELECT "ID_1" AS id, date, totalValue, customer, products FROM extract') as orders:
        assert ids(orders) == ["a", "b"]


def test_two_columns_of_one_name_cannot_be_read(open_orders, with_columns):
    twice = with_columns(note=pa.array(["x"])).append_column("note", pa.array(["y"]))

    with open_orders(twice) as orders:
        assert ids(orders) == ["A-1"]
    with pytest.raises(ColumnsError, match="more than one column that is called 'note'"):
        open_orders(twice, sql="SELECT *, note_1 AS currency FROM extract")


def test_an_extract_may_join_itself(many, open_orders):
    extract = many(3000, rank=pa.array([i % 3 for i in range(3000)]))
    sql = """
        SELECT e.id, e.date, e.totalValue, e.customer, e.products, CAST(n.times AS VARCHAR) AS status
        FROM extract AS e JOIN (SELECT rank, count(*) AS times FROM extract GROUP BY rank) AS n USING (rank)
    """
    with open_orders(extract, sql=sql) as orders:
        got = Counter(p["got"] for batch in orders.read() for p in batch.column("problems").to_pylist() for p in p)

    assert got == {"1000": 3000}
    assert len(extract.asked) == 2


@pytest.mark.parametrize("prior", [False, True])
def test_the_first_orders_come_before_the_extract_is_read_to_its_end(many, open_orders, prior, as_ledger):
    """Neither a zone's name nor the rows of earlier runs may make the engine hold all of the extract."""
    count = 60_000
    extract = many(count, timeZone=pa.array(["UTC"] * count))
    held = pa.table({"order_id": [str(i) for i in range(count)], "content_hash": ["x"] * count})
    with open_orders(extract) as orders:
        sent = [SentOrders(as_ledger(held), {"accepted": "unchanged"})] if prior else []
        stream = orders.select(sent=sent, only=held if prior else None, find_duplicates=False).read()
        next(stream)
        # what the engine holds ready is bounded by its bytes
        assert extract.read <= 25
        found = 2048 + sum(len(batch) for batch in stream)

    assert (found, extract.read) == (count, 30)


def test_record_batches_have_the_columns_that_are_documented(open_orders, table, good):
    with open_orders(table(good)) as orders:
        (batch,) = orders.read()

    text = pa.string()
    problems = pa.list_(pa.struct([("field", text), ("rule", text), ("got", text)]))
    assert [(f.name, f.type) for f in batch.schema if f.name not in ("problems", "warnings")] == [
        *(("order_id", text), ("content_hash", text), ("json", text)),
        ("skip_reason", text),
        ("send_last", pa.bool_()),
    ]
    for name in ("problems", "warnings"):
        assert batch.schema.field(name).type.value_type == problems.value_type


def test_an_extract_can_be_read_again_after_a_reading_that_was_broken_off(many, open_orders):
    with open_orders(many(10_000)) as orders:
        stream = orders.read()
        next(stream)
        stream.close()
        assert len(ids(orders)) == 10_000


def test_the_name_and_the_rows_are_those_of_the_extract(many, open_orders):
    with open_orders(many(3)) as orders:
        assert (orders.name, orders.rows) == ("the recorded extract", 3)


def test_an_id_is_cut_where_a_ledger_needs_no_more_of_it(read_column):
    (row,) = read_column("id", pa.array(["ż" * 10_000]))
    assert row.order_id == "ż" * 256
    assert row.problems == [{"field": "id", "rule": "at most 128 characters", "got": "10000 characters"}]


# ids that appear more than once


@pytest.fixture
def repeated(table, good):
    """Orders whose ids appear more than once: with one content, with two, with faults, or without an id."""
    bad = good | {"currency": "E"}
    return table(
        good | {"id": "once"},
        good | {"id": "same"},
        good | {"id": "differs"},
        good | {"id": "same"},
        good | {"id": "differs", "currency": "EUR"},
        good | {"id": None},
        good | {"id": None},
        bad | {"id": "bad"},
        bad | {"id": "bad"},
        # what a bad value leaves out of the text makes no difference in the text
        good | {"id": "half", "websiteId": 2**40},
        good | {"id": "half"},
        good | {"id": "same"},
    )


def reasons_by_id(orders):
    found = {}
    for batch in orders.read():
        for row in batch.to_pylist():
            assert not (row["skip_reason"] and row["json"])
            outcome = row["skip_reason"] or ("sent" if row["json"] else [p["rule"] for p in row["problems"]])
            found.setdefault(row["order_id"], []).append(outcome)
    return found


def test_without_a_look_for_duplicates_each_order_comes_as_it_is(open_orders, repeated):
    with open_orders(repeated) as orders:
        found = reasons_by_id(orders)
    assert found["same"] == ["sent"] * 3
    assert found["differs"] == ["sent"] * 2


def test_of_equal_orders_one_is_sent_and_of_different_ones_none(open_orders, repeated):
    with open_orders(repeated) as orders:
        selection = orders.select()
        assert selection.repeated_ids == 4
        found = reasons_by_id(selection)

    one_content = "one content for one id"
    assert found == {
        "once": ["sent"],
        "same": ["sent", "repeated", "repeated"],
        "differs": [[one_content], [one_content]],
        None: [["required"], ["required"]],
        "bad": [["exactly 3 characters"], "repeated"],
        "half": [["a whole number from -2147483648 to 2147483647", one_content], [one_content]],
    }


def test_orders_with_one_id_all_come_and_say_how_many_they_are(open_orders, repeated):
    with open_orders(repeated) as orders:
        rows = [row for batch in orders.select().read() for row in batch.to_pylist()]

    assert Counter(row["order_id"] for row in rows) == Counter(repeated["id"].to_pylist())
    assert [row["problems"] for row in rows if row["order_id"] == "differs"] == 2 * [
        [
            {
                "field": "id",
                "rule": "one content for one id",
                "got": "2 orders with this id and 2 contents, in no order",
            }
        ]
    ]


def test_an_extract_without_duplicates_has_none(many, open_orders):
    with open_orders(many(5000)) as orders:
        selection = orders.select()
        assert (selection.repeated_ids, selection.count) == (0, 5000)
        assert ids(selection) == [str(i) for i in range(5000)]


def test_an_empty_extract_has_no_orders_and_no_duplicates(open_orders, table):
    with open_orders(table()) as orders:
        selection = orders.select()
        assert (selection.repeated_ids, ids(selection), orders.rows) == (0, [], 0)


# orders of earlier runs


def held(rows, **changed):
    """Return orders as a ledger gives them."""
    return pa.table(
        {
            "order_id": pa.array([row.order_id for row in rows], pa.string()),
            "content_hash": pa.array([changed.get(row.order_id, row.content_hash) for row in rows], pa.string()),
        }
    )


def excluded(orders, *ledgers):
    """Select the orders that none of the ledgers has; each is a reader of its rows, and the reason to skip them."""
    return orders.select(
        sent=[SentOrders(rows, {"accepted": reason}) for rows, reason in ledgers], find_duplicates=False
    )


def test_an_order_that_was_sent_with_the_same_content_is_skipped(open_orders, read, many, as_ledger):
    extract = many(4)
    rows = read(extract)
    with open_orders(extract) as orders:
        selection = excluded(orders, (as_ledger(held(rows[:2], **{"1": "another content"})), "it's there"))
        assert reasons_by_id(selection) == {"0": ["it's there"], "1": ["sent"], "2": ["sent"], "3": ["sent"]}


def test_where_two_ledgers_have_an_order_the_first_counts(open_orders, read, many, as_ledger):
    extract = many(3)
    rows = read(extract)
    with open_orders(extract) as orders:
        selection = excluded(orders, (as_ledger(held(rows[:1])), "first"), (as_ledger(held(rows[:2])), "second"))
        assert reasons_by_id(selection) == {"0": ["first"], "1": ["second"], "2": ["sent"]}


def test_an_order_without_a_reason_to_skip_it_is_sent_last(open_orders, read, many, as_ledger):
    extract = many(3)
    rows = read(extract)
    with open_orders(extract) as orders:
        selection = excluded(orders, (as_ledger(held(rows[:1])), None), (as_ledger(held(rows[:2])), "second"))
        assert reasons_by_id(selection) == {"0": ["sent"], "1": ["second"], "2": ["sent"]}
        assert [send for batch in selection.read() for send in batch.column("send_last").to_pylist()] == [
            *(True, False, False)
        ]


def test_an_order_with_problems_keeps_them_though_it_was_sent(open_orders, read, table, good, as_ledger):
    # the text without the bad value is the same as that of the order that was accepted
    fine, bad = table(good), table(good | {"websiteId": 2**40})
    with open_orders(bad) as orders:
        selection = excluded(orders, (as_ledger(held(read(fine))), "unchanged"))
        (row,) = (row for batch in selection.read() for row in batch.to_pylist())
    assert (row["skip_reason"], row["json"]) == ("unchanged", "")
    assert [p["field"] for p in row["problems"]] == ["websiteId"]


def test_only_chosen_orders_are_read(open_orders, many):
    with open_orders(many(100)) as orders:
        assert ids(orders.select(only=pa.table({"order_id": ["7", "7", "nobody", None]}))) == ["7"]
        assert ids(orders.select(only=pa.table({"order_id": ["8"]}))) == ["8"]
        assert ids(orders.select(only=pa.table({"order_id": pa.array([], pa.string())}))) == []


def test_a_selection_that_was_replaced_is_not_read(open_orders, many):
    with open_orders(many(3)) as orders:
        first = orders.select(only=pa.table({"order_id": ["1"]}))
        assert ids(orders) == ["0", "1", "2"]
        with pytest.raises(RuntimeError, match="out of date"):
            ids(first)


def test_duplicates_are_chosen_and_skipped_like_others(open_orders, read, repeated, as_ledger):
    rows = read(repeated)
    with open_orders(repeated) as orders:
        selection = orders.select(
            sent=[SentOrders(as_ledger(held([rows[1]])), {"accepted": "unchanged"})],
            only=pa.table({"order_id": ["same", "differs", "once"]}),
        )
        assert reasons_by_id(selection) == {
            "once": ["sent"],
            "same": ["unchanged"] * 3,
            "differs": [["one content for one id"]] * 2,
        }


# what goes wrong while reading


def test_a_file_that_breaks_in_the_middle_is_an_extract_error(open_orders, with_columns, tmp_path):
    path = tmp_path / "orders.parquet"
    table = with_columns(id=pa.array([str(i) for i in range(100_000)]))
    pq.write_table(table, path, row_group_size=20_000, compression="none", use_dictionary=False)
    at = pq.read_metadata(path).row_group(4).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[at : at + 40] = bytes(40)
    path.write_bytes(data)

    with open_orders(ParquetSource.open(path)) as orders:
        stream = orders.read()
        next(stream)
        with pytest.raises(ExtractError, match=r"orders\.parquet: cannot be read") as broken:
            list(stream)
        assert not broken.value.transient
        with pytest.raises(ExtractError, match=r"orders\.parquet: cannot be read"):
            orders.select()


def test_a_storage_that_fails_in_the_middle_may_answer_again(open_orders, with_columns):
    class Failing(MemoryFileSystem):
        protocol = "failing"
        fails = False
        # fsspec's is shared by all in this process
        store: ClassVar = {}
        pseudo_dirs: ClassVar = [""]

        def _open(self, path, *args, **kwargs):
            if self.fails:
                raise ConnectionResetError(104, "connection reset")
            return super()._open(path, *args, **kwargs)

    storage = Failing(skip_instance_cache=True)
    with storage.open("/lake/orders.parquet", "wb") as file:
        pq.write_table(with_columns(id=pa.array(["1"])), file)
    with open_orders(ParquetSource.open("lake", filesystem=storage)) as orders:
        storage.fails = True
        with pytest.raises(ExtractError, match=r"^failing:///lake/orders\.parquet: cannot be read: .*reset") as failed:
            list(orders.read())
    assert failed.value.transient


def test_a_file_that_is_gone_is_an_extract_error(open_orders, with_columns, tmp_path):
    path = tmp_path / "orders.parquet"
    pq.write_table(with_columns(id=pa.array(["1"])), path)
    with open_orders(ParquetSource.open(path)) as orders:
        path.unlink()
        with pytest.raises(ExtractError, match=r"orders\.parquet was removed"):
            list(orders.read())


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_what_an_extract_raises_is_raised(open_orders, many, error):
    """Airflow's timeout too arrives wherever the thread happens to be."""

    class Breaking(Recorder):
        def batches(self, columns):
            for batch in super().batches(columns):
                if self.read == 3:
                    raise error
                yield batch

    with open_orders(Breaking(many(10_000).table)) as orders, pytest.raises(error):
        list(orders.read())


def test_an_sql_text_that_needs_more_than_its_memory_says_so(open_orders, many, monkeypatch):
    monkeypatch.setattr(order_settings, "LEAST_MEMORY", 0)
    sql = "SELECT any_value(id) AS id, any_value(date) AS date, 1.5 AS totalValue, any_value(customer) AS customer, "
    sql += "flatten(list(products)) AS products FROM extract"
    orders = open_orders(many(60_000), sql=sql, memory_limit="12MB")
    with orders, pytest.raises(SqlError, match="needs more memory than its limit"):
        list(orders.read())


@pytest.mark.parametrize(
    "limit", ["much", "", "1KB", "31.9MB", "-1", "256", "50%", "inf", "9" * 30 + "TB", 256], ids=str
)
def test_a_memory_that_cannot_be_is_a_matter_of_configuration(limit):
    with pytest.raises(
        ConfigurationError, match=r"^memory_limit must be a size of at least 32MB, such as 256MB or 1GiB"
    ):
        OrderSettings(memory_limit=limit)


@pytest.mark.parametrize("limit", ["32MB", "31250KiB", "0.5 gib", "32000000B"])
def test_the_engine_takes_every_size_that_the_settings_take(limit):
    with locked_engine(memory_limit=OrderSettings(memory_limit=limit).memory_limit, threads=1) as engine:
        assert engine.execute("SELECT 1").fetchall() == [(1,)]


def test_an_engine_that_cannot_be_is_a_matter_of_configuration():
    with (
        pytest.raises(ConfigurationError, match="the engine refuses memory_limit"),
        locked_engine(memory_limit="much", threads=1),
    ):
        pass


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder of this test's own for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_what_does_not_fit_the_memory_goes_by_the_disk_and_is_removed(temporary, open_orders, many):
    sql = """
        WITH large AS (SELECT repeat('x', 500) || i AS x FROM range(300000) AS t(i) ORDER BY md5(x) OFFSET 1)
        SELECT e.* FROM extract AS e, (SELECT max(x) AS x FROM large) AS l WHERE l.x > e.id
    """
    with open_orders(many(3), sql=sql, memory_limit="128MB") as orders:
        assert ids(orders) == ["0", "1", "2"]
        assert list(temporary.glob("ecdp-spill-*"))
    assert list(temporary.iterdir()) == []


def test_nothing_is_left_of_an_engine_that_failed(temporary, open_orders, many):
    with pytest.raises(SqlError):
        open_orders(many(1), sql="SELECT nothing FROM nowhere")
    with pytest.raises(ColumnsError):
        open_orders(many(1), sql="SELECT 1 AS id")
    orders = open_orders(many(1), sql="SELECT * REPLACE (CAST(id || 'x' AS INTEGER) AS id) FROM extract")
    with orders, pytest.raises(SqlError):
        list(orders.read())
    assert list(temporary.iterdir()) == []


# a real shop's lines

LINES_TO_ORDERS = """
SELECT InvoiceNo AS id,
  min(InvoiceDate) AT TIME ZONE 'Europe/London' AS date,
  CASE WHEN InvoiceNo LIKE 'C%' THEN 'canceled' ELSE 'completed' END AS status,
  'GBP' AS currency,
  sum(Quantity * UnitPrice) AS total_value,
  {'crmId': any_value(CustomerID)} AS customer,
  list({'id': StockCode, 'name': Description, 'price': UnitPrice, 'quantity': Quantity}) AS products
FROM extract GROUP BY InvoiceNo -- one order for each invoice
"""


def test_a_real_shops_lines_make_the_orders_that_are_known(online_retail, read):
    """The facts are counted in the README beside the data."""
    rows = read(ParquetSource.open(online_retail), sql=LINES_TO_ORDERS)
    sent = [row for row in rows if row.text]
    promoted = read(
        ParquetSource.open(online_retail),
        sql=LINES_TO_ORDERS,
        warnings_as_errors=frozenset({"negative_quantity"}),
    )

    assert len(rows) == 1892
    assert len(sent) == 1623
    assert sum("negative_quantity" in row.named_warnings for row in sent) == 283
    assert {field.partition("[")[0] for row in rows for field in row.faults} == {"customer", "products"}
    assert sum("customer" in row.faults for row in rows) == 269
    assert sum(1 for row in promoted if row.text) == 1340


def test_a_real_shops_totals_and_prices_arrive_with_their_digits(online_retail, read):
    lines = pq.read_table(online_retail)
    expected = {}
    for line in lines.to_pylist():
        expected.setdefault(line["InvoiceNo"], []).append(line)

    for row in read(ParquetSource.open(online_retail), sql=LINES_TO_ORDERS):
        if row.text:
            of_order, order = expected[row.order_id], row.sent
            total = sum((line["UnitPrice"] * line["Quantity"] for line in of_order), Decimal(0))
            assert order["totalValue"] == str(total)
            assert [p["price"] for p in order["products"]] == [str(line["UnitPrice"]) for line in of_order]
            assert [p["quantity"] for p in order["products"]] == [str(line["Quantity"]) for line in of_order]
            # London in December is at UTC
            moment = min(line["InvoiceDate"] for line in of_order)
            assert dt.datetime.fromisoformat(order["date"]).replace(tzinfo=None) == moment


def test_orders_that_are_in_memory_are_an_extract(read, table, good):
    (row,) = read(TableSource("the list", table(good)))
    assert json.loads(row.text[:-1])["id"] == "A-1"
