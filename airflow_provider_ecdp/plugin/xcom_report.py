"""Reads the report of a task from XCom, and validates it: a DAG can push anything under this key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_ecdp.results.outcome import Outcome

#: Entries of a summary that are not numbers.
_WORDS: Mapping[str, Any] = {"mode": str, "operation": str, "dry_run": bool}

#: The parts of a result, and their types.
_RESULT: Mapping[str, type] = {"order_id": str, "outcome": str, "reason": str, "http_status": int, "attempts": int}


@dataclass(frozen=True, slots=True)
class TaskReport:
    """The report that an operator of this package has returned."""

    value: Mapping[str, Any]

    @classmethod
    def read(cls, value: Any) -> TaskReport | None:
        """Return the report in an XCom, None if it is something else.

        With object storage as the XCom backend, Airflow's database holds a reference, which is not read.
        """
        report = cls(value) if isinstance(value, dict) else None
        return report if report and "total" in _dict(report.value.get("summary")) else None

    @property
    def summary(self) -> dict[str, Any]:
        """The counts and figures of the run, which are numbers except for those in `_WORDS`."""
        summary = _dict(self.value.get("summary"))
        return {name: value for name, value in summary.items() if isinstance(value, _WORDS.get(name, int | float))}

    @property
    def counts(self) -> dict[str, int]:
        """How many orders have each outcome."""
        return counts_of(self.summary)

    @property
    def dry_run(self) -> bool:
        """Whether nothing was sent."""
        return bool(self.summary.get("dry_run"))

    @property
    def results_path(self) -> str | None:
        """The folder that the task names."""
        path = self.value.get("results_path")
        return path if isinstance(path, str) and path else None

    @property
    def results(self) -> list[dict[str, Any]]:
        """Some of the results, failures first, without the orders that were read: those are customers' data."""
        results = _typed(self.value.get("results"), outcome=str)
        return [
            {name: _of_type(result.get(name), kind) for name, kind in _RESULT.items()}
            for result in results
            if result["outcome"] in set(Outcome)
        ]

    @property
    def reasons(self) -> list[dict[str, Any]]:
        """Why orders failed, most common reasons first; of a dry run, the broken rules."""
        return [
            {"reason": row["reason"], "count": row["count"], "example": _of_type(row.get("example"), str)}
            for row in _typed(self.value.get("reasons"), reason=str, count=int)
        ] or [
            {
                "reason": f"{Outcome.INVALID.value}: {rule['field']}: {rule['rule']}",
                "count": rule["count"],
                "example": next((one for one in _list(rule.get("examples")) if isinstance(one, str)), None),
            }
            for rule in _typed(_dict(self.value.get("check")).get("problems"), field=str, rule=str, count=int)
        ]

    @property
    def warnings(self) -> dict[str, dict[str, Any]]:
        """Warnings by their names."""
        return {
            name: {"count": warning["count"], "example": _of_type(warning.get("example"), str)}
            for name, value in _dict(self.value.get("warnings")).items()
            for warning in _typed([value], count=int)
        }

    @property
    def columns_used(self) -> list[str]:
        """Columns that a dry run has read."""
        return [str(name) for name in _list(_dict(_dict(self.value.get("check")).get("columns")).get("used"))]


def counts_of(summary: Mapping[str, Any]) -> dict[str, int]:
    """Return how many orders have each outcome, by a summary."""
    counts = {outcome.value: summary.get(outcome.value) for outcome in Outcome}
    return {outcome: count if isinstance(count, int) else 0 for outcome, count in counts.items()}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _of_type(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else None


def _typed(value: Any, **kinds: type) -> list[dict[str, Any]]:
    """Return the dicts in a list that have some keys, with values of these types."""
    return [
        member
        for member in _list(value)
        if isinstance(member, dict) and all(isinstance(member.get(name), kind) for name, kind in kinds.items())
    ]
