"""Processes, measured from outside: seconds, CPU and memory of a client, and what the server has seen of it.

This module imports no more than the standard library: Linux counts what a parent holds as the memory of the child that
it starts.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Run:
    """One process from start to end; `cpu` and `memory` (MB) include what it started and waited for.

    `memory` is the most that one of its processes held. `first` is the seconds from its start to its first request.
    """

    code: int
    wall: float
    cpu: float
    memory: float
    first: float | None
    stats: dict
    output: str


class Server:
    """The server of `bench_server.py`, in a process of its own while the block lasts."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __enter__(self):
        command = [sys.executable, str(HERE / "bench_server.py"), *map(str, self.arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def stats(self):
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc)
        with contextlib.closing(connection):
            connection.request("GET", "/stats")
            return json.loads(connection.getresponse().read())


def run(command, server, environment=None, timeout=900):
    """Run `command` to its end against `server`, and return what it took."""
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        timer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    stats = server.stats() if server else {}
    first = stats["first"] - began if stats.get("first") else None
    memory = used.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
    return Run(process.returncode, wall, used.ru_utime + used.ru_stime, memory, first, stats, text)
