"""The routes that give data: each checks the login and the permission for the DAG before anything else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import StreamingResponse

from airflow_provider_ecdp.errors import EcdpError
from airflow_provider_ecdp.ledger.query import Filter, Sort
from airflow_provider_ecdp.plugin import records, report
from airflow_provider_ecdp.plugin.access import READER, GetUserDep
from airflow_provider_ecdp.plugin.records import RunState, TaskState
from airflow_provider_ecdp.plugin.results import folders
from airflow_provider_ecdp.plugin.results.folders import Place
from airflow_provider_ecdp.plugin.results.open_results import OpenResults
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.table_csv import csv_text

data = APIRouter(dependencies=READER)

#: Of all requests of this process.
opened = OpenResults()

_RUN = "/{dag_id}/{run_id}"
_TASK = _RUN + "/{task_id}/{map_index}"

#: Digits of the longest map index: the database keeps 32 bits.
_INDEX_DIGITS = 9

#: Most rows of one page of the table.
_MOST_ROWS = 200


def _run(dag_id: str, run_id: str, session: SessionDep) -> RunState:
    run = records.run_state(session, dag_id, run_id)
    if run is None:
        raise HTTPException(404, "There is no such DAG run.")
    return run


_Run = Annotated[RunState, Depends(_run)]


def _task(run: _Run, task_id: str, map_index: str, session: SessionDep) -> TaskState:
    # of a task that is not mapped, Airflow leaves the placeholder in the address
    index = int(map_index[: _INDEX_DIGITS + 1]) if map_index.isdecimal() else -1
    too_long = index >= 10**_INDEX_DIGITS
    states = [] if too_long else records.task_states(session, run.dag_id, run.run_id, [task_id], index)
    if not states:
        raise HTTPException(404, "There is no such task instance.")
    return states[0]


_Task = Annotated[TaskState, Depends(_task)]


def _places_of_run(run: _Run, session: SessionDep) -> list[Place]:
    dag = records.serialized_dag(session, run.dag_id, run.run_id)
    states = records.task_states(session, run.dag_id, run.run_id, list(dag.tasks))
    of_run = report.run_places(run, states)
    if of_run.failures and not of_run.places:
        raise of_run.failures[0]
    return _not_empty(report.by_root(of_run.places))


def _places_of_task(task: _Task, session: SessionDep) -> list[Place]:
    xcom = records.reported(session, task.key)
    place = folders.results_of(task.key, xcom.results_path if xcom else None)
    return _not_empty([place] if place else [])


def _not_empty(places: list[Place]) -> list[Place]:
    if not places:
        raise HTTPException(404, "The API server has no results of this run.")
    return places


_PlacesOfRun = Annotated[list[Place], Depends(_places_of_run)]
_PlacesOfTask = Annotated[list[Place], Depends(_places_of_task)]


def _filter(
    outcome: Annotated[list[Outcome] | None, Query()] = None,
    text: Annotated[str | None, Query(max_length=500)] = None,
    reason: Annotated[str | None, Query(max_length=8000)] = None,
    *,
    failed: bool = False,
) -> Filter:
    """Return which orders a request asks for; `reason` is one that the report lists."""
    return Filter(failed=failed, outcomes=outcome or (), text=text or None, fold=reason)


_FilterDep = Annotated[Filter, Depends(_filter)]


@dataclass(frozen=True, slots=True)
class _Page:
    """Which rows a request asks for."""

    sort: Sort
    descending: bool
    offset: int
    limit: int

    def of(self, places: list[Place], only: Filter) -> dict[str, Any]:
        """Return the rows, and how many orders meet the filter."""
        with opened.of(places) as results:
            page = results.page(only, sort=self.sort, descending=self.descending, offset=self.offset, limit=self.limit)
        return {"total": page.total, "rows": [row.as_json() for row in page.rows]}


def _page(
    sort: Sort = Sort.AT,
    offset: Annotated[int, Query(ge=0, le=10**12)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 50,
    *,
    descending: bool = False,
) -> _Page:
    # a function, for the FastAPI of Airflow 3.1 finds no types of a dataclass with slots
    return _Page(sort, descending, offset, limit)


_PageDep = Annotated[_Page, Depends(_page)]
_OrderId = Annotated[str, Query(max_length=1000)]


@data.get("/data" + _RUN)
def run_report(run: _Run, session: SessionDep, user: GetUserDep) -> dict[str, Any]:
    """Return the report of a DAG run."""
    return report.run_report(session, user, run, opened)


@data.get("/data" + _TASK)
def task_report(run: _Run, task: _Task, session: SessionDep, user: GetUserDep) -> dict[str, Any]:
    """Return the report of a task instance."""
    return report.task_report(session, user, run, task, opened)


@data.get("/orders" + _RUN)
def orders_of_run(places: _PlacesOfRun, only: _FilterDep, page: _PageDep) -> dict[str, Any]:
    """Return a page of the orders of a DAG run."""
    return page.of(places, only)


@data.get("/orders" + _TASK)
def orders_of_task(places: _PlacesOfTask, only: _FilterDep, page: _PageDep) -> dict[str, Any]:
    """Return a page of the orders of a task instance."""
    return page.of(places, only)


@data.get("/csv" + _RUN)
def csv_of_run(run: _Run, places: _PlacesOfRun, only: _FilterDep) -> StreamingResponse:
    """Return orders of a DAG run as CSV."""
    return _csv(run, places, only)


@data.get("/csv" + _TASK)
def csv_of_task(run: _Run, places: _PlacesOfTask, only: _FilterDep) -> StreamingResponse:
    """Return orders of a task instance as CSV."""
    return _csv(run, places, only)


@data.get("/history" + _RUN)
def history_of_run(run: _Run, order_id: _OrderId, session: SessionDep) -> dict[str, Any]:
    """Return the outcomes of an order in this run and those before it, in all tasks."""
    return _history(session, run, order_id, None)


@data.get("/history" + _TASK)
def history_of_task(run: _Run, task: _Task, order_id: _OrderId, session: SessionDep) -> dict[str, Any]:
    """Return the outcomes of an order in this run and those before it, in all instances of a task."""
    return _history(session, run, order_id, task.key.task_id)


def _csv(run: RunState, places: list[Place], only: Filter) -> StreamingResponse:
    def lines() -> Iterator[str]:
        with opened.of(places) as results:
            yield from csv_text({**row.as_json(), "run": run.run_id} for row in results.each(only))

    # results that cannot be opened are an error, and not a file that ends early
    with opened.of(places):
        pass
    headers = {"Content-Disposition": 'attachment; filename="orders.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _history(session: Any, run: RunState, order_id: str, task_id: str | None) -> dict[str, Any]:
    runs = records.earlier_runs(session, run)
    rows: list[dict[str, Any]] = []
    unread: dict[str, EcdpError] = {}
    for run_id in runs:
        of_run, failed = folders.rows_of_order(run.dag_id, run_id, task_id, order_id)
        rows += ({**row.as_json(), "run": run_id, "this_run": run_id == run.run_id} for row in of_run)
        if failed is not None:
            # one damaged file, or one storage, must not hide all other runs
            unread[run_id] = failed
    if not rows and len(unread) == len(runs):
        raise unread[run.run_id]
    rows.sort(key=lambda row: str(row["at"]))
    return {"order_id": order_id, "runs": len(runs), "rows": rows, "unread": list(unread)}
