"""Pushes all orders of a large extract with many tasks, on any number of workers."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_ecdp.operators.sharding import shards, summarise
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

EXTRACTS = os.environ.get("ECDP_EXTRACTS", "/data/extracts")
RESULTS = os.environ.get("ECDP_RESULTS", "/data/ecdp-results")


# [START howto_shards_ecdp_tasks]
@task
def list_shards(path: str, most: str) -> list[dict[str, Any]]:
    """Cut the extract."""
    return shards(path, int(most))


@task(trigger_rule="all_done")
def add_up(pushed: Any, listed: Any) -> dict[str, Any]:
    """Add up what the tasks have returned."""
    return summarise(pushed, expected=len(listed))


# [END howto_shards_ecdp_tasks]

with DAG(
    dag_id="example_ecdp_sharded",
    description="Push all orders to ExpertSender CDP, in shards",
    doc_md="""
### All orders, in shards

Triggered by hand, for a first load. `list_shards` cuts the extract into at most `shards` parts of whole orders, of
about the same size; `push_orders` has a task for each, which any worker can run; `add_up` combines their reports. If a
worker dies, its tasks are retried, and resume from their ledgers.

The pool `ecdp` limits the number of tasks at a time: `airflow pools set ecdp 4 "Tasks that push to ECDP"`.

Folders: the environment variables `ECDP_EXTRACTS` and `ECDP_RESULTS`, which all workers share. Connection:
`ecdp_default`.
""",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={
        "path": Param(f"{EXTRACTS}/all_orders", type="string", description="A Parquet file, a folder or a glob"),
        "shards": Param(40, type="integer", minimum=1, maximum=1000, description="Maximum number of shards"),
    },
    default_args={"retries": 3},
    tags=["ecdp"],
):
    # [START howto_shards_ecdp]
    listed = list_shards("{{ params.path }}", "{{ params.shards }}")

    push_orders = ParquetToEcdpOperator.partial(
        task_id="push_orders",
        pool="ecdp",
        map_index_template="{{ task.path.shard }} of {{ task.path.shards }}",
        results_path=RESULTS,
        results_limit=20,
    ).expand(path=listed)

    add_up(push_orders.output, listed)

    # add_up always runs and succeeds: without another last task, a run with failed shards would be green
    push_orders >> EmptyOperator(task_id="all_pushed")
    # [END howto_shards_ecdp]
