"""What a user can set, send or read has a row in a table, and no row is made up."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from airflow_provider_ecdp.get_provider_info import get_provider_info
from airflow_provider_ecdp.orders.contract import ATTRIBUTE, CUSTOMER, ORDER, PRODUCT, WARNINGS, Kind
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.sandbox.faults import FaultKind, Faults

PACKAGE = Path(__file__).parents[2] / "airflow_provider_ecdp"


class TestOrders:
    @pytest.mark.parametrize(
        ("title", "prefix", "fields"),
        [
            ("Order", "", ORDER),
            ("Customer", "customer.", CUSTOMER),
            ("Products", "products[].", PRODUCT),
            ("Attributes", "", ATTRIBUTE),
        ],
    )
    def test_every_cell_of_the_fields_is_that_of_the_contract(self, page, title, prefix, fields):
        expected = [
            {
                "field": f"`{prefix}{field.name}`",
                "type": field.kind.value,
                "required": "yes" if field.required else "",
                "limit": limit(field),
                "meaning": " ".join(
                    f"{part[:1].upper()}{part[1:]}." for part in (field.description, field.note) if part
                ),
            }
            for field in fields
        ]
        assert page("orders").table(title, "field") == expected

    def test_every_warning_is_explained(self, page):
        expected = [{"warning": f"`{name}`", "meaning": text} for name, text in WARNINGS.items()]
        assert page("orders").table("Warnings", "warning") == expected

    @pytest.fixture
    def rules(self, page):
        return [row["rule in the reason"].strip("`") for row in page("orders").table("Rules", "rule in the reason")]

    def test_every_rule_that_is_explained_exists(self, rules, source):
        assert [rule for rule in rules if not source.says(rule)] == []

    def test_every_rule_has_a_line_that_says_what_to_do(self, page, rules):
        actions = {row["rule"].strip("`"): row["do"] for row in page("troubleshooting").table("Orders failed", "rule")}
        assert list(actions) == rules
        assert all(actions.values())

    def test_every_rule_that_an_order_can_break_is_explained(self, rules, order):
        faulty = {
            "date": "noon",
            "timeZone": "Mars",
            "status": "lost",
            "currency": "EURO",
            "totalValue": "many",
            "returnsValue": None,
            "customer": {"phone": "1" * 21},
            "websiteId": 1.5,
            "orderAttributes": [{"name": ""}],
            "products": [{"id": "\udc80", "name": None}],
            "order_attributes": [],
        }
        twice = [order("twice"), order("twice", currency="EUR")]
        extract = source_from_records([order("1", **faulty), order("2", customer={}), *twice])
        with OrderReader(extract, OrderSettings(matching="email")) as orders:
            found = {
                problem["rule"]
                for batch in orders.select().read()
                for row in batch["problems"].to_pylist()
                for problem in row
            }
        assert len(found) > 12
        assert [rule for rule in found if not any(explains(rule, explained) for explained in rules)] == []


def explains(rule, explained):
    return re.fullmatch(".*".join(map(re.escape, explained.split("…"))), rule)


def limit(field):
    low, high = field.min_length, field.max_length
    if field.choices:
        return f"one of {', '.join(f'`{choice}`' for choice in field.choices)}"
    if high is not None and low == high:
        return f"exactly {high} characters"
    if high is not None:
        return f"{low} to {high:,} characters" if low else f"at most {high:,} characters"
    return {Kind.INTEGER: "-2,147,483,648 to 2,147,483,647", Kind.NUMBER: "finite"}.get(field.kind, "")


def test_every_outcome_is_explained_with_its_facts(page):
    rows = page("delivery").table("Outcomes", "meaning")
    assert [row["outcome"] for row in rows] == [f"`{outcome}`" for outcome in Outcome]
    for row, outcome in zip(rows, Outcome, strict=True):
        assert row["meaning"] == outcome.meaning
        assert row["failed"] == ("yes" if outcome.failed else "")
        assert ("`replay_from`" in row["sent again by"]) is outcome.replayable


class TestConnection:
    @pytest.fixture
    def fields(self, page):
        return {row["field"].strip("`"): row for row in page("connection").table("Fields", "field")}

    @pytest.fixture
    def kind(self):
        (kind,) = get_provider_info()["connection-types"]
        return kind

    def test_every_field_of_the_form_is_documented_with_its_label(self, fields, kind):
        labels = dict(kind["ui-field-behaviour"]["relabeling"])
        # Airflow's own label, which the form keeps
        labels["port"] = "Port"
        labels |= {name: field["label"] for name, field in kind["conn-fields"].items()}
        # the hidden fields that a URI fills
        hidden = dict.fromkeys(set(kind["ui-field-behaviour"]["hidden-fields"]) - {"login"}, "")
        assert {name: row["in the form"] for name, row in fields.items()} == labels | hidden

    def test_what_an_empty_field_means_is_what_the_form_shows_in_grey(self, fields, kind):
        shown = dict(kind["ui-field-behaviour"]["placeholders"])
        # these are examples and advice, not defaults
        for example in ("password", "ca_bundle", "port"):
            del shown[example]
        assert {name: fields[name]["empty"].strip("`") for name in shown} == shown

    def test_every_option_of_airflows_configuration_is_documented(self, page):
        rows = page("connection").table("Airflow's configuration", "option")
        assert {(row["section"].strip("`"), row["option"].strip("`")) for row in rows} == {
            (name, option) for name, section in get_provider_info()["config"].items() for option in section["options"]
        }


class TestSandbox:
    def test_every_fault_is_documented_with_its_default_and_in_the_order_in_which_one_wins(self, page):
        kinds = {row["fault"].strip("`"): row["default"] for row in page("sandbox").table("Faults", "fault")}
        settings = {row["setting"].strip("`"): row["default"] for row in page("sandbox").table("Faults", "setting")}
        assert list(kinds) == [kind.value for kind in FaultKind]
        assert kinds | settings == {field.name: written(field.default) for field in dataclasses.fields(Faults)}

    def test_every_inspection_is_documented(self, page):
        source = (PACKAGE / "sandbox" / "inspection.py").read_text(encoding="utf-8")
        routes = {
            f"{method.upper()} /_sandbox{path}" for method, path in re.findall(r'router\.(\w+)\("([^"]*)"', source)
        }
        assert {row["request"].strip("`") for row in page("sandbox").table("Looking into it", "request")} == routes


def written(default):
    """A default of `Faults` as the page writes it."""
    if default == Faults().methods:
        return "all four"
    if isinstance(default, tuple | frozenset):
        return ", ".join(map(str, default)) or "none"
    if isinstance(default, bool):
        return str(default).lower()
    return "null" if default is None else f"{default:g}"
