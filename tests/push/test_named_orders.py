from __future__ import annotations

import pytest

from airflow_provider_ecdp.push.named_orders import named_orders

IDS = ["ORD-1", "ORD-12", "A/3 b", "77", "5551234"]


@pytest.mark.parametrize(
    ("detail", "named"),
    [
        ("data[2].currency: must have 3 characters", {2}),
        ("$.data[2]", {2}),
        ("Data[0].Products[4].Name is required", {0}),
        ("/data/3/products/1", {3}),
        ("body -> data -> 4 -> id", {4}),
        ("[1].date is invalid", {1}),
        ("error at index 3", {3}),
        ("index: 0 is refused", {0}),
        ("Order 'ORD-1' is a duplicate", {0}),
        ("ORD-12 is a duplicate", {1}),
        ('order "77" is closed', {3}),
        ("order A/3 b is closed", {2}),
        ("orders ORD-1, ORD-12 and 5551234", {0, 1, 4}),
        ("the limit is 77 orders", set()),
        ("XORD-1 and ORD-123", set()),
        ("data[99] is out of range", set()),
        ("products[2].name is too long", set()),
        ("something is wrong", set()),
        ("", set()),
    ],
)
def test_wordings_of_servers_are_read(detail, named):
    assert named_orders([detail], IDS) == named


def test_all_details_count():
    assert named_orders(["data[0] is bad", "'77' is bad", "data[0].id too"], IDS) == {0, 3}


def test_no_details_name_nobody():
    assert named_orders([], IDS) == set()
