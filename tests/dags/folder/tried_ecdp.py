"""DAGs that the tests run: what goes wrong, and what Airflow makes of it."""

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_ecdp.operators.ecdp import EcdpGetOrderOperator, EcdpPushOrdersOperator
from airflow_provider_ecdp.operators.sharding import shards, summarise
from airflow_provider_ecdp.sensors.ecdp import EcdpOrderSensor
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator
from airflow_provider_ecdp.transfers.parquet_to_ecdp_changes import ParquetToEcdpDeletionsOperator

EXTRACTS, RESULTS = os.environ["ECDP_EXTRACTS"], os.environ["ECDP_RESULTS"]
START = datetime(2026, 1, 1, tzinfo=UTC)

with DAG("tried_push", start_date=START, schedule=None):
    ParquetToEcdpOperator(
        task_id="push",
        path=f"{EXTRACTS}/{{{{ dag_run.conf['file'] }}}}",
        batch_size=10,
        max_in_flight=1,
        results_path=f"{RESULTS}/tried",
        on_clear="{{ dag_run.conf.get('on_clear', 'start_over') }}",
        retries=1,
        retry_delay=timedelta(0),
    )

with DAG("tried_sensor", start_date=START, schedule=None):
    EcdpOrderSensor(
        task_id="wait", order_id="{{ dag_run.conf['order_id'] }}", statuses="paid", poke_interval=0.05, deferrable=True
    )

with DAG("tried_deletions", start_date=START, schedule=None):
    ParquetToEcdpDeletionsOperator(
        task_id="delete",
        path=f"{EXTRACTS}/{{{{ dag_run.conf['file'] }}}}",
        missing="fail",
        max_in_flight=1,
        results_path=f"{RESULTS}/tried",
        retries=1,
        retry_delay=timedelta(0),
    )

with DAG("tried_storage", start_date=START, schedule=None):
    ParquetToEcdpOperator(
        task_id="push",
        path="s3://aws_default@warehouse/orders/{{ ds }}/*.parquet",
        results_path="s3://aws_default@warehouse/ecdp-results",
        batch_size=10,
        max_in_flight=1,
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

with DAG("tried_shards", start_date=START, schedule=None):

    @task
    def list_shards(**context):
        conf = context["dag_run"].conf
        found = shards(f"{EXTRACTS}/sharded", conf["most"])
        if "outdated" in conf:
            # as if the file had been written again since
            found[conf["outdated"]]["files"][0]["of"][0] += 1
        return [{"path": shard} for shard in found]

    @task(trigger_rule="all_done")
    def add_up(found, listed):
        return summarise(found, expected=len(listed))

    listed_shards = list_shards()
    pushed_shards = ParquetToEcdpOperator.partial(
        task_id="push",
        results_path=f"{RESULTS}/sharded",
        only_changed=True,
        batch_size=10,
        max_in_flight=1,
        retries=1,
        retry_delay=timedelta(0),
    ).expand_kwargs(listed_shards)
    add_up(pushed_shards.output, listed_shards)
