"""Real runs of DAGs in this process: Airflow's database, scheduler loop, API server and task runner, all its own."""

import datetime as dt
import importlib
import os
import shutil
import warnings
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


class Airflow:
    """An Airflow with the example DAGs and those of the tests; `extracts` and `results` are their folders."""

    def __init__(self, home):
        from moved_names import DagBag

        self.extracts, self.results = home / "extracts", home / "results"
        self.bag, self._bag_type = DagBag(str(home / "dags")), DagBag

    def run(self, dag_id, *, logical_date=dt.datetime(2026, 11, 1, tzinfo=dt.UTC), conf=None):
        """Run a DAG to its end and return the run."""
        # a run in this process writes its conf into the parameters of the tasks, so each has the DAG from its file
        dag = self._bag_type(self.bag.dags[dag_id].fileloc).dags[dag_id]
        return Run(dag.test(logical_date=logical_date, run_conf=conf))


class Run:
    """A run that has ended: `state`, and by task id `states`, `tries` and `xcom`; mapped tasks have lists."""

    def __init__(self, dag_run):
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session

        self.dag_run, self.state = dag_run, str(dag_run.state)
        self.states, self.tries, self.xcom = {}, {}, {}
        with create_session() as session:
            found = session.query(TaskInstance).filter_by(dag_id=dag_run.dag_id, run_id=dag_run.run_id)
            for ti in found.order_by(TaskInstance.map_index):
                xcom = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index, session=session)
                for values, value in ((self.states, str(ti.state)), (self.tries, ti.try_number), (self.xcom, xcom)):
                    if ti.map_index < 0:
                        values[ti.task_id] = value
                    else:
                        values.setdefault(ti.task_id, []).append(value)

    def pull(self, task_id, key):
        """Return an XCom other than the value that the task returned."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            ids = {"dag_ids": self.dag_run.dag_id, "run_id": self.dag_run.run_id, "task_ids": task_id}
            found = session.scalars(XComModel.get_many(key=key, **ids)).one()
            return XComModel.deserialize_value(found)

    def links(self, task_id):
        """Return the links of a task that is not mapped, by the names of their classes."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            found = session.query(XComModel.key, XComModel.value).filter_by(
                dag_id=self.dag_run.dag_id, run_id=self.dag_run.run_id, task_id=task_id
            )
            return {key.removeprefix("_link_"): value for key, value in found if key.startswith("_link_")}


def rendered_fields():
    """Return what Airflow has stored of rendered templates, in all runs, as one text."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session

    with create_session() as session:
        return "\n".join(str(row.rendered_fields) for row in session.query(RenderedTaskInstanceFields))


@pytest.fixture(name="rendered_fields")
def _rendered_fields():
    return rendered_fields


@pytest.fixture(scope="session")
def airflow(airflow_database):  # noqa: ARG001 - makes the tables
    home = Path(os.environ["AIRFLOW_HOME"])
    shutil.copytree(REPOSITORY / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        Path(__file__).parent / "folder",
        home / "dags",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (home / "extracts").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECDP_EXTRACTS", str(home / "extracts"))
        patch.setenv("ECDP_RESULTS", str(home / "results"))
        with warnings.catch_warnings():
            # Airflow's in-process API server, imported when a task runs, is not ours to correct
            warnings.filterwarnings("ignore", "Using `httpx` with `starlette.testclient` is deprecated")
            importlib.import_module("airflow.api_fastapi.execution_api.app")
        yield Airflow(home)


@pytest.fixture(autouse=True)
def without_history():
    """A history belongs to one ECDP, and each test has a sandbox of its own."""
    for history in list(Path(os.environ["AIRFLOW_HOME"]).glob("results/**/history")):
        shutil.rmtree(history)
