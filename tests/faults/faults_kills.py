"""SIGKILL of a process that pushes, again and again over one results folder, and the laws of what is left."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults_laws import Violation, newest_rows

from airflow_provider_ecdp.sample import Sample
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.sandbox.server import SandboxServer

KEY = "sandbox-key"

#: batches that have ended and wait to be recorded, in addition to those in flight
_AHEAD = 2
_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Kills:
    """How a folder is pushed and killed.

    `command` makes arguments of Python from (url, extract, results); kills come after a share of what is still to be
    sent, drawn from the seed.
    """

    command: Any
    mode: str
    orders: int
    batch_size: int
    kills: int
    seed: int
    latency_ms: float = 5.0


def cli(mode: str, batch_size: int) -> Any:
    """Return the command line's arguments."""

    def command(url: str, extract: Path, results: Path) -> Sequence[str]:
        options = ("--mode", mode, "--batch-size", batch_size, "--base-url", url, "--results", results, "--json")
        return ["-m", "airflow_provider_ecdp.cli", "push", str(extract), *map(str, options)]

    return command


def driver(mode: str, batch_size: int, flush_seconds: float) -> Any:
    """Return the arguments of the driver beside this file."""
    script = Path(__file__).with_name("faults_driver.py")

    def command(url: str, extract: Path, results: Path) -> Sequence[str]:
        return [str(script), url, str(extract), str(results), mode, str(batch_size), str(flush_seconds)]

    return command


def kill_and_finish(of: Kills, server: SandboxServer, folder: Path) -> dict[str, Any]:
    """Start, kill, start, kill, and let the last run end; return its summary and what was sent again.

    :raises Violation: an order is lost, stored twice in mode Add, blamed, or sent again without need
    """
    extract, results = folder / "orders.parquet", folder / "results"
    Sample(of.orders).write(extract)
    server.reset(Faults(latency_ms=of.latency_ms))
    dice = random.Random(of.seed)
    may_repeat = 0
    for _ in range(of.kills):
        started = _now(server)
        process = _start(of.command(server.url, extract, results))
        left = (of.orders - server.store.count()) // of.batch_size
        _wait(process, server, posts=dice.randint(1, max(1, left // 2)))
        time.sleep(dice.random() * 0.1)
        process.kill()
        process.communicate()
        may_repeat += _unrecorded(server, results, started)
        newest_rows(results)
    writes = server.store.total_writes()
    process = _start(of.command(server.url, extract, results))
    out, _ = process.communicate()
    summary = json.loads(out)["summary"]
    repeated = server.store.total_writes() - of.orders
    facts = {**summary, "written again": repeated, "may be written again": may_repeat, "before": writes}
    rows = newest_rows(results)
    _require(process.returncode == 0 and summary["total"] == of.orders, "the last run failed", of, facts)
    _require(server.store.count() == of.orders, "orders are lost", of, facts)
    done = {i for i, row in rows.items() if row["outcome"] in ("accepted", "skipped")}
    _require(done == set(server.store.ids()), "ledger and server differ", of, facts)
    _require(summary["rejected"] == summary["unresolved"] == 0, "good orders are blamed", of, facts)
    _require(repeated <= may_repeat, "sent again without need", of, facts)
    _require(of.mode != "Add" or not repeated, "Add stored twice", of, facts)
    return facts


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "ECDP_API_KEY": KEY}
    return subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    )


def _wait(process: subprocess.Popen[str], server: SandboxServer, posts: int) -> None:
    before = server.store.post_count
    while server.store.post_count - before < posts and process.poll() is None:
        time.sleep(0.005)


def _now(server: SandboxServer) -> float:
    """Return the time as the log of requests counts it."""
    log = server.store.log
    return log._clock() - log._start


def _unrecorded(server: SandboxServer, results: Path, started: float) -> int:
    """Return how many orders the killed run may have stored since its last flush, or have had in flight."""
    posts = [entry for entry in server.store.requests if entry.method == "POST"]
    # not the time of the file: orders go on being stored while a slow machine writes it
    recorded = max((row["at"].timestamp() for row in newest_rows(results).values()), default=0.0)
    since = max(started, _now(server) - (time.time() - recorded))
    fresh = [entry for entry in posts if entry.at > since]
    largest = max((entry.orders for entry in posts), default=0)
    return sum(entry.orders for entry in fresh) + (_IN_FLIGHT + _AHEAD) * largest


def _require(law: bool, text: str, of: Kills, facts: dict[str, Any]) -> None:
    if not law:
        raise Violation(f"kills with seed {of.seed}, {of.mode}, {of.orders} orders: {text}: {facts}")
