"""Dates and time zones: every type of a date's column, its edges, and the names of zones."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sql.timezones import zone_table

RULE = "a date and time with a time zone, from year 1 to 9999"
NOON = 1_730_887_800_055_999_999  # 2024-11-06T10:10:00.055999999Z, in nanoseconds
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def dates(rows):
    """Return what is sent, or what is told of a date that is not."""
    return [row.sent["date"] if row.text else row.problems[0]["got"] for row in rows]


def moments(*texts):
    return [dt.datetime.fromisoformat(text) for text in texts]


@pytest.mark.parametrize("unit", UNITS)
def test_a_timestamp_in_utc_is_sent_with_milliseconds(read_column, unit):
    array = pa.array([NOON // UNITS[unit]], pa.timestamp(unit, tz="UTC"))
    assert dates(read_column("date", array)) == [f"2024-11-06T10:10:00.{'000' if unit == 's' else '055'}Z"]


@pytest.mark.parametrize("unit", UNITS)
def test_a_timestamp_without_a_zone_is_read_in_the_declared_one(read_column, unit):
    array = pa.array(moments("2026-07-01T12:00:00", "2026-01-01T12:00:00"), pa.timestamp(unit))

    assert dates(read_column("date", array, timezone="Europe/Warsaw")) == [
        "2026-07-01T10:00:00.000Z",
        "2026-01-01T11:00:00.000Z",
    ]
    with pytest.raises(ColumnsError, match="to the zone of its values"):
        read_column("date", array)


@pytest.mark.parametrize("tz", ["America/New_York", "+02:00", "Europe/Warsaw"])
def test_the_zone_of_a_column_says_how_it_is_shown_and_not_when_it_was(read_column, tz):
    array = pa.array(moments("2026-07-01T12:00:00"), pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us", tz=tz))
    assert dates(read_column("date", array, timezone="Asia/Tokyo")) == ["2026-07-01T12:00:00.000Z"]


def test_a_date_is_the_beginning_of_the_day_in_the_declared_zone(read_column):
    days = [dt.date(2026, 7, 1), dt.date(2026, 1, 1)]
    for type_ in (pa.date32(), pa.date64()):
        assert dates(read_column("date", pa.array(days, type_), timezone="Europe/Warsaw")) == [
            "2026-06-30T22:00:00.000Z",
            "2025-12-31T23:00:00.000Z",
        ]


def test_an_hour_that_summer_time_skips_or_repeats_is_one_moment(read_column):
    """What the clock skips is an hour later; what it shows twice is the second time, in winter time."""
    array = pa.array(
        moments(
            *("2026-03-29T01:59:59.999", "2026-03-29T02:30:00", "2026-03-29T03:00:00"),
            *("2026-10-25T01:59:59", "2026-10-25T02:30:00", "2026-10-25T03:00:00"),
        )
    )
    assert dates(read_column("date", array, timezone="Europe/Warsaw")) == [
        *("2026-03-29T00:59:59.999Z", "2026-03-29T01:30:00.000Z", "2026-03-29T01:00:00.000Z"),
        *("2026-10-24T23:59:59.000Z", "2026-10-25T01:30:00.000Z", "2026-10-25T02:00:00.000Z"),
    ]


def test_years_are_those_of_four_digits(read_column):
    end = pa.array([253402300800 * 10**6 - 1], pa.timestamp("us", tz="UTC"))
    assert dates(read_column("date", end)) == ["9999-12-31T23:59:59.999Z"]

    seconds = {
        -62135596800: "0001-01-01T00:00:00.000Z",
        253402300799: "9999-12-31T23:59:59.000Z",
        0: "1970-01-01T00:00:00.000Z",
        -1: "1969-12-31T23:59:59.000Z",
        -62135596801: None,
        253402300800: None,
    }
    rows = read_column("date", pa.array([s * 10**6 for s in seconds], pa.timestamp("us", tz="UTC")))
    naive = read_column("date", pa.array(list(seconds), pa.timestamp("s")), timezone="UTC")

    for found in (rows, naive):
        assert [row.sent["date"] if row.text else None for row in found] == list(seconds.values())
        assert [row.faults for row in found[-2:]] == [{"date": RULE}] * 2


def test_infinity_is_that_orders_problem(read_column):
    """The engine's infinity is the largest number of its type; units wider than microseconds hold larger ones."""
    edge = 2**63 - 1
    for array in [
        pa.array([edge, -edge, 0], pa.timestamp("us", tz="UTC")),
        pa.array([edge, -edge, 0], pa.timestamp("ns", tz="UTC")),
        pa.array([edge, -edge - 1, 0], pa.timestamp("us")),
        pa.array([2**62, -(2**62), 0], pa.timestamp("ms")),
        pa.array([2**62, -(2**62), 0], pa.timestamp("ms", tz="UTC")),
        pa.array([edge, -edge - 1, 0], pa.timestamp("s", tz="UTC")),
        pa.array([2**31 - 1, -(2**31), 0], pa.date32()),
        pa.array([2**31 - 2, -(2**31) + 2, 0], pa.date32()),
    ]:
        rows = read_column("date", array, timezone=None if getattr(array.type, "tz", None) else "UTC")
        assert dates(rows) == [*["a time out of range"] * 2, "1970-01-01T00:00:00.000Z"]


WITH_OFFSET = {
    "2026-11-01 10:00:00.123 +0100": "2026-11-01T09:00:00.123Z",
    "2026-11-01 10:00 -05:30": "2026-11-01T15:30:00.000Z",
    "2024-11-06T10:10:00.055Z": "2024-11-06T10:10:00.055Z",
    "2024-11-06 10:10:00 UTC": "2024-11-06T10:10:00.000Z",
    "2024-11-06T10:10Z": "2024-11-06T10:10:00.000Z",
    "2024-11-06T10:10:00+02:00": "2024-11-06T08:10:00.000Z",
    "2024-11-06T10:10:00+0200": "2024-11-06T08:10:00.000Z",
    "2024-11-06T10:10:00+02": "2024-11-06T08:10:00.000Z",
    "2024-11-06 10:10:00-05:30": "2024-11-06T15:40:00.000Z",
    "2024-11-06T10:10:00.123456789+14:00": "2024-11-05T20:10:00.123Z",
    "2024-11-06T24:00:00Z": "2024-11-07T00:00:00.000Z",
}
WITHOUT_OFFSET = {
    "2024-11-06T10:10:00": "2024-11-06T09:10:00.000Z",
    "2024-11-06 10:10:00.5": "2024-11-06T09:10:00.500Z",
    "2024-11-06 10:10": "2024-11-06T09:10:00.000Z",
    "2024-11-06": "2024-11-05T23:00:00.000Z",
    "2024-7-6": "2024-07-05T22:00:00.000Z",
}
NO_DATES = [
    *("", "now", "today", "epoch", "infinity", "-infinity", "1730887800", "06.11.2024 10:10", "20241106T101000Z"),
    *("2024-02-30T00:00:00Z", "2024-11-06T25:00:00Z", "2024-11-06T23:59:60Z", "2024-11-06T10:10:00+25:00"),
    *("2024-11-06T10:10:00+15:00", "10000-01-01T00:00:00Z", "0000-12-31T00:00:00Z", "2024-11-06 (BC) 10:10:00Z"),
    *("2024-11-06t10:10:00z", "2024-11-06T10:10:00,5Z", "2024-11-06Z", "Wed, 06 Nov 2024 10:10:00 GMT"),
    # these name a zone: to read them in the declared one would move them
    *("2024-11-06 10:10:00 GMT", "2024-11-06 10:10:00 America/New_York", "2024-11-06T10:10:00.055+00:00:00"),
    *(" 2024-11-06T10:10:00Z", "2024-11-06T10:10:00Z ", "2024-11-06T10:10:00Z\n"),
]


def test_text_with_an_offset_is_taken_whatever_is_declared(read_column):
    array = pa.array(list(WITH_OFFSET))
    for zone in (None, "Europe/Warsaw"):
        assert dates(read_column("date", array, timezone=zone)) == list(WITH_OFFSET.values())


def test_text_without_an_offset_is_read_in_the_declared_zone(read_column):
    array = pa.array(list(WITHOUT_OFFSET))
    refused = read_column("date", array)

    assert dates(read_column("date", array, timezone="Europe/Warsaw")) == list(WITHOUT_OFFSET.values())
    assert [row.problems for row in refused] == [[{"field": "date", "rule": RULE, "got": t}] for t in WITHOUT_OFFSET]


@pytest.mark.parametrize("zone", [None, "Europe/Warsaw"])
def test_text_that_is_no_date_is_that_orders_problem(read_column, zone):
    rows = read_column("date", pa.array(NO_DATES), timezone=zone)
    assert {text: row.faults for text, row in zip(NO_DATES, rows, strict=True)} == {
        text: {"date": RULE} for text in NO_DATES
    }


def test_the_last_nanosecond_of_a_day_is_not_the_next_day(read_column):
    array = pa.array([1_767_225_599_999_999_999], pa.timestamp("ns"))

    assert dates(read_column("date", array, timezone="UTC")) == ["2025-12-31T23:59:59.999Z"]
    assert dates(read_column("date", array.cast(pa.timestamp("ns", "UTC")))) == ["2025-12-31T23:59:59.999Z"]


def test_text_of_other_types_is_read_like_text(read_column):
    text = pa.array(["2024-11-06T10:10:00Z"])
    for array in (text.cast(pa.large_string()), text.cast(pa.string_view()), text.dictionary_encode()):
        assert dates(read_column("date", array)) == ["2024-11-06T10:10:00.000Z"]


def test_a_column_of_no_type_lacks_every_date(read_column):
    assert read_column("date", pa.nulls(1))[0].faults == {"date": "required"}


def test_timestamps_of_96_bits_have_no_zone(read, with_columns, tmp_path):
    """As Spark and Impala write them."""
    array = pa.array(moments("2026-07-01T12:00:00.123456"), pa.timestamp("us"))
    pq.write_table(with_columns(date=array), tmp_path / "o.parquet", use_deprecated_int96_timestamps=True)
    extract = ParquetSource.open(tmp_path / "o.parquet")

    assert extract.schema.field("date").type == pa.timestamp("us")
    assert dates(read(extract, timezone="Europe/Warsaw")) == ["2026-07-01T10:00:00.123Z"]
    with pytest.raises(ColumnsError, match=r"date: the column is timestamp\[us\], which has no time zone"):
        read(extract)


@pytest.mark.parametrize(
    "moment",
    [
        "9999-12-31T22:59:59",
        pytest.param(
            "0001-01-01T12:00:00",
            marks=pytest.mark.skipif(
                int(pa.__version__.partition(".")[0]) < 23, reason="such a pyarrow writes another year, and reads this"
            ),
        ),
    ],
)
def test_timestamps_of_96_bits_reach_years_that_nanoseconds_do_not(read, with_columns, tmp_path, moment):
    """Warehouses mark what has no end with the year 9999; in nanoseconds it would be one of 1816."""
    array = pa.array(moments(moment), pa.timestamp("us"))
    pq.write_table(with_columns(date=array), tmp_path / "o.parquet", use_deprecated_int96_timestamps=True)
    assert dates(read(ParquetSource.open(tmp_path / "o.parquet"), timezone="UTC")) == [f"{moment}.000Z"]


@pytest.mark.parametrize(
    "zone", ["Warsaw", "Europe", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe/Warsaw'"]
)
def test_a_declared_zone_must_exist(read_column, zone):
    with pytest.raises(ConfigurationError, match="must be an IANA time zone, such as Europe/Warsaw"):
        read_column("date", pa.nulls(1), timezone=zone)


# names of zones

ZONES = {
    "Europe/Warsaw": "Central European Standard Time",
    "europe/WARSAW": "Central European Standard Time",
    "America/Los_Angeles": "Pacific Standard Time",
    "US/Pacific": "Pacific Standard Time",
    "Asia/Calcutta": "India Standard Time",
    "Asia/Kolkata": "India Standard Time",
    "Europe/Kiev": "FLE Standard Time",
    "Europe/Kyiv": "FLE Standard Time",
    "Europe/Uzhgorod": "FLE Standard Time",
    "PST8PDT": "Pacific Standard Time",
    "Etc/UTC": "UTC",
    "Pacific Standard Time": "Pacific Standard Time",
    "pacific standard TIME": "Pacific Standard Time",
    "UTC": "UTC",
    "utc": "UTC",
    "GMT": "GMT",
    "gmt": "GMT",
}


def test_zones_are_sent_by_their_windows_names(read_column):
    rows = read_column("timeZone", pa.array([*ZONES, None]))
    assert [row.sent.get("timeZone") for row in rows] == [*ZONES.values(), None]


def test_what_is_neither_a_windows_nor_an_iana_name_is_that_orders_problem(read_column):
    got_by_text = {
        "Mars": "Mars",
        "Mars/Olympus": "text of 12 characters",
        "+02:00": "text of 6 characters",
        "Z": "Z",
        " UTC": "text of 4 characters",
        "(UTC+01:00) Warsaw": "text of 18 characters",
        "x" * 101: "text of 101 characters",
    }
    rows = read_column("timeZone", pa.array(list(got_by_text)))
    assert [row.problems for row in rows] == [
        [{"field": "timeZone", "rule": "a Windows or IANA time zone", "got": got}] for got in got_by_text.values()
    ]


def test_every_name_of_the_tz_database_is_known_but_those_that_windows_has_no_zone_for():
    names = set(zone_table()["name"].to_pylist())
    unknown = {zone for zone in zoneinfo.available_timezones() if zone.lower() not in names}
    assert unknown <= {"Antarctica/Troll", "Factory", "localtime", "build/etc/localtime"}


def test_a_name_of_a_zone_appears_once_and_fits_its_limit():
    table = zone_table()
    names = table["name"].to_pylist()
    assert len(names) == len(set(names))
    assert all(names)
    assert max(len(name) for name in table["windows"].to_pylist()) <= 100


def test_orders_with_a_zone_keep_the_order_of_the_extract(read, with_columns):
    """A join that took the extract for its small side would turn it round, and hold all of it in memory."""
    count = 10_000
    ids = [str(i) for i in range(count)]
    zones = pa.array(["UTC", "Europe/Warsaw", None, "nowhere"] * (count // 4))
    assert [row.order_id for row in read(with_columns(id=pa.array(ids), timeZone=zones))] == ids
