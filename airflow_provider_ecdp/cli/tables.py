"""Reports and findings as a person reads them: counts, reasons, warnings, cost, and where to look further."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table

from airflow_provider_ecdp.dry_run.changes import ChangeFindings
from airflow_provider_ecdp.dry_run.findings import EXAMPLES, Findings, Rule
from airflow_provider_ecdp.dry_run.sample_order import laid_out
from airflow_provider_ecdp.orders.contract import WARNINGS
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import Report

#: Statuses and currencies that are listed.
_LISTED = 10

#: Characters of the ids on one line.
_WIDE = 38

#: What is there instead says no more than the rule that is broken.
_NOTHING = {"missing", "none", "more than one value"}


def summary(report: Report) -> Iterator[RenderableType]:
    """Yield tables and texts for a rich console."""
    yield outcomes(report)
    if report.reasons:
        reasons = ((f"{r['count']:,}", r["reason"], r["example"]) for r in report.reasons)
        yield rows(reasons, "orders", "why they failed", "for example")
    if report.warnings:
        yield warnings(report)
    yield cost(report)
    if report.results_path:
        yield f"Outcome of each order: {report.results_path}"
        if report.failed:
            yield f"To list those that failed: {list_failed(report.results_path)}"
    elif report.failed:
        yield "To keep the outcome of each order, and to go on where a run stopped: --results DIR"


def outcomes(report: Report) -> Table:
    """Return the table of counts by outcome."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("orders", f"{report.summary['total']:,}", justify="right", no_wrap=True)
    whole = report.in_extract is None or report.in_extract == report.summary["total"]
    table.add_column("outcome", "in the extract" if whole else f"read, of {report.in_extract:,} in the extract")
    table.add_column("")
    of_changes = "operation" in report.summary
    for outcome in Outcome:
        if count := report.summary[outcome.value]:
            table.add_row(f"{count:,}", outcome.value, outcome.meaning_of_change if of_changes else outcome.meaning)
    return table


def warnings(report: Report) -> Table:
    """Return the table of warnings."""
    told = (
        (f"{found['count']:,}", f"{name}: {WARNINGS.get(name, '')}", found["example"])
        for name, found in report.warnings.items()
    )
    return rows(told, "orders", "warnings, sent all the same", "for example")


def cost(report: Report) -> str:
    """Return one line on requests, bytes and time."""
    counts = report.summary
    seconds = float(counts["duration_seconds"])
    rate = f", {counts['total'] / seconds:,.0f} orders/s" if seconds else ""
    requests = "request" if counts["requests"] == 1 else "requests"
    how = f"mode {counts['mode']}" if "mode" in counts else f"operation {counts['operation']}"
    return (
        f"{counts['requests']:,} {requests} ({counts['retries']:,} repeated, {counts['in_flight']:,} at a time), "
        f"{counts['bytes'] / 1e6:,.1f} MB, {seconds:,.1f} s{rate}, {how}"
    )


def list_failed(results_path: str, ecdp: str = "ecdp") -> str:
    """Return the command that lists the failed orders of a run."""
    return f"{ecdp} results {shlex.quote(results_path)} --failed"


def rows(values: Iterable[tuple[str, str, str | None]], *headers: str) -> Table:
    """Return a table of counts, texts and examples."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(headers[0], justify="right", no_wrap=True)
    table.add_column(headers[1], overflow="fold")
    table.add_column(headers[2], overflow="ellipsis", no_wrap=True, max_width=40)
    for count, text, example in values:
        table.add_row(count, text, example or "(no id)")
    return table


def findings(found: Findings, name: str, settings: PushSettings, *, compared: bool) -> Iterator[RenderableType]:
    """Yield tables and texts for a rich console.

    :param name: what the user called the extract
    :param settings: with which it would be sent
    :param compared: whether it was to be compared with an earlier run
    """
    yield f"{found.total:,} orders in {name}: {found.valid:,} valid, {found.invalid:,} invalid"
    yield from _sent(found, settings)
    if found.problems:
        yield rows(map(_row, found.commonest_problems), "orders", "rule broken", "for example")
    # one that only invalid orders have is of nothing that is sent
    if warnings := [rule for rule in found.commonest_warnings if rule.count]:
        yield rows(map(_row, warnings), "orders", "warning, sent all the same", "for example")
    if found.duplicate_ids:
        yield (
            f"{found.duplicate_ids:,} ids appear more than once. One with one content is sent once "
            f"({found.repeated:,} orders are not sent again), one with several contents is invalid."
        )
        twice = ((f"{d['times']:,}", f"contents: {d['contents']:,}", d["order_id"]) for d in found.duplicates)
        yield rows(twice, "orders", "with one id", "id")
    if found.dates:
        yield f"Dates: {found.dates[0]} to {found.dates[1]}"
    yield f"Statuses: {_counted(found.statuses)}"
    yield f"Currencies: {_counted(found.currencies)}"
    yield from _columns(found)
    if compared:
        yield from _drift(found.drift)
    if found.sample is not None:
        yield "The first order to be sent, without personal data:"
        yield "\n".join(f"  {line}" for line in laid_out(found.sample, EXAMPLES))


def change_findings(found: ChangeFindings, name: str) -> Iterator[RenderableType]:
    """Yield texts and a table for a rich console.

    :param name: what the user called the extract
    """
    yield f"{found.total:,} changes in {name}: {found.total - found.invalid:,} valid, {found.invalid:,} invalid"
    kept = [f"{found.done:,} are done already"] if found.done else []
    kept += [f"{found.repeated:,} are repeated"] if found.repeated else []
    sent = f"{found.to_send:,} would be sent, one request each, operation {found.operation}"
    yield sent + "".join(f"; {one}" for one in kept)
    if found.problems:
        yield rows(map(_row, found.commonest_problems), "rows", "rule broken", "for example")


def _sent(found: Findings, settings: PushSettings) -> Iterator[str]:
    kept = []
    if found.skipped:
        kept.append(f"{found.skipped:,} are there already")
    if found.repeated:
        kept.append(f"{found.repeated:,} are repeated")
    requests = f"{found.requests:,} request{'' if found.requests == 1 else 's'}"
    yield (
        f"{found.to_send:,} would be sent, in {requests} of {found.bytes / 1e6:,.1f} MB together, "
        f"mode {settings.mode}{''.join(f'; {one}' for one in kept)}"
    )


def _columns(found: Findings) -> Iterator[str]:
    yield f"Columns used: {_named(found.used)}"
    yield f"Columns ignored: {_named(found.ignored)}"
    if found.not_fields:
        yield f"Columns of the SQL text that are no fields: {_named(found.not_fields)}"
    if found.fields:
        yield "Fields by the mapping:"
        yield "\n".join(f"  {path}: {source}" for path, source in found.fields.items())


def _drift(changes: list[str] | None) -> Iterator[str]:
    if changes is None:
        yield "Columns of the previous run: none are kept"
    elif changes:
        yield "\n  - ".join(["Columns are not those of the previous run:", *changes])
    else:
        yield "Columns are those of the previous run."


def _row(rule: Rule) -> tuple[str, str, str]:
    text = f"{rule.field}: {rule.rule}"
    several = len(rule.got) > 1
    got = [f"{value} ({count:,})" if several else value for value, count in rule.got.most_common(EXAMPLES)]
    if not _NOTHING.issuperset(rule.got):
        text += f", got {', '.join(got)}{', …' if len(rule.got) > EXAMPLES else ''}"
    if rule.invalid:
        text += f"; and {rule.invalid:,} invalid orders"
    ids = [example or "(no id)" for example in rule.examples]
    return f"{rule.count:,}", text, (", " if sum(map(len, ids)) < _WIDE else "\n").join(ids)


def _counted(values: Counter[str | None]) -> str:
    ranked = values.most_common()
    listed = [f"{count:,} {value or 'none'}" for value, count in ranked[:_LISTED]]
    if others := ranked[_LISTED:]:
        listed.append(f"{sum(count for _, count in others):,} of {len(others):,} others")
    return ", ".join(listed) or "none"


def _named(columns: Iterable[str]) -> str:
    return ", ".join(columns) or "none"
