"""One value is judged alike by `ecdp push`, `ecdp check` and `ecdp status`."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

ORDER = {
    "date": dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    "totalValue": 10.0,
    "customer": {"crmId": "c-1"},
    "products": [{"id": "p", "name": "n", "price": 10.0, "quantity": 1}],
}

#: Values by the field that they are for, each with the value that ECDP then has; REFUSED for none.
REFUSED = "refused"
VALUES = {
    "websiteId": {
        "2147483647": 2147483647,
        "2147483648": REFUSED,
        "-1": -1,
        "1.5": REFUSED,
        "2.0": 2,
        "x": REFUSED,
        "": None,
    },
    "status": {"Paid ": "Paid", "cancelled": "Canceled", "PA\u0130D": REFUSED, "PA\u0131D": REFUSED, "lost": REFUSED},
}
CASES = [(field, value, expected) for field, values in VALUES.items() for value, expected in values.items()]

#: Of an order only: a change has no zone and no currency, and its status is what it changes.
OPTIONAL = ("status", "timeZone", "currency")

WHOLE = "a whole number from -2147483648 to 2147483647, got "


@pytest.fixture
def write(table):
    def run(name, rows, *fields):
        plain = pa.Table.from_pylist([ORDER | {"id": str(i)} for i in range(len(rows))])
        columns = {field: pa.array([row.get(field) for row in rows], pa.string()) for field in fields}
        for field, column in columns.items():
            plain = plain.append_column(field, column)
        return table(plain.to_pylist(), plain.schema, name)

    return run


def reasons(run):
    results = [result for result in run.json["results"] if result["outcome"] == "invalid"]
    return {result["order_id"]: result["reason"].partition(": ") for result in results}


def test_push_check_and_status_say_the_same_of_a_value(pointed, ecdp, write, table):
    orders = write("orders.parquet", [{field: value} for field, value, _ in CASES], "websiteId", "status")
    refused = {str(i): field for i, (field, _, expected) in enumerate(CASES) if expected == REFUSED}

    check = ecdp("check", orders, "--json")
    counts = {problem["field"]: problem["count"] for problem in check.json["problems"]}
    assert counts == {field: list(refused.values()).count(field) for field in VALUES}

    push = ecdp("push", orders, "--json")
    assert {i: field for i, (field, _, _) in reasons(push).items()} == refused
    for i, (field, _, expected) in enumerate(CASES):
        if expected != REFUSED:
            assert pointed.store.get(str(i)).get(field) == expected

    # all orders are there, so that nothing but its values decides over a change
    assert ecdp("push", write("all.parquet", [{}] * len(CASES))).code == 0
    changes = [
        {"order_id": str(i), "status": "Paid", "websiteId": None} | {field: value}
        for i, (field, value, _) in enumerate(CASES)
    ]
    status = ecdp("status", "--from", table(changes, name="changes.parquet"), "--json")
    of_changes = reasons(status)
    assert of_changes.keys() == refused.keys()
    assert status.json["summary"]["accepted"] == len(CASES) - len(refused)
    for i, (_, _, words) in reasons(push).items():
        if refused[i] == "websiteId":
            assert words.startswith(WHOLE)
            assert of_changes[i][2] == words
        else:
            assert (of_changes[i][0], of_changes[i][2].lower().replace("'", "")) == ("status", words.lower())


def test_push_and_check_take_empty_text_of_an_optional_field_as_absent(pointed, ecdp, write):
    absent = [(field, text) for field in OPTIONAL for text in ("", "\u00a0 ")]
    orders = write("orders.parquet", [{field: text} for field, text in absent], *OPTIONAL)
    assert ecdp("check", orders, "--json").json["summary"]["valid"] == len(absent)
    assert ecdp("push", orders).code == 0
    for i, (field, _) in enumerate(absent):
        assert pointed.store.get(str(i)).get(field) is None


def test_a_change_without_a_status_is_refused(pointed, ecdp, table):
    changes = table([{"order_id": "1", "status": ""}, {"order_id": "2", "status": None}])
    status = ecdp("status", "--from", changes, "--json")
    assert [(r["order_id"], r["outcome"]) for r in status.json["results"]] == [("1", "invalid"), ("2", "invalid")]
    assert pointed.store.requests == []
