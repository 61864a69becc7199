"""The progress bar: on a terminal, on stderr, unless the output is for scripts."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.runs.progress import Progress
from airflow_provider_ecdp.runs.throughput import Throughput


@contextlib.contextmanager
def shown(arguments: Namespace) -> Iterator[Callable[[Progress], None]]:
    """Give what draws the progress of a command: a bar on a terminal, nothing elsewhere."""
    if arguments.json or arguments.quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich import progress as bars  # noqa: PLC0415 - only a terminal needs it

    sending = arguments.command == "push" and not arguments.dry_run
    failed = " {task.fields[failed]:,} failed," if sending else ""
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TextColumn("{task.completed:,} orders," + failed + " {task.fields[rate]:,.0f}/s"),
        bars.TextColumn("{task.fields[left]}"),
    )
    # the bar draws itself, ten times a second; an update only sets numbers
    with bars.Progress(*columns, console=output.console(sys.stderr), transient=True) as bar:
        task = bar.add_task("push" if sending else "check", total=None, failed=0, rate=0.0, left="")
        pace = Throughput(0.0)

        def draw(now: Progress) -> None:
            pace.note(now.seconds, now.done, now.unsent)
            seconds = pace.left(now.total)
            left = "" if seconds is None else str(dt.timedelta(seconds=round(seconds)))
            bar.update(task, completed=now.done, total=now.total, failed=now.failed, rate=pace.rate, left=left)

        yield draw
