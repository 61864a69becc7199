"""Which columns of an extract are an order's id, its status and its website."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.by_id.rows import ChangeRows
from airflow_provider_ecdp.by_id.settings import ChangeRowSettings
from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError, ExtractError, SqlError
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.table import TableSource


def read(columns, *, with_status=True, **options):
    with ChangeRows(
        TableSource("the file", pa.table(columns)), with_status=with_status, settings=ChangeRowSettings(**options)
    ) as rows:
        return [tuple(row.values()) for batch in rows.read() for row in batch.to_pylist()]


@pytest.mark.parametrize("order_id", ["order_id", "orderId", "ORDER_ID", "id", "ID"])
def test_columns_are_found_whatever_their_case_and_underscores(order_id):
    assert read({order_id: ["1"], "Status": ["paid"], "website_id": [7], "note": ["x"]}) == [("1", "paid", "7")]


def test_an_id_of_the_change_itself_is_not_the_orders():
    assert read({"id": [900], "order_id": ["1"]}, with_status=False) == [("1", None, None)]


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (pa.array([12]), "12"),
        (pa.array([Decimal(12)], pa.decimal128(38, 0)), "12"),
        (pa.array(["12"]).dictionary_encode(), "12"),
        (pa.array([b"12"]), "12"),
        (pa.array(["12"], pa.large_string()), "12"),
        (pa.array(["12"], pa.json_()), "12"),
        (pa.array(['"12"'], pa.json_()), "12"),
    ],
)
def test_ids_are_text_or_whole_numbers_of_any_type(ids, text):
    assert read({"order_id": ids}, with_status=False) == [(text, None, None)]


def test_a_website_is_a_whole_number_or_reported():
    websites = pa.array(["7", "7.0", "shop", None])
    found = read({"order_id": list("1234"), "status": ["paid"] * 4, "website_id": websites})
    assert [website for _, _, website in found] == ["7", "7", "shop", None]
    floats = pa.array([7.0, None])
    found = read({"order_id": list("12"), "status": ["paid"] * 2, "website_id": floats})
    assert [website for _, _, website in found] == ["7", None]


@pytest.mark.slow
def test_a_column_of_json_is_the_value_in_its_text():
    columns = {"order_id": ['"1"', "2"], "status": ['"paid"', "null"], "website_id": ["7", '"8"']}
    json = {name: pa.array(values, pa.json_()) for name, values in columns.items()}
    assert read(json) == [("1", "paid", "7"), ("2", None, "8")]
    mapping = {name: {"column": name, "default": 9} for name in columns}
    assert read(json, mapping=mapping) == [("1", "paid", "7"), ("2", "9", "8")]


def test_a_mapping_names_columns_and_changes_statuses():
    mapping = {"order_id": "no", "status": {"column": "state", "map": {"shipped": "completed", "void*": "canceled"}}}
    columns = {"no": ["1", "2", "3"], "state": ["SHIPPED", "voided", "paid"], "status": ["x"] * 3}
    assert read(columns, mapping=mapping) == [
        ("1", "completed", None),
        ("2", "canceled", None),
        ("3", "paid", None),
    ]


def test_a_mapping_may_be_json_text():
    mapping = '{"order_id": "no", "status": {"column": "state", "default": "paid"}}'
    assert read({"no": ["1", "2"], "state": ["placed", None]}, mapping=mapping) == [
        ("1", "placed", None),
        ("2", "paid", None),
    ]


@pytest.mark.parametrize("change", [{"default": "x"}, {"map": {"a": "b"}}], ids=["default", "map"])
@pytest.mark.parametrize(
    "ids", [pa.array([1001.0, None]), pa.array([Decimal("1001.50"), None]), pa.array([0, None], pa.date32())], ids=str
)
def test_a_default_or_a_map_does_not_hide_that_a_column_holds_no_ids(ids, change):
    with pytest.raises(
        ColumnsError, match=r"order_id \(column no.*: must be (text|string), not (double|decimal|date32)"
    ):
        read({"no": ids}, with_status=False, mapping={"order_id": {"column": "no"} | change})


def test_an_id_behind_a_default_keeps_its_digits():
    ids = pa.array([Decimal(10**30), None], pa.decimal256(76, 0))
    mapping = {"order_id": {"column": "no", "default": "none"}}
    assert read({"no": ids}, with_status=False, mapping=mapping) == [("1" + "0" * 30, None, None), ("none", None, None)]


def test_a_mapping_may_leave_what_has_its_name_and_give_one_status_to_all():
    assert read({"order_id": ["1"]}, mapping={"status": {"value": "canceled"}}) == [("1", "canceled", None)]


def test_sql_shapes_anything():
    sql = "SELECT upper(no) AS order_id, CASE state WHEN 3 THEN 'paid' END AS status FROM extract WHERE state > 1"
    assert read({"no": ["a", "b"], "state": [3, 1]}, sql=sql) == [("A", "paid", None)]


def test_rows_come_in_the_extracts_order():
    ids = [str(i * 7919 % 10_000) for i in range(10_000)]
    assert [row[0] for row in read({"order_id": ids}, with_status=False)] == ids


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"status": ["paid"]}, {}, "order_id: required, but there is no such column, and the mapping names no other"),
        ({"order_id": ["1"]}, {}, "status: required, but there is no such column"),
        ({"order_id": [1.5], "status": ["paid"]}, {}, r"order_id \(column order_id\): must be text, not double"),
        ({"order_id": ["1"], "status": [["paid"]]}, {}, r"status \(column status\): must be string, not list"),
        (
            {"order_id": ["1"], "status": ["a"], "website_id": [[1]]},
            {},
            r"website_id \(column website_id\): must be integer",
        ),
        (
            {"order_id": ["1"], "orderId": ["1"]},
            {},
            "order_id: the columns 'order_id' and 'orderId' have the same meaning",
        ),
        (
            {"order_no": ["1"], "status": ["a"]},
            {"mapping": {"order_id": "order_nr"}},
            "  - order_id: there is no column 'order_nr'; did you mean 'order_no'",
        ),
    ],
)
def test_columns_that_make_no_changes_are_reported_with_what_there_is(columns, options, message):
    with pytest.raises(ColumnsError, match=message):
        read(columns, **options)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            {"order_id": "no", "state": "x"},
            "mapping: a change has no field state; its fields are order_id, status, website_id",
        ),
        ({"order_id": "no", "currency": "x"}, "mapping: a change has no field currency"),
        ({"order_id": "a", "id": "b"}, "mapping: order_id appears twice; keep one"),
        ({"status": {"sum": "x"}}, "mapping: status: only totalValue and returnsValue can be a sum"),
        ("order_no", "mapping: not valid JSON"),
        ('{"order_id": "a", "order_id": "b"}', "mapping: order_id appears more than once in one JSON object"),
        ('["order_no"]', "mapping must be a dict of column names, not list"),
        ({"status": {"column": "x", "maps": {}}}, "mapping: status: maps is not an option here"),
    ],
)
def test_an_invalid_mapping_is_refused(mapping, message):
    with pytest.raises(ConfigurationError, match=message):
        read({"no": ["1"]}, mapping=mapping)


def test_a_deletion_has_no_status():
    with pytest.raises(ConfigurationError, match=r"a change has no field status; its fields are order_id$"):
        read({"no": ["1"]}, with_status=False, mapping={"order_id": "no", "status": "x"})


def test_a_mapping_and_an_sql_text_are_one_too_many():
    with pytest.raises(ConfigurationError, match="keep one of them"):
        read({"no": ["1"]}, sql="SELECT 1", mapping={"order_id": "no"})


@pytest.mark.parametrize("sql", ["SELECT * FROM 'other.parquet'", "SELECT nothing FROM extract", "DROP TABLE extract"])
def test_sql_sees_nothing_but_the_extract(sql):
    with pytest.raises(SqlError):
        read({"no": ["1"]}, sql=sql)


def test_a_status_that_the_result_of_sql_has_twice_is_refused():
    with pytest.raises(SqlError, match=r"more than one column called status; keep one: SELECT [*] REPLACE"):
        read({"id": ["1"], "status": ["x"]}, sql="SELECT *, 'paid' AS status FROM extract")


def test_sql_that_fails_on_a_value_does_not_show_it():
    with pytest.raises(SqlError) as raised:
        read({"no": ["someone@example.com"]}, sql="SELECT no::INTEGER AS order_id, 'paid' AS status FROM extract")
    assert "someone" not in str(raised.value)


def test_only_the_columns_that_are_used_are_read(tmp_path):
    pq.write_table(pa.table({"order_id": ["1"], "status": ["paid"], "note": ["x" * 100]}), tmp_path / "f.parquet")

    class Watched(ParquetSource):
        def batches(self, columns):
            seen.extend(columns)
            return super().batches(columns)

    seen = []
    extract = ParquetSource.open(tmp_path / "f.parquet")
    watched = Watched(*(getattr(extract, name) for name in ("name", "files", "filesystem", "schema")))
    with ChangeRows(watched, with_status=True) as rows:
        assert sum(map(len, rows.read())) == 1
    assert seen == ["order_id", "status"]


def test_a_file_that_breaks_off_is_an_error_of_the_extract(tmp_path):
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"order_id": [str(i) for i in range(50_000)]}), path, row_group_size=10_000)
    extract = ParquetSource.open(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + b"\x00" * 30_000 + whole[30_004:])
    with ChangeRows(extract, with_status=False) as rows, pytest.raises(ExtractError, match=r"f\.parquet"):
        list(rows.read())
