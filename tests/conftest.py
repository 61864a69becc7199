"""The sandbox, and an Airflow of the tests' own: nothing here reads or writes the Airflow of this machine."""

from __future__ import annotations

import http.server
import importlib.abc
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import hypothesis
import pytest
import requests
from order_fields import order_fields

from airflow_provider_ecdp.api import deadlines
from airflow_provider_ecdp.sandbox.server import SandboxServer

KEY = "sandbox-key"
TESTS = Path(__file__).parent

#: the one variable of the tests' own, which their workers inherit
ONLINE_RETAIL = os.environ.get("ECDP_ONLINE_RETAIL")

# Airflow reads its settings when it is imported, and a developer's own may name a database in production.
# Each worker of pytest-xdist imports this file, and has a home of its own.
for _name in [name for name in os.environ if name.startswith(("AIRFLOW", "ECDP_", "_AIRFLOW"))]:
    if _name != "ECDP_ONLINE_RETAIL":
        del os.environ[_name]
# pytest's own folders stay where people look for them
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
_HOME = Path(tempfile.mkdtemp(prefix="ecdp-tests-airflow-"))
os.environ.update(
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(_HOME / "dags"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=str(_HOME / "passwords.json"),
    AIRFLOW__SCHEDULER__ENABLE_TRACEMALLOC="False",
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell has what it starts in the background ignore Ctrl-C, and the children of that too
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time, however busy the machine is; the counts of single laws follow by `doubles/laws.py`.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None, database=None, max_examples=100)
hypothesis.settings.register_profile("fast", hypothesis.settings.get_profile("suite"), max_examples=10)
hypothesis.settings.register_profile(
    "soak",
    hypothesis.settings.get_profile("suite"),
    derandomize=False,
    max_examples=2_000,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")

# Answers that are near when a run is cancelled stay near, however long a busy machine holds up the thread of a server.
deadlines.GRACE = 60.0

#: The folders and files whose tests need Airflow; what one test of another folder needs of it is marked `slow`.
WITH_AIRFLOW = {
    "dags",
    "airflow_cli",
    "decorators",
    "hooks",
    "lowest",
    "notifications",
    "observability",
    "operators",
    "plugin",
    "sensors",
    "transfers",
    "warehouses",
    "test_demo.py",
    "test_provider_info.py",
}
WITH_AIRFLOW |= {"test_operators_page.py"}
#: Suites that are slow as a whole.
SLOW = {"benchmarks", "faults"}
#: Whole runs of the command line: the quick tests of the core have each of its parts.
WHOLE_RUNS = {
    f"cli/test_{name}.py"
    for name in (
        *("changes", "check", "dry_run", "endless_servers", "extracts", "interruption", "object_storage", "output"),
        *("push", "real_extract", "refusals", "results", "same_values", "sandbox_and_sample", "storage_that_stops"),
        "streams",
    )
}
#: The same, of parts that are seldom changed, with many readings, deadlines or processes in each test.
WHOLE_RUNS |= {
    "api/test_deadlines.py",
    "by_id/test_laws.py",
    "dry_run/test_orders.py",
    "ledger/test_compaction.py",
    "orders/execution/test_catalog.py",
    "orders/execution/test_large_orders.py",
    "orders/execution/test_partitions.py",
    "orders/sources/test_sharding.py",
    "orders/sql/test_json_columns.py",
    "orders/sql/test_types.py",
    "orders/test_names_of_users.py",
    "push/test_schema_drift.py",
    "sandbox/test_server.py",
    "test_sample.py",
}


class WithoutAirflow(importlib.abc.MetaPathFinder):
    """Airflow as it is where only the core is installed."""

    def find_spec(self, name, *_):
        if name.partition(".")[0] == "airflow":
            raise ModuleNotFoundError(f"{name}: the tests of the core run without Airflow", name=name)


def pytest_addoption(parser):
    parser.addoption("--core", action="store_true", help="the quick tests of the core alone, with Airflow out of reach")
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the tests in an order drawn from a seed")


def pytest_configure(config):
    if config.getoption("core"):
        sys.meta_path.insert(0, WithoutAirflow())


def pytest_ignore_collect(collection_path, config):
    if config.getoption("core") and collection_path.is_relative_to(TESTS):
        path = collection_path.relative_to(TESTS)
        return bool({*path.parts} & (WITH_AIRFLOW | SLOW)) or path.as_posix() in WHOLE_RUNS or None
    return None


def needs_airflow(item):
    return item.path.is_relative_to(TESTS) and bool({*item.path.relative_to(TESTS).parts} & WITH_AIRFLOW)


def pytest_collection_modifyitems(config, items):
    if config.getoption("core"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
    if config.getoption("shuffle") is not None:
        random.Random(config.getoption("shuffle")).shuffle(items)
    else:
        # together, so that few workers import Airflow: that takes seconds
        items.sort(key=needs_airflow, reverse=True)


def pytest_unconfigure():
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _temporary_folder():
    """A folder for temporary files for each test: a run looks there for what killed runs have left, and says so."""
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(dir=_HOME)
    yield
    shutil.rmtree(tempfile.tempdir, ignore_errors=True)
    tempfile.tempdir = before[1]
    del os.environ["TMPDIR"]
    if before[0] is not None:
        os.environ["TMPDIR"] = before[0]


@pytest.fixture(scope="session")
def running_sandbox():
    """One sandbox for many tests, with the key `sandbox-key`: a start and an end take a quarter of a second."""
    with SandboxServer(KEY) as server:
        yield server


@pytest.fixture
def emptied_sandbox(running_sandbox):
    """The sandbox of many tests, empty and without faults."""
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture
def sandbox():
    """A sandbox for one test, with the key `sandbox-key`."""
    with SandboxServer(KEY) as server:
        yield server


@pytest.fixture
def closed_port():
    """A port on which nobody listens; it stays bound, so that no other process gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def connect(monkeypatch):
    """Define the Airflow connection that a test uses, `ecdp_default` unless it names another."""

    def define(host, *, password=KEY, conn_id="ecdp_default", extra=None, **fields):
        connection = {"conn_type": "ecdp", "host": host, "password": password, "extra": extra or {}, **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    return define


@pytest.fixture
def order():
    """Make an order with the API's fields; keywords replace or add some."""
    return order_fields


@pytest.fixture
def store_in(order):
    """Let a sandbox have orders, without a push: `store_in(sandbox, "1", "2", status="paid")`."""

    def put(server, *order_ids, **fields):
        body = {"mode": "AddOrReplace", "data": [order(order_id, **fields) for order_id in order_ids]}
        answer = requests.post(f"{server.url}/orders", json=body, headers={"x-api-key": KEY}, timeout=60)
        answer.raise_for_status()

    return put


class TaskInstance:
    """What the operators read of Airflow's task instance, and the XComs that they push."""

    def __init__(self, **fields):
        self.dag_id, self.task_id, self.run_id = "shop", "push", "scheduled__2026-11-01T03:00:00+00:00"
        self.map_index, self.try_number, self.max_tries = -1, 1, 3
        self.__dict__.update(fields)
        self.xcoms = {}

    def xcom_push(self, key, value):
        # as Airflow does: what is no JSON is an error here, not in production
        self.xcoms[key] = json.loads(json.dumps(value))


@pytest.fixture
def make_context():
    """Make the context of a task's run; keywords are those of its task instance."""
    return lambda **fields: {"ti": TaskInstance(**fields)}


@pytest.fixture(scope="session")
def airflow_database():
    """Make the tables of Airflow in the database of this process."""
    with warnings.catch_warnings():
        # Airflow's own imports are not ours to correct
        warnings.simplefilter("ignore")
        from airflow.utils.db import initdb

        initdb()


@pytest.fixture
def webhook(monkeypatch):
    """A server that keeps what is posted to it, and Airflow's connection `webhook` to it."""
    posted = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AIRFLOW_CONN_WEBHOOK", f"http://127.0.0.1:{server.server_port}")
        yield posted
        server.shutdown()


@pytest.fixture(scope="session")
def online_retail():
    """The order lines of a real shop, UCI's Online Retail; they are no part of the project."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "online_retail" / "order_lines.parquet"
    path = Path(ONLINE_RETAIL or beside)
    if not path.exists():
        pytest.skip("the real order lines are not on this machine; ECDP_ONLINE_RETAIL names their Parquet file")
    return path


@pytest.fixture
def context(make_context):
    return make_context()


#: A process of its own, which ends with the tests whatever ends them: its standard input is closed then.
S3_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""

S3_KEY, S3_SECRET = "made-up-key-id", "made-up-storage-secret"


class S3:
    """An S3 server on loopback with a bucket `warehouse`; `files` is a file system of the tests' own."""

    def __init__(self, url):
        import s3fs

        self.url = url
        self.files = s3fs.S3FileSystem(
            key=S3_KEY,
            secret=S3_SECRET,
            endpoint_url=url,
            client_kwargs={"region_name": "us-east-1"},
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def reset(self):
        requests.post(f"{self.url}/moto-api/reset", timeout=60).raise_for_status()
        requests.put(f"{self.url}/warehouse", timeout=60).raise_for_status()

    def connection(self, **changes):
        """Return an Airflow connection to it, as users write it, for the environment."""
        extra = {"endpoint_url": self.url, "region_name": "us-east-1", **changes.pop("extra", {})}
        return json.dumps({"conn_type": "aws", "login": S3_KEY, "password": S3_SECRET, "extra": extra, **changes})


@pytest.fixture(scope="session")
def s3_server():
    process = subprocess.Popen(
        [sys.executable, "-c", S3_SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        host, port = process.stdout.readline().split()
        yield S3(f"http://{host}:{port}")
    finally:
        # an open connection can keep the server from ending by itself
        process.terminate()
        process.communicate()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """An S3 server with an empty bucket `warehouse`, and Airflow's connection `aws_default` to it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    # an account of whoever runs the tests is not theirs to use
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", s3_server.connection())
    s3_server.reset()
    return s3_server
