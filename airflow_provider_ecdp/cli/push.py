"""`ecdp push`: the orders of an extract to ECDP, and what became of each."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator

from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.connection import open_client
from airflow_provider_ecdp.cli.ending import ending
from airflow_provider_ecdp.cli.extracts import open_orders
from airflow_provider_ecdp.cli.interruption import Interruption
from airflow_provider_ecdp.cli.summary import summary
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger import Ledger
from airflow_provider_ecdp.push import Progress, PushSettings, push
from airflow_provider_ecdp.report import MaxFailed


def run(arguments: Namespace, interruption: Interruption) -> int:
    """Push, print what came of it, and return the exit code."""
    settings = PushSettings(
        mode=Mode.parse(arguments.mode),
        match_by=None if arguments.match_by is None else MatchBy.parse(arguments.match_by),
        batch_size=arguments.batch_size,
        batch_bytes=arguments.batch_bytes,
        max_in_flight=arguments.max_in_flight,
        request_budget=arguments.request_budget,
        results_limit=arguments.results_limit,
        allow_empty=arguments.allow_empty,
    )
    max_failed = MaxFailed.parse(arguments.max_failed)
    if arguments.results and arguments.results == arguments.only_changed:
        raise ConfigurationError(
            "--results and --only-changed name one folder: the one is for one run, the other for all of them"
        )
    ledger, history, replay = (
        Ledger(path) if path else None for path in (arguments.results, arguments.only_changed, arguments.replay_from)
    )
    with (
        _shown(arguments) as show,
        open_client(arguments, interruption, max_in_flight=arguments.max_in_flight) as client,
        open_orders(arguments, interruption) as orders,
    ):
        report = push(orders, client, settings, ledger=ledger, history=history, replay=replay, progress=show)
    if arguments.json:
        output.out_json(report.as_json())
    elif not arguments.quiet:
        output.err(output.rendered(sys.stderr, *summary(report)))
    return ending(report, max_failed, interruption, brief=not (arguments.json or arguments.quiet))


@contextlib.contextmanager
def _shown(arguments: Namespace) -> Iterator[Callable[[Progress], None]]:
    """Give what draws the progress: a bar on a terminal, nothing elsewhere."""
    if arguments.json or arguments.quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich import progress as bars  # noqa: PLC0415 - only a terminal needs it

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TextColumn("{task.completed:,} orders, {task.fields[failed]:,} failed, {task.fields[rate]:,.0f}/s"),
        bars.TimeRemainingColumn(),
    )
    # the bar draws itself, ten times a second; an update only sets numbers
    with bars.Progress(*columns, console=output.console(sys.stderr), transient=True) as bar:
        task = bar.add_task("push", total=None, failed=0, rate=0.0)

        def draw(now: Progress) -> None:
            # rows that SQL groups do not tell how many orders there will be
            total = now.rows if arguments.sql is None else None
            rate = now.done / now.seconds if now.seconds else 0.0
            bar.update(task, completed=now.done, total=total, failed=now.failed, rate=rate)

        yield draw
