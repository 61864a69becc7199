"""Airflow's HttpOperator, mapped over batches of 500 that a task makes; `dag.test` runs it, without a scheduler."""

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG, task

EXTRACT = sys.argv[1]


def plain(value):
    return float(value) if isinstance(value, Decimal) else value.isoformat()


@task
def batches():
    import pyarrow.parquet as pq

    return [
        json.dumps({"mode": "AddOrReplace", "data": batch.to_pylist()}, default=plain)
        for batch in pq.ParquetFile(EXTRACT).iter_batches(500)
    ]


with DAG("bench", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None, catchup=False) as dag:
    HttpOperator.partial(
        task_id="post",
        http_conn_id="orders_api",
        endpoint="orders",
        headers={"x-api-key": "key", "Content-Type": "application/json"},
    ).expand(data=batches())

if __name__ == "__main__":
    dag.test()
