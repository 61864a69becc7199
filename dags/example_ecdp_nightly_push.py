"""Pushes the orders of the day before from a Parquet extract, every night."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

EXTRACTS = os.environ.get("ECDP_EXTRACTS", "/data/extracts")
RESULTS = os.environ.get("ECDP_RESULTS", "/data/ecdp-results")

#: The day before the run. `ds` is the day of the run itself, unless `[scheduler] create_cron_data_intervals` is set.
YESTERDAY = "{{ macros.ds_add(data_interval_end | ds, -1) }}"

with DAG(
    dag_id="example_ecdp_nightly_push",
    description="Push the orders of the day before to ExpertSender CDP",
    doc_md="""
### Nightly push of orders

After midnight, the warehouse writes `orders_YYYY-MM-DD.parquet` for the previous day: one row per order, with columns
named like the API's fields. Orders are added, or replaced if they exist. An order that breaks a rule of the API is not
sent; the task fails if more than one in a hundred orders fail. The results folder has the outcome of every order, so
that a retry after an outage resumes where the run stopped.

Folders: the environment variables `ECDP_EXTRACTS` and `ECDP_RESULTS`. Connection: `ecdp_default`.
""",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    schedule="0 3 * * *",
    catchup=False,
    max_active_runs=1,
    params={
        "replay_from": Param(
            None, type=["null", "string"], description="The results_path of a run whose failed orders are sent again"
        ),
    },
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
    },
    tags=["ecdp"],
):
    # [START howto_transfer_parquet_to_ecdp]
    ParquetToEcdpOperator(
        task_id="push_orders",
        path=f"{EXTRACTS}/orders_{YESTERDAY}.parquet",
        mode="add_or_replace",
        max_failed="1%",
        # the export may be late: Airflow's retries wait for it
        on_missing="retry",
        # for the button of the sync report that sends the failed orders again
        replay_from="{{ params.replay_from }}",
        results_path=RESULTS,
    )
    # [END howto_transfer_parquet_to_ecdp]
