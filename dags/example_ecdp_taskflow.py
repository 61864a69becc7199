"""Builds orders in Python, pushes them with an operator, and uses the hook in a task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.operators.ecdp import EcdpPushOrdersOperator


@dag(
    dag_id="example_ecdp_taskflow",
    description="Push orders that Python builds, and record returns with the hook",
    doc_md="""
### TaskFlow

`collect_orders` returns orders as dicts with the API's fields; a real task would query the shop's database.
Thousands of orders belong in a Parquet file instead. `record_returns` reads the orders back with the hook, adds the
returned quantities, and replaces them.

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
)
def example_ecdp_taskflow() -> None:
    """Build orders, push them, and record returns."""

    # orders hold personal data, which has no place in a log
    @task(show_return_value_in_logs=False)
    def collect_orders(day: str) -> list[dict[str, Any]]:
        return [
            {
                "id": f"{day}-{number}",
                "date": f"{day}T12:00:00Z",
                "status": "paid",
                "currency": "EUR",
                # text keeps the digits of money; it is sent as a number
                "totalValue": "59.80",
                "customer": {"crmId": f"C-{number}"},
                "products": [{"id": "MUG-1", "name": "Mug", "price": "29.90", "quantity": 2}],
            }
            for number in range(1, 4)
        ]

    # [START howto_operator_ecdp_push_orders]
    push_orders = EcdpPushOrdersOperator(
        task_id="push_orders",
        orders=collect_orders("{{ ds }}"),
    )
    # [END howto_operator_ecdp_push_orders]

    # [START howto_hook_ecdp]
    @task
    def record_returns(pushed: dict[str, Any]) -> dict[str, Any]:
        with EcdpHook(ecdp_conn_id="ecdp_default") as hook:
            orders = [hook.get_order(result["order_id"]) for result in pushed["results"][:1]]
            for order in orders:
                order["returnsValue"] = order["totalValue"]
                for product in order["products"]:
                    product["returned"] = product["quantity"]
            summary: dict[str, Any] = hook.push_orders(orders, mode="replace")["summary"]
            return summary

    # [END howto_hook_ecdp]

    record_returns(push_orders.output)  # type: ignore[arg-type]  # Airflow resolves it


example_ecdp_taskflow()
