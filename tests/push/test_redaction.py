"""A server that gives a customer back, in whatever spelling: no reason, log line, exception or ledger row has it."""

from __future__ import annotations

import html
import json
import logging
import re
import unicodedata
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.redaction import SentValues, redact
from airflow_provider_ecdp.errors import PushError
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.push.run import push
from airflow_provider_ecdp.push.sent_values import sent_values
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.results.report import MaxFailed

SPELLINGS = {
    "same": str,
    "upper": str.upper,
    "lower": str.lower,
    "title": str.title,
    "composed": lambda text: unicodedata.normalize("NFC", text),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "quoted": lambda text: quote(text, safe=""),
    "quoted as a form": quote_plus,
    "each byte quoted": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "html": html.escape,
    "html numbers": lambda text: "".join(f"&#{ord(c)};" if not c.isalnum() else c for c in text),
    "html hexadecimal": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "json": lambda text: json.dumps(text)[1:-1],
    "json escapes": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "bytes of a program": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    # not within what could be an escape in the value itself
    "broken lines": lambda text: re.sub(r"(\w{6})(?=\w)", "\\1\r\n ", text),
}
PHONE_SPELLINGS = {
    "same": str,
    "digits": lambda text: "".join(filter(str.isdigit, text)),
    "plus": lambda text: "+" + "".join(filter(str.isdigit, text)),
    "double zero": lambda text: "00" + "".join(filter(str.isdigit, text)),
    "blanks": lambda text: " ".join(filter(str.isdigit, text)),
    "national": lambda text: "".join(filter(str.isdigit, text))[2:],
    "national in a country with a trunk prefix": lambda text: "0" + "".join(filter(str.isdigit, text))[2:],
    "dots": lambda text: ".".join(filter(str.isdigit, text)),
    "dashes": lambda text: "-".join(filter(str.isdigit, text)),
    "commas": lambda text: ",".join(filter(str.isdigit, text)),
    "underscores": lambda text: "_".join(filter(str.isdigit, text)),
    "other digits": lambda text: "".join(chr(0x660 + int(c)) if c.isdecimal() else c for c in text),
    "quoted": lambda text: quote(text, safe=""),
}

letters = st.sampled_from("abcdefghijkłmnopqrstuvwxyzåéñöß\u0131żд漢")
# none is a word of a report, such as "second"
names = st.text(letters | st.sampled_from("0123456789"), min_size=4, max_size=18).map("q7{}".format)
emails = st.builds("{}.{}@{}.example".format, names, st.sampled_from(["o'neil", "x+shop", "a&b", "100%41"]), names)
phones = st.builds("{}48 {} 100-{}".format, st.sampled_from(["+", ""]), st.integers(100, 999), st.integers(100, 999))
crm_ids = st.builds("{}{}{}".format, names, st.sampled_from(["-", "/", " ", '"', "\\", "<", "&", "%20"]), names)
customers = st.fixed_dictionaries({"email": emails, "phone": phones, "crmId": crm_ids})
frames = st.sampled_from(
    ["'{}' is taken", "data[1].customer: {}", "<{}>", "x{}x of order ORD-000002", "{}", 'a "{}"; b']
)


@st.composite
def echoes(draw):
    """A customer, and the words of a server about it."""
    customer = draw(customers)
    name = draw(st.sampled_from(sorted(customer)))
    spelling = draw(st.sampled_from(sorted((PHONE_SPELLINGS if name == "phone" else SPELLINGS).items(), key=str)))[1]
    again = SPELLINGS[draw(st.sampled_from(["same", "quoted", "html", "json"]))]
    return customer, draw(frames).format(again(spelling(customer[name])))


def secrets_of(customer):
    """Pieces that are in no message of ours: what stands between the signs of a value."""
    digits = "".join(filter(str.isdigit, customer["phone"]))
    local, _, domain = customer["email"].partition("@")
    return {customer["email"], customer["crmId"], local.split(".")[0], domain.split(".")[0], digits, digits[2:]}


def sent(customer):
    order = {"id": "ORD-000001", "customer": customer}
    text = json.dumps(order, ensure_ascii=False, separators=(",", ":"))
    return sent_values(pa.RecordBatch.from_pydict({"order_id": ["ORD-000001"], "json": [text + ","]}))


@given(echoes())
@settings(max_examples=examples(400))
def test_no_spelling_of_a_customer_is_left(echo):
    customer, answer = echo
    left = redact(answer, values=sent(customer))
    folded = unicodedata.normalize("NFKD", left).casefold()
    for secret in secrets_of(customer):
        assert unicodedata.normalize("NFKD", secret).casefold() not in folded
    assert "[redacted]" in left


def test_ids_and_positions_stay():
    values = SentValues(
        frozenset({"ORD-17", "12345", "17", "4711"}), frozenset({"shopper"}), frozenset({"ORD-17", "X-4711"})
    )
    for text in ("Order 'ORD-17' at data[12345] is refused", "index 12345, products[17].id", "17 of 20", "X-4711: no"):
        assert redact(text, values=values) == text
    assert redact("'17' of 4711 and 12345, shopper", values=values) == (
        "'[redacted]' of [redacted] and [redacted], [redacted]"
    )


def test_a_value_that_a_cut_would_halve_is_not_shown_by_half():
    values = SentValues(frozenset({"Customer of Warsaw 12"}))
    assert "Customer" not in redact("x" * 285 + " Customer of Warsaw 12", values=values)


def test_the_values_are_those_of_the_batch_and_of_no_other_text():
    customer = {"email": 'a"b{c}@example.com', "crmId": "back\\slash"}
    order = {
        "id": "A",
        "customer": customer,
        "products": [{"name": '"customer":{"email":"of@a.product"}', "productAttributes": [{"name": "customer"}]}],
    }
    with OrderReader(
        source_from_records(
            [
                order
                | {"date": "2026-11-22T10:00:00Z", "totalValue": 1}
                | {"products": [order["products"][0] | {"id": "P", "price": 1, "quantity": 1}]}
            ]
        )
    ) as orders:
        (batch,) = orders.read()
        values = sent_values(batch)
    assert values.personal == set(customer.values())
    assert values.ids == {"A"}


@given(
    customer=customers,
    spellings=st.tuples(st.sampled_from(sorted(SPELLINGS)), st.sampled_from(sorted(PHONE_SPELLINGS))),
)
@settings(max_examples=examples(8, soak=500), suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("status", [400, 500])
def test_nothing_that_a_run_leaves_holds_a_customer(
    foreign, hasty, tmp_path_factory, caplog, status, customer, spellings
):
    text, number = SPELLINGS[spellings[0]], PHONE_SPELLINGS[spellings[1]]
    echo = [f"'{text(customer[name])}' is refused" for name in ("email", "crmId")] + [
        f"phone {number(customer['phone'])}"
    ]
    foreign.refuse = lambda _orders, _mode: (status, {"title": " ".join(echo), "status": status, "errors": echo}, {})
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    folder = tmp_path_factory.mktemp("ledger")
    records = [
        {
            "id": "ORD-000001",
            "date": "2026-11-22T10:00:00Z",
            "totalValue": 1,
            "customer": customer,
            "products": [{"id": "P1", "name": "Cup", "price": 1, "quantity": 1}],
        }
    ]
    with OrderReader(source_from_records(records)) as orders:
        report = push(orders, hasty, PushSettings(mode=Mode.ADD_OR_REPLACE), prior_runs=PriorRuns(Ledger(str(folder))))
    with pytest.raises(PushError) as raised:
        report.raise_for_failures(MaxFailed())
    rows = Ledger(str(folder)).rows(["order_id", "reason"]).read_all().to_pylist()
    left = "\n".join([str(report), str(raised.value), repr(raised.value), str(rows), caplog.text])
    folded = unicodedata.normalize("NFKD", left).casefold()
    assert report.summary["total"] == len(rows) == 1
    assert "ORD-000001" in left
    for secret in secrets_of(customer):
        assert unicodedata.normalize("NFKD", secret).casefold() not in folded
