"""The report of a run as a person reads it: counts, reasons, warnings, cost, and where to look further."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table

from airflow_provider_ecdp.orders.contract import WARNINGS
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import Report


def summary(report: Report) -> Iterator[RenderableType]:
    """Yield tables and texts for a rich console."""
    yield outcomes(report)
    if report.reasons:
        reasons = ((f"{r['count']:,}", r["reason"], r["example"]) for r in report.reasons)
        yield rows(reasons, "orders", "why they failed", "for example")
    if report.warnings:
        yield warnings(report)
    yield cost(report)
    if report.results_path:
        yield f"Outcome of each order: {report.results_path}"
        if report.failed:
            yield f"To list those that failed: {list_failed(report.results_path)}"
    elif report.failed:
        yield "To keep the outcome of each order, and to go on where a run stopped: --results DIR"


def outcomes(report: Report) -> Table:
    """Return the table of counts by outcome."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("orders", f"{report.summary['total']:,}", justify="right", no_wrap=True)
    whole = report.in_extract is None or report.in_extract == report.summary["total"]
    table.add_column("outcome", "in the extract" if whole else f"read, of {report.in_extract:,} in the extract")
    table.add_column("")
    of_changes = "operation" in report.summary
    for outcome in Outcome:
        if count := report.summary[outcome.value]:
            table.add_row(f"{count:,}", outcome.value, outcome.meaning_of_change if of_changes else outcome.meaning)
    return table


def warnings(report: Report) -> Table:
    """Return the table of warnings."""
    told = (
        (f"{found['count']:,}", f"{name}: {WARNINGS.get(name, '')}", found["example"])
        for name, found in report.warnings.items()
    )
    return rows(told, "orders", "warnings, sent all the same", "for example")


def cost(report: Report) -> str:
    """Return one line on requests, bytes and time."""
    counts = report.summary
    seconds = float(counts["duration_seconds"])
    rate = f", {counts['total'] / seconds:,.0f} orders/s" if seconds else ""
    requests = "request" if counts["requests"] == 1 else "requests"
    how = f"mode {counts['mode']}" if "mode" in counts else f"operation {counts['operation']}"
    return (
        f"{counts['requests']:,} {requests} ({counts['retries']:,} repeated, {counts['in_flight']:,} at a time), "
        f"{counts['bytes'] / 1e6:,.1f} MB, {seconds:,.1f} s{rate}, {how}"
    )


def list_failed(results_path: str, ecdp: str = "ecdp") -> str:
    """Return the command that lists the failed orders of a run."""
    return f"{ecdp} results {shlex.quote(results_path)} --failed"


def rows(values: Iterable[tuple[str, str, str | None]], *headers: str) -> Table:
    """Return a table of counts, texts and examples."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(headers[0], justify="right", no_wrap=True)
    table.add_column(headers[1], overflow="fold")
    table.add_column(headers[2], overflow="ellipsis", no_wrap=True, max_width=40)
    for count, text, example in values:
        table.add_row(count, text, example or "(no id)")
    return table
