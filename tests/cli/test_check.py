"""`ecdp check`: what it finds, and that it sends nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import signal
from decimal import Decimal

import pytest

from airflow_provider_ecdp.cli import main
from airflow_provider_ecdp.cli.commands import check

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
    summary = run.json["summary"]
    assert summary.pop("bytes") > 100 * 500
    assert summary == {
        "rows": 100,
        "total": 100,
        "valid": 100,
        "invalid": 0,
        "to_send": 100,
        "skipped": 0,
        "repeated": 0,
        "warnings": 0,
        "duplicate_ids": 0,
        "requests": 1,
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
    assert run.out.splitlines()[:2] == [
        f"5 orders in {table([ORDER | row for row in rows])}: 3 valid, 2 invalid",
        "2 orders would be sent in 1 request (345 bytes), mode AddOrReplace; 1 repeated",
    ]
    assert "id: one content for one id" in run.out
    assert "2 ids appear more than once" in run.out
    assert "(1 order skipped)" in run.out
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


@pytest.fixture
def screen(ecdp):
    """What a check prints, as one text without the breaks of its tables."""

    def show(*arguments):
        run = ecdp(*arguments)
        assert run.err == ""
        return " ".join(run.out.split())

    return show


def test_the_screen_shows_each_rule_with_what_was_there_and_three_ids(screen, sample):
    text = screen("check", sample(orders=700, faulty=70, odd=9))

    ids = r"ORD-\d{8}, ORD-\d{8}, ORD-\d{8}"
    assert re.search(rf" 5 status: one of placed, paid, completed, canceled, got shipped {ids} ", text)
    assert re.search(rf" 5 totalValue: required {ids} ", text)
    assert "5 customer: needs email, phone or crmId ORD-" in text
    assert "warnings (sent anyway)" in text


def test_a_warning_of_invalid_orders_alone_is_not_on_the_screen(screen, table):
    odd = ORDER | {"id": "1", "status": "cancelled", "currency": "ZLOTY"}
    assert "sent anyway" not in screen("check", table([odd]))

    text = screen("check", table([odd, odd | {"id": "2", "currency": "PLN"}, odd | {"id": "3", "currency": "EUR"}]))
    assert " 2 status: status_spelling: " in text
    assert "and 1 invalid order" in text


def test_the_screen_shows_what_would_be_sent_and_what_it_is(screen, sample):
    text = screen("check", sample(orders=1_200))

    assert "1,200 orders would be sent in 3 requests (1.2 MB), mode AddOrReplace Dates: 2025-01-01T" in text
    assert re.search(r"Statuses: \d+ Completed, \d+ Paid, \d+ Placed, \d+ Canceled Currencies: \d+ EUR", text)
    assert "Columns since" not in text
    sample_ = text.partition("The first order to be sent, without personal data: ")[2]
    assert sample_.startswith('id: "ORD-00000001" date: "2025-01-01T')
    assert 'customer: {"email": "***"' in sample_
    assert "@" not in sample_


def test_ids_that_are_too_wide_together_are_below_each_other(ecdp, table):
    rows = [ORDER | {"id": f"0000000{n}-aaaa-bbbb-cccc-000000000000", "currency": "ZLOTY"} for n in range(4)]
    lines = ecdp("check", table(rows)).out.splitlines()

    place = next(i for i, line in enumerate(lines) if "currency: exactly 3 characters, got 5 characters" in line)
    shown = [line.split()[-1] for line in lines[place : place + 3]]
    assert shown == [row["id"] for row in rows[:3]]


def test_many_values_are_counted_and_not_all_listed(screen, table):
    rows = [ORDER | {"id": str(n), "currency": f"A{chr(65 + n)}Z"} for n in range(14)]
    assert "1 AJZ, 4 of 4 others Columns used" in screen("check", table(rows))


# what earlier runs tell


@pytest.mark.parametrize("memory", ["--results", "--only-changed"])
def test_results_show_what_is_there_already_and_whether_columns_are_the_same(pointed, ecdp, screen, table, memory):
    rows = [ORDER | {"id": str(n), "currency": "EUR"} for n in range(5)]
    extract, kept = table(rows), table(rows).with_name("kept")
    assert "Columns of the previous run: none are kept" in screen("check", extract, "--results", kept)
    assert not kept.exists()
    assert ecdp("push", extract, memory, kept, "--quiet").code == 0
    files = sorted(kept.iterdir())

    text = screen("check", extract, "--results", kept)
    assert "0 orders would be sent, mode AddOrReplace; 5 sent already" in text
    assert "Columns are those of the previous run." in text

    less = table([{name: v for name, v in row.items() if name != "currency"} for row in rows])
    assert "Columns are not those of the previous run: - currency (string) is gone" in screen(
        "check", less, "--results", kept
    )
    run = ecdp("check", less, "--results", kept, "--json")
    assert (run.code, run.json["drift"], run.json["summary"]["to_send"]) == (0, ["currency (string) is gone"], 5)
    assert sorted(kept.iterdir()) == files
    assert pointed.store.post_count == 1


def test_a_signal_during_a_check_gives_no_half_answer(sample, capsys, monkeypatch):
    @contextlib.contextmanager
    def shown(_):
        yield lambda now: os.kill(os.getpid(), signal.SIGINT) if now.done < now.total else None

    monkeypatch.setattr(check, "shown", shown)
    assert main(["check", str(sample(orders=5_000)), "--json"]) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1] == "ecdp: interrupted"
