"""The sandbox refuses every order that the checks refuse, whichever field and limit of the contract it breaks."""

from __future__ import annotations

import copy
import re

from pydantic import TypeAdapter, ValidationError

from airflow_provider_ecdp.orders.contract import BLANK_TEXT, INT32_MAX, INT32_MIN, ORDER, Kind
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.sandbox.models import OrderId

#: What no field of a kind may hold.
WRONG = {
    Kind.TEXT: [1.5, ["x"], {"x": "y"}],
    Kind.NUMBER: ["12,50", "x", "0x1", "1_000", "NaN", True, []],
    Kind.INTEGER: [INT32_MAX + 1, INT32_MIN - 1, 1.5, "1.5", "x", True, []],
    Kind.TIMESTAMP: ["2024-02-30T10:00:00Z", "yesterday", True],
    Kind.OBJECT: ["x", ["x"], {}],
    Kind.LIST: ["x", {"x": "y"}, [None], ["x"]],
}


def fields(of, prefix=()):
    """Yield the fields of the contract with the way to each, through the first element of a list."""
    for field in of:
        path = (*prefix, field.name)
        yield path, field
        yield from fields(field.fields, (*path, 0) if field.kind is Kind.LIST else path)


def broken_values(field):
    """Return the values with which a field breaks the contract."""
    # the value of an attribute is text of whatever it was
    values = [value for value in WRONG[field.kind] if not (field.name == "value" and isinstance(value, float))]
    if field.required:
        values += [None, ...]
    if field.max_length:
        values.append("x" * (field.max_length + 1))
    # no characters in an optional field are no value
    if field.min_length and (field.required or field.min_length > 1):
        values.append("x" * (field.min_length - 1))
    if field.min_length == 1:
        values.append("\u00a0\t")
    if field.choices:
        values.append("shipped")
    if field.name == "timeZone":
        values.append("Mars/Olympus_Mons")
    if field.name == "customer":
        values.append({"email": "", "phone": " ", "crmId": "\u200b"})
    return values


def with_value(order, path, value):
    changed = copy.deepcopy(order)
    *steps, last = path
    at = changed
    for step in steps:
        at = at[step]
    at[last] = value
    if value is ...:
        del at[last]
    return changed


def refused_by_checks(orders):
    """Return the fields that the checks refuse, of each order."""
    with OrderReader(source_from_records(orders), OrderSettings(timezone="UTC")) as reader:
        rows = [row for batch in reader.read() for row in batch.to_pylist()]
    return [{problem["field"] for problem in row["problems"] or []} for row in rows]


def refused_by_sandbox(client, orders):
    """Return the fields that the sandbox refuses, by the place of the order."""
    answer = client.post(*orders)
    assert answer.status_code == 400
    found = {}
    for error in answer.json()["errors"]:
        position, path = re.match(r"data\[(\d+)\]\.?([^:]*):", error).groups()
        found.setdefault(int(position), set()).add(path)
    return found


def test_the_sandbox_refuses_what_the_checks_refuse(client, order):
    cases = [(path, value) for path, field in fields(ORDER) for value in broken_values(field)]
    # attributes of a record may be a dict, which is sent as the API's list
    cases = [case for case in cases if not (str(case[0][-1]).endswith("Attributes") and isinstance(case[1], dict))]
    orders = [with_value(order, path, value) for path, value in cases]
    by_sandbox = refused_by_sandbox(client, orders)
    differing = [
        f"{path} = {value!r:.40}: {checked or 'no problem'}, {by_sandbox.get(position, 'stored')}"
        for position, ((path, value), checked) in enumerate(zip(cases, refused_by_checks(orders), strict=True))
        if not checked or not checked <= by_sandbox.get(position, set())
    ]
    assert differing == []
    assert len(cases) > 140


def test_the_sandbox_stores_what_the_checks_let_through(client, order):
    assert client.post(order).status_code == 201
    assert refused_by_checks([order]) == [set()]


def test_the_same_characters_are_blank_to_the_sandbox_and_to_the_checks():
    sandbox = TypeAdapter(OrderId)
    refused = set()
    characters = [chr(i) for i in (*range(0xD800), *range(0xE000, 0x10000), *range(0xDFF00, 0xE1100))]
    for character in characters:
        try:
            sandbox.validate_python(character)
        except ValidationError:
            refused.add(character)

    assert refused == {character for character in characters if re.fullmatch(BLANK_TEXT, character)}
