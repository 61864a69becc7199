"""Values of every Arrow type, and the one right way to say each of them: written beside the code, not from it."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import strategies as st

from airflow_provider_ecdp.orders.contract import BLANK_TEXT

#: nanoseconds of a unit
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

DAY = 86_400 * 10**9

#: nanoseconds of the first moment of year 1, and of the first after year 9999
FIRST, END = -719_162 * DAY, 2_932_897 * DAY


class Number(str):
    """A JSON number, with its own digits."""

    __slots__ = ()


@dataclass(frozen=True)
class Moment:
    """Nanoseconds since 1970. `zone` says whether that is in UTC, or on a clock that is not known."""

    ns: int
    zone: bool


@dataclass(frozen=True)
class Time:
    """Nanoseconds of a day."""

    ns: int


@dataclass(frozen=True)
class Json:
    """The JSON text of a value."""

    text: str


@dataclass(frozen=True)
class Other:
    """What is no single value."""

    value: Any = None


_EXACT = Context(prec=100)


@dataclass(frozen=True)
class Sort:
    """A type, values of it, and how an array is made of them.

    :param reading: of a value that Arrow takes, what it says
    """

    type: pa.DataType
    values: st.SearchStrategy[Any]
    reading: Callable[[Any], Any]
    build: Callable[[list[Any]], pa.Array]

    def array(self, values: list[Any]) -> pa.Array:
        """Return an array of `values`, None for NULL."""
        return self.build(values)

    def __repr__(self) -> str:
        return str(self.type)


TEXTS = st.sampled_from(
    [
        *("", " ", "\u00a0", "NaN", "1.50", "-0", ".5", "1e5", "7", "+7", "2.0", "true", "null", "A-1", "\u00e9"),
        *('"', "\\", "\n", "\x00", "\ufdd0", "2026-11-01T10:00:00Z", "2026-11-01", "Paid", "Cancelled", "PLN"),
        *(
            "Europe/Warsaw",
            "UTC",
            "{}",
            "[]",
            "a@example.com",
            "1" * 20,
            "x" * 400,
            "\ufeff",
            "99999999999999999999.01",
        ),
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)

UUIDS = st.integers(0, 2**128 - 1).map(lambda number: uuid.UUID(int=number))

JSONS = st.sampled_from(
    [
        *("null", "true", "7", "-0", "12.50", "1e5", "1E400", "12345678901234567890", "123456789012345678.91"),
        *('"x"', '""', '" "', '"7.0"', '"2026-11-01T10:00:00Z"', '"\\u0041"', '"\\n"', "{}", "[]", '["x"]', '{"a":1}'),
        *("NaN", "Infinity", "", "{", "[1,]", "nul", "'x'", "007"),
    ]
)

FLOATS = {pa.float16(): 16, pa.float32(): 32, pa.float64(): 64}


def _ints(type_: pa.DataType) -> Sort:
    signed = pa.types.is_signed_integer(type_)
    top = 2 ** (type_.bit_width - signed) - 1
    ends = st.sampled_from([0, 1, top, -top - 1 if signed else 0])
    return Sort(type_, ends | st.integers(-top - 1 if signed else 0, top), lambda v: v, lambda v: pa.array(v, type_))


def _decimals(type_: pa.DataType) -> Sort:
    top = 10**type_.precision - 1
    unscaled = st.sampled_from([0, 1, -1, 5, 50, top, -top]).filter(lambda v: abs(v) <= top) | st.integers(-top, top)

    def value(number: int) -> Decimal:
        return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -type_.scale))

    def build(values: list[Decimal | None]) -> pa.Array:
        # pa.array takes no value of a scale that is larger than the precision
        numbers = [0 if v is None else int(v.scaleb(type_.scale, _EXACT)) for v in values]
        data = b"".join(number.to_bytes(type_.byte_width, "little", signed=True) for number in numbers)
        valid = pa.array([v is not None for v in values], pa.bool_()).buffers()[1]
        return pa.Array.from_buffers(type_, len(values), [valid, pa.py_buffer(data)])

    return Sort(type_, unscaled.map(value), lambda v: v, build)


def _floats(type_: pa.DataType) -> Sort:
    values = st.floats(width=FLOATS[type_])
    return Sort(type_, values, lambda v: v, lambda v: pa.array(v, type_))


def _timestamps(unit: str, zone: str | None) -> Sort:
    type_, size = pa.timestamp(unit, zone), UNITS[unit]
    whole = st.integers(-(2**63) + 1, 2**63 - 1)
    near = st.integers(-(10**6), 10**6) | st.sampled_from(
        [FIRST // size, FIRST // size - 1, END // size, END // size - 1]
    )
    values = near.filter(lambda v: -(2**63) < v < 2**63) | whole
    return Sort(type_, values, lambda v: Moment(v * size, bool(zone)), lambda v: pa.array(v, pa.int64()).view(type_))


def _dates(type_: pa.DataType) -> Sort:
    days = st.sampled_from([0, -1, FIRST // DAY, FIRST // DAY - 1, END // DAY, END // DAY - 1, 2**31 - 1, -(2**31)])
    factor, storage = (1, pa.int32()) if pa.types.is_date32(type_) else (86_400_000, pa.int64())
    return Sort(
        type_,
        days | st.integers(-(2**31), 2**31 - 1),
        lambda v: Moment(v * DAY, zone=False),
        lambda v: pa.array([None if day is None else day * factor for day in v], storage).view(type_),
    )


def _times(type_: pa.DataType) -> Sort:
    size = UNITS[type_.unit]
    storage = pa.int32() if pa.types.is_time32(type_) else pa.int64()
    values = st.integers(0, DAY // size - 1)
    return Sort(type_, values, lambda v: Time(v * size), lambda v: pa.array(v, storage).view(type_))


def _texts(type_: pa.DataType) -> Sort:
    return Sort(type_, TEXTS, lambda v: v, lambda v: pa.array(v, type_))


def _bytes(type_: pa.DataType) -> Sort:
    values = TEXTS.map(str.encode) | st.sampled_from([b"\xff", b"a\xffb"])
    return Sort(type_, values, lambda v: v, lambda v: pa.array(v, type_))


def _extension(type_: pa.DataType, values: st.SearchStrategy[Any], reading: Any, storage: Any) -> Sort:
    return Sort(
        type_,
        values,
        reading,
        lambda v: pa.ExtensionArray.from_storage(
            type_, pa.array([None if x is None else storage(x) for x in v], type_.storage_type)
        ),
    )


def _other(type_: pa.DataType, values: st.SearchStrategy[Any]) -> Sort:
    return Sort(type_, values, Other, lambda v: pa.array(v, type_))


def _union(kind: str) -> Sort:
    inner = [pa.field("a", pa.int64()), pa.field("b", pa.string())]
    make = pa.dense_union if kind == "dense" else pa.sparse_union

    def build(values: list[Any]) -> pa.Array:
        kinds = pa.array([int(isinstance(v, str)) for v in values], pa.int8())
        numbers = pa.array([v if isinstance(v, int) else None for v in values], pa.int64())
        texts = pa.array([v if isinstance(v, str) else None for v in values], pa.string())
        children, names = [numbers, texts], ["a", "b"]
        if kind == "sparse":
            return pa.UnionArray.from_sparse(kinds, children, names)
        offsets = pa.array(range(len(values)), pa.int32())
        return pa.UnionArray.from_dense(kinds, offsets, children, names)

    return Sort(make(inner), st.integers(0, 9) | st.just("x"), Other, build)


def dictionary(sort: Sort) -> Sort:
    """Return the same values behind a dictionary."""

    def build(values: list[Any]) -> pa.Array:
        held = [v for v in values if v is not None]
        places = iter(range(len(held)))
        return pa.DictionaryArray.from_arrays(
            pa.array([None if v is None else next(places) for v in values], pa.int32()), sort.build(held)
        )

    return Sort(pa.dictionary(pa.int32(), sort.type), sort.values, sort.reading, build)


def run_ends(sort: Sort) -> Sort:
    """Return the same values in runs."""
    return Sort(
        pa.run_end_encoded(pa.int32(), sort.type), sort.values, sort.reading, lambda v: pc.run_end_encode(sort.build(v))
    )


def _decimal_types() -> list[pa.DataType]:
    widths = {32: 9, 64: 18, 128: 38, 256: 76}
    types = []
    for bits, most in widths.items():
        make = getattr(pa, f"decimal{bits}", None)
        for digits in {1, 2, most // 2, most} if make else ():
            types += [make(digits, scale) for scale in sorted({-3, 0, 1, digits // 2, digits, digits + 2})]
    return types


INTS = [
    _ints(t) for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
]
DECIMALS = [_decimals(type_) for type_ in _decimal_types()]
FLOATING = [_floats(type_) for type_ in FLOATS]
TEXTUAL = [_texts(type_) for type_ in (pa.string(), pa.large_string(), pa.string_view())]
BINARY = [_bytes(type_) for type_ in (pa.binary(), pa.large_binary(), pa.binary_view())]
TIMES = [
    *(_timestamps(unit, zone) for unit in UNITS for zone in (None, "UTC", "Europe/Warsaw", "+05:30")),
    *(_dates(type_) for type_ in (pa.date32(), pa.date64())),
    *(_times(type_) for type_ in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))),
]
BOOLS = [Sort(pa.bool_(), st.booleans(), lambda v: v, lambda v: pa.array(v, pa.bool_()))]
EXTENSIONS = [
    _extension(pa.uuid(), UUIDS, lambda v: v, lambda v: v.bytes),
    _extension(pa.json_(), JSONS, Json, str),
    _extension(pa.bool8(), st.booleans(), lambda v: v, int),
    _extension(pa.opaque(pa.int32(), "a", "b"), st.integers(0, 9), Other, int),
    _extension(pa.fixed_shape_tensor(pa.int32(), [2]), st.just([1, 2]), Other, list),
]
OTHERS = [
    *(_other(pa.duration(unit), st.integers(0, 9)) for unit in UNITS),
    _other(pa.month_day_nano_interval(), st.just((1, 2, 3))),
    Sort(pa.binary(16), st.just(b"0123456789abcdef"), lambda v: v, lambda v: pa.array(v, pa.binary(16))),
    Sort(pa.null(), st.none(), lambda v: v, lambda v: pa.nulls(len(v))),
    *(
        _other(of(pa.int64()), st.lists(st.integers(0, 9), max_size=2))
        for of in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view)
    ),
    _other(pa.list_(pa.int64(), 2), st.just([1, 2])),
    _other(pa.list_(pa.struct([("a", pa.string())])), st.just([{"a": "x"}])),
    _other(pa.list_view(pa.struct([("name", pa.string()), ("value", pa.string())])), st.just([{"name": "x"}])),
    _other(pa.struct([("a", pa.int64())]), st.just({"a": 1})),
    _other(pa.struct([("email", pa.string())]), st.just({"email": "x"})),
    _other(pa.struct([]), st.just({})),
    _other(pa.map_(pa.string(), pa.int64()), st.just([("a", 1)])),
    _other(pa.map_(pa.int64(), pa.string()), st.just([(1, "a"), (2, "b")])),
    _union("dense"),
    _union("sparse"),
]
PLAIN = [*INTS, *DECIMALS, *FLOATING, *TEXTUAL, *BINARY, *TIMES, *BOOLS]
SORTS = [
    *PLAIN,
    *EXTENSIONS,
    *OTHERS,
    *map(
        dictionary,
        [*INTS[:3], *DECIMALS[:9], FLOATING[2], TEXTUAL[0], TEXTUAL[1], BINARY[0], TIMES[0], TIMES[-6], BOOLS[0]],
    ),
    *map(run_ends, [INTS[3], TEXTUAL[0]]),
]

_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")

STATUSES = {
    "placed": "Placed",
    "paid": "Paid",
    "completed": "Completed",
    "canceled": "Canceled",
    "cancelled": "Canceled",
}


def texts(value: Any, *, single: bool = False) -> set[str]:
    """Return the texts that say `value`; none if it is no text.

    :param single: whether fractions and times are text too, as in an attribute
    """
    found: set[str] = set()
    if isinstance(value, str):
        found = {value}
    elif isinstance(value, bool):
        found = {"true" if value else "false"}
    elif isinstance(value, int):
        found = {str(value)}
    elif isinstance(value, Decimal) and value.is_finite():
        found = {format(value, "f")} if single or value.as_tuple().exponent >= 0 else set()
    elif isinstance(value, uuid.UUID):
        found = {str(value)}
    elif isinstance(value, bytes):
        try:
            found = {value.decode()}
        except UnicodeDecodeError:
            found = set()
    elif isinstance(value, Json):
        found = _json_texts(value, single=single)
    return found


def _json_texts(value: Json, *, single: bool) -> set[str]:
    read = parsed(value)
    if isinstance(read, Number):
        # the engine writes no minus before a zero
        return {str(read), "0" if read == "-0" else str(read)} if single or re.fullmatch("-?[0-9]+", read) else set()
    return texts(read) if isinstance(read, str | bool) else set()


def parsed(value: Json) -> Any:
    """Return what a JSON text holds, numbers as `Number`; `Other` if it is not JSON."""

    def refuse(_: str) -> Any:
        raise ValueError

    try:
        return json.loads(value.text, parse_float=Number, parse_int=Number, parse_constant=refuse)
    except ValueError:
        return Other()


def is_absent(value: Any, *, optional: bool) -> bool:
    """Whether `value` leaves its field out."""
    if isinstance(value, Json) and parsed(value) is None:
        return True
    return value is None or (optional and is_blank(parsed(value) if isinstance(value, Json) else value))


def is_blank(value: Any) -> bool:
    """Whether `value` is text, or bytes of text, without a visible character."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return type(text) is str and re.fullmatch(BLANK_TEXT, text) is not None


def says(kind: str, value: Any, sent: Any) -> bool:
    """Whether the JSON value `sent` says `value` as a field of `kind`."""
    if isinstance(value, Json) and kind in ("number", "integer"):
        value = parsed(value)
    return {
        "text": lambda: type(sent) is str and sent in texts(value),
        "value": lambda: type(sent) is str and _says_value(value, sent),
        "number": lambda: isinstance(sent, Number) and _says_number(value, sent),
        "integer": lambda: isinstance(sent, Number) and re.fullmatch("-?[0-9]+", sent) and _says_integer(value, sent),
        "timestamp": lambda: type(sent) is str and _says_moment(value, sent),
        "status": lambda: sent in {STATUSES.get(text.strip().lower()) for text in texts(value)},
        "zone": lambda: sent in {ZONES.get(text) for text in texts(value)},
    }[kind]()


ZONES = {"Europe/Warsaw": "Central European Standard Time", "UTC": "UTC"}


def _says_value(value: Any, sent: str) -> bool:
    if isinstance(value, Json) and isinstance(read := parsed(value), Number):
        value = Decimal(read)
    if isinstance(value, float):
        same = _same_float(value, sent)
    elif isinstance(value, Decimal):
        # files with other scales can bring more zeros
        same = _JSON_NUMBER.fullmatch(sent) is not None and Decimal(sent) == value
    elif isinstance(value, dt.date):
        same = sent == value.isoformat()
    elif isinstance(value, Moment):
        same = _local(sent) == value.ns // 1000 * 1000
    elif isinstance(value, Time):
        same = _local(f"1970-01-01 {sent}") == value.ns // 1000 * 1000
    else:
        same = sent in texts(value, single=True)
    return same


def _local(sent: str) -> int:
    """Return the nanoseconds since 1970 of a date or a time as an attribute has it."""
    sent = re.sub(r"\+00$", "", sent)
    read = dt.datetime.fromisoformat(sent)
    return (read - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1) * 1000  # noqa: DTZ001


def _says_number(value: Any, sent: str) -> bool:
    if isinstance(value, float):
        return _same_float(value, sent)
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return bool(_JSON_NUMBER.fullmatch(value)) and Decimal(sent) == Decimal(value)
    if isinstance(value, Decimal):
        # trailing zeros are digits too, and may be more where a column of several files has a larger scale
        return Decimal(sent) == value and len(sent.partition(".")[2]) >= -value.as_tuple().exponent
    return isinstance(value, int) and sent == str(value)


def _says_integer(value: Any, sent: str) -> bool:
    if isinstance(value, Number):
        return Decimal(sent) == Decimal(value)
    if isinstance(value, str):
        return re.fullmatch(r"[+-]?[0-9]+(\.0+)?", value) is not None and Decimal(sent) == Decimal(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return Decimal(sent) == Decimal(value)
    return False


def _same_float(value: float, sent: str) -> bool:
    # a float of fewer bits is the same number in the digits of any wider one
    return _JSON_NUMBER.fullmatch(sent) is not None and any(
        pa.scalar(float(sent), type_).as_py() == value for type_ in (pa.float16(), pa.float32(), pa.float64())
    )


def _says_moment(value: Any, sent: str) -> bool:
    milliseconds = dt.datetime.strptime(sent, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=dt.UTC)
    ns = (milliseconds - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1) * 10**6
    if isinstance(value, Moment):
        # the zone of the test is UTC
        return ns == value.ns // 10**6 * 10**6
    for text in {value.isoformat()} if isinstance(value, dt.date) else texts(value):
        read = dt.datetime.fromisoformat(text)
        read = read if read.tzinfo else read.replace(tzinfo=dt.UTC)
        return (read - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1) * 10**6 == ns
    return False


JSON_TEXT = Sort(pa.string(), JSONS, Json, pa.array)

#: values of Python, as a task hands them on
RECORDS = Sort(
    pa.null(),
    st.one_of(
        *(TEXTS, st.integers(-(10**20), 10**20), st.booleans(), st.floats(), UUIDS, st.binary(max_size=3)),
        *(st.decimals(), st.dates(), st.datetimes(), st.just([]), st.just({}), st.builds(object)),
    ),
    lambda value: value,
    list,
)
