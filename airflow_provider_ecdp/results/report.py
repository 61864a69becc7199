"""The report of a run, in the shape of XCom and `--json`, and whether the run has failed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_ecdp.errors import (
    ConfigurationError,
    EcdpError,
    KeyRefusedError,
    OrdersFailedError,
    PushStoppedError,
)
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.reasons import example_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of a run, in the shape of XCom and `--json`.

    :param results: some of the orders with their outcomes, failures first
    :param results_path: where the outcome of every order is kept, None if it is not
    :param warnings: how many orders each warning is about, and one of them, by its name
    :param reasons: the most common reasons of failures, each with a count and an order
    :param stopped: why the run was stopped before its end
    :param halted: why the run stopped after its first orders
    :param in_extract: number of orders in the extract; None if the run read only some of them on purpose, or those of
        other extracts too
    """

    summary: dict[str, Any]
    results: list[dict[str, Any]]
    results_path: str | None = None
    warnings: dict[str, dict[str, Any]]
    reasons: list[dict[str, Any]]
    stopped: EcdpError | None = None
    halted: str | None = None
    in_extract: int | None = None

    @property
    def failed(self) -> int:
        """How many orders failed."""
        return failed_in(self.summary)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "summary": self.summary,
            "results": self.results,
            "results_path": self.results_path,
            "warnings": self.warnings,
            "reasons": self.reasons,
        }

    def message(self) -> str:
        """Return the counts, the most common reasons with an example each, and where the rest is."""
        counts = ", ".join(f"{self.summary[o.value]:,} {o.value}" for o in Outcome if self.summary[o.value])
        lines = [f"{self.failed:,} of {number_of(self.summary['total'], 'order')} failed ({counts})"]
        lines += [f"  {r['count']:,} x {r['reason']} ({example_of(r['example'])})" for r in self.reasons[:3]]
        where = self.results_path or "the task's XCom, key return_value (set results_path to keep all of them)"
        lines.append(f"Every order's outcome: {where}")
        if self.results_path and self.failed:
            lines.append(f"To list the failed orders: ecdp results {shlex.quote(self.results_path)} --failed")
        return "\n".join(lines)

    def raise_for_failures(self, max_failed: MaxFailed) -> None:
        """Raise the error of the run, if it has one.

        :raises PushStoppedError: the run was stopped before its end
        :raises OrdersFailedError: more orders failed than `max_failed` allows, or an order of the canary failed
        """
        if self.stopped is not None:
            raise PushStoppedError(
                f"stopped: {self.stopped}\n{self.message()}",
                summary=self.summary,
                retry_after=getattr(self.stopped, "retry_after", None),
                key_refused=isinstance(self.stopped, KeyRefusedError),
            )
        if self.halted is not None:
            raise OrdersFailedError(f"{self.halted}\n{self.message()}", summary=self.summary)
        if self.failed > max_failed.of(self.summary["total"]):
            raise OrdersFailedError(f"{self.message()}\nTolerated: {max_failed}", summary=self.summary)


def failed_in(summary: Mapping[str, Any]) -> int:
    """Return how many orders failed, by a summary; in a dry run, an order not attempted is a good one."""
    failures = [Outcome.INVALID] if summary.get("dry_run") else [outcome for outcome in Outcome if outcome.failed]
    return sum(int(summary[outcome.value]) for outcome in failures)


@dataclass(frozen=True, slots=True)
class MaxFailed:
    """How many orders of a run may fail: a count, or a share of all."""

    count: int = 0
    share: float | None = None

    @classmethod
    def parse(cls, value: str | float) -> MaxFailed:
        """Read 10, 0.01, "10", "0.01" or "1%"; a number with a fraction is a share.

        :raises ConfigurationError: anything else
        """
        text = str(value).strip()
        try:
            if text.endswith("%"):
                share = float(text[:-1]) / 100
            elif text.isdigit():
                return cls(count=int(text))
            else:
                share = float(text)
        except ValueError:
            share = -1.0
        if isinstance(value, bool) or not 0 <= share <= 1:
            raise ConfigurationError(
                f"max_failed {value!r} is neither a count (10) nor a share of the orders (0.01 or 1%)"
            )
        return cls(share=share)

    def of(self, total: int) -> float:
        """Return the number of orders that may fail, of `total`."""
        # 29% of 100 orders are 28.999999999999996
        return self.count if self.share is None else round(self.share * total, 6)

    def __str__(self) -> str:
        return str(self.count) if self.share is None else f"{round(100 * self.share, 6):g} % of the orders"
