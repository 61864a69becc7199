"""A real extract of order lines, as dirty as a warehouse, shaped by SQL and pushed: the counts of its README hold."""

from __future__ import annotations

import json

import duckdb
import pytest
from online_retail import MAPPING

SQL = """
SELECT
    InvoiceNo AS id,
    min(InvoiceDate) AT TIME ZONE 'Europe/London' AS date,
    'Europe/London' AS "timeZone",
    CASE WHEN InvoiceNo LIKE 'C%' THEN 'canceled' ELSE 'completed' END AS status,
    'GBP' AS currency,
    sum(UnitPrice * Quantity) AS "totalValue",
    {'crmId': any_value(CustomerID)} AS customer,
    list({'id': StockCode, 'name': Description, 'price': UnitPrice, 'quantity': Quantity}) AS products
FROM extract
GROUP BY InvoiceNo
"""


@pytest.fixture
def sql(tmp_path):
    path = tmp_path / "orders.sql"
    path.write_text(SQL, encoding="utf-8")
    return path


def test_every_invoice_has_an_outcome_and_arrives_with_the_digits_that_it_had(pointed, started, sql, online_retail):
    process = started("push", online_retail, "--sql", sql, "--json", "--results-limit", 10_000)
    out, err = process.communicate()
    report = json.loads(out)

    assert process.returncode == 1, err
    summary = report["summary"]
    assert (summary["total"], summary["accepted"], summary["invalid"]) == (1_892, 1_623, 269)
    assert len(report["results"]) == 1_892
    assert report["warnings"]["negative_quantity"]["count"] == 283
    warned = [r for r in report["results"] if r["outcome"] == "accepted" and "negative_quantity" in (r["reason"] or "")]
    assert len(warned) == 283
    assert pointed.store.count() == pointed.store.total_writes() == 1_623

    expected = duckdb.sql(
        "SELECT InvoiceNo, sum(UnitPrice * Quantity), list(UnitPrice), list(Quantity), list(Description), "
        f"list(StockCode) FROM '{online_retail}' GROUP BY InvoiceNo "
        "HAVING any_value(CustomerID) IS NOT NULL AND bool_and(Description IS NOT NULL)"
    ).fetchall()
    assert len(expected) == 1_623
    canceled = 0
    for invoice, total, prices, quantities, names, codes in expected:
        order = pointed.store.get(invoice)
        # as text: 15.30 and 15.3 are equal, and not the same digits
        assert str(order["totalValue"]) == str(total)
        assert sorted(str(p["price"]) for p in order["products"]) == sorted(map(str, prices))
        assert sorted(p["quantity"] for p in order["products"]) == sorted(quantities)
        assert sorted(p["name"] for p in order["products"]) == sorted(names)
        assert sorted(p["id"] for p in order["products"]) == sorted(codes)
        assert order["timeZone"] == "GMT Standard Time"
        canceled += order["status"] == "Canceled"
    assert canceled == sum(invoice.startswith("C") for invoice, *_ in expected)


def test_the_warning_promoted_leaves_the_orders_without_any_of_the_three_faults(pointed, ecdp, sql, online_retail):
    run = ecdp("push", online_retail, "--sql", sql, "--json", "--warnings-as-errors", "negative_quantity")

    assert run.code == 1
    assert (run.json["summary"]["accepted"], run.json["summary"]["invalid"]) == (1_340, 552)
    assert pointed.store.count() == 1_340


def test_the_checks_alone_come_to_the_same_counts(ecdp, sql, online_retail):
    run = ecdp("check", online_retail, "--sql", sql, "--json")

    assert run.code == 1
    assert run.json["columns"]["ignored"] == ["Country"]
    the_facts_of_its_readme(run.json)


def test_a_mapping_alone_comes_to_them_too(ecdp, tmp_path, online_retail):
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(MAPPING), encoding="utf-8")
    run = ecdp("check", online_retail, "--mapping", path, "--timezone", "Europe/London", "--json")

    assert run.code == 1
    assert run.json["fields"]["totalValue"] == "sum of UnitPrice * Quantity over the lines"
    the_facts_of_its_readme(run.json)


def the_facts_of_its_readme(found):
    summary = found["summary"]
    assert (summary["rows"], summary["total"], summary["valid"]) == (39_522, 1_892, 1_623)
    assert (summary["to_send"], summary["requests"], summary["duplicate_ids"]) == (1_623, 4, 0)
    assert {(p["field"], p["rule"]): p["count"] for p in found["problems"]} == {
        ("customer", "needs email, phone or crmId"): 269,
        ("products[].name", "required"): 123,
    }
    # of 368 invoices with a line below zero, the others lack a customer or a description
    [negative] = [w for w in found["warnings"] if w["rule"].startswith("negative_quantity")]
    assert (negative["count"], negative["in_invalid_orders"]) == (283, 368 - 283)
    assert {s["value"]: s["count"] for s in found["statuses"]} == {"Completed": 1_892 - 299, "Canceled": 299}
    assert found["currencies"] == [{"value": "GBP", "count": 1_892}]
    assert found["dates"] == {"first": "2010-12-01T08:26:00.000Z", "last": "2010-12-20T16:09:00.000Z"}
    assert found["sample"]["customer"] == {"crmId": "***"}
    assert all(len(rule["examples"]) == 3 for rule in found["problems"])
