"""Plays seeds in a process for each core: a push is mostly the engine's work, and this halves the time."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import multiprocessing.util
import os
import tempfile
import warnings
from collections.abc import Iterator
from multiprocessing.pool import Pool
from pathlib import Path

from faults_laws import Violation
from faults_runner import KEY, run_seed
from faults_seeds import Hostility

from airflow_provider_ecdp.sandbox.server import SandboxServer

_servers: list[SandboxServer] = []


@contextlib.contextmanager
def players() -> Iterator[Pool]:
    """Give a pool for `play`."""
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), _start) as pool:
        yield pool
        # an orderly end, so that the sandboxes remove their files
        pool.close()
        pool.join()


def play(seed: int) -> tuple[int, int, str | None]:
    """Return the seed, the number of its runs, and the law that was broken, if any."""
    with tempfile.TemporaryDirectory(prefix="ecdp-seed-") as folder:
        try:
            return seed, run_seed(seed, _servers[0], Path(folder)), None
        except Violation as error:
            return seed, 0, str(error)


def play_hostile(seed: int) -> tuple[int, int, str | None]:
    """As `play`, against a hostile server that is drawn from the seed."""
    try:
        return seed, Hostility(seed).play(), None
    except Violation as error:
        return seed, 0, str(error)


def _start() -> None:
    warnings.simplefilter("error")
    logging.disable()
    server = SandboxServer(KEY)
    _servers.append(server.__enter__())
    multiprocessing.util.Finalize(None, server.__exit__, (None, None, None), exitpriority=1)
