"""Counts of outcomes, which add up to the orders of the extract in every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome, count_failed, reason
from airflow_provider_ecdp.results.reasons import Counted, ReasonCounts


@dataclass(slots=True)
class OutcomeCounts:
    """Counts outcomes and keeps samples, so that memory does not grow with the orders.

    :param limit: how many results are kept for the report: failures first
    """

    limit: int
    counts: Counter[Outcome] = field(default_factory=Counter)
    warnings: dict[str, Counted] = field(default_factory=dict)
    with_warnings: int = 0
    reasons: ReasonCounts = field(default_factory=ReasonCounts)
    _failed: list[dict[str, Any]] = field(default_factory=list)
    _others: list[dict[str, Any]] = field(default_factory=list)

    def add(self, batch: BatchOutcome) -> list[str | None] | None:
        """Count `batch`; return the reason of each order, None where there is none for any."""
        outcome, orders = batch.outcome, batch.orders
        self.counts[outcome] += len(orders)
        reasons = self._reasons(batch)
        if outcome.failed:
            for order_id, reason in zip(orders.column("order_id").to_pylist(), reasons or repeat(None), strict=False):
                self.reasons.add(outcome, reason, order_id)
        kept = self._failed if outcome.failed else self._others
        room = max(self.limit - len(kept), 0)
        ids = orders.column("order_id").slice(0, room).to_pylist()
        kept += [
            _result(batch, order_id, reason) for order_id, reason in zip(ids, reasons or repeat(None), strict=False)
        ]
        return reasons

    @property
    def results(self) -> list[dict[str, Any]]:
        """The kept results, failures first."""
        return (self._failed + self._others)[: self.limit]

    @property
    def failed(self) -> int:
        """How many orders failed."""
        return count_failed(self.counts)

    @property
    def warned(self) -> dict[str, dict[str, Any]]:
        """How many orders each warning is about, by its name, with the id of one of them."""
        return {name: {"count": w.count, "example": w.example} for name, w in sorted(self.warnings.items())}

    def _reasons(self, batch: BatchOutcome) -> list[str | None] | None:
        orders, reasons = batch.orders, batch.reasons
        texts: list[str | None] | None = None
        if reasons is not None:
            texts = [reasons] * len(orders) if isinstance(reasons, str) else list(reasons)
        column = orders.column("warnings")
        if batch.outcome is Outcome.INVALID or column.null_count == len(column):
            return texts
        texts = texts or [None] * len(orders)
        for i, warnings in enumerate(column.to_pylist()):
            if warnings:
                self._count_warnings(orders.column("order_id")[i].as_py(), warnings)
                texts[i] = "; ".join(r for r in (texts[i], f"warning: {reason(warnings)}") if r)
        return texts

    def _count_warnings(self, order_id: str | None, warnings: Iterable[Mapping[str, str]]) -> None:
        self.with_warnings += 1
        for name in {w["rule"].partition(":")[0] for w in warnings}:
            seen = self.warnings.setdefault(name, Counted(0, order_id))
            seen.count += 1


def _result(batch: BatchOutcome, order_id: str | None, reason: str | None) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "outcome": batch.outcome.value,
        "reason": reason,
        "http_status": batch.http_status,
        "attempts": batch.attempts,
    }
