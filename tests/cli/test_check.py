"""`ecdp check`: what it finds, and that it sends nothing."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

ORDER = {
    "date": dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    "totalValue": Decimal("10.00"),
    "customer": {"crmId": "c-1"},
    "products": [{"id": "p", "name": "n", "price": Decimal("10.00"), "quantity": 1}],
}


def test_good_orders_are_valid_without_a_key_or_a_host(ecdp, sample, monkeypatch):
    for name in ("ECDP_API_KEY", "ECDP_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    run = ecdp("check", sample(orders=100), "--json")

    assert run.code == 0
    assert run.json["summary"] == {
        "total": 100,
        "valid": 100,
        "invalid": 0,
        "warnings": 0,
        "repeated": 0,
        "duplicate_ids": 0,
    }
    assert run.json["problems"] == run.json["warnings"] == []
    assert run.err == ""


def test_every_broken_rule_has_its_count_and_three_examples(ecdp, sample):
    # fourteen kinds of fault, one after the other, over the whole file
    run = ecdp("check", sample(orders=700, faulty=70, odd=9), "--json")

    assert run.code == 1
    assert run.json["summary"]["invalid"] == 70
    assert run.json["summary"]["warnings"] == 9
    problems = {(p["field"], p["rule"]): p for p in run.json["problems"]}
    assert len(problems) == 14
    assert {p["count"] for p in problems.values()} == {5}
    assert all(len(p["examples"]) == 3 for p in problems.values())
    assert ("products[].name", "at most 2048 characters") in problems
    assert {w["rule"].partition(":")[0]: w["count"] for w in run.json["warnings"]} == {
        "status_spelling": 3,
        "email_without_at": 3,
        "total_mismatch": 3,
    }


def test_warnings_can_be_promoted_by_name_or_all(ecdp, sample):
    extract = sample(orders=100, odd=3)

    named = ecdp("check", extract, "--json", "--warnings-as-errors", "total_mismatch, status_spelling")
    assert (named.code, named.json["summary"]["invalid"], named.json["summary"]["warnings"]) == (1, 2, 1)
    every = ecdp("check", extract, "--json", "--warnings-as-errors", "all")
    assert (every.code, every.json["summary"]["invalid"], every.json["summary"]["warnings"]) == (1, 3, 0)


def test_the_screen_shows_columns_duplicates_and_rules(ecdp, table):
    rows = [
        {"id": "same", "colour": "red"},
        {"id": "same", "colour": "red"},
        {"id": "other", "colour": "red"},
        {"id": "other", "colour": "red", "totalValue": Decimal("11.00")},
        {"id": "alone", "colour": "red"},
    ]
    run = ecdp("check", table([ORDER | row for row in rows]))

    assert run.code == 1
    assert run.err == ""
    assert run.out.splitlines()[0].endswith(
        "5 orders in " + str(table([ORDER | row for row in rows])) + ": 3 valid, 2 invalid"
    )
    assert "id: one content for one id" in run.out
    assert "2 ids stand more than once" in run.out
    assert "(1 orders are not sent again)" in run.out
    assert "Columns ignored: colour\n" in run.out
    assert "Columns used: date, totalValue, customer, products, id\n" in run.out


def test_the_matching_mode_decides_which_customers_are_complete(ecdp, sample):
    extract = sample(orders=200)

    assert ecdp("check", extract, "--quiet").code == 0
    assert ecdp("check", extract, "--quiet", "--matching", "crm_id").code == 1
    by_phone = ecdp("check", extract, "--json", "--matching", "Phone")
    assert by_phone.json["problems"][0]["rule"] == "required by the matching mode phone"


def test_timestamps_without_a_zone_are_refused_until_one_is_named(ecdp, table):
    extract = table([ORDER | {"id": "1", "date": dt.datetime(2025, 1, 1)}])  # noqa: DTZ001 - no zone is the point

    refused = ecdp("check", extract)
    assert refused.code == 2
    assert "date" in refused.err
    assert ecdp("check", extract, "--timezone", "Europe/Warsaw", "--quiet").code == 0


@pytest.mark.parametrize("name", ["absent.parquet", "absent/*.parquet"])
def test_what_is_not_there_cannot_be_read(ecdp, tmp_path, name):
    run = ecdp("check", tmp_path / name, "--json")

    assert run.code == 2
    assert run.out == ""
    assert name in run.err
