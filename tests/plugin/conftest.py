"""Airflow's own API server in this process, with its database, its logins, and DAG runs that have left results."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.ledger.schema import SCHEMA

RUN = "scheduled__2026-11-01T03:00:00+00:00"
DAY = dt.datetime(2026, 11, 1, 3, tzinfo=dt.UTC)

DAGS = """
from datetime import datetime

from airflow.sdk import DAG, Param, task

from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

with DAG(
    "shop",
    start_date=datetime(2026, 1, 1),
    schedule=None,
    params={
        "run": Param("normal", enum=["normal", "replay"]),
        "replay_from": Param(None, type=["null", "string"]),
    },
):
    ParquetToEcdpOperator(task_id="push", path="x.parquet", replay_from="{{ params.replay_from }}")
    ParquetToEcdpOperator(task_id="push_more", path="x.parquet", on_clear="resume", retry_failed=True)
    ParquetToEcdpOperator.partial(task_id="push_shards").expand(path=["a", "b"])

    @task
    def other():
        return {"summary": "of another kind"}

    other()

with DAG("secret", start_date=datetime(2026, 1, 1), schedule=None):
    ParquetToEcdpOperator(task_id="push", path="x.parquet")

with DAG("renamed", start_date=datetime(2026, 1, 1), schedule=None):
    ParquetToEcdpOperator(task_id="push_before", path="x.parquet")
"""


class Server:
    """The API server; `get` asks as a user with a role, with the user None without a login."""

    run = RUN
    day = DAY

    def __init__(self, client, home):
        self.client, self.home, self.results = client, home, home / "results"
        self.added = []

    def headers(self, user="viewer", role="VIEWER"):
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        if user is None:
            return {}
        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role=role))
        return {"Authorization": f"Bearer {token}"}

    def get(self, path, *, user="viewer", role="VIEWER", **parameters):
        return self.client.get(f"/ecdp/{path}", params=parameters, headers=self.headers(user, role))

    def folder(self, task_id="push", map_index=-1, *, run_id=RUN, dag_id="shop", epoch=0):
        """Return the folder of the results of a task instance."""
        from airflow_provider_ecdp.results.folders import instance_folder

        return Path(instance_folder(str(self.results), dag_id, run_id, task_id, map_index)) / str(epoch)

    def write(self, folder, *rows, name="a"):
        """Write results: tuples of order id, outcome, reason, and seconds since the run began."""
        table = []
        for order_id, outcome, reason, second in rows:
            sent = outcome in {"accepted", "rejected"}
            at = DAY + dt.timedelta(seconds=second)
            values = (order_id, "hash", outcome, reason, 201 if sent else None, int(sent), at)
            table.append(dict(zip(SCHEMA.names, values, strict=True)))
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(table, SCHEMA), folder / f"{name}.parquet")

    def push_xcom(self, value, task_id="push", map_index=-1, *, run_id=RUN, key="return_value"):
        from airflow.models import DagRun
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        at = {"dag_id": "shop", "run_id": run_id, "task_id": task_id, "map_index": map_index}
        with create_session() as session:
            dag_run = session.query(DagRun).filter_by(dag_id="shop", run_id=run_id).one()
            # as the API for tasks stores it; XComModel.set always serializes in Airflow 3.1
            session.merge(XComModel(**at, dag_run_id=dag_run.id, key=key, value=value))

    def add_run(self, run_id, date, conf):
        self.added.append(run_id)
        add_run("shop", run_id, date, conf)

    def set_state(self, task_id, state):
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session

        with create_session() as session:
            session.query(TaskInstance).filter_by(dag_id="shop", run_id=RUN, task_id=task_id).one().state = state

    def rename_task(self):
        """Give the DAG `renamed` a version whose task is called `push_after`."""
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.utils.session import create_session

        with create_session() as session:
            # Airflow makes no version of a DAG that it has read a moment ago
            session.query(SerializedDagModel).update({SerializedDagModel.last_updated: DAY})
        parse_dags(self.home, DAGS.replace("push_before", "push_after"))
        assert SerializedDagModel.get_dag("renamed").task_ids == ["push_after"]

    def clean(self):
        from airflow.models import DagRun
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        shutil.rmtree(self.results, ignore_errors=True)
        with create_session() as session:
            session.query(XComModel).delete()
            for run in session.query(DagRun).filter(DagRun.run_id.in_(self.added)):
                session.delete(run)
        self.added.clear()


def add_run(dag_id, run_id, date, conf=None):
    """Add a DAG run whose task instances have succeeded."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    with create_session() as session:
        dag = SerializedDagModel.get_dag(dag_id, session=session)
        run = dag.create_dagrun(
            run_id=run_id,
            logical_date=date,
            data_interval=(date, date + dt.timedelta(days=1)),
            run_after=date,
            conf=conf or {},
            run_type=DagRunType.SCHEDULED,
            triggered_by=DagRunTriggeredByType.TIMETABLE,
            state=DagRunState.SUCCESS,
            session=session,
        )
        for ti in run.get_task_instances(session=session):
            ti.state = TaskInstanceState.SUCCESS
            ti.try_number = 1


SETTINGS = {
    "_AIRFLOW_PROCESS_CONTEXT": "server",
    "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of sixty-four characters, which is as long as it should be",
}


@pytest.fixture
def server(api_server, monkeypatch):
    """The API server, with DAG runs that have left nothing yet."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", str(api_server.results))
    from airflow_provider_ecdp.plugin.results import folders
    from airflow_provider_ecdp.plugin.results.root_deadlines import RootDeadlines
    from airflow_provider_ecdp.plugin.routes import opened

    # no test depends on the load of the machine
    monkeypatch.setattr(folders, "deadlines", RootDeadlines(seconds=600))

    yield api_server
    api_server.clean()
    opened.close()


@pytest.fixture(scope="session")
def api_server(airflow_database):  # noqa: ARG001 - makes the tables
    home = Path(os.environ["AIRFLOW_HOME"])
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        # Airflow's own imports are not ours to correct
        warnings.simplefilter("ignore")
        _add_dags(home)
        from airflow.api_fastapi.app import create_app
        from fastapi.testclient import TestClient

        client = TestClient(create_app("core"))
        client.__enter__()
    yield Server(client, home)
    client.__exit__()


def _add_dags(home):
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(DagBundleModel(name="plugin_tests"))
    parse_dags(home, DAGS)
    for day in range(3):
        date = DAY - dt.timedelta(days=day)
        add_run("shop", f"scheduled__{date.isoformat()}", date, {"path": "y"})
    add_run("secret", RUN, DAY)
    add_run("renamed", RUN, DAY)


def parse_dags(home, text):
    """Let Airflow parse a file of DAGs: those that have changed since get another version."""
    from moved_names import DagBag, sync_bag_to_db

    folder = home / "plugin_dags"
    folder.mkdir(exist_ok=True)
    (folder / "shop.py").write_text(text)
    bag = DagBag(str(folder))
    assert not bag.import_errors
    sync_bag_to_db(bag, "plugin_tests", None)
