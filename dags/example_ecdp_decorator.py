"""Pushes the orders that a TaskFlow function returns, without an operator and without orders in XCom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

with DAG(
    dag_id="example_ecdp_decorator",
    description="Push the orders that a function returns",
    doc_md="""
### @task.ecdp_push

The function runs in the task, which pushes its result: dicts with the API's fields, an Arrow table, or the path
of Parquet files. The task returns the summary, like the operators. A real function would query the shop's database.

Connection: `ecdp_default`.
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
    # [START howto_decorator_ecdp_push]
    @task.ecdp_push(mode="add_or_replace", max_failed="1%")
    def push_orders(day: str) -> list[dict[str, Any]]:
        """Return the orders of a day."""
        return [
            {
                "id": f"{day}-{number}",
                "date": f"{day}T12:00:00Z",
                "totalValue": "29.90",
                "customer": {"crmId": f"C-{number}"},
                "products": [{"id": "MUG-1", "name": "Mug", "price": "29.90", "quantity": 1}],
            }
            for number in range(1, 4)
        ]

    # [END howto_decorator_ecdp_push]

    push_orders("{{ ds }}")
