"""The orders that every warehouse of the tests holds, as its tables have them and as they are to arrive.

They are what goes wrong on the way: an id above 2^53, an hour that a local clock shows twice, a day that is another one
in UTC, microseconds, amounts that no double holds as they are written, letters beyond ASCII, values that are absent.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

#: The day of the run, and of the folder in which its files are.
DAY = "2026-11-23"

_WHEN = dt.datetime.fromisoformat

#: The rows of the table `orders`.
ORDERS = [
    {
        "order_id": 9007199254740993,
        "ordered_at": _WHEN("2026-10-25T00:30:00+00:00"),
        "status": "new",
        "currency": "PLN",
        "customer_no": 17,
        "email": "zofia@example.com",
        "phone": "+48 600 000 001",
        "channel": "web",
    },
    {
        "order_id": 1002,
        "ordered_at": _WHEN("2026-07-01T08:15:30.123456+00:00"),
        "status": None,
        "currency": "EUR",
        "customer_no": 9007199254740995,
        "email": None,
        "phone": None,
        "channel": None,
    },
    {
        "order_id": 1003,
        "ordered_at": _WHEN("2025-12-31T23:30:00+00:00"),
        "status": "shipped",
        "currency": "PLN",
        "customer_no": None,
        "email": "jan@example.com",
        "phone": None,
        "channel": "żółty sklep",
    },
]


def _line(order_id, line_no, sku, title, unit_price, quantity, category):
    return {
        "order_id": order_id,
        "line_no": line_no,
        "sku": sku,
        "title": title,
        "unit_price": Decimal(unit_price),
        "quantity": quantity,
        "category": category,
    }


#: The rows of the table `order_lines`; neither by `sku` nor as they stand here are they in the order of `line_no`.
LINES = [
    _line(1003, 2, "BAG", "Torba", "5.00", 4, None),
    _line(9007199254740993, 1, "MUG-1", "Kubek „Żółw”, 0,3 l", "19.90", 3, "Kubki"),
    _line(1002, 1, "PEN", 'Długopis "Ołów"', "99999999.99", 2, "Biuro"),
    _line(1003, 1, "MUG-1", "Kubek „Żółw”, 0,3 l", "19.90", 1, "Kubki"),
    _line(9007199254740993, 2, "HERB", "Herbata", "0.10", 3, None),
]


def joined():
    """The rows of both tables, joined: one for each line."""
    by_id = {order["order_id"]: order for order in ORDERS}
    return [by_id[line["order_id"]] | line for line in LINES]


def total(order_id):
    """What the lines of an order come to."""
    return sum(line["unit_price"] * line["quantity"] for line in lines_of(order_id))


def lines_of(order_id):
    """The lines of an order, sorted."""
    return sorted((line for line in LINES if line["order_id"] == order_id), key=lambda line: line["line_no"])


def expected(places):
    """The orders as they are to be sent, by id; numbers are the texts that stand in the JSON.

    :param places: digits after the point that the warehouse gives amounts
    """

    def amount(value):
        return f"{value:.{places}f}"

    def product(sku, name, price, quantity, category=None):
        found = {"id": sku, "name": name, "price": amount(Decimal(price)), "quantity": quantity}
        return found | ({"category": category} if category else {})

    mug = ("MUG-1", "Kubek „Żółw”, 0,3 l", "19.90")
    return {
        "9007199254740993": {
            "id": "9007199254740993",
            "date": "2026-10-25T00:30:00.000Z",
            "status": "Placed",
            "currency": "PLN",
            "totalValue": amount(Decimal("60.00")),
            "customer": {"email": "zofia@example.com", "phone": "+48 600 000 001", "crmId": "17"},
            "products": [product(*mug, "3", "Kubki"), product("HERB", "Herbata", "0.10", "3")],
            "orderAttributes": [{"name": "Channel", "value": "web"}],
        },
        "1002": {
            "id": "1002",
            "date": "2026-07-01T08:15:30.123Z",
            "currency": "EUR",
            "totalValue": amount(Decimal("199999999.98")),
            "customer": {"crmId": "9007199254740995"},
            "products": [product("PEN", 'Długopis "Ołów"', "99999999.99", "2", "Biuro")],
        },
        "1003": {
            "id": "1003",
            "date": "2025-12-31T23:30:00.000Z",
            "status": "Completed",
            "currency": "PLN",
            "totalValue": amount(Decimal("39.90")),
            "customer": {"email": "jan@example.com"},
            "products": [product(*mug, "1", "Kubki"), product("BAG", "Torba", "5.00", "4")],
            "orderAttributes": [{"name": "Channel", "value": "żółty sklep"}],
        },
    }
