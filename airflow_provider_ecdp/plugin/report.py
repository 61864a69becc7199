"""The report of a task instance and of a DAG run, for the page, in plain JSON types."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from airflow_provider_ecdp.errors import EcdpError
from airflow_provider_ecdp.orders.sources.storage import without_credentials
from airflow_provider_ecdp.plugin import access, buttons, records
from airflow_provider_ecdp.plugin import report_parts as parts
from airflow_provider_ecdp.plugin.records import RunState, SerializedDag, TaskState
from airflow_provider_ecdp.plugin.results import folders
from airflow_provider_ecdp.plugin.results.folders import Place, RunPlaces, TaskKey
from airflow_provider_ecdp.plugin.results.open_results import OpenResults
from airflow_provider_ecdp.plugin.xcom_report import TaskReport
from airflow_provider_ecdp.results.outcome import Outcome


def task_report(session: Session, user: Any, run: RunState, state: TaskState, opened: OpenResults) -> dict[str, Any]:
    """Return the report of a task instance."""
    key = state.key
    dag = records.serialized_dag(session, key.dag_id, key.run_id)
    xcom = records.reported(session, key)
    body: dict[str, Any] = {"task": parts.task_json(state), "run": parts.run_json(run)}
    if xcom is None and key.task_id not in dag.tasks:
        return {**body, "kind": "other"}
    fields = records.rendered_fields(session, key)
    place, notes = _place(key, xcom, state)
    path = (xcom and xcom.results_path) or (place.of(place.inside[0]) if place else None)
    body |= {
        "kind": "orders",
        "facts": parts.facts(dry_run=xcom is not None and xcom.dry_run),
        "summary": xcom and xcom.summary,
        "warnings": xcom.warnings if xcom else {},
        "columns_used": xcom.columns_used if xcom else [],
        "results_path": path and without_credentials(path),
        "settings": parts.settings_json(fields),
        "columns": place and parts.columns_read(place, key),
        "earlier": parts.earlier_runs(session, run, [key.task_id], key.map_index),
        "paused": run.paused,
        **_buttons(session, user, run, dag=dag, key=key, fields=fields, path=path),
    }
    body |= _outcomes_of(place, xcom, opened, notes)
    empty = body["source"] == "results" and not any(outcome["count"] for outcome in body["outcomes"])
    if empty and xcom is None:
        # an extract without orders fails a task, and its run has begun to record
        body |= parts.of_xcom(None)
        if not state.unfinished:
            notes.append(parts.reader_note("info", _nothing()))
    if body["source"] == "results" and _ended_early(session, dag, state):
        notes.append(parts.reader_note("warning", _ENDED_EARLY))
        body["ended_early"] = True
    return {**body, "notes": notes}


#: For the page, of a task instance that was killed, or failed before its report.
_ENDED_EARLY = (
    "The task failed before it could report: it was killed, or its run was aborted. These are the orders whose outcome "
    "was recorded by then; the extract may have more. See the task's log for the cause."
)


def _ended_early(session: Session, dag: SerializedDag, state: TaskState) -> bool:
    """Whether a task instance has failed before it could push its report to XCom."""
    pushes = dag.tasks.get(state.key.task_id, {}).get("do_xcom_push", True)
    return state.state == "failed" and bool(pushes) and not records.has_return_value(session, state.key)


def _outcomes_of(
    place: Place | None, xcom: TaskReport | None, opened: OpenResults, notes: list[dict[str, str]]
) -> dict[str, Any]:
    if place is None:
        return parts.of_xcom(xcom)
    try:
        with opened.of([place]) as results:
            added_up = parts.of_results(results)
    except EcdpError as error:
        notes.append(parts.reader_note("error", f"The results cannot be read: {error}"))
        return parts.of_xcom(xcom)
    if xcom and xcom.results_path == place.of(place.inside[0]):
        # all orders of the extract: of an id that it holds more than once, results have one row
        return {**added_up, "outcomes": parts.outcomes_json(xcom.counts)}
    return added_up


def _buttons(
    session: Session,
    user: Any,
    run: RunState,
    *,
    dag: SerializedDag,
    key: TaskKey,
    fields: Mapping[str, Any],
    path: str | None,
) -> dict[str, Any]:
    parameters = {**dag.tasks.get(key.task_id, {}), **fields}
    date = records.next_logical_date(session, run)
    replay = buttons.replay(run, dag, key.task_id, _without_secret(path), date)
    return {
        "replays": parts.replays(session, run, [key.task_id], path) if path else [],
        "retry_failed": str(parameters.get("retry_failed")).lower() == "true",
        "replay": {**replay, "allowed": access.may_trigger(user, key.dag_id)},
        "clear": {**buttons.clear(run, key, parameters), "allowed": access.may_clear(user, key.dag_id)},
    }


def _without_secret(path: str | None) -> str | None:
    """Return a path, None if it holds a password: the page shows the configuration of a replay."""
    return path if path and without_credentials(path) == path else None


def _place(key: TaskKey, xcom: TaskReport | None, state: TaskState) -> tuple[Place | None, list[dict[str, str]]]:
    """Return the place of the results, and notes for the reader if the API server sees none."""
    reported = xcom.results_path if xcom else None
    try:
        place = folders.results_of(key, reported)
    except EcdpError as error:
        return None, [parts.reader_note("error", f"The results cannot be read: {error}")]
    if place is not None:
        return place, []
    if reported is not None and xcom and any(xcom.counts.values()):
        return None, [parts.reader_note("warning", _unseen(key, reported))]
    if xcom or state.unfinished:
        return None, []
    return None, [parts.reader_note("info", _nothing())]


def _unseen(key: TaskKey, reported: str) -> str:
    root, path = folders.root_of(key, reported), without_credentials(reported)
    where = f"The outcome of every order is in {path}"
    if root is None:
        return (
            f"{where}, which is not the folder of this task instance, so this page does not read it. Below is the data "
            f"in XCom. In a terminal: ecdp results {shlex.quote(path)} --failed"
        )
    if not folders.readable(root):
        return (
            f"{where}. The API server does not read there: add {without_credentials(root)} to results_roots in the "
            "section [ecdp] of its configuration. Below is the data in XCom."
        )
    return (
        f"{where}, but the API server finds nothing there. It cannot read a folder on a worker's disk: use object "
        "storage or a shared disk as results_path. Below is the data in XCom."
    )


def _nothing() -> str:
    if folders.configured_roots():
        return (
            "This task instance recorded no outcomes: it failed before an order had one, or it was skipped. "
            "See the task's log for the cause."
        )
    return (
        "This task instance has no report in XCom, and the API server has no folder of results: set results_path in "
        "the section [ecdp] of Airflow's configuration, or results_roots for tasks that set their own results_path."
    )


_UNSEEN_OF_RUN = (
    "The API server has no results of this run, so this report shows only the data in XCom. The report of each task "
    "says where the outcome of every order is."
)


#: In the report of a DAG run, with the names of tasks whose orders it lacks.
_FAILED_WITHOUT = "No outcome can be shown of tasks that failed: {}. See their logs for the cause."


def run_report(session: Session, user: Any, run: RunState, opened: OpenResults) -> dict[str, Any]:
    """Return the report of a DAG run: its mapped tasks and several operators added up."""
    dag = records.serialized_dag(session, run.dag_id, run.run_id)
    body: dict[str, Any] = {"run": parts.run_json(run)}
    states = records.task_states(session, run.dag_id, run.run_id, list(dag.tasks))
    if not states:
        return {**body, "kind": "other"}
    task_reports = records.reports(session, run.dag_id, run.run_id, list(dag.tasks))
    body |= {
        "kind": "orders",
        "facts": parts.facts(),
        "earlier": parts.earlier_runs(session, run, list(dag.tasks)),
        "unfinished": any(state.unfinished for state in states),
    }
    counts = {
        state.key: report.counts
        for state in states
        if (report := task_reports.get((state.key.task_id, state.key.map_index))) is not None
    }
    notes: list[dict[str, str]] = []
    of_run = run_places(run, states)
    places, failures = of_run.places, list(of_run.failures)
    try:
        body |= _added_up(places, counts, opened)
    except EcdpError as error:
        failures.append(error)
        body |= parts.of_xcom(None)
    those = "Some of the results" if body["source"] == "results" else "The results"
    notes += (parts.reader_note("error", f"{those} cannot be read: {error}") for error in failures)
    if counts:
        sums = {outcome.value: sum(of_task[outcome.value] for of_task in counts.values()) for outcome in Outcome}
        dry_run = bool(task_reports) and all(report.dry_run for report in task_reports.values())
        body |= {"summary": {"dry_run": dry_run}, "facts": parts.facts(dry_run=dry_run)}
        body["outcomes"] = parts.outcomes_json(sums, dry_run=dry_run)
    if counts and body["source"] is None:
        body |= {"source": "xcom", "reasons": parts.reasons_of(task_reports.values())}
        if any(report.results_path and any(report.counts.values()) for report in task_reports.values()):
            notes.append(parts.reader_note("info", _UNSEEN_OF_RUN))
    failed = [state for state in states if state.state == "failed" and _ended_early(session, dag, state)]
    begun = [state for state in failed if state.key in places and any(counts.get(state.key, {}).values())]
    if begun:
        notes.append(parts.reader_note("warning", f"{_names(begun)}: {_ENDED_EARLY}"))
        body["ended_early"] = True
    if without := [state for state in failed if state not in begun]:
        notes.append(parts.reader_note("warning", _FAILED_WITHOUT.format(_names(without))))
    tasks = [parts.task_json(state) | {"counts": counts.get(state.key)} for state in states]
    return {**body, "tasks": tasks, "notes": notes, **_replay_of_run(session, user, run, dag, places)}


def _names(states: Iterable[TaskState]) -> str:
    return ", ".join(sorted({state.key.task_id for state in states}))


def _replay_of_run(
    session: Session, user: Any, run: RunState, dag: SerializedDag, places: Mapping[TaskKey, Place]
) -> dict[str, Any]:
    """Return the request of a run that replays this one, where all results are of one task, mapped or not."""
    task_ids = {key.task_id for key in places}
    roots = by_root(places)
    if len(roots) != 1 or len(task_ids) > 1:
        return {}
    (place,) = roots
    key = next(iter(places))
    # the instances of a mapped task have one folder above them all
    inside = place.inside[0] if key.map_index < 0 else place.inside[0].split("/")[0]
    date = records.next_logical_date(session, run)
    path = place.of(inside)
    replay = buttons.replay(run, dag, key.task_id, _without_secret(path), date)
    return {
        "paused": run.paused,
        "replays": parts.replays(session, run, list(task_ids), path),
        "replay": {**replay, "allowed": access.may_trigger(user, run.dag_id)},
    }


def run_places(run: RunState, states: Iterable[TaskState]) -> RunPlaces:
    """Return where the newest results of each task instance are."""
    keys = {folders.inside_run(state.key): state.key for state in states}
    return folders.results_of_run(run.dag_id, run.run_id, keys)


def by_root(places: Mapping[TaskKey, Place]) -> list[Place]:
    """Return the places of all task instances, as one for each root that has some."""
    inside: dict[str, list[str]] = {}
    for place in places.values():
        inside.setdefault(place.folder, []).extend(place.inside)
    return [Place(folder, tuple(sorted(folders))) for folder, folders in inside.items()]


def _added_up(
    places: Mapping[TaskKey, Place], counts: dict[TaskKey, dict[str, int]], opened: OpenResults
) -> dict[str, Any]:
    """Return the overview of the results of several tasks, and add to `counts` those of tasks that have none."""
    if not places:
        return parts.of_xcom(None)
    with opened.of(by_root(places)) as results:
        by_folder = {folder.path: folder.counts for folder in results.runs()}
        for key, place in places.items():
            if key not in counts:
                of_task = by_folder.get(place.inside[0], {})
                counts[key] = {outcome.value: of_task.get(outcome, 0) for outcome in Outcome}
        return parts.of_results(results)
