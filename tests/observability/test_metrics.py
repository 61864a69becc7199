"""Metrics by Airflow's own means, and the span of a run."""

import datetime as dt
import re
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from airflow_provider_ecdp.hooks.version_compat import AirflowFailException, stats
from airflow_provider_ecdp.observability.metrics import count_run
from airflow_provider_ecdp.operators.ecdp import EcdpPushOrdersOperator
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.sandbox.faults import Faults


@pytest.fixture
def metrics():
    """What is counted and timed, by name."""
    base = pytest.importorskip("airflow.sdk._shared.observability.metrics.base_stats_logger", reason="Airflow 3.1")
    noted = {}

    class Receiver(base.NoStatsLogger):
        """Airflow's own code counts too, such as the time of loading its plugins."""

        def incr(self, stat, count=1, *_, tags=None, **__):
            noted[stat] = (count, tags)

        def timing(self, stat, dt, *, tags=None, **_):
            noted[stat] = (dt, tags)

    stats.initialize(factory=Receiver, export_legacy_names=False)
    yield noted
    stats.initialize(factory=base.NoStatsLogger, export_legacy_names=False)


@pytest.fixture
def spans(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter.get_finished_spans


@pytest.fixture
def push(sandbox, connect, order, context):
    def run(*ids, bad=(), **arguments):
        connect(sandbox.url, extra={"max_in_flight": 1})
        orders = [order(i) for i in ids] + [order(i, currency="euro") for i in bad]
        return EcdpPushOrdersOperator(task_id="push", orders=orders, **arguments).execute(context)

    return run


def test_a_run_is_counted_and_timed(push, metrics, sandbox):
    sandbox.faults = Faults(error_before=1.0, last_request=1, retry_after=0)
    summary = push("A-1", "A-2", bad=["B-1"], max_failed=1)["summary"]
    tags = {"dag_id": "adhoc_airflow", "task_id": "push"}
    assert metrics.pop("ecdp.duration")[0].total_seconds() == summary["duration_seconds"]
    assert {name: value for name, value in metrics.items() if name.startswith("ecdp.")} == {
        "ecdp.orders.accepted": (2, tags),
        "ecdp.orders.invalid": (1, tags),
        "ecdp.requests": (2, tags),
        "ecdp.retries": (1, tags),
    }


def test_each_outcome_has_a_counter_of_its_own_and_none_counts_nothing(metrics):
    counts = {outcome: number for number, outcome in enumerate(Outcome)}
    count_run({**counts, "requests": 0, "retries": 0, "duration_seconds": 1.5, "mode": "Add"}, {"dag_id": "shop"})
    page = (Path(__file__).parents[2] / "docs" / "observability.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `ecdp\.orders(.*?)\| counter", page, re.MULTILINE)
    documented = [f"ecdp.orders{name}" for name in re.findall(r"\.[a-z_]+", row)]
    assert [f"ecdp.orders.{outcome}" for outcome in Outcome] == documented
    assert {name: value for name, value in metrics.items() if name.startswith("ecdp.")} == {
        **{f"ecdp.orders.{outcome}": (number, {"dag_id": "shop"}) for outcome, number in counts.items() if number},
        "ecdp.duration": (dt.timedelta(seconds=1.5), {"dag_id": "shop"}),
    }


def test_a_run_that_failed_is_counted_and_a_dry_run_is_not(push, metrics):
    with pytest.raises(AirflowFailException):
        push("A-1", bad=["B-1"])
    counted = {name: value for name, (value, _) in metrics.items() if name.startswith("ecdp.orders")}
    assert counted == {"ecdp.orders.accepted": 1, "ecdp.orders.invalid": 1}
    metrics.clear()
    push("A-1", dry_run=True)
    assert not [name for name in metrics if name.startswith("ecdp.")]


def test_a_run_is_a_span_with_its_counts(push, spans, sandbox):
    with trace.get_tracer("airflow").start_as_current_span("task") as task:
        push("A-1", "A-2", bad=["B-1"], max_failed=1)
    span, _ = spans()
    assert span.name == "EcdpPushOrdersOperator"
    assert span.parent.span_id == task.get_span_context().span_id
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes) == {
        "dag_id": "adhoc_airflow",
        "task_id": "push",
        "ecdp.operation": "AddOrReplace",
        "ecdp.total": 3,
        "ecdp.accepted": 2,
        "ecdp.rejected": 0,
        "ecdp.invalid": 1,
        "ecdp.unresolved": 0,
        "ecdp.not_attempted": 0,
        "ecdp.skipped": 0,
        "ecdp.requests": 1,
        "ecdp.retries": 0,
        "ecdp.bytes": sandbox.store.requests[0].size,
    }


def test_the_span_of_a_run_that_failed_says_so_without_an_orders_values(push, spans):
    with pytest.raises(AirflowFailException):
        push("A-1", bad=["B-1"])
    (span,) = spans()
    assert span.status.status_code is StatusCode.ERROR
    assert "B-1" not in span.to_json()
    assert span.attributes["ecdp.invalid"] == 1
