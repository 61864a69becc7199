"""A real extract of order lines, as dirty as a warehouse, shaped by SQL and pushed: the counts of its README hold."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

LINES = Path(__file__).parents[3] / "shared" / "data" / "online_retail" / "order_lines.parquet"

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

pytestmark = pytest.mark.skipif(not LINES.exists(), reason="the online_retail extract is not beside the repository")


@pytest.fixture
def sql(tmp_path):
    path = tmp_path / "orders.sql"
    path.write_text(SQL, encoding="utf-8")
    return path


def test_every_invoice_has_an_outcome_and_arrives_with_the_digits_that_it_had(pointed, started, sql):
    process = started("push", LINES, "--sql", sql, "--json", "--results-limit", 10_000)
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
        f"list(StockCode) FROM '{LINES}' GROUP BY InvoiceNo "
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


def test_the_warning_promoted_leaves_the_orders_without_any_of_the_three_faults(pointed, ecdp, sql):
    run = ecdp("push", LINES, "--sql", sql, "--json", "--warnings-as-errors", "negative_quantity")

    assert run.code == 1
    assert (run.json["summary"]["accepted"], run.json["summary"]["invalid"]) == (1_340, 552)
    assert pointed.store.count() == 1_340


def test_the_checks_alone_come_to_the_same_counts(ecdp, sql):
    run = ecdp("check", LINES, "--sql", sql, "--json")

    assert run.code == 1
    assert run.json["summary"]["valid"] == 1_623
    assert run.json["columns"]["ignored"] == []
