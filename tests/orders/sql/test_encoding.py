"""Checks and JSON of the query against a second implementation of both, in plain Python, and against the sandbox's."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from laws import examples
from pydantic import TypeAdapter, ValidationError

from airflow_provider_ecdp.orders.contract import BLANK_TEXT, PLACEHOLDERS
from airflow_provider_ecdp.sandbox import models

SANDBOX = TypeAdapter(models.Order)
INT32 = range(-(2**31), 2**31)
ZONES = {
    "Europe/Warsaw": "Central European Standard Time",
    "EUROPE/warsaw": "Central European Standard Time",
    "Pacific Standard Time": "Pacific Standard Time",
    "utc": "UTC",
    "GMT": "GMT",
    "America/New_York": "Eastern Standard Time",
}
STATUSES = {
    "placed": "Placed",
    "paid": "Paid",
    "completed": "Completed",
    "canceled": "Canceled",
    "cancelled": "Canceled",
}
WHOLE = "a whole number from -2147483648 to 2147483647"


class Reference:
    """What the contract makes of one order: problems, warnings, and what is to be sent."""

    def __init__(self, order):
        self.problems: list[tuple[str, str]] = []
        self.warnings: list[tuple[str, str]] = []
        self.sent = {
            "id": self.text("id", order["id"], low=1, high=128, required=True),
            "date": self.date(order["date"]),
            "timeZone": self.zone(order["timeZone"]),
            "websiteId": self.integer("websiteId", order["websiteId"]),
            "status": self.status(order["status"]),
            "currency": self.currency(order["currency"]),
            "totalValue": self.number("totalValue", order["totalValue"], required=True),
            "returnsValue": self.double("returnsValue", order["returnsValue"]),
            "customer": self.customer(order["customer"]),
            "products": self.products(order["products"]),
            "orderAttributes": self.attributes("orderAttributes", order["orderAttributes"]),
        }
        self.total(order)
        self.of_other_pages(order)

    def of_other_pages(self, order):
        """Warnings for what the vendor says beside the page of the API."""
        blanks = re.compile("[ \u00a0]")
        if (order["totalValue"] or 0) < 0:
            self.warnings.append(("totalValue", "negative_total"))
        if -float("inf") < (order["returnsValue"] or 0) < 0:
            self.warnings.append(("returnsValue", "negative_returns"))
        if order["currency"] not in (None, "EUR") and len(order["currency"]) == 3:
            self.warnings.append(("currency", "currency_code"))
        if blanks.search(order["id"] or ""):
            self.warnings.append(("id", "id_spaces"))
        if blanks.search((order["customer"] or {}).get("phone") or ""):
            self.warnings.append(("customer.phone", "phone_spaces"))

    def add(self, path, rule):
        self.problems.append((path, rule))

    def text(self, path, value, *, low=0, high=None, required=False):
        if value is None:
            if required:
                self.add(path, "required")
            return None
        if low and is_blank(value):
            self.add(path, "at least 1 character")
        if high is not None and len(value) > high:
            self.add(path, f"at most {high} characters")
        return value

    def number(self, path, value, *, required=False):
        if value is None and required:
            self.add(path, "required")
        return None if value is None else format(value, ".4f")

    def double(self, path, value):
        if value is None or abs(value) < float("inf"):
            return value
        return self.add(path, "a finite number")

    def integer(self, path, value, *, required=False):
        if value is None and required:
            self.add(path, "required")
        if value is not None and value not in INT32:
            return self.add(path, WHOLE)
        return None if value is None else str(value)

    def date(self, value):
        if value is None:
            return self.add("date", "required")
        if value.year > 2090:
            self.warnings.append(("date", "future_date"))
        return f"{value.year:04}-{value:%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"

    def zone(self, value):
        if value is not None and value not in ZONES:
            return self.add("timeZone", "a Windows or IANA time zone")
        return ZONES.get(value)

    def status(self, value):
        if value is not None and value.lower() not in STATUSES:
            return self.add("status", "one of placed, paid, completed, canceled")
        if value is not None and value.lower() == "cancelled":
            self.warnings.append(("status", "status_spelling"))
        return None if value is None else STATUSES[value.lower()]

    def currency(self, value):
        if value is not None and len(value) != 3:
            self.add("currency", "exactly 3 characters")
        return value

    def customer(self, value):
        if value is None:
            return self.add("customer", "required")
        limits = {"email": 320, "phone": 20, "crmId": 128}
        sent = {name: self.text(f"customer.{name}", value[name], high=high) or None for name, high in limits.items()}
        if not any(sent.values()):
            self.add("customer", "needs email, phone or crmId")
        words = [name for name, text in sent.items() if text and text.lower() in PLACEHOLDERS]
        self.warnings += [(f"customer.{name}", "placeholder") for name in words]
        if sent["email"] and "@" not in sent["email"]:
            self.warnings.append(("customer.email", "email_without_at"))
        return sent

    def products(self, value):
        if value is None:
            return self.add("products", "required")
        if not value:
            self.warnings.append(("products", "no_products"))
        return [self.product(f"products[{i}]", line) for i, line in enumerate(value)]

    def product(self, path, line):
        if line is None:
            return self.add(path, "required")
        for name in ("id", "name"):
            if line[name] is not None and is_blank(line[name]):
                self.warnings.append((f"{path}.{name}", "empty_text"))
        if line["quantity"] is not None and line["quantity"] < 0 and line["quantity"] in INT32:
            self.warnings.append((f"{path}.quantity", "negative_quantity"))
        return {
            "id": self.text(f"{path}.id", line["id"], high=128, required=True),
            "name": self.text(f"{path}.name", line["name"], high=2048, required=True),
            "price": self.number(f"{path}.price", line["price"], required=True),
            "quantity": self.integer(f"{path}.quantity", line["quantity"], required=True),
            "returned": self.integer(f"{path}.returned", line["returned"]),
            **{name: self.text(f"{path}.{name}", line[name], high=2048) for name in ("url", "imageUrl", "category")},
            "productAttributes": self.attributes(f"{path}.productAttributes", line["productAttributes"]),
        }

    def attributes(self, path, value):
        if value is None:
            return None
        return [self.attribute(f"{path}[{i}]", feature) for i, feature in enumerate(value)]

    def attribute(self, path, feature):
        if feature is None:
            return self.add(path, "required")
        name = self.text(f"{path}.name", feature["name"], low=1, high=256, required=True)
        return {"name": name, "value": feature["value"]}

    def total(self, order):
        lines = [
            line["price"] * line["quantity"]
            for line in order["products"] or ()
            if line and None not in (line["price"], line["quantity"]) and line["quantity"] in INT32
        ]
        if lines and order["totalValue"] is not None and abs(order["totalValue"] - sum(lines)) > Decimal("0.01"):
            self.warnings.append(("totalValue", "total_mismatch"))


def present(value):
    """Leave out what is absent."""
    if isinstance(value, dict):
        return {name: present(inner) for name, inner in value.items() if inner is not None}
    return [present(inner) for inner in value] if isinstance(value, list) else value


#: Texts that may be absent: one without characters is.
OPTIONAL = {"timeZone", "status", "currency", "email", "phone", "crmId", "url", "imageUrl", "category", "value"}


def is_blank(value):
    return isinstance(value, str) and re.fullmatch(BLANK_TEXT, value) is not None


def without_empty(value):
    """Return an order whose optional texts without visible characters are absent."""
    if isinstance(value, dict):
        return {n: None if n in OPTIONAL and is_blank(inner) else without_empty(inner) for n, inner in value.items()}
    return [without_empty(inner) for inner in value] if isinstance(value, list) else value


# what orders are made of: the edges of every limit, characters that JSON escapes, and in dirty orders some faults

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\ufdd0")
NASTY = [
    " ",
    '"',
    "\\",
    "/",
    "\b\f\n\r\t",
    "\0",
    "\x1f\x7f\x80",
    "\u2028\u2029",
    "\ufeff",
    "😀👩‍👩‍👧",
    "</script>",
    "'';--",
    "{}",
]
CASES = st.sampled_from([str.lower, str.upper, str.capitalize])
STATUS = st.tuples(CASES, st.sampled_from(sorted(STATUSES))).map(lambda found: found[0](found[1]))
MONEY = st.integers(-10_000_000, 10_000_000).map(lambda n: Decimal(n).scaleb(-4))
DATES = st.datetimes(timezones=st.just(dt.UTC)).filter(lambda date: not 2025 < date.year < 2091)
NO_NUMBERS = st.sampled_from([float("nan"), float("inf"), float("-inf")])


def orders(*, dirty):
    """Orders without fault, or orders of which every other has some."""

    def some(strategy, *faults):
        """In dirty orders, put a fault in the place of one value in eleven."""
        return st.integers(0, 10).flatmap(lambda n: st.one_of(*faults) if n == 7 else strategy) if dirty else strategy

    def texts(most, least=1):
        edge = st.tuples(st.sampled_from("xż😀"), st.integers(most - 1, most)).map(lambda found: found[0] * found[1])
        good = st.one_of(st.text(CHARACTERS, min_size=least, max_size=10), st.sampled_from(NASTY), edge)
        if least:
            good = good.map(lambda text: f"{text}x" if is_blank(text) else text)
        return some(good, st.sampled_from(["", "\u00a0 ", "ż" * (most + 1), "😀" * (most + 20)]))

    def maybe(strategy):
        return st.none() | strategy

    def required(strategy):
        return some(strategy, st.none())

    pieces = some(
        st.one_of(st.integers(-3, 50), st.sampled_from([2**31 - 1, -(2**31)])),
        st.sampled_from([2**31, -(2**31) - 1, 2**63 - 1]),
    )
    feature = st.fixed_dictionaries({"name": required(texts(256)), "value": maybe(texts(30, least=0))})
    features = maybe(st.lists(required(feature), max_size=2))
    product = st.fixed_dictionaries(
        {
            "id": required(texts(128, least=0)),
            "name": required(texts(2048, least=0)),
            "price": required(MONEY),
            "quantity": required(pieces),
            "returned": maybe(pieces),
            "url": maybe(texts(2048, least=0)),
            "imageUrl": maybe(texts(2048, least=0)),
            "category": maybe(texts(2048, least=0)),
            "productAttributes": features,
        }
    )
    customer = st.fixed_dictionaries(
        {
            "email": some(st.just("customer@example.com"), st.none(), texts(320)),
            "phone": maybe(texts(20)),
            "crmId": maybe(texts(128)),
        }
    )
    order = st.fixed_dictionaries(
        {
            "id": required(texts(128)),
            "date": required(DATES),
            "timeZone": some(maybe(st.sampled_from(sorted(ZONES))), st.sampled_from(["", "Mars", "x" * 101])),
            "websiteId": maybe(pieces),
            "status": some(maybe(STATUS), texts(10)),
            "currency": some(maybe(st.sampled_from(["EUR", "żół", "😀😀😀"])), texts(5)),
            "totalValue": required(MONEY),
            "returnsValue": some(maybe(st.floats(allow_nan=False, allow_infinity=False)), NO_NUMBERS),
            "customer": required(customer),
            "products": required(st.lists(required(product), max_size=3)),
            "orderAttributes": features,
        }
    )
    return st.builds(_total, order, st.sampled_from([None, None, 0, 1, 100, -100, 101, -101]))


def _total(order, cents):
    """Give an order the total of its lines, but for some hundredths of a cent."""
    lines = [p for p in order["products"] or () if p and None not in (p["price"], p["quantity"])]
    exact = sum((p["price"] * p["quantity"] for p in lines), Decimal(0))
    # doubles add up larger totals less exactly than a hundredth of a cent
    if cents is None or not lines or abs(exact) >= 10**6:
        return order
    return order | {"totalValue": exact + Decimal(cents).scaleb(-4)}


def same(sent, expected):
    """Whether what was read from JSON is the value; doubles may be written in any form."""
    if isinstance(expected, dict):
        return list(sent) == list(expected) and all(same(sent[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        return len(sent) == len(expected) and all(map(same, sent, expected))
    return float(sent) == expected if isinstance(expected, float) else sent == expected


@pytest.fixture(scope="module")
def judged(read, table):
    """A few hundred orders, every other without fault, and what the query says of each; all are read together."""
    found = []

    @settings(max_examples=examples(150), phases=[Phase.generate])
    @given(orders(dirty=False), orders(dirty=True))
    def collect(clean, dirty):
        found.extend([clean, dirty])

    collect()
    return list(zip(found, read(table(*found)), strict=True))


def test_the_query_says_of_orders_what_the_contract_says(judged):
    for order, row in judged:
        reference = Reference(without_empty(order))

        assert sorted((p["field"], p["rule"]) for p in row.problems) == sorted(reference.problems)
        # names of attributes are counted over the run, and these orders have many
        warnings = [(w["field"], w["rule"].partition(":")[0]) for w in row.warnings]
        assert sorted(w for w in warnings if w[1] != "many_attributes") == sorted(reference.warnings)
        assert row.order_id == order["id"]
        assert bool(row.text) != bool(reference.problems)
        if row.text:
            assert same(row.sent, present(reference.sent)), (row.sent, present(reference.sent))


@pytest.mark.slow  # the quick tests draw too few
def test_the_orders_that_are_compared_are_of_both_sorts(judged):
    """Or the tests around this one would compare little."""
    rows = [row for _, row in judged]

    assert len(rows) >= 300
    assert all(row.text for row in rows[::2])
    assert sum(not row.text for row in rows[1::2]) > 50
    assert sum(bool(row.sent["products"]) for row in rows[::2]) > 30
    assert len({p["rule"] for row in rows for p in row.problems}) > 7


def raw_json(order):
    """Return an order as it is, as JSON: what a server would get from somebody who checks nothing."""
    date = order["date"]

    def plain(value):
        if isinstance(value, dict):
            return {name: plain(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        return float(value) if isinstance(value, Decimal) else value

    sent = date and f"{date.year:04}-{date:%m-%dT%H:%M:%S}.000Z"
    return json.dumps(plain(order | {"date": sent}))


def test_the_sandbox_takes_what_the_checks_pass(judged):
    for _, row in judged:
        if row.text:
            SANDBOX.validate_json(row.text[:-1])


def test_the_sandbox_refuses_what_the_checks_refuse(judged):
    for order, row in judged:
        if row.problems:
            with pytest.raises(ValidationError):
                SANDBOX.validate_json(raw_json(order))


def test_every_character_that_json_escapes_arrives(read, table, good):
    odd = "".join(map(chr, range(0x20))) + '"\\/\x7f\x80\u2028\u2029\ufeff\ufffe\U0010ffff😀ż'
    # a character that cannot be seen is no text alone
    texts = [*(f"x{one}" for one in odd), odd]
    attributes = [{"name": "n", "value": text} for text in texts]
    (row,) = read(table(good | {"orderAttributes": attributes}))

    assert [a["value"] for a in row.sent["orderAttributes"]] == texts
    # within the text of JSON stand no bare control characters, and nothing is escaped without need
    assert not re.search("[\x00-\x1f]", row.text)
    assert "😀ż" in row.text


def test_the_text_of_an_order_is_as_short_as_json_can_be(read, table, good):
    (row,) = read(table(good | {"websiteId": 7, "returnsValue": 0.5, "orderAttributes": []}))
    assert row.text == (
        '{"id":"A-1","date":"2026-01-02T10:30:00.000Z","websiteId":7,"totalValue":20.5000,"returnsValue":0.5,'
        '"customer":{"email":"customer@example.com"},'
        '"products":[{"id":"p-1","name":"Mug","price":10.2500,"quantity":2}],"orderAttributes":[]},'
    )


def test_fields_are_sent_in_the_order_of_the_contract_whatever_that_of_the_columns(read, table, good):
    source = table(good | {"currency": "EUR", "timeZone": "UTC"})
    turned = source.select(source.schema.names[::-1])
    assert read(turned)[0].text == read(source)[0].text


def test_a_customer_without_its_first_value_has_no_comma_before_its_second(read, table, good):
    (row,) = read(table(good | {"customer": {"email": None, "phone": "1", "crmId": "2"}}))
    assert '"customer":{"phone":"1","crmId":"2"}' in row.text


def test_the_content_hash_distinguishes_contents(read, table, good):
    rows = read(table(good, good, good | {"currency": "EUR"}, good | {"totalValue": Decimal("20.5001")}))
    assert rows[0].content_hash == rows[1].content_hash
    assert len({row.content_hash for row in rows}) == 3


def test_the_content_hash_does_not_change_between_versions(read, table, good):
    """Or the next run over an old ledger would send every order again."""
    assert read(table(good))[0].content_hash == "f12a85d0504d4c634ad0c2f6b5c0b38b"


def test_an_order_of_many_lines_is_one_text(read, table, good):
    lines = [good["products"][0] | {"id": str(i)} for i in range(5000)]
    (row,) = read(table(good | {"products": lines}))
    assert [p["id"] for p in row.sent["products"]] == [str(i) for i in range(5000)]


def test_a_table_of_no_rows_gives_none(read, table):
    assert read(table()) == []
    assert read(pa.Table.from_batches([], table().schema)) == []
