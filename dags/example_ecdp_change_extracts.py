"""Changes the status of orders from one extract, and deletes orders from another."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_ecdp.transfers.parquet_to_ecdp_changes import (
    ParquetToEcdpDeletionsOperator,
    ParquetToEcdpStatusesOperator,
)

EXTRACTS = os.environ.get("ECDP_EXTRACTS", "/data/extracts")
RESULTS = os.environ.get("ECDP_RESULTS", "/data/ecdp-results")

with DAG(
    dag_id="example_ecdp_change_extracts",
    description="Change the status of orders in ExpertSender CDP, and delete orders, from extracts",
    doc_md="""
### Statuses and deletions from extracts

The shop writes `order_statuses_YYYY-MM-DD.parquet` with the columns `order_no` and `state` and one row per
change, oldest first, and `order_deletions_YYYY-MM-DD.parquet` with the column `order_id`. A day without
deletions is normal. More than a thousand deletions indicate a faulty export, so nothing is deleted.

Folders: the environment variables `ECDP_EXTRACTS` and `ECDP_RESULTS`. Connection: `ecdp_default`.
""",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    schedule="@daily",
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
    },
    tags=["ecdp"],
):
    # [START howto_transfer_parquet_to_ecdp_statuses]
    update_statuses = ParquetToEcdpStatusesOperator(
        task_id="update_statuses",
        path=f"{EXTRACTS}/order_statuses_{{{{ ds }}}}.parquet",
        mapping={
            "order_id": "order_no",
            "status": {"column": "state", "map": {"shipped": "completed", "void*": "canceled"}},
        },
        missing="report",
        results_path=RESULTS,
    )
    # [END howto_transfer_parquet_to_ecdp_statuses]

    # [START howto_transfer_parquet_to_ecdp_deletions]
    delete_orders = ParquetToEcdpDeletionsOperator(
        task_id="delete_orders",
        path=f"{EXTRACTS}/order_deletions_{{{{ ds }}}}.parquet",
        max_deletions=1000,
        on_empty="succeed",
        results_path=RESULTS,
    )
    # [END howto_transfer_parquet_to_ecdp_deletions]

    update_statuses >> delete_orders
