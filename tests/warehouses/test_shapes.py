"""Whatever Parquet's types a value comes in, the order is the same; what cannot be right is refused, and named."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from warehouse_files import COLUMNS, Shape, lines
from warehouse_shop import expected

from airflow_provider_ecdp.errors import ColumnsError, ExtractError
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource

TEXTS = [name for name, type_ in COLUMNS.items() if type_ == pa.string()]
#: Arrow's own types come back only where its schema is in the footer.
ARROW = {"store_schema": True}


def texts(type_):
    return Shape(dict.fromkeys(TEXTS, type_), options=ARROW)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(texts(pa.large_string()), id="large text"),
        pytest.param(texts(pa.string_view()), id="views of text"),
        pytest.param(texts(pa.dictionary(pa.int32(), pa.string())), id="dictionaries"),
        pytest.param(texts(pa.dictionary(pa.int32(), pa.large_string())), id="dictionaries of large text"),
        pytest.param(texts(pa.binary()), id="bytes that are not marked as text"),
        pytest.param(Shape(options={"use_dictionary": False, "data_page_version": "2.0"}), id="no dictionaries"),
        pytest.param(Shape(options={"store_decimal_as_integer": True}), id="decimals in integers"),
        pytest.param(Shape({"unit_price": pa.decimal128(38, 2)}), id="decimals in 16 bytes"),
        pytest.param(Shape({"unit_price": pa.decimal64(12, 2)}, options=ARROW), id="decimals of 64 bits"),
        pytest.param(Shape({"line_no": pa.float64()}), id="places in doubles"),
        pytest.param(Shape({"order_id": pa.uint64(), "quantity": pa.uint8(), "line_no": pa.int8()}), id="other widths"),
        pytest.param(Shape({"order_id": pa.string(), "customer_no": pa.large_string()}), id="ids in text"),
        pytest.param(Shape({"ordered_at": pa.timestamp("ns", tz="UTC")}), id="nanoseconds"),
        pytest.param(Shape({"ordered_at": pa.timestamp("us", tz="Asia/Tokyo")}, options=ARROW), id="another zone"),
        pytest.param(Shape(options={"compression": "zstd"}), id="zstd"),
        pytest.param(Shape(options={"compression": "brotli", "row_group_size": 1}), id="a row group for each row"),
    ],
)
def test_the_orders_are_the_same_in_every_type(pushed, bucket, shape):
    lines(shape, "1.parquet", "2.parquet")(bucket)
    assert pushed("postgres", "lines") == expected(2)


LINE = {
    "order_id": "1",
    "date": dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
    "sku": "s",
    "title": "t",
    "unit_price": Decimal("19.90"),
    "quantity": 1,
    "email": "a@example.com",
}
MAPPING = {
    "id": "order_id",
    "totalValue": {"sum": ["unit_price", "quantity"]},
    "customer.email": "email",
    "products": {"id": "sku", "name": "title", "price": "unit_price", "quantity": "quantity"},
}


def refused(folder, kind=ColumnsError):
    with pytest.raises(kind) as error:
        OrderReader(ParquetSource.open(folder), OrderSettings(mapping=MAPPING)).__exit__()
    return str(error.value)


def test_an_id_that_duckdb_has_summed_is_a_double_and_refused(tmp_path):
    duckdb.sql(
        "COPY (SELECT sum(1)::HUGEINT AS order_id, TIMESTAMPTZ '2026-11-01 00:00Z' AS date, 's' AS sku, 't' AS title,"
        " 19.90 AS unit_price, sum(3)::HUGEINT AS quantity, 'a@example.com' AS email)"
        f" TO '{tmp_path}/lines.parquet' (FORMAT parquet)"
    )
    message = refused(tmp_path)
    assert (
        "- id (column order_id): must be text, not double: an id stored as a fraction has lost its form; cast it"
        in message
    )
    assert "products.quantity" not in message


def test_a_bignumeric_is_refused_by_its_name(tmp_path):
    table = pa.Table.from_pylist([LINE])
    wide = pa.array([Decimal("19.90")], pa.decimal256(76, 38))
    pq.write_table(table.set_column(4, "unit_price", wide), tmp_path / "000000000000.parquet")
    message = refused(tmp_path)
    assert "totalValue: only numbers can be summed, and unit_price is decimal256(76, 38)" in message


def test_amounts_in_text_have_no_sum(tmp_path):
    pq.write_table(pa.Table.from_pylist([LINE | {"unit_price": "19.90"}]), tmp_path / "1.parquet")
    assert "- totalValue: only numbers can be summed, and unit_price is string, quantity is int64" in refused(tmp_path)


def test_files_of_int96_beside_files_in_utc_are_refused(tmp_path):
    table = pa.Table.from_pylist([LINE])
    pq.write_table(table, tmp_path / "1.parquet")
    naive = table.set_column(1, "date", table["date"].cast(pa.timestamp("us")))
    pq.write_table(naive, tmp_path / "2.parquet", use_deprecated_int96_timestamps=True, store_schema=False)
    message = refused(tmp_path, ExtractError)
    assert (
        "the files differ in the type of the column date: timestamp[us, tz=UTC] and timestamp[us] have no common"
        in message
    )


def test_the_message_names_a_day_without_a_file(tmp_path):
    assert refused(tmp_path / "dt=2026-11-23", ExtractError).endswith("no such file or folder")
