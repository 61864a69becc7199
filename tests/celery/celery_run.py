"""A real run on two Celery workers, one of which is killed in the middle: `make celery`.

It runs the DAG `example_ecdp_sharded` over 1,000,000 made-up orders in 40 shards, with CeleryExecutor, Postgres and
Redis, against the sandbox. When 30 in 100 orders are stored, one worker gets SIGKILL, with all that it has started. At
the end every order must be stored, all ledgers together must hold each as accepted, and the sum of the reducer's XCom
must be right: exit code 0, or 1 and what was wrong.

Everything is on loopback, on free ports, in a temporary folder, and ended by its process id. It needs Postgres and
Redis: on Debian and Ubuntu `apt-get install postgresql redis-server` (their services need not run). `make celery`
installs what Airflow needs in addition, `tests/celery/requirements.txt`.

Postgres does not run as root: root hands it over to the user `postgres`.
"""

# ruff: noqa: T201 - a script prints

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import pwd
import secrets
import shutil
import socket
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from celery_processes import AirflowRun, Failed, run_in_folder, wait_for

from airflow_provider_ecdp.sample import Sample

ROOT = Path(__file__).parents[2]
DAG = "example_ecdp_sharded"
KEY = "sandbox-key"
WORKERS = ("worker-1", "worker-2")
FILES, GROUP = 8, 5_000
DEBIAN = "/usr/lib/postgresql/*/bin"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--slots", type=int, default=4, help="of the pool; each worker takes half as many tasks")
    parser.add_argument("--spare", action="store_true", help="kill nobody")
    parser.add_argument("--seconds", type=float, default=1800, help="until the run must have ended")
    parser.add_argument("--folder", type=Path, help="to keep; a temporary one is removed")
    options = parser.parse_args()
    if missing := absent():
        print("\n".join(missing), file=sys.stderr)
        return 2
    return run_in_folder("ecdp-celery-", lambda *made: Cluster(*made, options).run(), options.folder)


def absent():
    """Return what is to be installed."""
    needed = []
    if postgres("initdb") is None or shutil.which("redis-server") is None:
        needed.append("Postgres and Redis are needed: apt-get install postgresql redis-server")
    modules = ("airflow.providers.celery", "psycopg2", "asyncpg", "redis")
    if any(not found(module) for module in modules):
        needed.append(
            f"{', '.join(modules)} are needed: "
            f"{sys.executable} -m pip install --constraint constraints.txt -r tests/celery/requirements.txt"
        )
    return needed


def found(module):
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def postgres(program):
    """Return the path of a program of Postgres; Debian has them outside of PATH."""
    debian = sorted(str(path) for path in Path("/").glob(DEBIAN.lstrip("/")))
    return shutil.which(program, path=os.pathsep.join([*debian[-1:], os.environ.get("PATH", "")]))


def seconds_between(first, second):
    return (dt.datetime.fromisoformat(second) - dt.datetime.fromisoformat(first)).total_seconds()


def spread(values):
    return f"{values[0]:.1f} to {values[-1]:.1f} s, half of them below {values[len(values) // 2]:.1f} s"


def plain(value):
    """Return an XCom as the API gives it, which is text in some versions."""
    return json.loads(value) if isinstance(value, str) else value


class Cluster(AirflowRun):
    """Airflow with two Celery workers, and what they need."""

    def __init__(self, folder, processes, options):
        super().__init__(folder, processes, options, ("postgres", "redis", "api", "sandbox"))
        self.spilled = folder / "tmp"
        for made in (self.extract, self.spilled):
            made.mkdir(exist_ok=True)

    def run(self):
        self.write_extract()
        self.start_databases()
        self.start_airflow()
        run_id, began = self.trigger(), time.monotonic()
        kill = None if self.options.spare else self.kill_a_worker(run_id)
        state = wait_for("the end of the run", lambda: self.ended(run_id), self.options.seconds, pause=2)
        self.judge(run_id, state, time.monotonic() - began, kill)

    # before the run

    def write_extract(self):
        whole = self.folder / "whole.parquet"
        Sample(orders=self.options.orders).write(whole)
        with pq.ParquetFile(whole) as source:
            rows = -(-self.options.orders // FILES)
            table, files = source.read(), 0
            for start in range(0, len(table), rows):
                part = table.slice(start, rows)
                pq.write_table(part, self.extract / f"part-{files:02d}.parquet", row_group_size=GROUP)
                files += 1
        whole.unlink()
        self.say(f"{self.options.orders:,} orders in {files} files, row groups of {GROUP:,}")

    def start_databases(self):
        data, port = self.folder / "postgres", self.ports["postgres"]
        data.mkdir(exist_ok=True)
        user = {}
        if os.getuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(data, account.pw_uid, account.pw_gid)
            self.folder.chmod(0o755)
            user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": data}
        password = self.folder / "password"
        password.write_text(secret := secrets.token_hex(8))
        password.chmod(0o644)
        arguments = ("-U", "airflow", "-A", "scram-sha-256", f"--pwfile={password}", "--no-sync")
        self.processes.run("initdb", postgres("initdb"), "-D", data, *arguments, **user)
        self.database = f"airflow:{secret}@127.0.0.1:{port}/postgres"
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.processes.start("postgres", postgres("postgres"), "-D", data, "-p", port, *given, **user)
        self.processes.start(
            "redis", "redis-server", "--bind", "127.0.0.1", "--port", self.ports["redis"], "--save", "", cwd=self.folder
        )
        for name in ("postgres", "redis"):
            wait_for(name, lambda name=name: socket.create_connection(("127.0.0.1", self.ports[name]), 1))
        self.say("Postgres and Redis answer")

    def environment(self):
        broker = f"redis://127.0.0.1:{self.ports['redis']}/0"
        sandbox = {"conn_type": "ecdp", "host": f"http://127.0.0.1:{self.ports['sandbox']}", "password": KEY}
        kept = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name and "ECDP" not in name}
        return kept | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "C_FORCE_ROOT": "true",
            # a task that is killed leaves what it has spilled
            "TMPDIR": str(self.spilled),
            "ECDP_EXTRACTS": str(self.extract.parent),
            "ECDP_RESULTS": str(self.results),
            "AIRFLOW_CONN_ECDP_DEFAULT": json.dumps(sandbox),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.ports["api"]),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{self.database}",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            # the example names no pause: that of Airflow is five minutes
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "5",
            # two workers on one machine would have one name
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "celery_host.name",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{self.database}",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_HOST": "127.0.0.1",
            # a worker that is gone is noticed after 20 seconds, not after 300
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            # what it had taken from the queue and not begun is queued again after 30 seconds, not after 600
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }

    def start_airflow(self):
        shutil.copy(ROOT / "dags" / f"{DAG}.py", self.dags)
        environment = self.environment()

        def airflow(*arguments):
            return sys.executable, "-m", "airflow", *arguments

        self.processes.run("db-migrate", *airflow("db", "migrate"), env=environment)
        slots = self.options.slots
        self.processes.run("pool", *airflow("pools", "set", "ecdp", slots, "Tasks that push to ECDP"), env=environment)
        sandbox = ("sandbox", "--port", self.ports["sandbox"], "--key", KEY, "--database", self.folder / "sandbox.db")
        self.processes.start("sandbox", sys.executable, "-m", "airflow_provider_ecdp", *sandbox, env=environment)
        for name in ("api-server", "scheduler", "dag-processor"):
            self.processes.start(name, *airflow(name), env=environment)
        for name in WORKERS:
            # each has a machine's name of its own, and takes no more tasks than it can run
            arguments = ("celery", "worker", "--celery-hostname", f"{name}@%h", "--concurrency", max(1, slots // 2))
            arguments = (*arguments, "--skip-serve-logs", "--pid", self.home / f"{name}.pid")
            self.processes.start(name, *airflow(*arguments), env=environment | {"ECDP_WORKER": name})
        wait_for("the sandbox", self.counts)
        wait_for("the API server", lambda: self.session.get(f"{self.url}/api/v2/version", timeout=5).ok)
        token = self.session.get(f"{self.url}/auth/token", timeout=10).json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        wait_for("the DAG", lambda: self.session.get(f"{self.url}/api/v2/dags/{DAG}", timeout=5).ok)
        for name in WORKERS:
            log = self.processes.logs / f"{name}.log"
            wait_for(name, lambda log=log: " ready." in log.read_text(errors="replace"))
        self.processes.check()
        self.say(f"Airflow answers, with {len(WORKERS)} Celery workers")

    # the run

    def api(self, path, **parameters):
        answer = self.session.get(f"{self.url}/api/v2/dags/{DAG}/dagRuns/{path}", params=parameters, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def counts(self):
        url = f"http://127.0.0.1:{self.ports['sandbox']}/_sandbox/counts"
        return self.session.get(url, timeout=10).json()

    def trigger(self):
        answer = self.session.post(
            f"{self.url}/api/v2/dags/{DAG}/dagRuns",
            json={"logical_date": None, "conf": {"shards": self.options.shards}},
            timeout=30,
        )
        answer.raise_for_status()
        self.say(f"{DAG} is triggered")
        return answer.json()["dag_run_id"]

    def tasks(self, run_id):
        path = f"{run_id}/taskInstances"
        instances = []
        while page := self.api(path, limit=100, offset=len(instances))["task_instances"]:
            instances += page
        return instances

    def ended(self, run_id):
        state = self.api(run_id)["state"]
        return state if state in ("success", "failed") else None

    def kill_a_worker(self, run_id):
        """Kill a worker that runs tasks, when 30 in 100 orders are stored."""
        name = WORKERS[0]

        def busy():
            self.processes.check()
            if self.ended(run_id):
                raise Failed("the run ended before a worker was killed")
            if self.counts()["stored"] < 0.3 * self.options.orders:
                return False
            running = [ti for ti in self.tasks(run_id) if (ti["state"], ti["hostname"]) == ("running", name)]
            # in the middle of its push: a ledger's first file is written before the first request
            return any(list(self.results.glob(f"*/*/push_orders/{ti['map_index']}/*/*")) for ti in running)

        wait_for("30 in 100 orders", busy, self.options.seconds, pause=0.2)
        stored = self.counts()["stored"]
        killed = self.processes.kill(name)
        self.say(f"{name} is killed: SIGKILL to {killed} processes, when {stored:,} orders were stored")
        return {"stored": stored, "processes": killed, "at": time.monotonic()}

    # after it

    def push_of(self, run_id, map_index):
        """Return the seconds that a task's push took, as its XCom says."""
        path = f"{run_id}/taskInstances/push_orders/xcomEntries/return_value"
        value = self.api(path, map_index=map_index, deserialize="true")["value"]
        return plain(value)["summary"]["duration_seconds"]

    def judge(self, run_id, state, seconds, kill):
        instances = self.tasks(run_id)
        pushed = [ti for ti in instances if ti["task_id"] == "push_orders"]
        again = [ti for ti in pushed if ti["try_number"] > 1]
        value = self.api(f"{run_id}/taskInstances/add_up/xcomEntries/return_value", deserialize="true")["value"]
        summary = plain(value)["summary"]
        counts = self.counts()
        ledger = f"'{self.results}/*/*/push_orders/*/*/*.parquet'"
        accepted, rows = duckdb.sql(
            f"SELECT count(DISTINCT order_id) FILTER (outcome = 'accepted'), count(*) FROM {ledger}"
        ).fetchall()[0]
        lasted = {ti["task_id"]: ti["duration"] for ti in instances}
        pushes = {ti["map_index"]: self.push_of(run_id, ti["map_index"]) for ti in pushed}
        beside = sorted(ti["duration"] - pushes[ti["map_index"]] for ti in pushed)
        waited = sorted(seconds_between(ti["queued_when"], ti["start_date"]) for ti in pushed)
        hosts = ", ".join(f"{count} by {name}" for name, count in Counter(ti["hostname"] for ti in pushed).items())
        orders = self.options.orders
        self.say(f"the run has ended: {state}, {seconds:.0f} s, {orders / seconds:,.0f} orders/s")
        print(
            f"""
shards                          {len(pushed)}: {hosts}
tasks that were tried again     {len(again)}
from queued to running          {spread(waited)}
a task beside its push          {spread(beside)}
a push                          {spread(sorted(pushes.values()))}
listing the shards, adding up   {lasted["list_shards"]:.1f} s, {lasted["add_up"]:.1f} s
stored                          {counts["stored"]:,} orders, written {counts["written"]:,} times
accepted in the ledgers         {accepted:,} orders, in {rows:,} rows
the reducer's sum               {summary["total"]:,} orders, {summary["accepted"]:,} accepted
shards that failed, missing     {summary["shards_failed"]}, {summary["shards_missing"]}
"""
        )
        wrong = [
            text
            for text, wanted, got in (
                ("the state", "success", state),
                ("orders that are stored", orders, counts["stored"]),
                ("orders accepted in the ledgers", orders, accepted),
                ("the reducer's total", orders, summary["total"]),
                ("the reducer's accepted", orders, summary["accepted"]),
                ("shards", self.options.shards, len(pushed)),
                ("shards missing", 0, summary["shards_missing"]),
            )
            if wanted != got
        ]
        if wrong:
            raise Failed(", ".join(wrong))
        if kill and not again:
            raise Failed("a worker was killed, and no task was tried again")
        print("Nothing is lost.")


if __name__ == "__main__":
    sys.exit(main())
