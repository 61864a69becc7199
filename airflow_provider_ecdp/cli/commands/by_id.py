"""`ecdp get`, `ecdp status` and `ecdp delete`: orders by their ids, or the changes of an extract."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.by_id.from_ids import (
    delete_orders,
    get_orders,
    listed_status,
    update_order_statuses,
)
from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.client import open_client
from airflow_provider_ecdp.cli.commands import changes
from airflow_provider_ecdp.cli.exit_codes import ending
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import MaxFailed, Report
from airflow_provider_ecdp.runs.cancellation import Cancellation


def run(arguments: Namespace, interruption: Interruption) -> int:
    """Request each order, print the results, and return the exit code."""
    if getattr(arguments, "extract", None):
        return changes.run(arguments, interruption)
    changes.refuse_without_extract(arguments)
    with open_client(arguments) as client:
        use_case = {"get": _get, "status": _status, "delete": _delete}[arguments.command]
        report = use_case(client, arguments, interruption.cancellation)
    if arguments.json:
        output.out_json(report.as_json())
    else:
        _print(report, arguments)
    return ending(report, MaxFailed(), interruption, brief=not (arguments.json or arguments.quiet))


def _get(client: EcdpClient, arguments: Namespace, cancellation: Cancellation) -> Report:
    missing = changes.missing_of(arguments)
    return get_orders(client, arguments.id, missing=missing, results_limit=len(arguments.id), cancellation=cancellation)


def _status(client: EcdpClient, arguments: Namespace, cancellation: Cancellation) -> Report:
    *ids, status = arguments.id
    # the output lists the orders only
    arguments.id, status = ids, listed_status(status)
    updates = [{"order_id": order_id, "status": status, "website_id": arguments.website_id} for order_id in ids]
    missing = changes.missing_of(arguments)
    return update_order_statuses(
        client, updates, missing=missing, results_limit=len(updates), cancellation=cancellation
    )


def _delete(client: EcdpClient, arguments: Namespace, cancellation: Cancellation) -> Report:
    history = None
    if arguments.only_changed:
        from airflow_provider_ecdp.ledger.store import Ledger  # noqa: PLC0415 - Arrow, which other commands do not need

        history = Ledger(arguments.only_changed)
    return delete_orders(
        client,
        arguments.id,
        missing=changes.missing_of(arguments),
        results_limit=len(arguments.id),
        history=history,
        cancellation=cancellation,
    )


def _print(report: Report, arguments: Namespace) -> None:
    # in the order of the arguments, where the report has failures first; of an id given twice, the last answer
    results = {result["order_id"]: result for result in report.results}
    for order_id in dict.fromkeys(arguments.id):
        result = results[order_id]
        if order := result.get("order"):
            output.out_json(order, indent=2)
        elif not arguments.quiet:
            outcome = f"{result['outcome']}, {result['reason']}" if result["reason"] else result["outcome"]
            text = f"order {output.one_line(order_id)}: {outcome}"
            if arguments.command == "get":
                # stdout is the orders alone
                output.err(f"{'ecdp: ' if Outcome(result['outcome']).failed else ''}{text}")
            else:
                output.out(text)
