"""Order lines of a warehouse become orders by a SQL text, and only those that have changed are sent."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

EXTRACTS = os.environ.get("ECDP_EXTRACTS", "/data/extracts")
RESULTS = os.environ.get("ECDP_RESULTS", "/data/ecdp-results")

with DAG(
    dag_id="example_ecdp_order_lines",
    description="Shape order lines into orders by SQL, and push what has changed",
    doc_md="""
### Order lines shaped by SQL

The warehouse writes `order_lines_YYYY-MM-DD.parquet`: one row for each line, all lines of the last weeks. The SQL text
groups them into orders; it runs on the worker, over the extract and nothing else. Orders that ECDP took in an earlier
run with the same content are skipped. A negative quantity is merely odd for the API: here it keeps an order out.

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
        # real lines: without a customer, without a description, with negative quantities
        max_failed="35%",
    )
    # [END howto_transfer_parquet_to_ecdp_sql]
