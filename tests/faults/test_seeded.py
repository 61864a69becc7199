"""The laws of a push, in runs that are drawn from seeds; `make soak` runs thousands of them."""

from __future__ import annotations

import pytest
from faults_runner import run_seed

SEEDS = 16


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_law_is_broken(seed, sandbox, tmp_path):
    assert run_seed(seed, sandbox, tmp_path) >= 1
