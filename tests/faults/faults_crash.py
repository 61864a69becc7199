"""Crash points: steps of a run are numbered, and one of them does not return.

A soft crash is an exception that the run may clean up after, as Airflow's timeout is. A hard crash ends everything:
from then on nothing more reaches the server or the disk, as after SIGKILL. An interruption is a sleep that returns
something true.
"""

from __future__ import annotations

import enum
import json
import threading
from pathlib import Path

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.errors import RequestRejectedError
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.sandbox.problems import NOBODY_NAMED


class Crash(BaseException):  # no error: the process is gone
    """The process ends here."""


class Kind(enum.StrEnum):
    SOFT = "soft"
    HARD = "hard"
    INTERRUPT = "interrupt"


class Steps:
    """Counts the steps of all threads of one run; step `at` crashes, None is never."""

    def __init__(self, at=None, kind=Kind.SOFT):
        self.at = at
        self.kind = kind
        self.taken = 0
        self.dead = False
        self.crashed_in = None
        self.interrupted = False
        self._lock = threading.Lock()

    def step(self, name):
        with self._lock:
            if self.dead:
                raise Crash(f"after {self.crashed_in}")
            self.taken += 1
            if self.taken != self.at:
                return
            self.crashed_in = f"step {self.taken}, {name}"
            if self.kind is Kind.INTERRUPT:
                self.interrupted = True
                return
            self.dead = self.kind is Kind.HARD
        raise Crash(self.crashed_in)


class CrashingClient(EcdpClient):
    """The real client with a step before and after each call; notes who was refused alone without being named."""

    def __init__(self, *args, steps, clock, **options):
        def sleep(seconds):
            steps.step("sleep")
            clock.sleep(seconds)
            return steps.interrupted

        super().__init__(*args, clock=clock, sleep=sleep, **options)
        self.steps = steps
        self.blamed = set()

    def post_orders(self, mode, orders, **options):
        self.steps.step("before POST")
        try:
            result = super().post_orders(mode, orders, **options)
        except RequestRejectedError as error:
            ids = [order["id"] for order in json.loads(b"[" + bytes(orders) + b"]")]
            if len(ids) == 1 and NOBODY_NAMED in error.details:
                self.blamed.add(ids[0])
            self.steps.step("after a refused POST")
            raise
        self.steps.step("after POST")
        return result

    def get_order(self, order_id, **options):
        self.steps.step("before GET")
        order = super().get_order(order_id, **options)
        self.steps.step("after GET")
        return order


class CrashingLedger(Ledger):
    """The real ledger with steps around the write of a file, and one in the midst of it."""

    def __init__(self, path, *, steps, clock, flush_seconds):
        super().__init__(path, flush_seconds=flush_seconds, clock=clock)
        self.steps = steps

    def _put(self, name, data):
        self.steps.step("before the ledger's file")
        try:
            self.steps.step("in the ledger's file")
        except Crash:
            folder = Path(self.path)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f".{name}.part").write_bytes(data[: len(data) // 2])
            raise
        super()._put(name, data)
        self.steps.step("after the ledger's file")
