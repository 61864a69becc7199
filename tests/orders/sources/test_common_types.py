"""Files whose types differ: what both hold arrives with all its digits, or nothing is read."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.orders.sources.common_types import CannotMeetError, cast, common_type
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource

FAR = 253_402_300_799_000  # 9999-12-31T23:59:59Z in milliseconds

NUMBERS = [
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.int64(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
    pa.uint64(),
    pa.float32(),
    pa.float64(),
    pa.decimal128(5, 2),
    pa.decimal128(19, 0),
    pa.decimal128(2, 2),
    pa.decimal128(38, 10),
]


def largest(type_):
    if pa.types.is_decimal(type_):
        return [Decimal(f"{10**type_.precision - 1}e-{type_.scale}"), Decimal(0)]
    if pa.types.is_floating(type_):
        return [1.5, -0.25]
    top = 2 ** (type_.bit_width - pa.types.is_signed_integer(type_)) - 1
    return [top, top - 1]


@given(first=st.sampled_from(NUMBERS), second=st.sampled_from(NUMBERS))
@settings(max_examples=examples(300))
def test_numbers_meet_with_all_their_digits_or_not_at_all(first, second):
    try:
        common = common_type(first, second)
    except CannotMeetError:
        assert (
            any(map(pa.types.is_floating, (first, second))) or pa.types.is_decimal(first) or pa.types.is_decimal(second)
        )
        return
    assert common == common_type(second, first)
    for type_ in (first, second):
        values = largest(type_)
        assert [Decimal(v) for v in cast(pa.array(values, type_), common).to_pylist()] == [Decimal(v) for v in values]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda type_: type_,
        pa.list_,
        pa.large_list,
        lambda type_: pa.struct([("a", type_)]),
        lambda type_: pa.map_(pa.string(), type_),
    ],
)
def test_a_float_keeps_its_digits_where_it_meets_a_double(wrap):
    floats = [0.1, 12.99, -0.0, 3.4e38, 1e-45, math.inf, None]
    nested = {pa.list_: [floats], pa.large_list: [floats]}.get(wrap)
    if nested is None:
        type_ = wrap(pa.float32())
        nested = [{"a": v} for v in floats] if pa.types.is_struct(type_) else floats
        nested = [[("a", v)] for v in floats] if pa.types.is_map(type_) else nested
    values = pa.array(nested, wrap(pa.float32()))
    common = common_type(values.type, wrap(pa.float64()))
    assert repr(cast(values, common).to_pylist()) == repr(pa.array(nested, common).to_pylist())


@given(
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
    values=st.lists(st.none() | st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=5),
    wrap=st.sampled_from(["plain", "struct", "list", "map", "sliced list"]),
)
@settings(max_examples=examples(300))
def test_times_meet_in_microseconds_rounded_down_and_those_beyond_stay_beyond(unit, values, wrap):
    factor = {"s": 10**6, "ms": 10**3, "us": 1, "ns": 1}[unit]
    divisor = 1000 if unit == "ns" else 1
    most = 2**63 - 1
    expected = [None if v is None else max(-most, min(most, v * factor // divisor)) for v in values]
    source, target = pa.array(values, pa.timestamp(unit, "UTC")), pa.timestamp("us", "UTC")
    if wrap == "plain":
        found = cast(source, target)
    elif wrap == "struct":
        nested = pa.StructArray.from_arrays([source], ["at"])
        found = cast(nested, pa.struct([("at", target), ("more", pa.string())])).field(0)
    elif wrap == "map":
        keys = pa.array([str(i) for i in range(len(values))])
        maps = pa.MapArray.from_arrays(pa.array([0, len(values)], pa.int32()), keys, source)
        found = cast(maps, pa.map_(pa.string(), target)).items
    else:
        lists = pa.ListArray.from_arrays(pa.array([0, 0, None, len(values)], pa.int32()), source)
        if wrap == "sliced list":
            lists = lists.slice(1)
        made = cast(lists, pa.large_list(target))
        assert made.is_null().to_pylist() == lists.is_null().to_pylist()
        found = made.flatten()
    assert found.cast(pa.int64()).to_pylist() == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.int64(), pa.float64()),
        (pa.decimal128(20, 2), pa.float64()),
        (pa.string(), pa.int64()),
        (pa.bool_(), pa.int8()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.date32(), pa.timestamp("us", "UTC")),
    ],
)
def test_types_that_would_lose_something_do_not_meet(first, second):
    for pair in ((first, second), (second, first)):
        with pytest.raises(CannotMeetError):
            common_type(*pair)


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        (pa.int32(), pa.float64(), pa.float64()),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.int64(), pa.uint64(), pa.decimal128(20, 0)),
        (pa.int64(), pa.decimal128(10, 2), pa.decimal128(21, 2)),
        (pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.string()),
        (pa.string_view(), pa.string(), pa.large_string()),
        (pa.timestamp("us", "Europe/Warsaw"), pa.timestamp("ns", "UTC"), pa.timestamp("us", "UTC")),
        (pa.date32(), pa.timestamp("ms"), pa.timestamp("us")),
        (pa.string(), pa.binary(), pa.binary()),
    ],
)
def test_the_common_type(first, second, common):
    assert common_type(first, second) == common_type(second, first) == common


def orders(dates):
    count = len(dates)
    return pa.table(
        {
            "id": pa.array([f"{dates.type.unit}-{i}" for i in range(count)]),
            "date": dates,
            "totalValue": [1] * count,
            "customer": [{"crmId": "c"}] * count,
            "products": pa.array([[]] * count, pa.list_(pa.null())),
        }
    )


def test_a_time_that_does_not_fit_is_a_problem_of_its_order(tmp_path, read):
    pq.write_table(orders(pa.array([0, -1], pa.timestamp("ns", "UTC"))), tmp_path / "1.parquet")
    pq.write_table(orders(pa.array([FAR, 2**62, -(2**62)], pa.timestamp("ms", "UTC"))), tmp_path / "2.parquet")
    pq.write_table(orders(pa.array([FAR * 1000], pa.timestamp("us", "UTC"))), tmp_path / "3.parquet")

    rows = {row.order_id: row for row in read(ParquetSource.open(tmp_path))}
    assert {i: row.sent["date"] for i, row in rows.items() if not row.problems} == {
        "ns-0": "1970-01-01T00:00:00.000Z",
        "ns-1": "1969-12-31T23:59:59.999Z",
        "ms-0": "9999-12-31T23:59:59.000Z",
        "us-0": "9999-12-31T23:59:59.000Z",
    }
    assert {i: set(row.faults) for i, row in rows.items() if row.problems} == {"ms-1": {"date"}, "ms-2": {"date"}}


def test_dates_and_times_of_local_clocks_meet(tmp_path, read):
    pq.write_table(orders(pa.array([FAR], pa.timestamp("ms"))), tmp_path / "1.parquet")
    day = orders(pa.array([0], pa.timestamp("us"))).set_column(1, "date", pa.array([dt.date(2026, 7, 1)]))
    pq.write_table(day, tmp_path / "2.parquet")
    sent = [row.sent["date"] for row in read(ParquetSource.open(tmp_path), timezone="Europe/Warsaw")]
    assert sent == ["9999-12-31T22:59:59.000Z", "2026-06-30T22:00:00.000Z"]
