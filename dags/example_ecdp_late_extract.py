"""Waits for an extract that may be hours late, without occupying a worker slot, and pushes its orders."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import DAG

from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

EXTRACTS = os.environ.get("ECDP_EXTRACTS", "/data/extracts")
RESULTS = os.environ.get("ECDP_RESULTS", "/data/ecdp-results")

with DAG(
    dag_id="example_ecdp_late_extract",
    description="Wait for an extract, then push its orders to ExpertSender CDP",
    doc_md="""
### An extract that may be late

The sensor waits up to six hours for the extract of the run's day, in the triggerer. It detects that a file exists, not
that it is complete: the export must write under another name, and rename the file at the end.

Folders: the environment variables `ECDP_EXTRACTS` and `ECDP_RESULTS`. Connections: `ecdp_default`, and `fs_default` of
type `fs`, which you have to create.
""",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    schedule="@daily",
    catchup=False,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
    },
    tags=["ecdp"],
):
    # [START howto_sensor_file]
    extract = f"{EXTRACTS}/orders_{{{{ ds }}}}.parquet"
    wait = FileSensor(task_id="wait_for_orders", filepath=extract, deferrable=True, timeout=6 * 3600)
    push_orders = ParquetToEcdpOperator(task_id="push_orders", path=extract, results_path=RESULTS)
    wait >> push_orders
    # [END howto_sensor_file]
