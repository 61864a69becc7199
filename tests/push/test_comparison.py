from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.push.comparison import is_deleted, same_order

SENT = {
    "id": "00123",
    "date": "2026-11-22T10:00:00.250Z",
    "timeZone": "Central European Standard Time",
    "websiteId": 7,
    "status": "Canceled",
    "totalValue": 12.345,
    "customer": {"email": "Jo@Example.com", "phone": "+48 600100200"},
    "products": [{"id": "P", "name": "Zażółć & Co  tea", "price": 1.1, "quantity": 2}],
    "orderAttributes": [{"name": "Weight", "value": "1.50"}],
}


def changed(**changes):
    return SENT | changes


def line(**changes):
    return changed(products=[SENT["products"][0] | changes])


@pytest.mark.parametrize(
    "stored",
    [
        SENT,
        changed(date="2026-11-22T11:00:00.250+01:00"),
        changed(date="2026-11-22T11:00:00.25+0100"),
        changed(date="2026-11-22T10:00:00.2500000"),
        changed(date="2026-11-22T10:00:00Z"),
        changed(date="2026-11-22 10:00:00"),
        changed(timeZone="Europe/Warsaw"),
        changed(timeZone="central european standard time"),
        changed(websiteId="7"),
        changed(status="canceled"),
        changed(status="cancelled"),
        changed(id=123),
        changed(totalValue="12.345"),
        changed(totalValue="12.3450"),
        changed(totalValue=12.35),
        changed(totalValue=12.34),
        changed(totalValue="1.2345E1"),
        changed(customer={"id": 7, "email": "jo@example.com", "phone": "48600100200"}),
        changed(customer={"Id": 7, "Email": "jo@example.com", "Phone": "0048600100200", "crmId": None}),
        changed(customer={"id": 7}),
        changed(customer={"id": 7, "email": None, "phone": None}),
        changed(customer=None, customerId=7),
        line(name="zażółć & co tea"),
        line(name="Zaz\u0307o\u0301łc\u0301 & Co tea"),
        line(name="Zażółć &amp; Co tea"),
        line(quantity=2.0, returned=0),
        line(price="1.10"),
        changed(orderAttributes=[{"Name": "weight", "Value": 1.5}]),
        changed(orderAttributes={"weight": 1.5}),
        {name[0].upper() + name[1:]: value for name, value in SENT.items()},
        {"time_zone" if name == "timeZone" else name: value for name, value in SENT.items()},
    ],
)
def test_another_spelling_of_one_order_is_the_same(stored):
    assert same_order(json.dumps(SENT), stored)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        changed(id="B"),
        changed(id=124),
        changed(date="2026-11-22T10:00:01.000Z"),
        changed(date="2026-11-22T10:00:01.250Z"),
        changed(date="yesterday"),
        changed(timeZone="Pacific Standard Time"),
        changed(websiteId=8),
        changed(websiteId=True),
        changed(totalValue=12.36),
        changed(totalValue=12.3),
        changed(totalValue="much"),
        changed(totalValue=None),
        changed(customer={"id": 7, "email": "joe@example.com", "phone": "48600100200"}),
        changed(customer={"email": "jo@example.com", "phone": "600100201"}),
        changed(customer={}),
        changed(customer=None),
        changed(customer="jo@example.com"),
        changed(products=[]),
        changed(products=None),
        changed(products=["P"]),
        changed(products=SENT["products"] * 2),
        line(quantity=3),
        line(name="Zazolc & Co tea"),
        changed(orderAttributes=[{"name": "Weight", "value": "1.51"}]),
        changed(status="paid"),
        changed(orderAttributes={"Weight": "1.50", "Height": "2"}),
    ],
)
def test_another_order_is_not(stored):
    assert not same_order(json.dumps(SENT), stored)


def test_an_empty_list_or_text_may_come_back_as_nothing():
    assert same_order(json.dumps(SENT | {"products": [], "currency": ""}), changed(products=None))


def test_a_zero_of_returns_may_come_back_as_nothing():
    sent = line(returned=0) | {"returnsValue": 0.00}
    assert same_order(json.dumps(sent), SENT | {"returnsValue": None})
    assert not same_order(json.dumps(sent | {"returnsValue": 0.01}), SENT)
    assert not same_order(json.dumps(SENT | {"totalValue": 0}), changed(totalValue=None))


@pytest.mark.parametrize(
    ("stored", "deleted"),
    [
        (SENT, False),
        (changed(isDeleted=False), False),
        (changed(isDeleted=None), False),
        (changed(isDeleted=True), True),
        (changed(IsDeleted="true"), True),
        (changed(status="IsDeleted"), True),
        (changed(status="Deleted"), True),
    ],
)
def test_a_deleted_order_is_recognised_by_its_member_or_its_status(stored, deleted):
    assert is_deleted(stored) is deleted


def cup(price):
    return {"id": "P", "name": "Cup", "price": price, "quantity": 1}


def test_a_store_of_whole_seconds_may_round():
    late = SENT | {"date": "2026-11-22T10:00:00.500Z"}
    assert same_order(json.dumps(late), changed(date="2026-11-22T10:00:01Z"))


def test_lines_are_matched_and_not_taken_by_the_first_that_fits():
    # 0.996 comes back as 1.00, which 1.00 and 1.004 fit as well
    sent = changed(products=[cup(1.004), cup(1.0), cup(0.996)])
    assert same_order(json.dumps(sent), changed(products=[cup(1.0), cup(1.0), cup(1.004)]))
    assert not same_order(json.dumps(sent), changed(products=[cup(1.004), cup(1.004), cup(1.0)]))


@settings(max_examples=examples(100))
@given(st.lists(st.sampled_from([1.0, 1.004, 0.996, 1.01, 1.014]), max_size=8), st.randoms(use_true_random=False))
def test_any_rounded_and_shuffled_lines_are_the_same(prices, dice):
    stored = [cup(round(price, 2) if dice.random() < 0.5 else price) for price in prices]
    dice.shuffle(stored)
    assert same_order(json.dumps(changed(products=[cup(p) for p in prices])), changed(products=stored))


def test_ten_thousand_shuffled_lines_are_compared_by_their_ids():
    # each with each would be a hundred million comparisons
    lines = [{"id": f"P{n}", "name": "Cup", "price": n / 100, "quantity": 1} for n in range(10_000)]
    stored = random.Random(7).sample(lines, len(lines))
    assert same_order(json.dumps(changed(products=lines)), changed(products=stored))
