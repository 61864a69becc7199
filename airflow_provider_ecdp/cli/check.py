"""`ecdp check`: everything that push does before it sends."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.exits import Exit
from airflow_provider_ecdp.cli.extracts import open_orders
from airflow_provider_ecdp.cli.interruption import Interruption
from airflow_provider_ecdp.errors import EmptyExtractError
from airflow_provider_ecdp.orders.stream import Orders

if TYPE_CHECKING:
    from rich.console import RenderableType

_EXAMPLES = 3
_POSITION = re.compile(r"\[\d+\]")


@dataclass(slots=True)
class _Rule:
    """One rule, or one warning: how many orders break it, and the first of them."""

    count: int = 0
    examples: list[str | None] = field(default_factory=list)

    def add(self, order_id: str | None) -> None:
        self.count += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(order_id)


@dataclass(slots=True)
class Findings:
    """What the checks say of all orders of an extract. Rules are told apart by field, with no position in lists."""

    orders: int = 0
    invalid: int = 0
    repeated: int = 0
    with_warnings: int = 0
    problems: dict[tuple[str, str], _Rule] = field(default_factory=dict)
    warnings: dict[tuple[str, str], _Rule] = field(default_factory=dict)

    def add(self, orders: pa.RecordBatch) -> None:
        """Count the orders of a record batch."""
        self.orders += len(orders)
        self.repeated += len(orders) - orders.column("known").null_count
        self.invalid += self._count(orders, "problems", self.problems)
        # as in a push: what is not sent has no warnings
        valid = orders.filter(orders.column("problems").is_null())
        self.with_warnings += self._count(valid, "warnings", self.warnings)

    @staticmethod
    def _count(orders: pa.RecordBatch, column: str, rules: dict[tuple[str, str], _Rule]) -> int:
        found = orders.filter(orders.column(column).is_valid())
        for row in found.select(["order_id", column]).to_pylist():
            # an order that breaks a rule in three products breaks it once
            for rule in dict.fromkeys((_POSITION.sub("[]", b["field"]), b["rule"]) for b in row[column]):
                rules.setdefault(rule, _Rule()).add(row["order_id"])
        return len(found)


def run(arguments: Namespace, interruption: Interruption) -> int:
    """Check, print the findings, and return the exit code."""
    findings = Findings()
    with open_orders(arguments, interruption) as orders:
        duplicates = orders.find_duplicates()
        for batch in orders.read():
            findings.add(batch)
            if interruption.number is not None:
                # half an answer would read as a whole one
                raise KeyboardInterrupt
        if not findings.orders and not arguments.allow_empty:
            raise EmptyExtractError(f"{orders.name} holds no orders; if that is normal, allow it (--allow-empty)")
        if arguments.json:
            output.out_json(_as_json(orders, findings, duplicates))
        elif not arguments.quiet:
            output.out(output.rendered(sys.stdout, *_as_text(orders, findings, duplicates)))
    return Exit.FAILED if findings.invalid else Exit.DONE


def _as_json(orders: Orders, findings: Findings, duplicates: int) -> dict[str, Any]:
    return {
        "summary": {
            "total": findings.orders,
            "valid": findings.orders - findings.invalid,
            "invalid": findings.invalid,
            "warnings": findings.with_warnings,
            "repeated": findings.repeated,
            "duplicate_ids": duplicates,
        },
        "problems": _listed(findings.problems),
        "warnings": _listed(findings.warnings),
        "columns": {"used": list(orders.mapping.used), "ignored": list(orders.mapping.ignored)},
    }


def _listed(rules: Mapping[tuple[str, str], _Rule]) -> list[dict[str, Any]]:
    return [
        {"field": field, "rule": rule, "count": broken.count, "examples": broken.examples}
        for (field, rule), broken in _commonest(rules)
    ]


def _commonest(rules: Mapping[tuple[str, str], _Rule]) -> list[tuple[tuple[str, str], _Rule]]:
    return sorted(rules.items(), key=lambda item: -item[1].count)


def _as_text(orders: Orders, findings: Findings, duplicates: int) -> Iterator[RenderableType]:
    from airflow_provider_ecdp.cli.summary import rows  # noqa: PLC0415 - rich, which --json has no use for

    valid = findings.orders - findings.invalid
    yield f"{findings.orders:,} orders in {orders.name}: {valid:,} valid, {findings.invalid:,} invalid"
    if findings.problems:
        yield rows(_told(findings.problems), "orders", "rule broken", "for example")
    if findings.warnings:
        yield rows(_told(findings.warnings), "orders", "warning, sent all the same", "for example")
    if duplicates:
        yield (
            f"{duplicates:,} ids stand more than once. One with one content is sent once ({findings.repeated:,} orders "
            "are not sent again), one with several contents is invalid."
        )
    yield f"Columns used: {_named(orders.mapping.used)}"
    yield f"Columns ignored: {_named(orders.mapping.ignored)}"


def _told(rules: Mapping[tuple[str, str], _Rule]) -> Iterator[tuple[str, str, str | None]]:
    for (name, rule), broken in _commonest(rules):
        yield f"{broken.count:,}", f"{name}: {rule}", ", ".join(example or "(no id)" for example in broken.examples)


def _named(columns: Iterable[str]) -> str:
    return ", ".join(columns) or "none"
