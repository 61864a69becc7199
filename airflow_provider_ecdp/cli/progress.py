"""The progress bar: on a terminal, on stderr, unless the output is for scripts."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.runs.progress import Progress
from airflow_provider_ecdp.runs.throughput import Throughput


@contextlib.contextmanager
def shown(arguments: Namespace) -> Iterator[Callable[[Progress], None]]:
    """Return a callback that draws the progress of a command: a bar on a terminal, nothing elsewhere."""
    if arguments.json or arguments.quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich import progress as bars  # noqa: PLC0415 - only a terminal needs it

    sending = arguments.command == "push" and not arguments.dry_run
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.TextColumn("{task.fields[text]}"))
    # the bar draws itself, ten times a second; an update only sets numbers
    with bars.Progress(*columns, console=output.console(sys.stderr), transient=True) as bar:
        task = bar.add_task("push" if sending else "check", total=None, text="")
        pace = Throughput(0.0)

        def draw(now: Progress) -> None:
            pace.note(now.seconds, now.done, now.unsent)
            text = described(now, pace, dt.datetime.now(dt.UTC), failures=sending)
            bar.update(task, completed=now.done, total=now.total, text=text)

        yield draw


def described(now: Progress, pace: Throughput, moment: dt.datetime, *, failures: bool) -> str:
    """Return how far a run is: 18,432 of 60,000 orders, 2 failed, 512/s, ETA 15:15 UTC (2 min)."""
    parts = [number_of(now.done, "order") if now.total is None else f"{now.done:,} of {number_of(now.total, 'order')}"]
    if failures:
        parts.append(f"{now.failed:,} failed")
    if pace.rate:
        parts.append(f"{pace.rate:,.0f}/s")
    if seconds := pace.left(now.total):
        end = (moment + dt.timedelta(seconds=seconds)).astimezone(dt.UTC)
        minutes = round(seconds / 60)
        parts.append(f"ETA {end:%H:%M} UTC ({f'{minutes:,} min' if minutes else f'{round(seconds)} s'})")
    return ", ".join(parts)
