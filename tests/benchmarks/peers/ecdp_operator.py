"""This provider's operator; `dag.test` runs it, without a scheduler."""

import sys
from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

with DAG("bench", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None, catchup=False) as dag:
    ParquetToEcdpOperator(task_id="push", path=sys.argv[1], max_in_flight=8)

if __name__ == "__main__":
    dag.test()
