"""Turns order lines into orders with an SQL text, and pushes only new or changed orders."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

EXTRACTS = os.environ.get("ECDP_EXTRACTS", "/data/extracts")
RESULTS = os.environ.get("ECDP_RESULTS", "/data/ecdp-results")

with DAG(
    dag_id="example_ecdp_order_lines",
    description="Turn order lines into orders with SQL, and push new or changed orders",
    doc_md="""
### Order lines and SQL

The warehouse writes `order_lines_YYYY-MM-DD.parquet`: one row per order line, for the last few weeks. The SQL text
groups them into orders; it runs on the worker, and can read only the extract. Orders that an earlier run sent with the
same content are skipped. The API permits a negative quantity; here it makes an order invalid.

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
    # [START howto_transfer_parquet_to_ecdp_sql]
    ParquetToEcdpOperator(
        task_id="push_order_lines",
        path=f"{EXTRACTS}/order_lines_{{{{ ds }}}}.parquet",
        sql="sql/order_lines.sql",
        warnings_as_errors=["negative_quantity"],
        only_changed=True,
        results_path=RESULTS,
        # real order lines: some lack a customer or a description, or have negative quantities
        max_failed="35%",
    )
    # [END howto_transfer_parquet_to_ecdp_sql]
