"""Lines of a task's log: the progress of a run, and the counts at its end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_provider_ecdp.results.numbers import number_of, size
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.runs.progress import Progress
from airflow_provider_ecdp.runs.throughput import Throughput

#: Seconds between two lines about the progress of a run.
PROGRESS_SECONDS = 5.0


class ProgressLogger:
    """Logs how far a run is, every few seconds; the progress callback of runs.

    :param log: takes a format and its arguments
    :param dry_run: whether orders are checked and not sent
    :param now: the time of day
    """

    def __init__(
        self,
        log: Callable[..., object],
        *,
        dry_run: bool = False,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._log = log
        self._done, self._failed = ("checked", "invalid") if dry_run else ("done", "failed")
        self._now = now
        self._last = 0.0
        self._throughput = Throughput(0.0)

    def __call__(self, progress: Progress) -> None:
        """Note the progress."""
        self._throughput.note(progress.seconds, progress.done, progress.unsent)
        if progress.seconds - self._last < PROGRESS_SECONDS:
            return
        self._last = progress.seconds
        self._log("%s", ", ".join(self._parts(progress)))

    def _parts(self, progress: Progress) -> Iterator[str]:
        done, total = progress.done, progress.total
        of = f" of {total:,} ({min(100 * done // total, 100)} %)" if total else ""
        yield f"{done:,}{of} orders {self._done}"
        yield f"{progress.failed:,} {self._failed}"
        if self._throughput.rate:
            yield f"{self._throughput.rate:,.0f} orders/s"
        seconds = self._throughput.left(total)
        if seconds is not None:
            left = dt.timedelta(seconds=round(seconds))
            yield f"ETA {self._now() + left:%H:%M:%S} UTC ({left})"


def summary_table(
    summary: Mapping[str, Any], warnings: Mapping[str, Mapping[str, Any]], results_path: str | None
) -> str:
    """Return the counts of a run as lines that a person can read."""
    operation = summary.get("mode") or summary["operation"]
    lines = [f"ECDP {operation}: {number_of(summary['total'], 'order')} in {summary['duration_seconds']:,} s"]
    lines += [f"  {outcome.value:<14}{summary[outcome.value]:>10,}" for outcome in Outcome if summary[outcome.value]]
    lines += [f"  warning {name}: {warning['count']:,}" for name, warning in warnings.items()]
    lines.append(
        f"  {number_of(summary['requests'], 'request')}, {summary['retries']:,} retried, {size(summary['bytes'])} sent"
    )
    if summary.get("in_flight"):
        lines[-1] += f", {summary['in_flight']:,} at a time"
    if summary.get("failed_before"):
        lines.append(f"  {summary['failed_before']:,} of these orders had failed in earlier runs")
    if "verified" in summary:
        read = number_of(summary["verified"], "accepted order")
        lines.append(f"  {read} read back, {summary['verified_differ']:,} of them differ")
    if results_path:
        lines.append(f"  results of every order: {results_path}")
    return "\n".join(lines)
