from __future__ import annotations

import json

import pytest

from airflow_provider_ecdp.push.readback import same_order

SENT = {
    "id": "A",
    "date": "2026-11-22T10:00:00.000Z",
    "totalValue": 12.50,
    "status": "Canceled",
    "customer": {"email": "Jo@Example.com"},
    "products": [{"id": "P", "name": "Cup  of tea", "price": 1.1, "quantity": 2}],
}


def changed(**changes):
    return SENT | changes


@pytest.mark.parametrize(
    "stored",
    [
        SENT,
        changed(date="2026-11-22T11:00:00+01:00"),
        changed(date="2026-11-22T10:00:00"),
        changed(totalValue=12.5000),
        changed(status="canceled"),
        changed(customer={"id": 7, "email": "jo@example.com", "phone": None}),
        changed(products=[{"id": "P", "name": "cup of tea", "price": 1.1, "quantity": 2.0, "returned": 0}]),
        changed(websiteId=3),
    ],
)
def test_another_form_of_one_order_is_the_same(stored):
    assert same_order(json.dumps(SENT), stored)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        changed(id="B"),
        changed(date="2026-11-22T10:00:01.000Z"),
        changed(totalValue=12.51),
        changed(totalValue=None),
        changed(customer={"email": "joe@example.com"}),
        changed(customer=None),
        changed(products=[]),
        changed(products=SENT["products"] * 2),
        changed(products=[SENT["products"][0] | {"quantity": 3}]),
        changed(status="paid"),
    ],
)
def test_another_order_is_not(stored):
    assert not same_order(json.dumps(SENT), stored)


def test_an_empty_list_may_come_back_as_nothing():
    assert same_order(json.dumps(SENT | {"products": []}), changed(products=None))
