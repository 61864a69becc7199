"""DAGs that the tests run: what goes wrong, and what Airflow makes of it."""

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_ecdp.operators.ecdp import EcdpGetOrderOperator, EcdpPushOrdersOperator
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

EXTRACTS, RESULTS = os.environ["ECDP_EXTRACTS"], os.environ["ECDP_RESULTS"]
START = datetime(2026, 1, 1, tzinfo=UTC)

with DAG("tried_push", start_date=START, schedule=None):
    ParquetToEcdpOperator(
        task_id="push",
        path=f"{EXTRACTS}/{{{{ dag_run.conf['file'] }}}}",
        batch_size=10,
        max_in_flight=1,
        results_path=f"{RESULTS}/tried",
        retries=1,
        retry_delay=timedelta(0),
    )

with DAG("tried_mapping", start_date=START, schedule=None):
    pushed = ParquetToEcdpOperator.partial(
        task_id="push", results_path=f"{RESULTS}/mapped", map_index_template="{{ task.path }}", max_failed="{{ 1 }}"
    ).expand(path=[f"{EXTRACTS}/part-{number}.parquet" for number in range(2)])
    listed = EcdpPushOrdersOperator.partial(task_id="push_orders").expand(
        orders=[
            [
                {
                    "id": f"mapped-{number}",
                    "date": "2026-11-01T10:00:00Z",
                    "totalValue": 1,
                    "customer": {"email": "customer@example.com"},
                    "products": [{"id": "p", "name": "Mug", "price": 1, "quantity": 1}],
                }
            ]
            for number in range(2)
        ]
    )
    listed >> EcdpGetOrderOperator.partial(task_id="get", include_customer=False).expand(
        order_id=["mapped-0", ["mapped-1", "mapped-0"]]
    )
