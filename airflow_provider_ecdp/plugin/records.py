"""Reads the records of a task instance, a DAG run, and those before from Airflow's database; nothing is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from airflow_provider_ecdp.plugin.results.folders import TaskKey
from airflow_provider_ecdp.plugin.xcom_report import TaskReport

#: Runs that a report is compared with.
EARLIER_RUNS = 20

#: Runs after the run of a report among which its replays are looked for.
_LATER_RUNS = 200

#: The parameter of a DAG that a replay sets, as in the example DAG of the Trigger form.
REPLAY_PARAM = "replay_from"

_RETURN_VALUE = "return_value"

#: Template fields of every operator that gives orders an outcome, and of no other.
_OURS = frozenset({"ecdp_conn_id", "max_failed"})


@dataclass(frozen=True, slots=True)
class TaskState:
    """How far a task instance is."""

    key: TaskKey
    state: str | None
    try_number: int
    start: dt.datetime | None
    end: dt.datetime | None

    @property
    def unfinished(self) -> bool:
        """Whether it may still run."""
        return self.state not in {"success", "failed", "skipped", "upstream_failed", "removed"}


@dataclass(frozen=True, slots=True)
class RunState:
    """A DAG run."""

    dag_id: str
    run_id: str
    state: str
    logical_date: dt.datetime | None
    data_interval: tuple[dt.datetime, dt.datetime] | None
    run_after: dt.datetime
    conf: Mapping[str, Any]
    paused: bool


@dataclass(frozen=True, slots=True)
class SerializedDag:
    """A DAG as Airflow has parsed it: its parameters, and its tasks that give orders an outcome."""

    params: Mapping[str, Any]
    tasks: Mapping[str, Mapping[str, Any]]


def run_state(session: Session, dag_id: str, run_id: str) -> RunState | None:
    """Return a DAG run, None if there is none."""
    columns = (
        DagRun.state,
        DagRun.logical_date,
        DagRun.data_interval_start,
        DagRun.data_interval_end,
        DagRun.run_after,
        DagRun.conf,
        DagModel.is_paused,
    )
    row = session.execute(
        select(*columns)
        .join(DagModel, DagModel.dag_id == DagRun.dag_id)
        .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    ).one_or_none()
    if row is None:
        return None
    state, logical_date, start, end, run_after, conf, paused = row
    interval = (start, end) if start and end else None
    return RunState(dag_id, run_id, str(state), logical_date, interval, run_after, conf or {}, bool(paused))


def task_states(
    session: Session, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None, map_index: int | None = None
) -> list[TaskState]:
    """Return the task instances of a DAG run.

    :param task_ids: only of these tasks
    :param map_index: only those with this index
    """
    conditions = [TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id]
    if task_ids is not None:
        conditions.append(TaskInstance.task_id.in_(task_ids))
    if map_index is not None:
        conditions.append(TaskInstance.map_index == map_index)
    columns = (
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.state,
        TaskInstance.try_number,
        TaskInstance.start_date,
        TaskInstance.end_date,
    )
    rows = session.execute(select(*columns).where(*conditions).order_by(TaskInstance.task_id, TaskInstance.map_index))
    return [
        TaskState(TaskKey(dag_id, run_id, task_id, index), state and str(state), tries or 0, start, end)
        for task_id, index, state, tries, start, end in rows
    ]


def reported(session: Session, key: TaskKey) -> TaskReport | None:
    """Return the report that a task instance has pushed to XCom, None if it pushed none."""
    return next(iter(reports(session, key.dag_id, key.run_id, [key.task_id], key.map_index).values()), None)


def reports(
    session: Session, dag_id: str, run_id: str, task_ids: Sequence[str], map_index: int | None = None
) -> dict[tuple[str, int], TaskReport]:
    """Return the reports that task instances have pushed to XCom, by task id and map index."""
    conditions = [
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.task_id.in_(task_ids),
        XComModel.key == _RETURN_VALUE,
    ]
    if map_index is not None:
        conditions.append(XComModel.map_index == map_index)
    rows = session.execute(select(XComModel.task_id, XComModel.map_index, XComModel.value).where(*conditions))
    read = {(task_id, index): TaskReport.read(value) for task_id, index, value in rows}
    return {key: report for key, report in read.items() if report}


def has_return_value(session: Session, key: TaskKey) -> bool:
    """Whether a task instance has pushed a return value to XCom, of any kind and in any storage."""
    statement = select(func.count()).where(
        XComModel.dag_id == key.dag_id,
        XComModel.run_id == key.run_id,
        XComModel.task_id == key.task_id,
        XComModel.map_index == key.map_index,
        XComModel.key == _RETURN_VALUE,
    )
    return bool(session.scalar(statement))


def replays(session: Session, run: RunState, path: str) -> list[tuple[str, str]]:
    """Return the ids and states of later runs of the DAG whose configuration replays some results, the newest first.

    :param path: folder of the results
    """
    rows = session.execute(
        select(DagRun.run_id, DagRun.state, DagRun.conf)
        .where(DagRun.dag_id == run.dag_id, DagRun.run_after >= run.run_after, DagRun.run_id != run.run_id)
        .order_by(DagRun.run_after)
        .limit(_LATER_RUNS)
    )
    # a replay of a mapped task names the folder above those of its instances
    return [(run_id, str(state)) for run_id, state, conf in rows if f"{path}/".startswith(_replayed_from(conf))][::-1]


def _replayed_from(conf: Any) -> str:
    """Return the folder of results that a run replays by its configuration, with a slash; no path starts with "//"."""
    path = conf.get(REPLAY_PARAM) if isinstance(conf, dict) else None
    return path.rstrip("/") + "/" if isinstance(path, str) and path.strip("/") else "//"


def earlier_summaries(
    session: Session, run: RunState, task_ids: Sequence[str], map_index: int | None = None
) -> list[tuple[str, dt.datetime, dict[str, Any]]]:
    """Return the summaries that tasks have pushed to XCom in this run and those before it, the newest run first.

    :return: id and time of the run, and the summary of one task instance
    """
    runs = (
        select(DagRun.run_id, func.coalesce(DagRun.logical_date, DagRun.run_after).label("moment"))
        .where(DagRun.dag_id == run.dag_id, DagRun.run_after <= run.run_after)
        .order_by(DagRun.run_after.desc())
        .limit(EARLIER_RUNS)
        .subquery()
    )
    conditions = [
        XComModel.dag_id == run.dag_id,
        XComModel.task_id.in_(task_ids),
        XComModel.key == _RETURN_VALUE,
    ]
    if map_index is not None:
        conditions.append(XComModel.map_index == map_index)
    rows = session.execute(
        select(runs.c.run_id, runs.c.moment, XComModel.value["summary"])
        .join(XComModel, XComModel.run_id == runs.c.run_id)
        .where(*conditions)
        .order_by(runs.c.moment.desc())
    )
    return [(run_id, moment, summary) for run_id, moment, summary in rows if isinstance(summary, dict)]


def earlier_runs(session: Session, run: RunState) -> list[str]:
    """Return the ids of this run and those before it, the newest first."""
    return list(
        session.scalars(
            select(DagRun.run_id)
            .where(DagRun.dag_id == run.dag_id, DagRun.run_after <= run.run_after)
            .order_by(DagRun.run_after.desc())
            .limit(EARLIER_RUNS)
        )
    )


def rendered_fields(session: Session, key: TaskKey) -> dict[str, Any]:
    """Return the parameters of a task instance as its templates were rendered; empty if Airflow keeps none."""
    fields = session.scalar(
        select(RenderedTaskInstanceFields.rendered_fields).where(
            RenderedTaskInstanceFields.dag_id == key.dag_id,
            RenderedTaskInstanceFields.run_id == key.run_id,
            RenderedTaskInstanceFields.task_id == key.task_id,
            RenderedTaskInstanceFields.map_index == key.map_index,
        )
    )
    return fields if isinstance(fields, dict) else {}


def serialized_dag(session: Session, dag_id: str, run_id: str) -> SerializedDag:
    """Return a DAG: the parameters of its newest version, which a new run gets, and the tasks of this run too.

    A task that was renamed or removed since is only in the versions with which the run was made.
    """
    newest = SerializedDagModel.get(dag_id, session=session)
    versions = select(TaskInstance.dag_version_id).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    of_run = session.scalars(select(SerializedDagModel).where(SerializedDagModel.dag_version_id.in_(versions)))
    # of a task that several have, the parameters of the newest
    models = [*sorted(of_run, key=lambda model: model.created_at), *([newest] if newest else [])]
    dags: list[Any] = [(model.data or {}).get("dag", {}) for model in models]
    tasks = [task.get("__var", task) for dag in dags for task in dag.get("tasks", [])]
    return SerializedDag(
        params=dict(dags[-1].get("params") or []) if newest else {},
        tasks={task["task_id"]: _fields(task) for task in tasks if set(task.get("template_fields", ())) >= _OURS},
    )


def _fields(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of a task; of a mapped one, those that all its instances share."""
    partial = task.get("partial_kwargs")
    return partial if isinstance(partial, dict) else task


def next_logical_date(session: Session, run: RunState) -> dt.datetime | None:
    """Return a date for a run that repeats another: a millisecond after it, or after the last that repeated it.

    Two runs of a DAG never share a date, and templates of dates and days have to give the same text as before.
    """
    if run.logical_date is None:
        return None
    last = session.scalar(
        select(func.max(DagRun.logical_date)).where(
            DagRun.dag_id == run.dag_id,
            DagRun.logical_date >= run.logical_date,
            DagRun.logical_date < run.logical_date + dt.timedelta(seconds=1),
        )
    )
    return (last or run.logical_date) + dt.timedelta(milliseconds=1)
