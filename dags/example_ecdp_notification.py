"""Pushes orders every night, and sends a message if orders failed or their number is unusual."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_ecdp.notifications.ecdp import EcdpSyncNotifier
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

EXTRACTS = os.environ.get("ECDP_EXTRACTS", "/data/extracts")
RESULTS = os.environ.get("ECDP_RESULTS", "/data/ecdp-results")

#: The day before the run.
YESTERDAY = "{{ macros.ds_add(data_interval_end | ds, -1) }}"

with DAG(
    dag_id="example_ecdp_notification",
    description="Push orders to ExpertSender CDP, and send a message if something is wrong",
    doc_md="""
### Notification

A message is sent to a webhook if orders failed, even if `max_failed` tolerates them, or if the number of orders differs
by more than half from the median of the last runs.

Folders: the environment variables `ECDP_EXTRACTS` and `ECDP_RESULTS`. Connections: `ecdp_default`, and `webhook` of
type HTTP.
""",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    schedule="0 3 * * *",
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
    },
    tags=["ecdp"],
):

    def by_webhook(text: str) -> Callable[[Any], object]:
        """Return a notifier that posts the text."""
        from airflow.providers.http.notifications.http import HttpNotifier

        return HttpNotifier(http_conn_id="webhook", json={"text": text})

    # [START howto_notifier_ecdp]
    notify = EcdpSyncNotifier(by_webhook, volume_change="50%")

    ParquetToEcdpOperator(
        task_id="push_orders",
        path=f"{EXTRACTS}/orders_{YESTERDAY}.parquet",
        max_failed="1%",
        # orders that ECDP refuses or does not answer tonight are sent again tomorrow
        retry_failed=True,
        # some orders are read back and compared
        verify=20,
        results_path=RESULTS,
        on_success_callback=notify,
        on_failure_callback=notify,
    )
    # [END howto_notifier_ecdp]
