"""The buttons on the page of a task instance."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_ecdp.errors import EcdpError, MissingSourceError, OrdersFailedError, PushStoppedError
from airflow_provider_ecdp.get_provider_info import get_provider_info
from airflow_provider_ecdp.operators.base import EcdpOperator
from airflow_provider_ecdp.operators.ecdp import EcdpGetOrderOperator
from airflow_provider_ecdp.operators.failures import _SECTIONS, section_about
from airflow_provider_ecdp.operators.links import FailureDocsLink, ResultsFolderLink, SyncReportLink, console_url

KEY = SimpleNamespace(dag_id="shop.eu", run_id="manual__2026-11-01T03:00:00+00:00/x", task_id="a.push", map_index=-1)


@pytest.mark.parametrize(
    ("base_url", "start"),
    [
        ("https://airflow.example.com/team/", "https://airflow.example.com/team/ecdp/report/"),
        ("https://airflow.example.com", "https://airflow.example.com/ecdp/report/"),
        ("", "ecdp/report/"),
    ],
)
def test_the_sync_report_is_below_the_base_url(monkeypatch, base_url, start):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    link = SyncReportLink().get_link(None, ti_key=KEY)
    assert link == f"{start}shop.eu/manual__2026-11-01T03%3A00%3A00%2B00%3A00%2Fx/a.push/-1"


def test_a_console_shows_the_folder_of_results(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_CONSOLE", '{"conn_type": "aws", "login": "x", "password": "y"}')
    operator = SimpleNamespace(results_folder="s3://aws_console@shop/ecdp results/a%3A/push/3")
    assert ResultsFolderLink().get_link(operator, ti_key=KEY) == (
        "https://console.aws.amazon.com/s3/buckets/shop?prefix=ecdp%20results/a%253A/push/3/"
    )
    assert console_url("gs://google@shop/ecdp/push/3") == (
        "https://console.cloud.google.com/storage/browser/shop/ecdp/push/3"
    )


def test_what_no_console_shows_has_no_link(s3):
    assert s3.url
    for folder in ("/data/results/push/3", "file:///data/results", "s3://aws_default@warehouse/push/3"):
        assert console_url(folder) == ""
    for operator in (SimpleNamespace(), SimpleNamespace(results_folder=None)):
        assert ResultsFolderLink().get_link(operator, ti_key=KEY) == ""


def test_every_operator_has_the_links_and_airflow_knows_them():
    names = {f"{type(link).__module__}.{type(link).__name__}" for link in EcdpOperator.operator_extra_links}
    assert names == set(get_provider_info()["extra-links"])


def test_a_failure_leads_to_its_section_of_the_documentation(monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/team")
    operator = EcdpGetOrderOperator(task_id="x", order_id="1")
    assert FailureDocsLink().get_link(operator, ti_key=KEY) == ""
    operator._for_airflow(OrdersFailedError("1 of 2 orders failed", summary={}))
    assert FailureDocsLink().get_link(operator, ti_key=KEY) == (
        "https://airflow.example.com/team/ecdp/docs/troubleshooting#orders-failed"
    )


def test_every_kind_of_error_has_a_section_that_exists():
    page = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    sections = {line.removeprefix("## ").lower().replace(" ", "-") for line in page.splitlines() if line[:3] == "## "}
    assert {*_SECTIONS.values(), "first-steps"} <= sections
    assert section_about(PushStoppedError("x", summary={})) == "the-run-was-stopped"
    assert section_about(MissingSourceError("x")) == "the-extract"
    assert section_about(EcdpError("x")) == "first-steps"
