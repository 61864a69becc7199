"""Reports and findings for people: counts, reasons, warnings, cost, and where to look further."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box, table
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from airflow_provider_ecdp.cli.output import one_line
from airflow_provider_ecdp.dry_run.changes import ChangeFindings
from airflow_provider_ecdp.dry_run.findings import EXAMPLES, Findings, Rule
from airflow_provider_ecdp.dry_run.sample_order import laid_out
from airflow_provider_ecdp.orders.contract import MAX_ATTRIBUTE_NAMES, WARNINGS
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.results.numbers import number_of, size
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import Report

#: Narrowest and widest an id is shown before it goes on in the next line; between them it takes a third of the width.
_ID_WIDTH = (12, 40)

#: Statuses and currencies that are listed.
_LISTED = 10

#: Characters of the ids on one line.
_WIDE = 38

#: Values that add nothing to the broken rule.
_NOTHING = {"missing", "none", "more than one value"}


class Table(table.Table):
    """A table of rich whose cells are of one line each, and hold no control characters."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; a cell that is not text stays unchanged."""
        super().add_row(*(one_line(cell) if isinstance(cell, str) else cell for cell in cells), **options)


@dataclass(frozen=True, slots=True)
class Examples:
    """A table of counts, texts and ids; long ids leave the texts their room.

    :param values: the ids as one text, or as several lines
    """

    values: Sequence[tuple[str, str, str | list[str] | None]]
    headers: tuple[str, ...]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table for the available width."""
        least, most = _ID_WIDTH
        shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        shown.add_column(self.headers[0], justify="right", no_wrap=True)
        shown.add_column(self.headers[1], overflow="fold")
        shown.add_column(self.headers[2], overflow="fold", max_width=min(max(least, options.max_width // 3), most))
        for count, text, example in self.values:
            ids = Text("\n".join(map(one_line, example))) if isinstance(example, list) else example
            shown.add_row(count, text, ids or "(no id)")
        yield shown


def summary(report: Report) -> Iterator[RenderableType]:
    """Yield tables and texts for a rich console."""
    yield outcomes(report)
    if absent := report.summary.get("missing"):
        yield f"ECDP did not have {absent:,} of them: deleted before, or never stored."
    if again := report.summary.get("failed_before"):
        yield f"{number_of(again, 'order')} of these had failed in earlier runs."
    if "verified" in report.summary:
        verified, differ = report.summary["verified"], report.summary["verified_differ"]
        yield f"{number_of(verified, 'accepted order')} read back: {differ:,} not as sent."
    if report.reasons:
        reasons = ((f"{r['count']:,}", r["reason"], r["example"]) for r in report.reasons)
        yield rows(reasons, "orders", "why they failed", "for example")
    if report.warnings:
        yield warnings(report)
    yield cost(report)
    if report.results_path:
        yield f"Outcome of each order: {report.results_path}"
        if report.failed:
            yield f"To list the failed orders: {list_failed(report.results_path)}"
    elif report.failed:
        yield "To keep the outcome of each order, and to resume a stopped run: --results DIR"


def outcomes(report: Report) -> Table:
    """Return the table of counts by outcome."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("orders", f"{report.summary['total']:,}", justify="right", no_wrap=True)
    table.add_column("outcome", _scope(report))
    table.add_column("")
    of_changes = "operation" in report.summary
    for outcome in Outcome:
        if count := report.summary[outcome.value]:
            table.add_row(f"{count:,}", outcome.value, outcome.meaning_of_change if of_changes else outcome.meaning)
    return table


def _scope(report: Report) -> str:
    """Return where the orders of a report are from."""
    if report.in_extract is None:
        # a replay, or orders of earlier extracts too
        return "in this run"
    whole = report.in_extract == report.summary["total"]
    return "in the extract" if whole else f"read, of {report.in_extract:,} in the extract"


def warnings(report: Report) -> Examples:
    """Return the table of warnings."""
    lines = (
        (f"{warning['count']:,}", f"{name}: {WARNINGS.get(name, '')}", warning["example"])
        for name, warning in report.warnings.items()
    )
    return rows(lines, "orders", "warnings (sent anyway)", "for example")


def cost(report: Report) -> str:
    """Return one line on requests, bytes and time."""
    counts = report.summary
    seconds = float(counts["duration_seconds"])
    rate = f", {counts['total'] / seconds:,.0f} orders/s" if seconds and counts["requests"] else ""
    operation = f"mode {counts['mode']}" if "mode" in counts else f"operation {counts['operation']}"
    return (
        f"{number_of(counts['requests'], 'request')} "
        f"({counts['retries']:,} retried, {counts['in_flight']:,} at a time), "
        f"{size(counts['bytes'])}, {seconds:,.1f} s{rate}, {operation}"
    )


def list_failed(results_path: str, ecdp: str = "ecdp") -> str:
    """Return the command that lists the failed orders of a run."""
    return f"{ecdp} results {shlex.quote(results_path)} --failed"


def rows(values: Iterable[tuple[str, str, str | list[str] | None]], *headers: str) -> Examples:
    """Return a table of counts, texts and examples."""
    return Examples(tuple(values), headers)


def findings(result: Findings, name: str, settings: PushSettings, *, compared: bool) -> Iterator[RenderableType]:
    """Yield tables and texts for a rich console.

    :param name: the user's name for the extract
    :param settings: with which it would be sent
    :param compared: whether it was to be compared with an earlier run
    """
    yield f"{number_of(result.total, 'order')} in {name}: {result.valid:,} valid, {result.invalid:,} invalid"
    yield from _sent(result, settings)
    if result.problems:
        yield rows(map(_row, result.most_common_problems), "orders", "rule broken", "for example")
    # one that only invalid orders have is of nothing that is sent
    if warnings := [rule for rule in result.most_common_warnings if rule.count]:
        yield rows(map(_row, warnings), "orders", "warnings (sent anyway)", "for example")
    if result.duplicate_ids:
        appear = "id appears" if result.duplicate_ids == 1 else "ids appear"
        yield (
            f"{result.duplicate_ids:,} {appear} more than once. An id that always has the same content is sent once "
            f"({number_of(result.repeated, 'order')} skipped); an id with several contents is invalid."
        )
        twice = ((f"{d['times']:,}", f"contents: {d['contents']:,}", d["order_id"]) for d in result.duplicates)
        yield rows(twice, "orders", "with the same id", "id")
    if result.dates:
        yield f"Dates: {result.dates[0]} to {result.dates[1]}"
    yield f"Statuses: {_counted(result.statuses)}"
    yield f"Currencies: {_counted(result.currencies)}"
    yield from _attributes(result)
    yield from _columns(result)
    if compared:
        yield from _drift(result.drift)
    if result.sample is not None:
        yield "The first order to be sent, without personal data:"
        yield "\n".join(f"  {line}" for line in laid_out(result.sample, EXAMPLES))


def change_findings(result: ChangeFindings, name: str) -> Iterator[RenderableType]:
    """Yield texts and a table for a rich console.

    :param name: the user's name for the extract
    """
    valid = result.total - result.invalid
    yield f"{number_of(result.total, 'change')} in {name}: {valid:,} valid, {result.invalid:,} invalid"
    kept = [f"{result.done:,} done already"] if result.done else []
    kept += [f"{result.repeated:,} repeated"] if result.repeated else []
    sent = f"{number_of(result.to_send, 'change')} would be sent, one request each, operation {result.operation}"
    yield sent + "".join(f"; {part}" for part in kept)
    if result.problems:
        yield rows(map(_row, result.most_common_problems), "rows", "rule broken", "for example")


def _sent(result: Findings, settings: PushSettings) -> Iterator[str]:
    kept = []
    if result.skipped:
        kept.append(f"{result.skipped:,} sent already")
    if result.repeated:
        kept.append(f"{result.repeated:,} repeated")
    requests = f" in {number_of(result.requests, 'request')} ({size(result.bytes)})" if result.requests else ""
    yield (
        f"{number_of(result.to_send, 'order')} would be sent{requests}, "
        f"mode {settings.mode}{''.join(f'; {part}' for part in kept)}"
    )


def _attributes(result: Findings) -> Iterator[str]:
    for kind, names in result.attributes.items():
        if names:
            limit = f"{len(names):,}; a business unit has at most {MAX_ATTRIBUTE_NAMES}"
            yield f"Names of {kind} ({limit}): {_counted(names)}"


def _columns(result: Findings) -> Iterator[str]:
    yield f"Columns used: {_named(result.used)}"
    yield f"Columns ignored: {_named(result.ignored)}"
    if result.not_fields:
        yield f"Columns of the SQL text that are not fields: {_named(result.not_fields)}"
    if result.fields:
        yield "Fields by the mapping:"
        yield "\n".join(f"  {path}: {source}" for path, source in result.fields.items())


def _drift(changes: list[str] | None) -> Iterator[str]:
    if changes is None:
        yield "Columns of the previous run: none are kept"
    elif changes:
        yield "\n  - ".join(["Columns are not those of the previous run:", *changes])
    else:
        yield "Columns are those of the previous run."


def _row(rule: Rule) -> tuple[str, str, list[str]]:
    text = f"{rule.field}: {rule.rule}"
    several = len(rule.got) > 1
    got = [f"{value} ({count:,})" if several else value for value, count in rule.got.most_common(EXAMPLES)]
    if not _NOTHING.issuperset(rule.got):
        text += f", got {', '.join(got)}{', …' if len(rule.got) > EXAMPLES else ''}"
    if rule.invalid:
        text += f"; and {number_of(rule.invalid, 'invalid order')}"
    ids = [example or "(no id)" for example in rule.examples]
    return f"{rule.count:,}", text, [", ".join(ids)] if sum(map(len, ids)) < _WIDE else ids


def _counted(values: Counter[Any]) -> str:
    ranked = values.most_common()
    listed = [f"{count:,} {value or 'none'}" for value, count in ranked[:_LISTED]]
    if others := ranked[_LISTED:]:
        listed.append(f"{sum(count for _, count in others):,} of {len(others):,} others")
    return ", ".join(listed) or "none"


def _named(columns: Iterable[str]) -> str:
    return ", ".join(map(one_line, columns)) or "none"
