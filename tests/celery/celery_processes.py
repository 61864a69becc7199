"""What scripts with processes share, `make celery` and `make browser` among them: each is ended by its id."""

# ruff: noqa: T201 - scripts print

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import requests


class Failed(Exception):  # noqa: N818 - it is what is printed
    """Something is not as it must be."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(what, condition, seconds=120.0, pause=0.5):
    """Wait until `condition` returns something, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException, OSError):
            if value := condition():
                return value
        time.sleep(pause)
    raise Failed(f"{what}: not within {seconds:.0f} s")


def run_in_folder(prefix, run, kept=None):
    """Call `run(folder, processes)`, and return the exit code: 1 if something was not as it must be.

    :param kept: the folder; None is a temporary one, which is removed
    """
    folder = kept or Path(tempfile.mkdtemp(prefix=prefix))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with Processes(folder / "logs") as processes:
            run(folder, processes)
    except Failed as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    finally:
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


class AirflowRun:
    """Airflow on this machine: its folders, its API server's address, and what is printed while it runs."""

    def __init__(self, folder, processes, options, services):
        self.folder, self.processes, self.options = folder, processes, options
        self.home, self.dags = folder / "airflow", folder / "dags"
        self.extract, self.results = folder / "extracts" / "all_orders", folder / "results"
        for made in (self.home, self.dags, self.extract.parent, self.results):
            made.mkdir(parents=True, exist_ok=True)
        self.ports = {name: free_port() for name in services}
        self.url = f"http://127.0.0.1:{self.ports['api']}"
        self.session = requests.Session()
        # a proxy has no way to this machine's loopback
        self.session.trust_env = False
        self.began = time.monotonic()

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", flush=True)


class Processes:
    """What is started here, each in a session of its own, and ended with the block."""

    def __init__(self, logs):
        self.logs = logs
        self.running = {}
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # in the order opposite to that in which they were started: databases last
        for name in reversed(list(self.running)):
            self.end(name)

    def start(self, name, *command, **options):
        log = (self.logs / f"{name}.log").open("ab")
        with log:
            self.running[name] = psutil.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )

    def run(self, name, *command, **options):
        """Run a command to its end."""
        self.start(name, *command, **options)
        if code := self.running[name].wait():
            tail = (self.logs / f"{name}.log").read_text(errors="replace")[-3000:]
            raise Failed(f"{name} ended with {code}:\n{tail}")
        del self.running[name]

    def check(self):
        for name, process in self.running.items():
            if process.poll() is not None:
                tail = (self.logs / f"{name}.log").read_text(errors="replace")[-3000:]
                raise Failed(f"{name} ended with {process.returncode}:\n{tail}")

    def kill(self, name):
        """Let a process and all that it has started end at once, as if its machine were switched off."""
        tree = self._tree(name)
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        # suspended, none of them can start another
        for process in {*tree, *self._tree(name)}:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        del self.running[name]
        return len(tree)

    def end(self, name, grace=15):
        tree = self._tree(name)
        self.running.pop(name)
        for process in tree[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                # SIGINT is Postgres' fast end, which does not wait for connections
                process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        _, left = psutil.wait_procs(tree, grace)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _tree(self, name):
        process = self.running[name]
        with contextlib.suppress(psutil.NoSuchProcess):
            return [process, *process.children(recursive=True)]
        return [process]
