"""Many deferred sensors in one process of Airflow's triggerer, through an outage.

`python tests/sensors/triggerer_run.py`: each `EcdpOrderSensor` asks once and defers, and its trigger is stored as
Airflow's API for tasks stores it, in SQLite. Then `airflow triggerer` runs all of them against the sandbox, which has
none of the orders, answers 503 for a minute, and has the orders some time after it. At the end each task must have been
resumed with its order, and no trigger may have asked more often than once an interval: exit code 0, or 1 and what was
wrong.

Neither scheduler nor workers run: they would start two processes for each sensor. So the end of each task,
`execute_complete`, is called here.
"""

# ruff: noqa: T201 - a script prints

from __future__ import annotations

import argparse
import collections
import datetime as dt
import itertools
import json
import os
import sys
import time
from pathlib import Path

import requests

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "celery"), str(ROOT / "tests" / "doubles")]

from celery_processes import Failed, free_port, run_in_folder, wait_for  # noqa: E402 - after the path
from order_fields import order_fields  # noqa: E402 - as above

from airflow_provider_ecdp.sandbox.faults import Faults  # noqa: E402 - as above
from airflow_provider_ecdp.sandbox.server import SandboxServer  # noqa: E402 - as above

KEY = "sandbox-key"

DAG_FILE = """
import datetime as dt

from airflow.sdk import DAG

from airflow_provider_ecdp.sensors.ecdp import EcdpOrderSensor

with DAG("wait", schedule=None, start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)):
    for number in range({sensors}):
        EcdpOrderSensor(
            task_id=f"wait_{{number}}", order_id=f"A-{{number}}", deferrable=True, poke_interval={interval}
        )
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sensors", type=int, default=200)
    parser.add_argument("--interval", type=int, default=10, help="seconds between two requests of a sensor")
    parser.add_argument("--outage", type=int, default=60, help="seconds in which each request gets a 503")
    options = parser.parse_args()
    with SandboxServer(KEY) as sandbox:
        return run_in_folder("ecdp-triggerer-", lambda *made: run(*made, sandbox, options))


def run(folder, processes, sandbox, options):
    configure(folder, sandbox)
    processes.run("migrate", sys.executable, "-m", "airflow", "db", "migrate")
    sensors = add_run(folder, options)
    deferred = defer(sensors)
    print(f"{deferred} sensors have asked once, and are deferred", flush=True)
    asked_before = len(sandbox.store.requests)
    processes.start("triggerer", sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs")
    everyone = len(sensors)
    wait_for("each trigger", lambda: len({*asked(sandbox, asked_before)}) == everyone, 300)
    print(f"each trigger has asked; {options.outage} s of 503 begin", flush=True)
    outage_from = len(sandbox.store.requests)
    sandbox.faults = Faults(error_before=1.0, error_statuses=(503,))
    time.sleep(options.outage)
    sandbox.faults = Faults()
    outage_to = len(sandbox.store.requests)
    processes.check()
    check(not resumed(), "no task may end in an outage")
    time.sleep(options.interval)
    store(sandbox, everyone)
    wait_for("the end of each trigger", lambda: len(resumed()) == everyone, 300)
    seconds, memory = cost(processes)
    check_events(sensors)
    check_polls(sandbox.store.requests[asked_before:], options.interval)
    during = [request.path for request in sandbox.store.requests[outage_from:outage_to]]
    counts = collections.Counter(collections.Counter(during).values())
    print(f"requests of a sensor in {options.outage} s of 503, and how many sensors: {dict(sorted(counts.items()))}")
    print(f"all {everyone} have ended; the triggerer took {seconds:.0f} s of CPU and {memory / 1e6:.0f} MB")


def check(condition, text):
    if not condition:
        raise Failed(text)


def configure(folder, sandbox):
    """Let this process and those that it starts have an Airflow in the folder; Airflow is imported after it."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW", "ECDP_"))]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW_CONN_ECDP_DEFAULT": json.dumps({"conn_type": "ecdp", "host": sandbox.url, "password": KEY}),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def add_run(folder, options):
    """Add the DAG and a run of it; return its sensors."""
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from moved_names import DagBag, sync_bag_to_db

    (folder / "dags").mkdir()
    (folder / "dags" / "wait.py").write_text(DAG_FILE.format(sensors=options.sensors, interval=options.interval))
    bag = DagBag(str(folder / "dags"))
    check(not bag.import_errors, bag.import_errors)
    with create_session() as session:
        session.add(DagBundleModel(name="dags-folder"))
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        SerializedDagModel.get_dag("wait", session=session).create_dagrun(
            run_id="run",
            logical_date=None,
            data_interval=None,
            run_after=dt.datetime.now(dt.UTC),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            session=session,
        )
    return bag.dags["wait"].task_dict


def defer(sensors):
    """Let each sensor ask, and store its trigger; return how many there are."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.sdk.exceptions import TaskDeferred
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    with create_session() as session:
        instances = session.query(TaskInstance).all()
        for instance in instances:
            try:
                sensors[instance.task_id].execute({})
            except TaskDeferred as deferred:
                trigger = Trigger.from_object(deferred.trigger)
                session.add(trigger)
                session.flush()
                instance.state, instance.trigger_id = TaskInstanceState.DEFERRED, trigger.id
                instance.next_method, instance.next_kwargs = deferred.method_name, deferred.kwargs or {}
                instance.trigger_timeout = dt.datetime.now(dt.UTC) + deferred.timeout
        return len(instances)


def store(sandbox, count):
    body = {"mode": "AddOrReplace", "data": [order_fields(f"A-{number}") for number in range(count)]}
    with requests.Session() as session:
        # a proxy has no way to this machine's loopback
        session.trust_env = False
        answer = session.post(f"{sandbox.url}/orders", json=body, headers={"x-api-key": KEY}, timeout=60)
    check(answer.status_code == 201, answer.text)


def asked(sandbox, start):
    """Return the paths of the requests of triggers."""
    return [request.path for request in sandbox.store.requests[start:] if request.method == "GET"]


def resumed():
    """Return method and arguments of each task that is to be resumed, by its id."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    with create_session() as session:
        columns = (TaskInstance.task_id, TaskInstance.next_method, TaskInstance.next_kwargs)
        rows = session.query(*columns).filter(TaskInstance.state != TaskInstanceState.DEFERRED).all()
        return {task_id: (method, arguments) for task_id, method, arguments in rows}


def check_events(sensors):
    """End each task as a worker would."""
    from airflow.sdk.serde import deserialize

    for task_id, (method, arguments) in resumed().items():
        result = getattr(sensors[task_id], method)({}, **deserialize(arguments))
        order_id = sensors[task_id].order_id
        check(result == {"order_id": order_id, "status": "Paid"}, f"{task_id} ended with {result}")


def check_polls(records, interval):
    times = collections.defaultdict(list)
    for record in records:
        if record.method == "GET":
            times[record.path].append(record.at)
    gaps = sorted(later - earlier for at in times.values() for earlier, later in itertools.pairwise(at))
    print(f"{sum(map(len, times.values()))} requests; seconds between two of a sensor: ", end="")
    print(f"{gaps[0]:.1f} to {gaps[-1]:.1f}, median {gaps[len(gaps) // 2]:.1f}")
    # a request may be late on its way, so that the next seems early
    check(gaps[0] > 0.8 * interval, "a trigger asks more than once an interval")


def cost(processes):
    """Return the triggerer's seconds of CPU and bytes of memory, with its children."""
    main_process = processes.running["triggerer"]
    tree = [main_process, *main_process.children(recursive=True)]
    times = [process.cpu_times() for process in tree]
    return sum(one.user + one.system for one in times), sum(process.memory_info().rss for process in tree)


if __name__ == "__main__":
    sys.exit(main())
