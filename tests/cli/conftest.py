"""The command line in this process, or as a process of its own, pointed at the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.cli import main
from airflow_provider_ecdp.sample import Sample

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


@pytest.fixture
def started():
    """Start commands as processes; those that still run at the end of the test are killed."""
    processes = []

    def start(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow_provider_ecdp", *map(str, arguments)],
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
