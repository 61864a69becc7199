"""The clients that are compared: what each needs, and how it is started."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = HERE / "peers"

#: Smaller and larger extract, in orders: what a run costs apart from its start is what lies between them.
SIZES = (20_000, 100_000)
AIRFLOW_SIZES = (1_000, 10_000)


@dataclass(frozen=True)
class Client:
    """`packages` go into the environment `venv`; `script` stands in peers/."""

    key: str
    title: str
    script: str = ""
    packages: tuple[str, ...] = ()
    venv: str = "peers"
    more: tuple[str, ...] = ()
    sizes: tuple[int, int] = SIZES
    airflow: bool = False
    #: one request after the other: at some latency it mostly sleeps, and one repetition tells as much as three
    sequential: bool = False
    #: measured with amounts as floating-point numbers too
    floats: bool = False

    def command(self, python, extract, url):
        """Return the command that sends `extract` to `url`."""
        if self.key == "ours":
            tuned = ("--max-in-flight", "8", "--batch-size", "500")
            return [python, "-m", "airflow_provider_ecdp", "push", extract, "--base-url", url, *tuned]
        if self.key == "singer":
            words = [python, PEERS / "singer_tap.py", extract], [python, PEERS / self.script, url]
            return ["sh", "-c", " | ".join(shlex.join(map(str, part)) for part in words)]
        return [python, PEERS / self.script, extract, url, *self.more]


OURS = Client("ours", "**`ecdp push`**, 8 in flight", venv="", floats=True)
CLIENTS = (
    OURS,
    Client("operator", "**`ParquetToEcdpOperator`**, 8 in flight", "ecdp_operator.py", venv="", airflow=True),
    Client(
        "aiohttp",
        "a script: pyarrow, orjson, aiohttp, 8 in flight",
        "aiohttp_script.py",
        ("aiohttp==3.14.5", "orjson==3.13.0", "pyarrow==26.0.1"),
        floats=True,
    ),
    Client(
        "pandas",
        "a script: pandas, requests",
        "pandas_requests.py",
        ("pandas==3.1.1", "requests==2.34.2", "pyarrow==26.0.1"),
        sequential=True,
    ),
    Client(
        "dlt_parquet",
        "dlt 1.31.0, Arrow and Parquet, 8 workers",
        "dlt_destination.py",
        ("dlt[parquet]==1.31.0", "orjson==3.13.0", "requests==2.34.2"),
        more=("parquet",),
        floats=True,
    ),
    Client(
        "dlt",
        "dlt 1.31.0 with its defaults",
        "dlt_destination.py",
        ("dlt[parquet]==1.31.0", "orjson==3.13.0", "requests==2.34.2"),
        more=("default",),
        sequential=True,
    ),
    Client(
        "drt",
        "drt-core 1.2.1, DuckDB to `rest_api`",
        "drt_project.py",
        ("drt-core==1.2.1", "duckdb==2.0.0"),
        sequential=True,
    ),
    Client(
        "singer",
        "Singer: a tap into singer-sdk 0.54.9 `BatchSink`",
        "singer_target.py",
        ("singer-sdk==0.54.9", "pyarrow==26.0.1", "requests==2.34.2"),
        sequential=True,
    ),
    Client(
        "http_operator",
        "Airflow 3.3.2 `HttpOperator`, mapped over batches",
        "http_operator.py",
        ("apache-airflow==3.3.2", "apache-airflow-providers-http==6.3.0", "pyarrow==26.0.1"),
        venv="airflow",
        sizes=AIRFLOW_SIZES,
        airflow=True,
        sequential=True,
    ),
)


class Place:
    """The folder in which measurements happen: environments of the peers, extracts, Airflow's homes."""

    def __init__(self, folder, *, install=True):
        self.folder = Path(folder).resolve()
        self.install = install
        self.missing = {}
        for name in ("data", "home", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def python(self, client):
        """Return the interpreter that runs `client`."""
        return self.folder / client.venv / "bin" / "python" if client.venv else Path(sys.executable)

    def prepare(self, client):
        """Install what `client` needs; whether it can run. Why not is kept in `missing`."""
        if not client.packages:
            return True
        if not self.install:
            self.missing[client.key] = "not installed"
            return False
        python = self.python(client)
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", self.folder / client.venv], check=True)
        pinned = HERE / f"constraints-{client.venv}.txt"
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", pinned]
        done = subprocess.run([*pip, *client.packages], capture_output=True, text=True, check=False)
        if done.returncode:
            self.missing[client.key] = "cannot be installed here"
        return not done.returncode

    def extract(self, count, kind="orders"):
        """Return the path of an extract of `count` orders, made if it is not there."""
        path = self.folder / "data" / f"{kind}-{count}.parquet"
        if path.exists():
            return path
        # in a process of its own: see bench_measure
        command = [sys.executable, HERE / "bench_extract.py", kind, path, str(count)]
        subprocess.run(command, check=True)
        return path

    def environment(self, client, url):
        """Return the environment variables of a run of `client`."""
        kept = {n: v for n, v in os.environ.items() if not n.upper().startswith(("AIRFLOW", "ECDP", "PYTHON", "DLT"))}
        kept |= {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            # a proxy has no way to this machine's loopback
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "ECDP_API_KEY": "key",
        }
        if not client.packages:
            kept["PYTHONPATH"] = str(ROOT)
        if client.airflow:
            kept |= self._airflow(client, url, kept)
        return kept

    def _airflow(self, client, url, kept):
        """Return the variables of an Airflow with a database of its own, new for each run."""
        home = self.folder / "tmp" / f"airflow-{client.key}"
        migrated = self.folder / f"airflow-home-{client.key}"
        variables = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(PEERS),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW_CONN_ORDERS_API": url,
            "AIRFLOW_CONN_ECDP_DEFAULT": json.dumps({"conn_type": "ecdp", "host": url, "password": "key"}),
        }
        shutil.rmtree(home, ignore_errors=True)
        if not migrated.exists():
            migrate = [self.python(client), "-m", "airflow", "db", "migrate"]
            subprocess.run(migrate, env=kept | variables, check=True, capture_output=True)
            shutil.copytree(home, migrated)
        else:
            shutil.copytree(migrated, home)
        return variables
