"""Two DAGs at once over one connection with a rate that they share: `python tests/runs/shared_limits_run.py`.

Each is run by an Airflow of its own (`airflow dags test`), with batches of one order, against the sandbox. At the end
every order must be stored, and together they must have kept the connection's rate: exit code 0, or 1 and what was
wrong. With `--apart` each has the whole rate for itself, so that the check has to fail.
"""

# ruff: noqa: T201 - a script prints

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "celery"))

from celery_processes import Failed, run_in_folder, wait_for  # noqa: E402 - after the path

from airflow_provider_ecdp.sandbox.server import SandboxServer  # noqa: E402 - as above

KEY, RATE = "sandbox-key", 5
AIRFLOW = (sys.executable, "-m", "airflow")

DAG_FILE = """
import datetime as dt

from airflow.sdk import DAG

from airflow_provider_ecdp.operators.ecdp import EcdpPushOrdersOperator

with DAG("{name}", schedule=None, start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)):
    EcdpPushOrdersOperator(
        task_id="push",
        orders=[
            {{
                "id": f"{name}-{{number}}",
                "date": "2026-11-01T10:00:00Z",
                "status": "paid",
                "currency": "USD",
                "totalValue": 20.5,
                "customer": {{"email": "customer@example.com"}},
                "products": [{{"id": "p-1", "name": "Mug", "price": 20.5, "quantity": 1}}],
            }}
            for number in range({orders})
        ],
        batch_size=1,
    )
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=100, help="of each DAG, and its requests")
    parser.add_argument("--apart", action="store_true", help="each DAG has the whole rate for itself")
    options = parser.parse_args()
    with SandboxServer(KEY) as sandbox:
        return run_in_folder("ecdp-shared-limits-", lambda *made: run(*made, sandbox, options))


def run(folder, processes, sandbox, options):
    environments = {name: prepare(name, folder, sandbox, processes, options) for name in ("first", "second")}
    for name, environment in environments.items():
        processes.start(name, *AIRFLOW, "dags", "test", name, env=environment)
    wait_for("both DAGs", lambda: all(one.poll() is not None for one in processes.running.values()), 600)
    check(sandbox, options.orders)


def prepare(name, folder, sandbox, processes, options):
    home = folder / name
    (home / "dags").mkdir(parents=True)
    (home / "dags" / f"{name}.py").write_text(DAG_FILE.format(name=name, orders=options.orders))
    limits = {"requests_per_second": RATE, "shared_limits": not options.apart}
    connection = {"conn_type": "ecdp", "host": sandbox.url, "password": KEY, "extra": limits}
    kept = {key: value for key, value in os.environ.items() if "AIRFLOW" not in key and "ECDP" not in key}
    environment = kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__ECDP__RESULTS_PATH": str(folder / "results"),
        "AIRFLOW_CONN_ECDP_DEFAULT": json.dumps(connection),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    processes.run(f"{name}-migrate", *AIRFLOW, "db", "migrate", env=environment)
    return environment


def check(sandbox, orders):
    stored = sandbox.store.count()
    if stored != 2 * orders:
        raise Failed(f"ECDP has {stored} of {2 * orders} orders")
    times = sorted(request.at for request in sandbox.store.requests if request.method == "POST")
    seconds = times[-1] - times[0]
    most = {window: max(sum(at <= one < at + window for one in times) for at in times) for window in (1, 10)}
    print(f"{len(times)} requests in {seconds:.1f} s; at most {most[1]} in 1 s, and {most[10]} in 10 s")
    # the sandbox is late at times, so that requests seem closer; those in flight when a task joins count beside its own
    if most[10] > 1.2 * 10 * RATE:
        raise Failed(f"more than {RATE} requests a second")


if __name__ == "__main__":
    sys.exit(main())
