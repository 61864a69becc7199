"""The tables of `ecdp results`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box

from airflow_provider_ecdp.cli import tables
from airflow_provider_ecdp.cli.tables import Examples, Table
from airflow_provider_ecdp.ledger.query import ReasonCount, Row, RunCounts
from airflow_provider_ecdp.results.outcome import Outcome

#: Runs that are listed.
_RUNS = 20


def counts(by_outcome: Mapping[Outcome, int]) -> Table:
    """Return how many orders have each outcome."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("orders", f"{sum(by_outcome.values()):,}", justify="right", no_wrap=True)
    table.add_column("outcome", "in these results")
    table.add_column("")
    for outcome, count in by_outcome.items():
        if count:
            table.add_row(f"{count:,}", outcome.value, outcome.meaning)
    return table


def reasons(counted: Iterable[ReasonCount]) -> Examples:
    """Return why orders failed."""
    return tables.rows(
        ((f"{row.count:,}", row.reason, row.example) for row in counted), "orders", "why they failed", "for example"
    )


def runs(newest: list[RunCounts]) -> Table:
    """Return the newest runs."""
    title = "run" if len(newest) <= _RUNS else f"run (the newest {_RUNS} of {len(newest):,})"
    table = _table("last written (UTC)", "orders", "failed", title)
    for run in newest[:_RUNS]:
        table.add_row(f"{run.last:%Y-%m-%d %H:%M:%S}", f"{run.total:,}", f"{run.failed:,}", run.path)
    return table


def rows(results: Iterable[Row]) -> Table:
    """Return orders with their outcomes."""
    table = _table("order", "outcome", "HTTP", "reason")
    for row in results:
        table.add_row(row.order_id or "(no id)", row.outcome.value, str(row.http_status or ""), row.reason or "")
    return table


def history(results: Iterable[Row]) -> Table:
    """Return the rows of one order."""
    table = _table("written (UTC)", "outcome", "HTTP", "run", "reason")
    for row in results:
        status = str(row.http_status or "")
        table.add_row(f"{row.at:%Y-%m-%d %H:%M:%S}", row.outcome.value, status, row.run, row.reason or "")
    return table


def _table(*headers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        counted = header in {"orders", "failed"}
        long = header in {"reason", "order"} or header.startswith("run")
        table.add_column(header, justify="right" if counted else "left", overflow="fold", no_wrap=not long)
    return table
