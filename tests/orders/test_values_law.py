"""A law: whatever the type and the way to its field, a value arrives as it is, or is refused by name."""

from __future__ import annotations

import functools
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_values import (
    BINARY,
    BOOLS,
    DECIMALS,
    FLOATING,
    INTS,
    JSON_TEXT,
    PLAIN,
    RECORDS,
    SORTS,
    TEXTUAL,
    TIMES,
    Json,
    Number,
    Other,
    Sort,
    is_absent,
    is_blank,
    says,
    texts,
)
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.api.mode import Mode, envelope
from airflow_provider_ecdp.errors import EcdpError, ExtractError, SqlError
from airflow_provider_ecdp.orders import batching
from airflow_provider_ecdp.orders.engine.arrow_types import wide
from airflow_provider_ecdp.orders.engine.marks import BROKEN
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.orders.sources.table import TableSource

#: the kind of each field, whether it is required, and a constant for it
FIELDS: dict[str, tuple[str, bool, Any]] = {
    "id": ("text", True, "d-1"),
    "date": ("timestamp", True, "2026-01-01T00:00:00Z"),
    "totalValue": ("number", True, 7),
    "timeZone": ("zone", False, "UTC"),
    "websiteId": ("integer", False, 7),
    "status": ("status", False, "paid"),
    "currency": ("text", False, "PLN"),
    "returnsValue": ("number", False, Decimal("7.25")),
    "customer.email": ("text", False, "d@example.com"),
    "customer.crmId": ("text", False, "d"),
    "orderAttributes.value": ("value", False, "d"),
    "products.id": ("text", True, "d"),
    "products.price": ("number", True, Decimal("7.25")),
    "products.quantity": ("integer", True, 7),
    "products.url": ("text", False, "d"),
    "products.productAttributes.value": ("value", False, "d"),
}

LENGTHS = {"id": (1, 128), "currency": (3, 3), "customer.email": (0, 320), "customer.crmId": (0, 128)}
LENGTHS |= {"products.id": (0, 128), "products.url": (0, 2048)}

#: Fields of which a value may be NULL where another is looked at.
TOGETHER = ["timeZone", "websiteId", "status", "currency", "returnsValue", "customer.email", "customer.crmId"]
TOGETHER += ["orderAttributes.value"]

#: Fields that are looked at together. A product without an id or a price would be another problem.
GROUPS = [
    *([field] for field in ("id", "date", "totalValue")),
    *([*TOGETHER, field] for field in ("products.id", "products.price", "products.quantity")),
    [*TOGETHER, "products.url", "products.productAttributes.value"],
]

ATTRIBUTES = [field for field in FIELDS if field.endswith("Attributes.value")]

WAYS = (
    "columns",
    "mapping",
    "default",
    "map",
    "sql",
    "lines",
    "mapped lines",
    "MAP",
    "JSON text",
    "JSON type",
    "records",
)

#: of Arrow's decimals, by their bits
MOST_DIGITS = {32: 9, 64: 18, 128: 38, 256: 76}

LISTS = {"list": pa.ListArray, "large_list": pa.LargeListArray, "fixed_size_list": pa.FixedSizeListArray}

Files = tuple[tuple[Sort, tuple[Any, ...]], ...]


@dataclass(frozen=True)
class Case:
    """Values on their way to fields, in one file or several.

    :param values: for each field, and for each file, the sort and the values
    :param nesting: the kind of list that holds products and attributes
    """

    way: str
    values: dict[str, Files]
    nesting: str = "list"
    timezone: str | None = "UTC"
    in_memory: bool = True

    @property
    def files(self) -> int:
        return len(next(iter(self.values.values())))

    @property
    def lines(self) -> bool:
        """Whether rows are order lines."""
        return self.way in ("lines", "mapped lines")

    @property
    def mapped(self) -> bool:
        """Whether each value goes through a `map`."""
        return self.way in ("map", "mapped lines")

    def rows(self, file: int) -> list[tuple[str, Any]]:
        """Return the field of each row of a file, and its value."""
        return [(field, value) for field, files in self.values.items() for value in files[file][1]]

    @property
    def reading(self) -> list[tuple[str, Any]]:
        """Return the field of each row, and what its value says."""
        return [
            (field, None if value is None else self.values[field][file][0].reading(value))
            for file in range(self.files)
            for field, value in self.rows(file)
        ]

    def arrays(self, file: int) -> dict[str, pa.Array]:
        """Return the column of each field in a file: NULL in the rows of the others."""
        rows = self.rows(file)
        return {
            field: files[file][0].array([value if of == field else None for of, value in rows])
            for field, files in self.values.items()
        }

    def without(self, fields: set[str]) -> Case:
        return replace(self, values={f: files for f, files in self.values.items() if f not in fields})

    @property
    def empty_products(self) -> bool:
        """Whether a required field of a product is looked at: other rows have no product then."""
        return any(f.startswith("products.") and FIELDS[f][1] for f in self.values)


def a_list(nesting, elements, present=None):
    """Return lists of one element each; the first are of none, where `present` is false."""
    count, made = len(elements), LISTS[nesting]
    present = [True] * count if present is None else present
    if nesting == "fixed_size_list":
        return made.from_arrays(elements, 1)
    type_ = pa.int64() if nesting.startswith("large") else pa.int32()
    # pyarrow does not filter the elements of every type
    first = present.index(True)
    assert all(present[first:])
    return made.from_arrays(pa.array([max(i, first) for i in range(count + 1)], type_), elements)


def a_struct(members):
    return pa.StructArray.from_arrays(list(members.values()), list(members))


def same(value, count):
    return pa.array([value] * count)


def good_columns(count, start):
    return {
        "id": pa.array([f"o-{i}" for i in range(start, start + count)]),
        "date": pa.array([0] * count, pa.int64()).view(pa.timestamp("us", "UTC")),
        "totalValue": same(Decimal("2.50"), count),
    }


def good_product(count):
    return {
        "id": same("p", count),
        "name": same("Mug", count),
        "price": same(Decimal("2.50"), count),
        "quantity": same(1, count),
    }


def as_attributes(case, values):
    names = same("n", len(values))
    if case.way == "MAP":
        return pa.MapArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), names, values)
    return a_list(case.nesting, a_struct({"name": names, "value": values}))


def nested(case, file, start):
    """Return the columns of a file in which values stand in the fields themselves."""
    rows = case.rows(file)
    count, columns = len(rows), good_columns(len(rows), start)
    customer, product = {"phone": same("1", count)}, good_product(count)
    for field, values in case.arrays(file).items():
        head, _, name = field.partition(".")
        if field == "orderAttributes.value":
            columns[head] = as_attributes(case, values)
        elif field.startswith("products.productAttributes"):
            product["productAttributes"] = as_attributes(case, values)
        else:
            target = {"customer": customer, "products": product}.get(head if name else "", columns)
            target[name or head] = values
    columns.setdefault("customer", a_struct(customer))
    present = [not case.empty_products or field.startswith("products.") for field, _ in rows]
    columns.setdefault("products", a_list(case.nesting, a_struct(product), present))
    return columns


def flat(case, file, start):
    """Return the columns of a file in which values stand in columns v0, v1, ..., beside what makes good orders."""
    rows, arrays = case.rows(file), case.arrays(file)
    columns = {name: c for name, c in good_columns(len(rows), start).items() if name not in arrays}
    columns["customer_phone"] = same("1", len(rows))
    columns |= {f"products_{name}": c for name, c in good_product(len(rows)).items()}
    present = [not case.empty_products or field.startswith("products.") for field, _ in rows]
    columns["has_product"] = pa.array(present)
    if not case.lines:
        product = {name: c for name, c in good_product(len(rows)).items() if f"products.{name}" not in arrays}
        columns["products"] = a_list("list", a_struct(product), present)
    return columns | {f"v{i}": array for i, array in enumerate(arrays.values())}


def mapping_of(case):
    mapping: dict[str, Any] = {} if case.lines else {"products": "products"}
    for i, field in enumerate(case.values):
        value: Any = f"v{i}"
        if case.way == "default":
            value = {"column": f"v{i}", "default": FIELDS[field][2]}
        elif case.mapped:
            value = {"column": f"v{i}", "map": {pattern(case, field): FIELDS[field][2]}}
        if field in ATTRIBUTES:
            mapping[field.removesuffix(".value")] = {"n": value}
        else:
            mapping[field] = value
    if case.lines:
        mapping.setdefault("products.id", "products_id")
    return mapping


def pattern(case, field):
    """Return the text of the first value that has one."""
    reading = (value for of, value in case.reading if of == field)
    return next((t for value in reading for t in sorted(texts(value, single=True)) if "*" not in t), "nothing")


def sql_of(case):
    taken = {field: f"v{i}" for i, field in enumerate(case.values)}
    order = {name: f'"{name}"' for name in good_columns(0, 0)}
    customer, product = {"phone": "customer_phone"}, {name: f"products_{name}" for name in good_product(0)}
    for field, column in taken.items():
        head, _, name = field.partition(".")
        sql = f"[{{'name': 'n', 'value': {column}}}]" if field in ATTRIBUTES else column
        target = {"customer": customer, "products": product}.get(head if name else "", order)
        target[name.removesuffix(".value") if target is not order else head] = sql
    order["customer"] = as_sql(customer)
    order["products"] = f"CASE WHEN has_product THEN [{as_sql(product)}] ELSE [] END"
    columns = ", ".join(f'{sql} AS "{name}"' for name, sql in order.items())
    return f"SELECT {columns} FROM extract"


def as_sql(members):
    pairs = ", ".join(f"'{name}': {sql}" for name, sql in members.items())
    return f"{{{pairs}}}"


def order_in_python(field, value, number):
    """Return an order as a task hands it on, with one value at its field."""
    product = {"id": "p", "name": "Mug", "price": Decimal("2.50"), "quantity": 1}
    order = {"id": f"o-{number}", "date": "1970-01-01T00:00:00Z", "totalValue": Decimal("2.50")}
    order |= {"customer": {"phone": "1"}, "products": [product]}
    head, _, name = field.partition(".")
    if field in ATTRIBUTES:
        (order if head == "orderAttributes" else product)[name.partition(".")[0] if "." in name else head] = [
            {"name": "n", "value": value}
        ]
    else:
        target = {"customer": order["customer"], "products": product}.get(head if name else "", order)
        target[name or head] = value
    return order


def json_columns(case):
    """Return text columns whose JSON holds the values, which are JSON themselves."""
    rows, mark = case.rows(0), "\ufffc"
    columns: dict[str, list[str | None]] = {"customer": [], "products": [], "orderAttributes": []}
    for i, (field, text) in enumerate(rows):
        order = order_in_python(field, mark, i)
        for name, column in columns.items():
            made = json.dumps(order.get(name), default=float, ensure_ascii=False)
            column.append(made.replace(f'"{mark}"', "null" if text is None else text))
    made = {name: pa.array(column) for name, column in columns.items()}
    if case.way == "JSON type":
        made = {name: pa.ExtensionArray.from_storage(pa.json_(), array) for name, array in made.items()}
    return good_columns(len(rows), 0) | made


def source_of(case, folder):
    if case.way == "records":
        return source_from_records([order_in_python(*row, i) for i, row in enumerate(case.rows(0))])
    start, tables = 0, []
    for file in range(case.files):
        make = nested if case.way in ("columns", "MAP") else flat
        columns = json_columns(case) if case.way.startswith("JSON") else make(case, file, start)
        tables.append(pa.Table.from_arrays(list(columns.values()), list(columns)))
        start += len(tables[-1])
    if case.lines:
        tables = [pa.concat_tables([table, table]) for table in tables]
    if case.in_memory and case.files == 1:
        return TableSource("the table", tables[0])
    for i, table in enumerate(tables):
        try:
            pq.write_table(table, folder / f"{i}.parquet")
        except pa.ArrowInvalid:
            # seconds that Parquet's milliseconds cannot hold: no such file can exist
            reject()
    return ParquetSource.open(str(folder))


@functools.cache
def is_storable(type_: pa.DataType) -> bool:
    """Whether Parquet has a type for `type_`, and pyarrow writes parts of such an array."""
    if pa.types.is_string_view(type_) or pa.types.is_binary_view(type_):
        return False
    try:
        nested = pa.list_(pa.struct([("c", type_)]))
        pq.write_table(pa.table({"c": pa.nulls(2, type_), "d": pa.nulls(2, nested)}).slice(1), io.BytesIO())
    except (pa.ArrowException, OSError):
        return False
    return True


def settings_of(case):
    mapped = case.lines or case.way in ("mapping", "default", "map")
    return OrderSettings(
        timezone=case.timezone,
        mapping=mapping_of(case) if mapped else None,
        sql=sql_of(case) if case.way == "sql" else None,
    )


def refused(case, error):
    """Hold a refusal to what it must say, and return the fields that it names."""
    assert isinstance(error, ExtractError), repr(error)
    assert case.way == "sql" or not isinstance(error, SqlError), repr(error)
    reading = re.sub(r"\[[0-9]*\]", "", str(error).partition("\nThe ")[0])
    named = set()
    for i, (field, files) in enumerate(case.values.items()):
        column = field if case.way in ("columns", "MAP") else f"v{i}"
        path = field.removesuffix(".value") if field in ATTRIBUTES else field
        if re.search(rf"(?<![\w.])(?:{re.escape(path)}|{re.escape(column)})(?!\w)", reading):
            named.add(field)
            assert not must_take(case, field, files), repr(error)
    assert named, repr(error)
    return named


def examine(case, folder):
    """Hold a case to the law; return the fields that were refused, and how many values of each were sent."""
    gone, number = set(), 0
    if not case.in_memory or case.files > 1:
        gone = {f for f, files in case.values.items() if not all(is_storable(sort.type) for sort, _ in files)}
    while gone < set(case.values):
        left = case.without(gone)
        number += 1
        (inside := folder / str(number)).mkdir()
        try:
            reader = OrderReader(source_of(left, inside), settings_of(left))
        except EcdpError as error:
            gone |= refused(left, error)
            continue
        with reader:
            return gone, compare(left, *read_all(reader))
    return gone, {}


def read_all(orders):
    """Return the rows, and the orders of the bodies that would be sent."""
    before, after = envelope(Mode.ADD_OR_REPLACE, None)
    sent, rows = [], []
    for batch in orders.read():
        rows += batch.to_pylist()
        good = batch.filter(batch.column("problems").is_null())
        if len(good):
            body = b"".join([before, batching.body(good), after])
            sent += json.loads(body, parse_int=Number, parse_float=Number, parse_constant=pytest.fail)["data"]
    assert len(sent) == sum(row["problems"] is None for row in rows)
    return rows, sent


def compare(case, rows, sent):
    reading = case.reading
    assert len(rows) == len(reading)
    if case.lines:
        rows.sort(key=lambda row: int(row["order_id"].removeprefix("o-")))
        sent.sort(key=lambda order: int(order["id"].removeprefix("o-")))
    counts: dict[str, int] = {}
    orders = iter(sent)
    for row, (field, value) in zip(rows, reading, strict=True):
        if type(value) is int and meets_fractions(case.values[field]):
            value = Decimal(value)  # noqa: PLW2901
        if row["problems"] is None:
            arrived(case, field, value, next(orders))
            counts[field] = counts.get(field, 0) + 1
        else:
            invalid(case, field, value, row["problems"])
    return counts


def meets_fractions(files):
    """Whether whole numbers become decimals or doubles, which have more zeros, because a file has them."""
    return any(sort in DECIMALS or sort in FLOATING for sort, _ in files)


def at(order, path):
    """Return what stands at a path; None where nothing does."""
    for part in path.split("."):
        order = next(iter(order), None) if isinstance(order, list) else order
        order = order.get(part) if isinstance(order, dict) else None
    return order


def arrived(case, field, value, order):
    kind, required, _ = FIELDS[field]
    sent = at(order, field)
    for expected in expected_values(case, field, value):
        if is_absent(expected, optional=not required) or is_missing(case, expected):
            if sent is None:
                return
        elif sent is not None and says(kind, expected, sent):
            return
    pytest.fail(f"{field}: {value!r} arrived as {sent!r}")


def expected_values(case, field, value) -> Iterator[Any]:
    """Yield what may be said for `value`: a mapping may change it."""
    default = FIELDS[field][2]
    if case.way == "default" and is_absent(value, optional=not FIELDS[field][1]):
        yield default
        if type(default) is int and meets_fractions(case.values[field]):
            yield Decimal(default)
    elif case.mapped and is_absent(value, optional=not FIELDS[field][1]):
        yield None
    elif case.mapped and isinstance(value, Decimal) and sees_another_text(case, value):
        yield from (default, value)
    elif case.mapped and pattern(case, field).lower() in {t.lower() for t in texts(value, single=True)}:
        yield default
    elif case.mapped and isinstance(value, float):
        yield from (default, value)
    elif case.mapped and isinstance(value, bytes):
        # a map makes text of them
        yield from {value, *texts(value, single=True)}
    elif case.way == "sql":
        yield from seen_by_sql(case, field, value)
    else:
        yield value


def seen_by_sql(case, field, value):
    types = [sort.type for sort, _ in case.values[field]]
    if any(map(wide, types)):
        # decimals of too many digits for the engine are text
        return value, format(value, "f") if isinstance(value, Decimal) else value
    if isinstance(value, Json):
        return (value.text,)
    if isinstance(value, Other) and any(isinstance(type_, pa.BaseExtensionType) for type_ in types):
        # an extension type that the engine does not know is what it stores
        return (value, *([value.value] if isinstance(value.value, int) else []))
    return (value,)


def sees_another_text(case, value):
    """Whether a map may see another text than the law: of a float, or of a decimal with zeros from other files."""
    return isinstance(value, float) or (isinstance(value, Decimal) and case.files > 1)


def is_nan(value):
    return value.is_nan() if isinstance(value, Decimal) else math.isnan(value)


def is_missing(case, value):
    """Whether `value` is one that libraries of Python have in place of None."""
    return case.way == "records" and isinstance(value, float | Decimal) and is_nan(value)


def invalid(case, field, value, problems):
    for problem in problems:
        reading = re.sub(r"\[[0-9]+\]", "", problem["field"])
        assert reading == field or (case.way.startswith("JSON") and reading == field.partition(".")[0]), (
            field,
            problems,
        )
    kind, required, _ = FIELDS[field]
    for expected in expected_values(case, field, value):
        if is_absent(expected, optional=not required) and not (case.way == "records" and isinstance(expected, bytes)):
            assert required, f"{field}: {value!r} is absent, and told as {problems}"
        else:
            refused_in_python = case.way == "records" and isinstance(expected, bytes)
            either = case.mapped and sees_another_text(case, value)
            assert refused_in_python or either or not must_send(field, kind, expected), (
                f"{field}: {value!r} is good, and told as {problems}"
            )


def must_send(field, kind, value):
    """Whether `value` breaks no rule; of the kinds of which that is plain."""
    if isinstance(value, Json):
        return False
    if kind in ("text", "value"):
        low, high = LENGTHS.get(field, (0, 10**6))
        return any(
            low <= len(t) <= high and BROKEN not in t and not (low and is_blank(t))
            for t in texts(value, single=kind == "value")
        )
    number = value if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None
    if number is None or not (number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)):
        return False
    return kind == "number" or (kind == "integer" and number == int(number) and -(2**31) <= number < 2**31)


def must_take(case, field, files):
    """Whether the type of a single file is one of which the docs say that its field takes it."""
    if len(files) > 1 or case.way == "sql":
        return False
    sort = files[0][0]
    if pa.types.is_decimal(sort.type) and sort.type.scale > MOST_DIGITS[sort.type.bit_width]:
        # Arrow has no text for it
        return False
    numbers, plain = [*INTS, *DECIMALS, *FLOATING], [*INTS, *BOOLS, *BINARY]
    takers = {"text": plain, "number": numbers, "integer": numbers, "value": [*plain, *numbers, *TIMES]}
    if case.timezone:
        takers["timestamp"] = [taker for taker in TIMES if pa.types.is_timestamp(taker.type)]
    return (
        sort in TEXTUAL
        or pa.types.is_null(sort.type)
        or any(sort is taker for taker in takers.get(FIELDS[field][0], []))
    )


#: Sorts that meet in one column of several files.
MEETING = [INTS, DECIMALS, [*INTS, *DECIMALS, *FLOATING], TEXTUAL, BINARY, TIMES, SORTS]


def with_values(sorts, count=3):
    return sorts.flatmap(
        lambda sort: st.tuples(st.just(sort), st.lists(sort.values | st.none(), min_size=1, max_size=count).map(tuple))
    )


def files_of(way, count):
    if way.startswith("JSON") or way == "records":
        return st.tuples(with_values(st.just(RECORDS if way == "records" else JSON_TEXT)))
    if count == 1:
        return st.tuples(with_values(st.sampled_from(PLAIN) | st.sampled_from(SORTS)))
    return st.sampled_from(MEETING).flatmap(lambda sorts: st.tuples(*[with_values(st.sampled_from(sorts), 2)] * count))


@st.composite
def cases(draw, ways=WAYS):
    way = draw(st.sampled_from(ways))
    fields = draw(st.sampled_from(GROUPS))
    if way == "MAP":
        fields = ATTRIBUTES
    elif way.startswith("JSON"):
        fields = [field for field in FIELDS if "." in field]
    elif way == "records":
        fields = list(FIELDS)
    elif way in ("lines", "mapped lines"):
        # each row has a product there, so a required field of a product is looked at alone
        of_product = [field for field in fields if field.startswith("products.") and FIELDS[field][1]]
        fields = of_product or [field for field in fields if field != "id"] or ["date"]
    count = draw(st.sampled_from([1, 1, 2, 3]))
    nesting, in_memory = draw(st.sampled_from(list(LISTS))), draw(st.booleans())
    if nesting == "fixed_size_list" and any(f.startswith("products.") and FIELDS[f][1] for f in fields):
        nesting = "list"
    values = {field: draw(files_of(way, count)) for field in fields}
    return Case(way, values, nesting, draw(st.sampled_from(["UTC", "UTC", None])), in_memory)


@given(case=cases())
@settings(max_examples=examples(8, soak=2_000))
def test_law_a_value_arrives_as_it_is_or_is_refused_by_name(tmp_path_factory, case):
    examine(case, tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize(
    ("way", "fields"),
    [
        ("map", ["id"]),
        ("map", ["status", "products.id"]),
        ("mapped lines", ["returnsValue", "customer.crmId", "products.url"]),
    ],
)
def test_law_a_column_of_the_type_null_is_absent(tmp_path, way, fields):
    nulls = next(sort for sort in SORTS if pa.types.is_null(sort.type))
    refused_fields, _ = examine(Case(way, dict.fromkeys(fields, ((nulls, (None,)),))), tmp_path)
    assert not refused_fields


@given(sorts=st.tuples(*[with_values(st.sampled_from(SORTS), 2)] * 3))
@settings(max_examples=examples(3, soak=200))
def test_law_a_column_that_is_no_object_or_list_is_refused_by_name(sorts):
    columns = good_columns(2, 0)
    for name, (sort, values) in zip(("customer", "products", "orderAttributes"), sorts, strict=True):
        columns[name] = sort.array([*values, *values][:2])
    table = pa.Table.from_arrays(list(columns.values()), list(columns))
    try:
        reader = OrderReader(TableSource("the table", table), OrderSettings())
    except ExtractError as error:
        if not re.search("customer|products|orderAttributes", str(error)):
            raise
        return
    with reader:
        rows, _ = read_all(reader)
    # NULL is missing, text may be JSON of another shape
    assert all({p["field"].partition(".")[0] for p in row["problems"]} <= set(columns) for row in rows)
