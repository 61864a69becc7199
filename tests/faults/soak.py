"""Thousands of scenarios with faults and crashes (`make soak`): ECDP_SOAK_RUNS, from the seed ECDP_SOAK_SEED on."""

# ruff: noqa: T201 - a script prints

from __future__ import annotations

import os
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

from faults_kills import Kills, cli, kill_and_finish
from faults_laws import Violation
from faults_pool import play, play_hostile, players
from faults_runner import KEY

from airflow_provider_ecdp.sandbox.server import SandboxServer


def main() -> int:
    first = int(os.environ.get("ECDP_SOAK_SEED", "0"))
    count = int(os.environ.get("ECDP_SOAK_RUNS", "2000"))
    # one seed alone is for its own scenario
    killed = _kill(first) if count > 1 else 0
    began, runs, broken = time.monotonic(), 0, []
    with players() as pool:
        seeds = range(first, first + count)
        played = chain(pool.imap_unordered(play_hostile, seeds), pool.imap_unordered(play, seeds))
        for done, (seed, of_seed, error) in enumerate(played, 1):
            runs += of_seed
            if error:
                broken.append(seed)
                print(error, flush=True)
            if done % 100 == 0 or done == 2 * count:
                spent = time.monotonic() - began
                print(f"{done} of {2 * count} scenarios, {runs} runs, {len(broken)} broken, {spent:.0f} s", flush=True)
    if broken:
        print(f"seeds that broke a law: {' '.join(map(str, sorted(broken)))}")
    return 1 if broken or killed else 0


def _kill(seed: int) -> int:
    """Kill 100,000 orders three times in each mode; return how many of these runs broke a law."""
    broken = 0
    # slow enough for a flush, which the command line does every five seconds; Add reads each lost order back
    for mode, size, latency in (("AddOrReplace", 100, 40), ("Add", 25, 5)):
        kills = Kills(cli(mode, size), mode, orders=100_000, batch_size=size, kills=3, seed=seed, latency_ms=latency)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="ecdp-soak-") as folder, SandboxServer(KEY) as server:
            try:
                facts = kill_and_finish(kills, server, Path(folder))
            except Violation as error:
                broken += 1
                print(error, flush=True)
            else:
                print(f"3 kills of 100,000 orders, {mode}: {facts}, {time.monotonic() - began:.0f} s", flush=True)
    return broken


if __name__ == "__main__":
    sys.exit(main())
