"""The parts of a report as plain JSON types: task instances and runs, outcomes, settings, columns, earlier runs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session

from airflow_provider_ecdp.errors import EcdpError
from airflow_provider_ecdp.ledger.query import Results
from airflow_provider_ecdp.ledger.schema_drift import recorded
from airflow_provider_ecdp.operators.results import open_ledger
from airflow_provider_ecdp.orders.sources.storage import without_credentials
from airflow_provider_ecdp.plugin import records
from airflow_provider_ecdp.plugin.records import RunState, TaskState
from airflow_provider_ecdp.plugin.results import folders
from airflow_provider_ecdp.plugin.results.folders import Place, TaskKey
from airflow_provider_ecdp.plugin.xcom_report import TaskReport, counts_of
from airflow_provider_ecdp.results.folders import columns_folder
from airflow_provider_ecdp.results.outcome import Outcome

#: Reasons that a report lists.
_REASONS = 20

#: Replays that a report lists.
_REPLAYS = 5

#: Parameters of a task for its reading and its sending, in the order of the page.
_READ = ("path", "extracts", "partitions", "mapping", "sql", "partition_by")
_SENT = ("mode", "only_changed", "replay_from", "on_clear", "max_failed", "ecdp_conn_id", "check_only")


def facts(*, dry_run: bool = False) -> list[dict[str, Any]]:
    """Return the facts by which the page groups outcomes; in a dry run, an order not attempted is a good one."""
    return [
        {
            "outcome": outcome.value,
            "failed": outcome.failed and not (dry_run and outcome is Outcome.NOT_ATTEMPTED),
            # a skipped order may have arrived, but by an earlier run
            "sent": outcome.may_have_arrived and outcome is not Outcome.SKIPPED,
        }
        for outcome in Outcome
    ]


def task_json(state: TaskState) -> dict[str, Any]:
    """Return the facts of a task instance."""
    key = state.key
    return {
        "dag_id": key.dag_id,
        "run_id": key.run_id,
        "task_id": key.task_id,
        "map_index": key.map_index,
        "state": state.state,
        "unfinished": state.unfinished,
        "try_number": state.try_number,
        "start": _text(state.start),
        "end": _text(state.end),
    }


def run_json(run: RunState) -> dict[str, Any]:
    """Return the facts of a DAG run."""
    return {"dag_id": run.dag_id, "run_id": run.run_id, "state": run.state, "logical_date": _text(run.logical_date)}


def _text(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def reader_note(level: str, text: str) -> dict[str, str]:
    """Return a note for the reader; `level` is info, warning or error."""
    return {"level": level, "text": text}


#: Sums over results that are still open: they never change.
_added: WeakKeyDictionary[Results, dict[str, Any]] = WeakKeyDictionary()


def of_results(results: Results) -> dict[str, Any]:
    """Return the overview of open results, added up once."""
    if results not in _added:
        _added[results] = _overview(results)
    return _added[results]


def _overview(results: Results) -> dict[str, Any]:
    return {
        "source": "results",
        "outcomes": outcomes_json({outcome.value: count for outcome, count in results.counts().items()}),
        "reasons": [reason.as_json() for reason in results.reasons(most=_REASONS)],
        "timeline": [interval.as_json() for interval in results.timeline()],
    }


def of_xcom(xcom: TaskReport | None) -> dict[str, Any]:
    """Return the results in XCom, in place of all: some of them, failures first."""
    if xcom is None:
        return {"source": None, "outcomes": [], "reasons": [], "timeline": [], "results": []}
    return {
        "source": "xcom",
        "outcomes": outcomes_json(xcom.counts, dry_run=xcom.dry_run),
        "reasons": xcom.reasons,
        "timeline": [],
        "results": xcom.results,
    }


def reasons_of(reports: Iterable[TaskReport]) -> list[dict[str, Any]]:
    """Return why orders of several tasks failed, by their XComs, most common reasons first."""
    sums: dict[str, dict[str, Any]] = {}
    for row in (row for report in reports for row in report.reasons):
        sums.setdefault(row["reason"], {**row, "count": 0})["count"] += row["count"]
    return sorted(sums.values(), key=lambda row: row["count"], reverse=True)[:_REASONS]


def outcomes_json(counts: Mapping[str, int], *, dry_run: bool = False) -> list[dict[str, Any]]:
    """Return each outcome with its count and its facts."""
    meanings = {outcome.value: outcome.meaning for outcome in Outcome}
    if dry_run:
        meanings[Outcome.NOT_ATTEMPTED.value] = "valid: a run would send it"
    return [
        {
            "outcome": fact["outcome"],
            "count": counts[fact["outcome"]],
            "failed": fact["failed"],
            "meaning": meanings[fact["outcome"]],
        }
        for fact in facts(dry_run=dry_run)
    ]


def settings_json(fields: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Return the task's parameters of reading and sending, with rendered templates."""
    return {
        name: [
            {"name": field, "value": _shown(fields[field])}
            for field in names
            if fields.get(field) not in (None, "None", "")
        ]
        for name, names in (("read", _READ), ("sent", _SENT))
    }


def _shown(value: Any) -> str:
    return without_credentials(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1))


def columns_read(place: Place, key: TaskKey) -> dict[str, Any] | None:
    """Return the columns that the task has read last, with their types by extract; None if none are kept."""
    root = folders.root_of(key, place.of(place.inside[0]))
    if root is None:
        return None
    folder = columns_folder(root, key.dag_id, key.task_id)
    try:
        folders.refuse_links(root, folder, notes=True)
        record = recorded(open_ledger(folder))
    except EcdpError:
        return None
    return {"at": record.at, "extracts": record.columns} if record else None


def replays(session: Session, run: RunState, task_ids: list[str], path: str) -> list[dict[str, Any]]:
    """Return the later runs that have sent the failed orders of some results again, the newest first.

    :param path: folder of the results
    """
    rows = []
    for run_id, state in records.replays(session, run, path)[:_REPLAYS]:
        reports = records.reports(session, run.dag_id, run_id, task_ids).values()
        counts = {outcome.value: sum(report.counts[outcome.value] for report in reports) for outcome in Outcome}
        rows.append({"run_id": run_id, "state": state, "counts": counts if reports else None})
    return rows


def earlier_runs(
    session: Session, run: RunState, task_ids: list[str], map_index: int | None = None
) -> list[dict[str, Any]]:
    """Return the counts of this run and of those before it, the oldest first; the sum of mapped tasks, no dry runs."""
    runs: dict[str, dict[str, Any]] = {}
    for run_id, moment, summary in records.earlier_summaries(session, run, task_ids, map_index):
        if summary.get("dry_run"):
            continue
        row = runs.setdefault(run_id, {"run_id": run_id, "at": moment.isoformat(), **counts_of({})})
        for outcome, count in counts_of(summary).items():
            row[outcome] += count
    return list(reversed(runs.values()))
