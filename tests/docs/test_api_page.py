"""The supported names: where the page says they are, and none less than before."""

from __future__ import annotations

import importlib
import re

import pytest

#: Taking a name away breaks the code of users: it belongs into a major version, and into the changelog.
PINNED = [
    "Cancellation",
    "ChangeQueue",
    "ChangeRowSettings",
    "ChangeSettings",
    "ClientSettings",
    "DeletionSettings",
    "EcdpClient",
    "EcdpDeleteOrderOperator",
    "EcdpGetOrderOperator",
    "EcdpHook",
    "EcdpOrderSensor",
    "EcdpPushOrdersOperator",
    "EcdpRetryPolicy",
    "EcdpSyncNotifier",
    "EcdpUpdateOrderStatusOperator",
    "Ledger",
    "MatchBy",
    "MaxFailed",
    "Missing",
    "Mode",
    "OnDrift",
    "Operation",
    "OrderReader",
    "OrderSettings",
    "Outcome",
    "ParquetSource",
    "ParquetToEcdpDeletionsOperator",
    "ParquetToEcdpOperator",
    "ParquetToEcdpStatusesOperator",
    "PriorRuns",
    "Progress",
    "PushSettings",
    "Report",
    "RetryPolicy",
    "SandboxServer",
    "apply_changes",
    "check",
    "create_asset",
    "delete_orders",
    "get_orders",
    "push",
    "shards",
    "source_from_records",
    "summarise",
    "update_order_statuses",
]


@pytest.fixture
def listed(page):
    rows = [*page("api").table("For DAGs", "name"), *page("api").table("Without Airflow", "name")]
    return {name: row["module"].strip("`") for row in rows for name in re.findall(r"`(\w+)`", row["name"])}


@pytest.mark.slow  # operators need Airflow
def test_every_supported_name_is_where_the_page_says(listed):
    # Airflow before 3.3 has no retry policies
    missing = [
        f"{module}.{name}"
        for name, module in listed.items()
        if not hasattr(importlib.import_module(module), name) and name != "EcdpRetryPolicy"
    ]
    assert missing == []


def test_no_supported_name_is_taken_away(listed):
    assert sorted(listed) == sorted(PINNED)
