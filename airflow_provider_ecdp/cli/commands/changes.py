"""`ecdp status --from` and `ecdp delete --from`: send the changes of an extract, with an outcome for each."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_ecdp.by_id.from_source import apply_changes
from airflow_provider_ecdp.by_id.queue import ChangeQueue
from airflow_provider_ecdp.by_id.settings import (
    ChangeRowSettings,
    ChangeSettings,
    DeletionSettings,
    Missing,
    Operation,
)
from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.client import open_client
from airflow_provider_ecdp.cli.exit_codes import Exit, ending
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.cli.sources import partitions_of, text_of
from airflow_provider_ecdp.cli.tables import summary
from airflow_provider_ecdp.dry_run.changes import check_changes
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.execution.catalog import EXTRACT
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.settings import build


def run(arguments: Namespace, interruption: Interruption) -> int:
    """Send the changes, print the report, and return the exit code."""
    if arguments.id:
        raise ConfigurationError("name orders by their ids, or an extract with --from, not both")
    if getattr(arguments, "website_id", None) is not None:
        raise ConfigurationError("--website-id is for ids on the command line; an extract has the column website_id")
    deleting = arguments.command == "delete"
    table = DeletionSettings if deleting else ChangeSettings
    settings = build(table, vars(arguments) | {"missing": missing_of(arguments)})
    ledger = Ledger(arguments.results) if arguments.results else None
    history = Ledger(arguments.only_changed) if deleting and arguments.only_changed else None
    if arguments.dry_run:
        return _dry_run(arguments, settings, ledger)
    with (
        open_client(arguments, max_in_flight=settings.max_in_flight) as client,
        _queue(arguments) as queue,
    ):
        report = apply_changes(
            queue, client, settings, ledger=ledger, history=history, cancellation=interruption.cancellation
        )
    if arguments.json:
        output.out_json(report.as_json())
    elif not arguments.quiet:
        output.report(*summary(report))
    return ending(report, settings.max_failed, interruption, brief=not (arguments.json or arguments.quiet))


def _queue(arguments: Namespace) -> ChangeQueue:
    texts = {name: text_of(kind, getattr(arguments, name)) for name, kind in (("sql", "SQL"), ("mapping", "mapping"))}
    partitions = partitions_of(arguments.partition or [], [EXTRACT])[EXTRACT]
    operation = Operation.DELETE if arguments.command == "delete" else Operation.UPDATE_STATUS
    extract = ParquetSource.open(*arguments.extract, partitions=partitions)
    return ChangeQueue(extract, operation, build(ChangeRowSettings, vars(arguments) | texts))


def _dry_run(arguments: Namespace, settings: ChangeSettings, ledger: Ledger | None) -> int:
    """Check the changes, print the findings, and return the exit code."""
    with _queue(arguments) as queue:
        findings = check_changes(queue, settings, ledger)
        if arguments.json:
            output.out_json(findings.as_json())
        elif not arguments.quiet:
            from airflow_provider_ecdp.cli.tables import change_findings  # noqa: PLC0415 - rich, as in check

            output.report(*change_findings(findings, queue.name))
    return Exit.FAILED if findings.invalid > settings.max_failed.of(findings.total) else Exit.DONE


def missing_of(arguments: Namespace) -> Missing:
    """Return how the command treats an order that ECDP does not have."""
    fails = arguments.missing_fails if arguments.command == "delete" else not arguments.missing_ok
    return Missing.FAIL if fails else Missing.REPORT


def refuse_without_extract(arguments: Namespace) -> None:
    """Refuse options that need an extract, and missing ids.

    :raises ConfigurationError: there is such an option, or nothing to do
    """
    if without := [name for name in getattr(arguments, "of_extract", ()) if getattr(arguments, name) is not None]:
        raise ConfigurationError(f"--{without[0].replace('_', '-')} needs an extract: add --from EXTRACT")
    if len(arguments.id) < (2 if arguments.command == "status" else 1):
        required = "an order id and a status" if arguments.command == "status" else "an order id"
        raise ConfigurationError(f"nothing to do: give {required}, or an extract (--from)")
