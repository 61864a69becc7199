"""The sandbox for the runs with faults; the modules beside this file are found by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airflow_provider_ecdp.sandbox.server import SandboxServer

# test folders are no packages, and `soak.py` finds its neighbours as a script does
if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))

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
