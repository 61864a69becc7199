"""An order as an example: it shows what is sent, and nobody."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.dry_run.sample_order import laid_out, masked
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.sources.records import source_from_records

NAME = st.from_regex(r"[A-Z][a-ząéö]{3,8} [A-Z][a-złñß]{3,8}", fullmatch=True)
EMAIL = st.from_regex(r"[a-z][a-z0-9._+-]{0,12}[a-z0-9]@[a-z0-9]{2,8}\.(com|pl|co\.uk)", fullmatch=True)
PHONE = st.one_of(
    st.from_regex(r"\+[1-9][0-9]{8,13}", fullmatch=True),
    st.from_regex(r"\+48 [1-9][0-9]{2} [0-9]{3} [0-9]{3}", fullmatch=True),
    st.from_regex(r"\([2-9][0-9]{2}\) [2-9][0-9]{2}-[0-9]{4}", fullmatch=True),
)
ADDRESS = st.one_of(EMAIL, PHONE)
AROUND = st.sampled_from(["{}", "for {}", "{}, please", "Mug “{}” 0,3 l", "https://shop.example.com/p?to={}"])


@st.composite
def persons(draw):
    """An order in which a person is wherever one can be, and what must not be seen of it."""
    hidden = [draw(st.one_of(NAME, st.emails(), PHONE)) for _ in range(3)]
    order = {
        "id": "O-1",
        "totalValue": 1.5,
        "customer": dict(zip(("email", "phone", "crmId"), hidden, strict=True)),
        "products": [],
        "orderAttributes": [],
    }
    for _ in range(draw(st.integers(0, 5))):
        found = [draw(ADDRESS) for _ in range(3)]
        texts = dict(zip(("id", "name", "url"), (draw(AROUND).format(one) for one in found), strict=True))
        hidden += [*found, note := draw(st.one_of(NAME, ADDRESS))]
        order["products"].append(texts | {"price": 1, "productAttributes": [{"name": "To", "value": note}]})
    for person in draw(st.lists(st.one_of(NAME, ADDRESS), max_size=3)):
        hidden.append(person)
        order["orderAttributes"].append({"name": "Deliver to", "value": f"Dear {person}"})
    return order, hidden


def texts(value):
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


@settings(max_examples=examples(60))
@given(persons())
def test_law_no_address_number_or_name_of_a_person_is_seen(order_and_hidden):
    order, hidden = order_and_hidden
    text = masked(json.dumps(order))

    for ensure_ascii in (True, False):
        assert masked(json.dumps(order, ensure_ascii=ensure_ascii)) == text
    seen = "\n".join([*texts(json.loads(text)), *laid_out(text, 10)])
    assert [one for one in hidden if one in seen] == []


@settings(max_examples=examples(60))
@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=4), st.integers(), st.text(max_size=30), st.integers(0, 4)
)
@example(total=0, count=0, name="00000000000000000000000000000000", most=1)
def test_law_numbers_keep_their_digits_and_what_is_masked_is_not_masked_again(total, count, name, most):
    text = f'{{"totalValue": {total}, "products": [{{"name": {json.dumps(name)}, "quantity": {count}}}]}}'
    shown = masked(text)

    given_, kept = (json.loads(one, parse_float=str, parse_int=str) for one in (text, shown))
    assert kept["totalValue"] == given_["totalValue"]
    assert kept["products"][0]["quantity"] == given_["products"][0]["quantity"]
    assert masked(shown) == shown
    assert f"totalValue: {total}" in list(laid_out(shown, most))


def test_what_is_nobodys_is_shown_as_it_is_sent():
    text = (
        '{"id": "O-1", "date": "2026-11-01T10:00:00.000Z", "totalValue": 12.50, '
        '"customer": {"email": "j@example.com"}, '
        '"products": [{"id": "P-1", "name": "Café Crème “Mug”, 0,3 l", "price": 12.50, "quantity": 1}], '
        '"orderAttributes": [{"name": "Gift", "value": "for Jane"}]}'
    )
    assert masked(text) == text.replace("j@example.com", "***").replace("for Jane", "***")


def test_a_text_is_cut_after_what_identifies_somebody_is_gone():
    text = json.dumps({"products": [{"name": "x" * 195 + " jane@example.com"}]})
    assert masked(text) == json.dumps({"products": [{"name": "x" * 195 + " [re…"}]}, ensure_ascii=False)


@pytest.mark.parametrize(("most", "shown"), [(1, 1), (3, 3), (9, 4)])
def test_of_a_list_the_first_elements_are_shown_and_the_others_counted(most, shown):
    order = {"id": "O-1", "products": [{"id": f"P-{n}"} for n in range(4)], "orderAttributes": []}
    lines = list(laid_out(json.dumps(order), most))

    assert lines[:2] == ['id: "O-1"', "products: 4"]
    assert lines[2 : 2 + shown] == [f'  - {{"id": "P-{n}"}}' for n in range(shown)]
    assert lines[2 + shown : -1] == ([f"  - and {4 - shown} more"] if shown < 4 else [])
    assert lines[-1] == "orderAttributes: 0"


def test_every_text_of_a_customer_that_the_package_can_send_is_masked(order):
    person = {"email": "jane@example.com", "phone": "600100200", "crmId": "Jane Doe"}
    attributes = [{"name": "Recipient", "value": "Jane Doe"}]
    full = order("O-1", customer=person, orderAttributes=attributes)
    with OrderReader(source_from_records([full])) as orders:
        [text] = [one[:-1] for batch in orders.read() for one in batch.column("json").to_pylist()]

    assert json.loads(masked(text))["customer"] == dict.fromkeys(person, "***")
    assert not re.search("jane|doe|600100200", masked(text), re.IGNORECASE)
