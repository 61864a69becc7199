"""Processes that are killed; `make soak` does the same with 100,000 orders."""

from __future__ import annotations

import pytest
from faults_kills import Kills, cli, driver, kill_and_finish

pytestmark = pytest.mark.slow


def test_three_kills_lose_nothing_and_repeat_what_was_not_flushed(sandbox, tmp_path):
    kills = Kills(driver("AddOrReplace", 50, 0.2), "AddOrReplace", orders=4_000, batch_size=50, kills=3, seed=1)

    kill_and_finish(kills, sandbox, tmp_path)


def test_three_kills_of_the_command_line_in_mode_add_store_nothing_twice_and_blame_no_order(sandbox, tmp_path):
    # within five seconds of its start: nothing but the sign that it has begun is in the folder
    kill_and_finish(Kills(cli("Add", 50), "Add", orders=2_000, batch_size=50, kills=3, seed=2), sandbox, tmp_path)
