"""Pushes an order, and waits in the triggerer until ECDP has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_ecdp.operators.ecdp import EcdpPushOrdersOperator
from airflow_provider_ecdp.sensors.ecdp import EcdpOrderSensor

with DAG(
    dag_id="example_ecdp_wait_for_order",
    description="Push an order to ExpertSender CDP, and wait until it is paid",
    doc_md="""
### Wait for an order

The sensor asks ECDP once a minute, for an hour at most, and occupies no worker slot while it waits. Downstream
tasks, such as a campaign, start when the order is there.

Connection: `ecdp_default`.
""",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
    },
    tags=["ecdp"],
):
    push_order = EcdpPushOrdersOperator(
        task_id="push_order",
        orders=[
            {
                "id": "wait-1",
                "date": "2026-11-01T12:00:00Z",
                "status": "paid",
                "totalValue": "29.90",
                "customer": {"crmId": "C-1"},
                "products": [{"id": "MUG-1", "name": "Mug", "price": "29.90", "quantity": 1}],
            }
        ],
    )

    # [START howto_sensor_ecdp_order]
    wait_for_order = EcdpOrderSensor(
        task_id="wait_for_order",
        order_id="wait-1",
        statuses=["paid", "completed"],
        poke_interval=60,
        timeout=60 * 60,
        deferrable=True,
    )
    # [END howto_sensor_ecdp_order]

    push_order >> wait_for_order
