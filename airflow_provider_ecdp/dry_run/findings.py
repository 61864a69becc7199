"""The findings of a dry run, as data and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_ecdp.results.outcome import Outcome

#: Examples of orders that break a rule, of such values, and of duplicate ids.
EXAMPLES = 3

#: Names of attributes of one kind that are listed. A business unit has far fewer.
ATTRIBUTES = 100

#: Distinct values that are kept of those that break a rule, and distinct names of attributes.
DISTINCT = 1000


@dataclass(slots=True)
class Rule:
    """One rule, or one warning.

    :param count: orders that break it; of a warning, those that are good otherwise
    :param invalid: for a warning, the orders with it that are invalid
    :param examples: ids of the first of them
    :param got: the values that break the rule, with the number of times
    """

    field: str
    rule: str
    count: int = 0
    invalid: int = 0
    examples: list[str | None] = dataclasses.field(default_factory=list)
    got: Counter[str] = dataclasses.field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "field": self.field,
            "rule": self.rule,
            "count": self.count,
            "examples": self.examples,
            "got": _counts(self.got, EXAMPLES),
        } | ({"in_invalid_orders": self.invalid} if self.invalid else {})


@dataclass(slots=True)
class Findings:
    """The report of a dry run on an extract. Rules are counted by field, whatever the position in a list.

    :param to_send: orders that a push would send, in `requests` requests of `bytes` bytes
    :param skip_reasons: valid orders that it would not send, by reason: `resumed`, `unchanged`, `repeated`
    :param duplicates: ids that appear more than once, with `times` and `contents`; the first of `duplicate_ids`
    :param dates: the first and the last, as they would be sent
    :param attributes: names of attributes, with the number of orders that have them
    :param sample: JSON text of the first order to be sent, without personal data
    :param used: columns that are read; `ignored` are not
    :param not_fields: columns of the SQL text's result that are not fields
    :param fields: the origin of each field, if there is a mapping
    :param drift: columns that differ from those of the previous run; None if there is none to compare with
    """

    rows: int | None = 0
    total: int = 0
    invalid: int = 0
    to_send: int = 0
    requests: int = 0
    bytes: int = 0
    with_warnings: int = 0
    skip_reasons: Counter[str] = dataclasses.field(default_factory=Counter)
    problems: dict[tuple[str, str], Rule] = dataclasses.field(default_factory=dict)
    warnings: dict[tuple[str, str], Rule] = dataclasses.field(default_factory=dict)
    duplicate_ids: int = 0
    duplicates: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    dates: tuple[str, str] | None = None
    statuses: Counter[str | None] = dataclasses.field(default_factory=Counter)
    currencies: Counter[str | None] = dataclasses.field(default_factory=Counter)
    attributes: dict[str, Counter[str]] = dataclasses.field(
        default_factory=lambda: {"orderAttributes": Counter(), "productAttributes": Counter()}
    )
    sample: str | None = None
    used: list[str] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)
    not_fields: list[str] = dataclasses.field(default_factory=list)
    fields: dict[str, str] = dataclasses.field(default_factory=dict)
    drift: list[str] | None = None

    @property
    def valid(self) -> int:
        """Orders that break no rule."""
        return self.total - self.invalid

    @property
    def repeated(self) -> int:
        """Orders that repeat another of the extract."""
        return self.skip_reasons["repeated"]

    @property
    def skipped(self) -> int:
        """Orders that earlier runs have sent."""
        return self.skip_reasons.total() - self.repeated

    @property
    def most_common_problems(self) -> list[Rule]:
        """The broken rules, most common first."""
        return sorted(self.problems.values(), key=lambda rule: -rule.count)

    @property
    def most_common_warnings(self) -> list[Rule]:
        """The warnings, most common first."""
        return sorted(self.warnings.values(), key=lambda rule: (-rule.count, -rule.invalid))

    def json_text(self) -> str:
        """Return the text of `as_json`, on one line; the numbers of the sample keep their digits."""
        text = json.dumps(self.as_json() | {"sample": None}, ensure_ascii=False, separators=(",", ":"))
        before, _, after = text.rpartition('"sample":null')
        return f'{before}"sample":{self.sample or "null"}{after}'

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types. Numbers of the sample become doubles."""
        return {
            "summary": {
                "rows": self.rows,
                "total": self.total,
                "valid": self.valid,
                "invalid": self.invalid,
                "to_send": self.to_send,
                "skipped": self.skipped,
                "repeated": self.repeated,
                "warnings": self.with_warnings,
                "duplicate_ids": self.duplicate_ids,
                "requests": self.requests,
                "bytes": self.bytes,
            },
            "problems": [rule.as_json() for rule in self.most_common_problems],
            "warnings": [rule.as_json() for rule in self.most_common_warnings],
            "duplicates": self.duplicates,
            "dates": {"first": self.dates[0], "last": self.dates[1]} if self.dates else None,
            "statuses": _counts(self.statuses),
            "currencies": _counts(self.currencies),
            "attributes": {kind: _counts(names, ATTRIBUTES) for kind, names in self.attributes.items()},
            "sample": None if self.sample is None else json.loads(self.sample),
            "columns": {"used": self.used, "ignored": self.ignored},
            "not_fields": self.not_fields,
            "fields": self.fields,
            "drift": self.drift,
        }


def _counts(values: Counter[Any], most: int | None = None) -> list[dict[str, Any]]:
    return [{"value": value, "count": count} for value, count in values.most_common(most)]


def as_report(
    head: Mapping[str, str],
    facts: Mapping[str, int],
    check: Mapping[str, Any],
    *,
    total: int,
    invalid: int,
    skipped: int,
    to_send: int,
) -> dict[str, Any]:
    """Return a run's report with `check`, in plain JSON types; what would be sent counts as `not_attempted`.

    :param head: the operation, or the mode
    :param facts: further counts for the summary
    """
    counts = dict.fromkeys((outcome.value for outcome in Outcome), 0)
    counts |= {
        Outcome.INVALID.value: invalid,
        Outcome.SKIPPED.value: skipped,
        Outcome.NOT_ATTEMPTED.value: to_send,
    }
    nothing_sent = {"requests": 0, "retries": 0, "bytes": 0, "in_flight": 0, "duration_seconds": 0.0}
    summary = {**head, "total": total, **counts, **facts, **nothing_sent, "dry_run": True}
    return {
        "summary": summary,
        "results": [],
        "results_path": None,
        "warnings": {},
        "reasons": [],
        "check": check,
    }
