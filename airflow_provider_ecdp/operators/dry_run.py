"""The result of a dry run of a task: for its log, and for XCom in the shape of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_ecdp.dry_run.findings import as_report
from airflow_provider_ecdp.orders.contract import MAX_ATTRIBUTE_NAMES, on_one_line
from airflow_provider_ecdp.results.numbers import number_of, size

if TYPE_CHECKING:
    from airflow_provider_ecdp.dry_run.changes import ChangeFindings
    from airflow_provider_ecdp.dry_run.findings import Findings, Rule

#: Names, values and changes of one kind that the log lists; XCom has all.
_LISTED = 20


def as_xcom(findings: Findings, mode: str) -> dict[str, Any]:
    """Return a push's report with `check`; orders to send count as `not_attempted`."""
    check = findings.as_json()
    # an order is a payload, and XCom is shown to more people than a log
    del check["sample"]
    return as_report(
        {"mode": mode},
        {"warnings": findings.with_warnings},
        check,
        total=findings.total,
        invalid=findings.invalid,
        skipped=findings.skip_reasons.total(),
        to_send=findings.to_send,
    )


def as_text(findings: Findings) -> str:
    """Return the findings of a dry run of orders as lines."""
    return "\n".join(_lines(findings))


def _lines(findings: Findings) -> Iterator[str]:
    rows = "" if findings.rows is None else f" of {number_of(findings.rows, 'row')}"
    yield f"Dry run: {number_of(findings.total, 'order')}{rows} checked; nothing was sent"
    requests = f" in {number_of(findings.requests, 'request')} ({size(findings.bytes)})" if findings.requests else ""
    yield f"  {number_of(findings.to_send, 'order')} would be sent{requests}"
    if findings.invalid:
        yield f"  {findings.invalid:,} invalid, which would not be sent:"
        yield from map(_rule, findings.most_common_problems[:_LISTED])
    if skipped := findings.skip_reasons.total():
        yield f"  {skipped:,} skipped: accepted before with this content, or repeated in the extract"
    if findings.duplicate_ids:
        examples = ", ".join(str(duplicate["order_id"]) for duplicate in findings.duplicates)
        yield f"  {number_of(findings.duplicate_ids, 'id')} more than once in the extract, for example {examples}"
    if findings.warnings:
        yield "  warnings (sent anyway):"
        yield from map(_rule, findings.most_common_warnings[:_LISTED])
    yield from _seen(findings)
    if findings.drift:
        yield "  columns that differ from the previous run:"
        yield from (f"    {change}" for change in findings.drift[:_LISTED])
    if findings.sample:
        yield f"  the first order, without personal data: {findings.sample}"


def changes_as_text(findings: ChangeFindings) -> str:
    """Return the findings of a dry run of changes as lines."""
    lines = [f"Dry run: {number_of(findings.total, 'row')} checked; nothing was sent"]
    lines.append(f"  {number_of(findings.to_send, 'change')} would be sent, one request each")
    if findings.invalid:
        lines.append(f"  {findings.invalid:,} invalid, which would not be sent:")
        lines += map(_rule, findings.most_common_problems)
    if findings.done:
        lines.append(f"  {findings.done:,} skipped: accepted before, according to this run's results")
    if findings.repeated:
        lines.append(f"  {findings.repeated:,} skipped: repeats the order's previous change")
    return "\n".join(lines)


def _seen(findings: Findings) -> Iterator[str]:
    if findings.dates:
        yield f"  dates: {findings.dates[0]} to {findings.dates[1]}"
    for name, values in (("statuses", findings.statuses), ("currencies", findings.currencies)):
        counts = ", ".join(f"{value or '(none)'} {count:,}" for value, count in values.most_common(_LISTED))
        yield f"  {name}: {counts or 'none'}"
    for kind, names in findings.attributes.items():
        if names:
            shown = ", ".join(f"{name} {count:,}" for name, count in names.most_common(_LISTED))
            yield f"  names of {kind} ({len(names):,}; a business unit has at most {MAX_ATTRIBUTE_NAMES}): {shown}"
    yield f"  columns used: {', '.join(map(on_one_line, findings.used)) or 'none'}"
    if findings.ignored:
        yield f"  columns ignored: {', '.join(map(on_one_line, findings.ignored))}"
    if findings.not_fields:
        yield f"  columns of the SQL text that are not fields: {', '.join(map(on_one_line, findings.not_fields))}"


def _rule(rule: Rule) -> str:
    examples = ", ".join(example or "(no id)" for example in rule.examples)
    return (
        f"    {rule.count:>9,} x {rule.field}: {rule.rule} (for example {examples or 'only orders that are invalid'})"
    )
