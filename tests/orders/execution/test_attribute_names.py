"""More names of attributes in one run than a business unit can define."""

from __future__ import annotations

import pytest

WARNING = {"rule": "many_attributes: more than 10 different attribute names of one kind in one run"}
WARNING |= {"got": "another name"}


def names(*numbers):
    return [{"name": f"n{number}", "value": "x"} for number in numbers]


@pytest.fixture
def fields(read, table, good):
    """Read orders with these attributes; return for each the fields of their warnings, or of their problems."""

    def run(*orders, kind="orderAttributes", promoted=False):
        settings = {"warnings_as_errors": frozenset({"many_attributes"})} if promoted else {}
        if kind == "orderAttributes":
            made = [good | {kind: attributes} for attributes in orders]
        else:
            [product] = good["products"]
            made = [good | {"products": [product, product | {kind: attributes}]} for attributes in orders]
        rows = read(table(*made), **settings)
        found = [(row.problems if promoted else row.warnings).count({"field": kind} | WARNING) for row in rows]
        assert [row.text == "" for row in rows] == [promoted and count > 0 for count in found]
        return found

    return run


@pytest.mark.parametrize("kind", ["orderAttributes", "productAttributes"])
def test_orders_with_a_name_beyond_the_first_ten_of_the_run_have_the_warning(fields, kind):
    orders = [names(n, n) for n in range(12)]
    assert fields(*orders, None, [], names(3), names(9, 11), kind=kind) == [*[0] * 10, 1, 1, 0, 0, 0, 1]
    assert fields(names(*range(10), 0), kind=kind) == [0]
    assert fields(names(*range(11)), names(0), names(9), kind=kind) == [1, 0, 1]


def test_the_names_of_an_order_that_the_warning_makes_invalid_do_not_count(fields):
    assert fields(names(*range(5)), names(*range(5, 12)), names(*range(5, 10)), names(4), promoted=True) == [0, 1, 0, 0]


def test_the_names_of_an_invalid_order_do_not_count(read, table, good):
    bad = good | {"currency": "?", "orderAttributes": names(*range(10))}
    rows = read(table(bad, good | {"orderAttributes": names(*range(10, 20))}))
    assert [len(row.warnings) for row in rows] == [0, 0]


def test_names_of_two_kinds_are_counted_apart(read, table, good):
    [product] = good["products"]
    order = good | {"products": [product | {"productAttributes": names(*range(10))}]}
    [row] = read(table(order | {"orderAttributes": names(*range(10, 20))}))
    assert row.warnings == []
