"""The sandbox for the runs with faults."""

from __future__ import annotations

import pytest

from airflow_provider_ecdp.sandbox.server import SandboxServer

KEY = "sandbox-key"


@pytest.fixture(scope="session")
def running_sandbox():
    """One sandbox for all scenarios."""
    with SandboxServer(KEY) as server:
        yield server


@pytest.fixture
def sandbox(running_sandbox):
    """The sandbox, empty and without faults."""
    running_sandbox.reset()
    return running_sandbox
