"""Metrics and the span of a run, through Airflow's own mechanisms and configuration."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace

from airflow_provider_ecdp.hooks.version_compat import stats
from airflow_provider_ecdp.results.outcome import Outcome

#: Counts of a run's summary that are attributes of its span.
_ATTRIBUTES = ("total", *(outcome.value for outcome in Outcome), "requests", "retries", "bytes")


def count_run(summary: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    """Emit the counts of a run, and add them to its span.

    `ecdp.orders.<outcome>`, `ecdp.requests` and `ecdp.retries` are counters, `ecdp.duration` is a time.

    :param tags: of the metrics, where the receiver has tags
    """
    for outcome in Outcome:
        if summary[outcome.value]:
            stats.incr(f"ecdp.orders.{outcome.value}", summary[outcome.value], tags=dict(tags))
    for name in ("requests", "retries"):
        if summary[name]:
            stats.incr(f"ecdp.{name}", summary[name], tags=dict(tags))
    stats.timing("ecdp.duration", dt.timedelta(seconds=summary["duration_seconds"]), tags=dict(tags))
    span = trace.get_current_span()
    span.set_attributes({f"ecdp.{name}": summary[name] for name in _ATTRIBUTES if name in summary})
    span.set_attribute("ecdp.operation", str(summary.get("mode") or summary["operation"]))


@contextmanager
def run_span(name: str, attributes: Mapping[str, str]) -> Iterator[None]:
    """Open the span of a run, inside of the task's."""
    tracer = trace.get_tracer("airflow_provider_ecdp")
    # an error's text names orders, and is for the log
    with tracer.start_as_current_span(
        name, attributes=dict(attributes), record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise
