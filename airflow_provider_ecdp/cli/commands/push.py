"""`ecdp push`: sends the orders of an extract, with an outcome for each."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.client import open_client
from airflow_provider_ecdp.cli.commands.check import dry_run
from airflow_provider_ecdp.cli.exit_codes import ending
from airflow_provider_ecdp.cli.progress import shown
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.cli.sources import failed_before, open_orders
from airflow_provider_ecdp.cli.tables import summary
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.push.run import push
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.settings import build


def run(arguments: Namespace, interruption: Interruption) -> int:
    """Push, print the report, and return the exit code."""
    settings = build(PushSettings, vars(arguments))
    if arguments.results and arguments.results == arguments.only_changed:
        raise ConfigurationError(
            "--results and --only-changed name the same folder: --results is for one run, --only-changed for all runs"
        )
    ledger, history, replay = (
        Ledger(path) if path else None for path in (arguments.results, arguments.only_changed, arguments.replay_from)
    )
    if arguments.full_resync and history is None:
        raise ConfigurationError("--full-resync needs --only-changed DIR; without it, all orders are sent anyway")
    prior_runs = PriorRuns(ledger, history, replay, only_changed=not arguments.full_resync)
    if arguments.dry_run:
        return dry_run(arguments, settings, prior_runs)
    failed = failed_before(arguments) if arguments.retry_failed else None
    with (
        shown(arguments) as show,
        open_client(arguments, max_in_flight=settings.max_in_flight) as client,
        open_orders(arguments) as orders,
    ):
        report = push(
            orders,
            client,
            settings,
            prior_runs=prior_runs,
            failed_before=failed,
            progress=show,
            cancellation=interruption.cancellation,
        )
    if arguments.json:
        output.out_json(report.as_json())
    elif not arguments.quiet:
        output.report(*summary(report))
    return ending(report, settings.max_failed, interruption, brief=not (arguments.json or arguments.quiet))
