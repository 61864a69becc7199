"""Updates the status of orders in ECDP, and deletes orders that the shop has removed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_ecdp.operators.ecdp import (
    EcdpDeleteOrderOperator,
    EcdpGetOrderOperator,
    EcdpUpdateOrderStatusOperator,
)

EXTRACTS = os.environ.get("ECDP_EXTRACTS", "/data/extracts")


@task(multiple_outputs=True)
def read_changes(path: str) -> dict[str, list[Any]]:
    """Split the changes of the day into status updates and deletions."""
    # imported here: a DAG file is parsed every few seconds
    import pyarrow.parquet as pq

    changes = pq.read_table(path, columns=["order_id", "status"]).to_pylist()
    return {
        "updates": [change for change in changes if change["status"] != "deleted"],
        "deletions": [change["order_id"] for change in changes if change["status"] == "deleted"],
        "updated": [change["order_id"] for change in changes if change["status"] != "deleted"],
    }


with DAG(
    dag_id="example_ecdp_statuses_and_deletions",
    description="Update the status of orders in ExpertSender CDP, and delete orders",
    doc_md="""
### Statuses and deletions

The shop writes `order_changes_YYYY-MM-DD.parquet` with the columns `order_id` and `status`, which is one of the API's
(`placed`, `paid`, `completed`, `canceled`) or `deleted`. Orders that ECDP does not have are reported, but do not fail
the task. The orders are read back without their customers, because XCom is not for personal data.

Folder: the environment variable `ECDP_EXTRACTS`. Connection: `ecdp_default`.
""",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    schedule="@hourly",
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
    },
    tags=["ecdp"],
):
    changes: Any = read_changes(f"{EXTRACTS}/order_changes_{{{{ ds }}}}.parquet")

    # [START howto_operator_ecdp_update_order_status]
    update_statuses = EcdpUpdateOrderStatusOperator(
        task_id="update_statuses",
        updates=changes["updates"],
        missing="report",
    )
    # [END howto_operator_ecdp_update_order_status]

    # [START howto_operator_ecdp_delete_order]
    delete_orders = EcdpDeleteOrderOperator(
        task_id="delete_orders",
        order_id=changes["deletions"],
    )
    # [END howto_operator_ecdp_delete_order]

    # [START howto_operator_ecdp_get_order]
    read_back = EcdpGetOrderOperator(
        task_id="read_back",
        order_id=changes["updated"],
        include_customer=False,
        missing="report",
    )
    # [END howto_operator_ecdp_get_order]

    update_statuses >> read_back
