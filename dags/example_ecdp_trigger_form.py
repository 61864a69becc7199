"""Pushes orders on demand: the Trigger form offers a normal run, a dry run, a full resync and a replay."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

EXTRACTS = os.environ.get("ECDP_EXTRACTS", "/data/extracts")
RESULTS = os.environ.get("ECDP_RESULTS", "/data/ecdp-results")

with DAG(
    dag_id="example_ecdp_trigger_form",
    description="Push orders to ExpertSender CDP, with options in the Trigger form",
    doc_md="""
### Options in the Trigger form

| run | what it sends |
|---|---|
| normal | new or changed orders |
| dry run | nothing; the log shows what a normal run would send |
| full resync | all orders of the extract |
| replay | orders that failed in an earlier run, with their current content; enter the `results_path` from its XCom |

Folders: the environment variables `ECDP_EXTRACTS` and `ECDP_RESULTS`. Connection: `ecdp_default`.
""",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={
        "run": Param("normal", enum=["normal", "dry run", "full resync", "replay"], description="What is sent"),
        "path": Param(f"{EXTRACTS}/all_orders", type="string", description="A Parquet file, a folder or a glob"),
        "replay_from": Param(
            None, type=["null", "string"], description="For a replay: the results_path of the run that failed"
        ),
        "max_failed": Param("1%", type="string", description="How many orders may fail: a count or a percentage"),
    },
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
    },
    tags=["ecdp"],
):
    # [START howto_transfer_parquet_to_ecdp_form]
    ParquetToEcdpOperator(
        task_id="push_orders",
        path="{{ params.path }}",
        dry_run="{{ params.run == 'dry run' }}",
        only_changed="{{ params.run in ('normal', 'dry run') }}",
        replay_from="{{ params.replay_from if params.run == 'replay' else none }}",
        max_failed="{{ params.max_failed }}",
        results_path=RESULTS,
    )
    # [END howto_transfer_parquet_to_ecdp_form]
