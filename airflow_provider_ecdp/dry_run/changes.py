"""A dry run of changes: everything that a run does, except sending."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.by_id.queue import REPEATED, RESUMED, ChangeQueue
from airflow_provider_ecdp.by_id.settings import ChangeSettings, Operation
from airflow_provider_ecdp.dry_run.findings import DISTINCT, EXAMPLES, Rule, as_report
from airflow_provider_ecdp.ledger.store import Ledger


@dataclass(slots=True)
class ChangeFindings:
    """The findings of a dry run of changes.

    :param to_send: changes that a run would send, one request each
    :param skip_reasons: valid changes that it would not send, by reason: `resumed`, `repeated`
    """

    operation: Operation
    total: int
    to_send: int = 0
    invalid: int = 0
    skip_reasons: Counter[str] = dataclasses.field(default_factory=Counter)
    problems: dict[tuple[str, str], Rule] = dataclasses.field(default_factory=dict)

    @property
    def done(self) -> int:
        """Changes that ECDP has taken, as the ledger knows."""
        return self.skip_reasons[RESUMED]

    @property
    def repeated(self) -> int:
        """Changes that repeat the change before them of the same order."""
        return self.skip_reasons[REPEATED]

    @property
    def most_common_problems(self) -> list[Rule]:
        """The broken rules, most common first."""
        return sorted(self.problems.values(), key=lambda rule: -rule.count)

    def as_json(self) -> dict[str, Any]:
        """Return a run's report with `check`; changes to send count as `not_attempted`. Plain JSON types."""
        counted = {"rows": self.total, "valid": self.total - self.invalid, "invalid": self.invalid}
        counted |= {"to_send": self.to_send, "skipped": self.done, "repeated": self.repeated, "requests": self.to_send}
        return as_report(
            {"operation": self.operation.value},
            {"missing": 0},
            {"summary": counted, "problems": [rule.as_json() for rule in self.most_common_problems]},
            total=self.total,
            invalid=self.invalid,
            skipped=self.skip_reasons.total(),
            to_send=self.to_send,
        )


def check_changes(queue: ChangeQueue, settings: ChangeSettings, ledger: Ledger | None = None) -> ChangeFindings:
    """Check the changes and return the findings. Nothing is sent, and nothing is written.

    :param ledger: of the run; changes that it lists as accepted would not be sent again
    :raises EmptyExtractError: there are no rows, and `allow_empty` is not set
    :raises ExtractError: there are more rows than `max_deletions`
    """
    settings.refuse(queue)
    queue.recall(ledger)
    findings = ChangeFindings(queue.operation, len(queue))
    for batch in queue.read():
        problems, skip_reason = batch.column("problem"), batch.column("skip_reason")
        invalid = batch.filter(problems.is_valid())
        findings.invalid += len(invalid)
        _take_problems(invalid, findings)
        for pair in pc.value_counts(skip_reason.drop_null()):
            findings.skip_reasons[pair["values"].as_py()] += pair["counts"].as_py()
        findings.to_send += len(batch) - len(invalid) - len(skip_reason.drop_null())
    return findings


def _take_problems(invalid: pa.RecordBatch, findings: ChangeFindings) -> None:
    ids, problems = invalid.column("order_id").to_pylist(), invalid.column("problem").to_pylist()
    for order_id, problem in zip(ids, problems, strict=True):
        field, _, broken_rule = problem.partition(": ")
        rule, _, got = broken_rule.partition(", got ")
        broken = findings.problems.setdefault((field, rule), Rule(field, rule))
        broken.count += 1
        if len(broken.examples) < EXAMPLES and order_id not in broken.examples:
            broken.examples.append(order_id)
        if got and (got in broken.got or len(broken.got) < DISTINCT):
            broken.got[got] += 1
