"""Mode Add after lost answers, from a server that writes orders in its own way: each spelling, and each difference."""

from __future__ import annotations

import html
import unicodedata
from decimal import Decimal

import pytest

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.push.run import PushSettings, push


def renamed(value, spell):
    if isinstance(value, dict):
        return {spell(name): renamed(member, spell) for name, member in value.items()}
    return [renamed(element, spell) for element in value] if isinstance(value, list) else value


def of_text(value, change):
    if isinstance(value, dict):
        return {name: of_text(member, change) for name, member in value.items()}
    if isinstance(value, list):
        return [of_text(element, change) for element in value]
    return change(value) if isinstance(value, str) else value


def numbers_as_text(value):
    if isinstance(value, dict):
        return {name: numbers_as_text(member) for name, member in value.items()}
    if isinstance(value, list):
        return [numbers_as_text(element) for element in value]
    return str(value) if isinstance(value, int | float | Decimal) else value


def with_lines(order, change):
    return order | {"products": [line | change(line) for line in order["products"]]}


def without(order, name):
    return {member: value for member, value in order.items() if member != name}


#: The same order, as a store may write it.
SPELLINGS = {
    "as sent": lambda o: o,
    "numbers as text": numbers_as_text,
    "amounts of two digits": lambda o: with_lines(o, lambda line: {"price": round(float(line["price"]), 2)}),
    "a date without milliseconds": lambda o: o | {"date": o["date"].replace(".250Z", "Z")},
    "a date in another zone": lambda o: o | {"date": "2026-11-22T11:00:00.250+01:00"},
    "a phone without plus": lambda o: o | {"customer": o["customer"] | {"phone": o["customer"]["phone"].strip("+")}},
    "a phone with spaces": lambda o: o | {"customer": o["customer"] | {"phone": "+48 600 100 200"}},
    "decomposed Unicode": lambda o: of_text(o, lambda text: unicodedata.normalize("NFD", text)),
    "escaped HTML": lambda o: with_lines(o, lambda line: {"name": html.escape(line["name"])}),
    "names in capitals": lambda o: renamed(o, lambda name: name[0].upper() + name[1:]),
    "names with underscores": lambda o: renamed(
        o, lambda name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    ),
    "no returns": lambda o: without(with_lines(o, lambda _: {"returned": None}), "returnsValue"),
    "attributes as members": lambda o: o | {"orderAttributes": {a["name"]: a["value"] for a in o["orderAttributes"]}},
    "an id as a number": lambda o: o | {"id": int(o["id"])},
    "an IANA zone": lambda o: o | {"timeZone": "Europe/Warsaw"},
    "lists in another order": lambda o: (
        o | {"products": o["products"][::-1], "orderAttributes": o["orderAttributes"][::-1]}
    ),
    "a status in other case": lambda o: o | {"status": "paid"},
    "a customer by id": lambda o: o | {"customer": {"id": 4711}},
    "further members": lambda o: o | {"createdAt": "2026-11-23T00:00:00Z", "customer": {"id": 7} | o["customer"]},
}

#: Another order under its id.
DIFFERENCES = {
    "another total": lambda o: o | {"totalValue": 24.68},
    "another second": lambda o: o | {"date": "2026-11-22T10:00:01.250Z"},
    "another customer": lambda o: o | {"customer": {"email": "other@example.com", "phone": "+48600100200"}},
    "another zone": lambda o: o | {"timeZone": "Pacific Standard Time"},
    "a line less": lambda o: o | {"products": o["products"][:1]},
    "another quantity": lambda o: with_lines(o, lambda line: {"quantity": line["quantity"] + 1}),
    "another attribute": lambda o: o | {"orderAttributes": o["orderAttributes"][:1] * 2},
    "no products": lambda o: o | {"products": None},
    "a total of zero": lambda o: o | {"totalValue": 0},
    "deleted": lambda o: o | {"isDeleted": True},
    "another status": lambda o: o | {"status": "Canceled"},
}


def orders(count):
    return source_from_records(
        [
            {
                "id": f"{n:05d}",
                "date": "2026-11-22T10:00:00.250Z",
                "timeZone": "Europe/Warsaw",
                "status": "Paid",
                "totalValue": Decimal("24.67"),
                "returnsValue": Decimal(0),
                "customer": {"email": "zoe@example.com", "phone": "+48600100200"},
                "products": [
                    {
                        "id": "P1",
                        "name": "Żółty kubek & spodek",
                        "price": Decimal("12.335"),
                        "quantity": 1,
                        "returned": 0,
                    },
                    {"id": "P2", "name": "Łyżka", "price": Decimal("6.17"), "quantity": 2},
                ],
                "orderAttributes": [{"name": "Channel", "value": "Web"}, {"name": "Weight", "value": "1.50"}],
            }
            for n in range(1, count + 1)
        ]
    )


@pytest.fixture
def pushed(foreign):
    """Push an order for each way to write it, in mode Add; every first answer is lost after storing."""

    def run(ways, **settings):
        by_id = {f"{n:05d}": way for n, way in enumerate(ways.values(), 1)}
        foreign.reset_after_storing = lambda _: True

        def answer(order_id):
            stored = foreign.stored.get(order_id)
            return stored and (200, {"status": 0, "data": by_id[order_id](stored)}, {})

        foreign.answer_get = foreign.answer_get if settings.pop("own_get", False) else answer
        policy = RetryPolicy(base_delay=0.001, max_delay=0.002)
        with (
            EcdpClient("foreign-key", ClientSettings(base_url=foreign.url), policy=policy) as client,
            OrderReader(orders(len(ways))) as reader,
        ):
            report = push(reader, client, PushSettings(mode=Mode.ADD, **settings))
        outcomes = {r["order_id"]: r for r in report.results}
        return {name: outcomes[order_id] for order_id, name in zip(by_id, ways, strict=True)}

    return run


def test_an_order_that_a_store_writes_in_its_own_way_is_accepted(foreign, pushed):
    results = pushed(SPELLINGS)

    assert {name: result["outcome"] for name, result in results.items()} == dict.fromkeys(SPELLINGS, "accepted")
    assert foreign.writes.total() == len(SPELLINGS)


def test_an_order_that_differs_where_this_runs_own_answer_was_lost_is_unresolved(foreign, pushed):
    results = pushed(DIFFERENCES)

    assert {name: result["outcome"] for name, result in results.items()} == dict.fromkeys(DIFFERENCES, "unresolved")
    assert foreign.writes.total() == len(DIFFERENCES)


@pytest.mark.parametrize(("reads", "outcome"), [(0, "accepted"), (1, "accepted"), (3, "accepted"), (99, "unresolved")])
def test_a_read_back_that_lags_is_waited_for_and_nobody_is_rejected(foreign, pushed, reads, outcome):
    gone = (404, {"title": "Not found", "status": 404, "substatus": "NotFound"}, {})
    foreign.answer_get = lambda order_id: gone if foreign.gets.count(order_id) <= reads else None

    results = pushed({"as sent": lambda o: o}, own_get=True)

    assert results["as sent"]["outcome"] == outcome
    assert foreign.writes == {"00001": 1}
