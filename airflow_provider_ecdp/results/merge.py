"""Combines the reports of shards, one after the other, into one report."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.reasons import MAX_REASONS
from airflow_provider_ecdp.results.report import failed_in

_SUMS = ("total", *(outcome.value for outcome in Outcome), "warnings", "requests", "retries", "bytes")


def summarise(
    results: Iterable[Mapping[str, Any] | None], *, expected: int | None = None, results_limit: int = 100
) -> dict[str, Any]:
    """Return the sum of the reports of mapped tasks, in the shape of one report; it raises nothing.

    Results are read one after the other, so that those of many tasks are never in memory at the same time.

    :param results: in XCom's shape, such as `push.output` of a mapped operator
    :param expected: the number of shards; `summary.shards_missing` counts those without a result
    :param results_limit: how many failed orders are listed
    """
    summary: dict[str, Any] = {"mode": None, **dict.fromkeys(_SUMS, 0), "in_flight": 0, "duration_seconds": 0.0}
    counts = {"shards": 0, "shards_failed": 0, "longest_shard_seconds": 0.0}
    failures: list[dict[str, Any]] = []
    warnings: dict[str, dict[str, Any]] = {}
    reasons: dict[str, dict[str, Any]] = {}
    path: str | None = None
    for result in results:
        if not result:
            continue
        shard = result["summary"]
        counts["shards"] += 1
        counts["shards_failed"] += failed_in(shard) > 0
        counts["longest_shard_seconds"] = max(counts["longest_shard_seconds"], shard["duration_seconds"])
        summary["mode"] = summary["mode"] or shard.get("mode", shard.get("operation"))
        if shard.get("dry_run"):
            summary["dry_run"] = True
        # the number of shards that are pushed at a time is unknown here, so there is no sum of these
        summary["in_flight"] = max(summary["in_flight"], shard.get("in_flight", 0))
        for name in (*_SUMS, "duration_seconds"):
            # changes and orders by id have no warnings
            summary[name] += shard.get(name, 0)
        for order in result["results"]:
            if len(failures) < results_limit and Outcome(order["outcome"]).failed:
                failures.append(order)
        for name, warned in result["warnings"].items():
            warnings.setdefault(name, {**warned, "count": 0})["count"] += warned["count"]
        for reason in result["reasons"]:
            reasons.setdefault(reason["reason"], {**reason, "count": 0})["count"] += reason["count"]
        path = _common(path, result["results_path"])
    summary["duration_seconds"] = round(summary["duration_seconds"], 3)
    missing = None if expected is None else max(0, expected - int(counts["shards"]))
    return {
        "summary": {**summary, **counts, "shards_missing": missing},
        "results": failures,
        "results_path": path,
        "warnings": warnings,
        "reasons": sorted(reasons.values(), key=lambda reason: -reason["count"])[:MAX_REASONS],
    }


def _common(common: str | None, path: str | None) -> str | None:
    """Return the folder above those of the mapped tasks, for paths and for URLs."""
    # of one shard too: a task's own folder ends in its map index and its epoch
    above = path and path.rsplit("/", 2)[0]
    if not common or not above:
        return common or above
    pairs = zip(common.split("/"), above.split("/"), strict=False)
    return "/".join(part for part, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
