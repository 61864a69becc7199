"""The laws of a push, in runs that are drawn from seeds; `make soak` runs thousands of them."""

from __future__ import annotations

import pytest
from faults_pool import play, players

SEEDS = 50


@pytest.fixture(scope="module")
def played(request):
    """What became of the seeds that are selected, by seed; other processes play them."""
    seeds = [item.callspec.params["seed"] for item in request.session.items if item.fspath == request.fspath]
    with players() as pool:
        yield {seed: pool.apply_async(play, (seed,)) for seed in seeds}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_law_is_broken(seed, played):
    _, runs, broken = played[seed].get(timeout=600)

    assert broken is None, broken
    assert runs >= 1
