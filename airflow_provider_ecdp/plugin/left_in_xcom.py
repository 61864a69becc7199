"""The report that a task has left in XCom, read with care: whoever writes a DAG can push anything under this key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_ecdp.results.outcome import Outcome


@dataclass(frozen=True, slots=True)
class TaskReport:
    """The report that an operator of this package has returned."""

    value: Mapping[str, Any]

    @classmethod
    def read(cls, value: Any) -> TaskReport | None:
        """Return the report in an XCom, None if it is something else.

        With an object storage as the backend of XCom, Airflow's database holds where a value is.
        """
        report = cls(value) if isinstance(value, dict) else None
        return report if report and "total" in report.summary else None

    @property
    def summary(self) -> dict[str, Any]:
        """The counts and figures of the run."""
        return _dict(self.value.get("summary"))

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
        results = _dicts(self.value.get("results"), "outcome")
        return [{name: value for name, value in result.items() if name != "order"} for result in results]

    @property
    def reasons(self) -> list[dict[str, Any]]:
        """Why orders failed, the commonest reasons first; of a dry run, the rules that are broken."""
        return _dicts(self.value.get("reasons"), "reason", "count") or [
            {
                "reason": f"{Outcome.INVALID.value}: {rule['field']}: {rule['rule']}",
                "count": rule["count"],
                "example": next(iter(rule.get("examples") or ()), None),
            }
            for rule in _dicts(_dict(self.value.get("check")).get("problems"), "field", "rule", "count")
        ]

    @property
    def warnings(self) -> dict[str, dict[str, Any]]:
        """Warnings by their names."""
        warnings = _dict(self.value.get("warnings"))
        return {name: warning for name, warning in warnings.items() if _dicts([warning], "count")}

    @property
    def columns_used(self) -> list[str]:
        """Columns that a dry run has read."""
        used = _dict(_dict(self.value.get("check")).get("columns")).get("used")
        return [str(name) for name in used] if isinstance(used, list) else []


def counts_of(summary: Mapping[str, Any]) -> dict[str, int]:
    """Return how many orders have each outcome, by a summary."""
    counts = {outcome.value: summary.get(outcome.value) for outcome in Outcome}
    return {outcome: count if isinstance(count, int) else 0 for outcome, count in counts.items()}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any, *keys: str) -> list[dict[str, Any]]:
    """Return the dicts in a list that have all of some keys."""
    members = value if isinstance(value, list) else []
    return [member for member in members if isinstance(member, dict) and member.keys() >= set(keys)]
