"""The sandbox for the runs with faults."""

from __future__ import annotations

import pytest


@pytest.fixture
def sandbox(emptied_sandbox):
    return emptied_sandbox
