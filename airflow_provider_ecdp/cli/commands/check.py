"""`ecdp check`, and `ecdp push --dry-run`: everything that a push does before it sends."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.exit_codes import Exit
from airflow_provider_ecdp.cli.progress import shown
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.cli.sources import open_orders
from airflow_provider_ecdp.dry_run.orders import check
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.settings import OnDrift
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.push.settings import PushSettings


def run(arguments: Namespace, _interruption: Interruption) -> int:
    """Check, print the findings, and return the exit code."""
    # schema drift is among the findings; only a push fails because of it
    settings = PushSettings(allow_empty=arguments.allow_empty, on_drift=OnDrift.WARN)
    ledger = Ledger(arguments.results) if arguments.results else None
    return dry_run(arguments, settings, PriorRuns(ledger=ledger))


def dry_run(arguments: Namespace, settings: PushSettings, prior: PriorRuns) -> int:
    """Check as a push with these settings would, print the findings, and return the exit code."""
    with open_orders(arguments) as orders:
        with shown(arguments) as show:
            result = check(orders, settings, prior, progress=show)
        if arguments.json:
            output.out_json_text(result.json_text())
        elif not arguments.quiet:
            from airflow_provider_ecdp.cli.tables import findings  # noqa: PLC0415 - rich, which --json does not need

            compared = prior.ledger is not None or prior.history is not None
            output.report(*findings(result, orders.name, settings, compared=compared))
    if result.drift and settings.on_drift is OnDrift.FAIL:
        output.err(
            "ecdp: columns are gone or have changed since the previous run: with --on-drift fail nothing is sent"
        )
        return Exit.USAGE
    return Exit.FAILED if result.invalid > settings.max_failed.of(result.total) else Exit.DONE
