"""Code as users write it, for mypy: it takes right uses and refuses wrong ones; an unused ignore is an error too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

from airflow.sdk import XComArg

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.settings import OnDrift
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.operators.ecdp import (
    EcdpDeleteOrderOperator,
    EcdpGetOrderOperator,
    EcdpPushOrdersOperator,
    EcdpUpdateOrderStatusOperator,
)
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.push.run import push
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.results.report import Report
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.progress import Progress
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator
from airflow_provider_ecdp.transfers.parquet_to_ecdp_changes import (
    ParquetToEcdpDeletionsOperator,
    ParquetToEcdpStatusesOperator,
)


def the_hook(orders: list[dict[str, Any]]) -> None:
    with EcdpHook("ecdp_default", max_in_flight=8) as hook:
        assert_type(hook, EcdpHook)
        xcom = hook.push_orders(orders, mode="replace", batch_size=200, max_failed="1%", timezone="Europe/Warsaw")
        assert_type(xcom, dict[str, Any])
        hook.push_orders(orders, mode=Mode.ADD, match_by=MatchBy.EMAIL, on_drift=OnDrift.FAIL, max_failed=0.01)
        hook.push_orders(orders, btch_size=200)  # type: ignore[call-arg]
        hook.push_orders(orders, batch_size="200")  # type: ignore[arg-type]
        source = ParquetSource.open("orders.parquet")
        reading = hook.settings(OrderSettings, {"sql": "FROM extract"})
        assert_type(reading, OrderSettings)
        report = hook.push(source, reading, PushSettings(canary=10), prior_runs=PriorRuns(ledger=Ledger("results")))
        assert_type(report, Report)
        hook.push(source, {"sql": "FROM extract"})  # type: ignore[arg-type]


def the_operators(orders: list[dict[str, Any]], listed: XComArg) -> None:
    ParquetToEcdpOperator(task_id="push", path="{{ ds }}.parquet", batch_size="{{ params.size }}", retries=3)
    ParquetToEcdpOperator(task_id="push", path=listed, batch_size=[500])  # type: ignore[arg-type]
    ParquetToEcdpOperator(path="orders.parquet")  # type: ignore[call-arg]
    ParquetToEcdpDeletionsOperator(task_id="delete", path=listed, max_duration=timedelta(hours=1), dry_run=True)
    ParquetToEcdpStatusesOperator(task_id="change")  # type: ignore[call-arg]
    EcdpPushOrdersOperator(task_id="push", orders=orders, mode=Mode.ADD, max_failed="1%")
    EcdpGetOrderOperator(task_id="get", order_id=listed, include_customer=False, missing="report")
    EcdpUpdateOrderStatusOperator(task_id="pay", order_id=["1"], status="paid", website_id="{{ params.website }}")
    EcdpDeleteOrderOperator(task_id="delete", order_id="1", results_limit=[5])  # type: ignore[arg-type]
    EcdpDeleteOrderOperator(task_id="delete")  # type: ignore[call-arg]


def the_core(key: str) -> None:
    def show(now: Progress) -> None:
        assert_type(now.done, int)

    settings = PushSettings(mode=Mode.ADD, batch_size=100)
    assert_type(settings.batch_size, int)
    assert_type(settings.match_by, MatchBy | None)
    with (
        EcdpClient(key, ClientSettings("https://api.ecdp.app", read_timeout=5)) as client,
        OrderReader(ParquetSource.open("orders.parquet"), OrderSettings(timezone="UTC")) as orders,
    ):
        report = push(orders, client, settings, progress=show, cancellation=Cancellation())
    assert_type(report.failed, int)
    assert_type(report.as_json(), dict[str, Any])
