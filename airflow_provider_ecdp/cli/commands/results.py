"""`ecdp results`: lists, exports, erases and compacts the outcomes of earlier runs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.exit_codes import Exit
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.compaction import compact, forget, prune
from airflow_provider_ecdp.ledger.query import Filter, Results, Row, Sort
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.table_csv import csv_text

if TYPE_CHECKING:
    from rich.console import RenderableType


def run(arguments: Namespace, interruption: Interruption) -> int:  # noqa: ARG001 - every command has these two
    """Run the action, print its result, and return the exit code."""
    action, *names = arguments.action or ["list"]
    _check_options(arguments, action)
    if action == "forget" and names:
        return _forget(arguments, names)
    if action == "compact" and not names:
        return _compact(arguments)
    if action == "prune" and not names:
        return _prune(arguments)
    if action != "list":
        raise ConfigurationError(
            f"ecdp results DIR {' '.join(arguments.action)}: "
            "the action is forget ORDER [ORDER ...], compact, prune, or none"
        )
    with Results(arguments.dir) as results:
        if arguments.order is not None:
            return _history(results, arguments)
        return _list(results, arguments, _filter(arguments))


def _check_options(arguments: Namespace, action: str) -> None:
    """Refuse options that the action does not use.

    :raises ConfigurationError: it does not take one of them, or a value is impossible
    """
    if arguments.keep_days is not None and action not in ("compact", "prune"):
        raise ConfigurationError("--keep-days is for compact or prune: ecdp results DIR compact --keep-days N")
    if arguments.limit < 0:
        raise ConfigurationError(f"--limit must be 0 or more, not {arguments.limit}")
    if arguments.csv and arguments.json:
        raise ConfigurationError("--csv and --json exclude each other: leave one out")
    unused = {"--failed": arguments.failed, "--outcome": arguments.outcome, "--reason": arguments.reason is not None}
    view = "--order"
    if action != "list":
        unused |= {"--order": arguments.order is not None, "--csv": arguments.csv}
        view = action
    elif arguments.order is None:
        return
    if named := [name for name, is_set in unused.items() if is_set]:
        raise ConfigurationError(f"{view} does not take {', '.join(named)}: leave it out")


def _filter(arguments: Namespace) -> Filter:
    texts = {text: text.strip().lower().replace("-", "_") for text in arguments.outcome or []}
    choices = [outcome.value for outcome in Outcome]
    if unknown := [text for text, name in texts.items() if name not in choices]:
        raise ConfigurationError(f"--outcome must be one of {', '.join(choices)}, not {', '.join(unknown)}")
    outcomes = [Outcome(name) for name in texts.values()]
    return Filter(failed=arguments.failed, outcomes=outcomes, reason=arguments.reason)


def _list(results: Results, arguments: Namespace, criteria: Filter) -> int:
    if arguments.csv:
        return _print_csv(results.each(criteria))
    page = results.page(criteria, sort=Sort.ORDER_ID, limit=arguments.limit)
    counts = results.counts()
    reasons = results.reasons(Filter(failed=True, outcomes=criteria.outcomes, reason=criteria.reason))
    runs = results.runs()
    if arguments.json:
        output.out_json(
            {
                "path": results.path,
                "counts": {outcome.value: count for outcome, count in counts.items()},
                "matching": page.total,
                "results": [row.as_json() for row in page.rows],
                "reasons": [reason.as_json() for reason in reasons],
                "runs": [run.as_json() for run in runs],
            }
        )
        return Exit.DONE
    from airflow_provider_ecdp.cli import results_tables as tables  # noqa: PLC0415 - rich, which --json does not need

    shown: list[RenderableType] = [tables.counts(counts)]
    if len(runs) > 1:
        shown.append(tables.runs(runs))
    if reasons:
        shown.append(tables.reasons(reasons))
    if page.rows:
        shown.append(tables.rows(page.rows))
    more = page.total - len(page.rows)
    if more:
        shown.append(f"{more:,} more: --limit {page.total} shows all, --csv writes them")
    elif not page.rows:
        shown.append("No order matches.")
    output.report(*shown)
    return Exit.DONE


def _history(results: Results, arguments: Namespace) -> int:
    rows = results.history(arguments.order)
    if arguments.csv:
        return _print_csv(rows)
    if arguments.json:
        output.out_json({"path": results.path, "order_id": arguments.order, "results": [r.as_json() for r in rows]})
    elif rows:
        from airflow_provider_ecdp.cli import results_tables as tables  # noqa: PLC0415 - as above

        output.report(tables.history(rows))
    if not rows:
        output.err(f"ecdp: order {output.one_line(arguments.order)} is not in {results.path}")
        return Exit.FAILED
    return Exit.DONE


def _print_csv(rows: Iterable[Row]) -> int:
    for text in csv_text(row.as_json() for row in rows):
        output.out_csv(text.rstrip("\n"))
    return Exit.DONE


def _forget(arguments: Namespace, order_ids: list[str]) -> int:
    erased = {order_id: forget(arguments.dir, order_id) for order_id in order_ids}
    if arguments.json:
        output.out_json({"path": arguments.dir, "erased": erased})
    elif not arguments.quiet:
        for order_id, count in erased.items():
            rows = number_of(count, "row")
            output.out(f"order {output.one_line(order_id)}: {rows} erased from {arguments.dir}")
    return Exit.DONE if all(erased.values()) else Exit.FAILED


def _prune(arguments: Namespace) -> int:
    if arguments.keep_days is None:
        raise ConfigurationError("prune needs --keep-days N: the days for which results of runs are kept")
    removed = prune(arguments.dir, keep_days=arguments.keep_days)
    if arguments.json:
        output.out_json({"path": arguments.dir, "runs_removed": removed})
    elif not arguments.quiet:
        output.out(f"results of {number_of(removed, 'run')} removed")
    return Exit.DONE


def _compact(arguments: Namespace) -> int:
    done = compact(arguments.dir, keep_days=arguments.keep_days)
    if arguments.json:
        counts = {"files_before": done.files_before, "files_after": done.files_after, "rows_dropped": done.dropped}
        output.out_json({"path": arguments.dir, **counts})
    elif not arguments.quiet:
        dropped = f"; {number_of(done.dropped, 'old row')} dropped" if done.dropped else ""
        output.out(f"{number_of(done.files_before, 'file')} merged into {done.files_after:,}{dropped}")
    return Exit.DONE
