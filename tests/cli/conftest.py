"""The command line in this process, or as a process of its own, pointed at the sandbox."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.cli import main
from airflow_provider_ecdp.sample import Sample
from airflow_provider_ecdp.sandbox import gate
from airflow_provider_ecdp.sandbox.faults import Faults

KEY = "sandbox-key"


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What stdout holds, which has to be one line."""
        assert self.out.count("\n") == 1
        assert self.out.endswith("\n")
        return json.loads(self.out)


@pytest.fixture
def ecdp(capsys):
    """Run a command in this process."""

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Run(code, captured.out, captured.err)

    return run


#: `ecdp` with a minute for its requests in flight when it is stopped, so that their answers come in time.
PATIENT = """
import sys
from airflow_provider_ecdp.api import deadlines
from airflow_provider_ecdp.cli import main
deadlines.GRACE = 60.0
sys.exit(main())
"""


@pytest.fixture
def started():
    """Start commands as processes, `patient` or not; those that still run at the end of the test are killed."""
    processes = []

    def start(*arguments, patient=False, **environment):
        program = ["-c", PATIENT] if patient else ["-m", "airflow_provider_ecdp"]
        process = subprocess.Popen(
            [sys.executable, *program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def server(running_sandbox):
    return running_sandbox


@pytest.fixture
def pointed(server, monkeypatch):
    """The sandbox, empty and without faults, which the environment names to the command line."""
    server.reset()
    monkeypatch.setenv("ECDP_BASE_URL", server.url)
    monkeypatch.setenv("ECDP_API_KEY", KEY)
    return server


@pytest.fixture
def hold(pointed, monkeypatch):
    """Have the sandbox answer so many requests, and keep the others waiting until the event that it returns is set."""
    release = threading.Event()

    def start(answered):
        numbers = itertools.count(1)

        async def sleep(_):
            if next(numbers) > answered:
                await asyncio.to_thread(release.wait)

        monkeypatch.setattr(gate, "asyncio", SimpleNamespace(sleep=sleep, timeout=asyncio.timeout))
        pointed.faults = Faults(latency_ms=1)
        return release

    yield start
    release.set()


@pytest.fixture
def sample(tmp_path):
    """Write an extract of made-up orders."""

    def write(name="orders.parquet", **what):
        path = tmp_path / name
        Sample(**what).write(path)
        return path

    return write


@pytest.fixture
def table(tmp_path):
    """Write an extract of given rows."""

    def write(rows, schema=None, name="orders.parquet"):
        path = tmp_path / name
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
        return path

    return write
