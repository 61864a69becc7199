"""Runs one scenario: crash, resume, crash, resume, end; and after every run the laws."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
from fake_clock import FakeClock
from faults_crash import Crash, CrashingClient, CrashingLedger, Kind, Steps
from faults_laws import Moment, Run, Violation
from faults_scenario import SCHEMA, Scenario, scenario

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.sources.table import TableSource
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.sandbox.server import SandboxServer

KEY = "sandbox-key"


def run_seed(seed: int, server: SandboxServer, folder: Path) -> int:
    """Run the scenario of a seed and return the number of runs.

    :raises Violation: a law does not hold; the message tells how to run this seed alone
    """
    world = World(scenario(seed), server, folder)
    try:
        world.play()
    except Violation as error:
        raise Violation(world.with_story(str(error))) from None
    except Exception as error:
        raise Violation(world.with_story(repr(error))) from error
    return len(world.story)


class World:
    """A server, a folder for ledgers, and what has happened so far."""

    def __init__(self, of: Scenario, server: SandboxServer, folder: Path):
        self.scenario = of
        self.server = server
        self.folder = folder
        self.clock = FakeClock()
        self.story: list[str] = []
        #: ledgers of runs that have sent something
        self.used: set[Path] = set()

    def with_story(self, error: str) -> str:
        story = "\n  ".join([*self.story, self.scenario.summary])
        alone = f"make soak ECDP_SOAK_SEED={self.scenario.seed} ECDP_SOAK_RUNS=1"
        return f"seed {self.scenario.seed}: {error}\n  {story}\n  this seed alone: {alone}"

    def play(self) -> None:
        self.server.reset()
        for number, rows in enumerate(self.scenario.generations):
            extract = TableSource("orders", pa.Table.from_pylist(rows, SCHEMA))
            texts = _texts(extract)
            if number == 0:
                self.store_before(texts)
            # with a history each run has a ledger of its own, without one they share it
            ledger = self.folder / f"ledger-{number if self.scenario.history else 0}"
            self.server.faults = self.scenario.faulty
            for at, kind in self.scenario.crashes[number]:
                self.run(number, extract, texts, ledger, Steps(at, kind))
            report = self.run(number, extract, texts, ledger, Steps())
            self.server.faults = self.scenario.fair
            if report.failed:
                self.run(number, extract, texts, ledger, Steps(), final=True)

    def store_before(self, texts: dict[str, str]) -> None:
        before = self.scenario.stored_before
        bodies = [texts[i] if same else texts[i].replace("Cup", "Pot") for i, same in before.items()]
        if bodies:
            with EcdpClient(KEY, ClientSettings(base_url=self.server.url)) as client:
                client.post_orders(Mode.ADD_OR_REPLACE, ",".join(bodies).encode())
        self.server.store.log.clear()

    def run(
        self,
        number: int,
        extract: TableSource,
        texts: dict[str, str],
        folder: Path,
        steps: Steps,
        *,
        final: bool = False,
    ) -> Any:
        scenario = self.scenario
        settings = PushSettings(
            mode=scenario.mode,
            results_limit=10_000,
            **scenario.settings | ({"request_budget": 200, "canary": 0} if final else {}),
        )
        history = self.folder / "history" if scenario.history else None
        ledgers = {folder, history} - {None}
        resumed = bool(self.used & ledgers)
        begun = any(any(ledger.glob("*.parquet")) for ledger in ledgers)
        before = Moment.of(self.server.store, folder)
        report, end = None, "ended"
        about = ClientSettings(base_url=self.server.url, read_timeout=300, max_in_flight=settings.max_in_flight)
        with CrashingClient(KEY, about, policy=scenario.policy, steps=steps, clock=self.clock) as client:
            try:
                with OrderReader(extract) as orders:
                    report = push(
                        orders,
                        client,
                        settings,
                        prior_runs=PriorRuns(
                            self.ledger(folder, steps), self.ledger(history, steps) if history else None
                        ),
                        progress=lambda _: steps.step("progress"),
                    )
            except Crash:
                end = f"{steps.kind} crash in {steps.crashed_in}"
                # a process that is gone sends nothing while the next run counts its requests
                for thread in threading.enumerate():
                    if thread.name.startswith("ecdp-send"):
                        thread.join(60)
        if steps.kind is Kind.INTERRUPT and steps.interrupted:
            end += f", interrupted in {steps.crashed_in}"
        if report and report.stopped:
            end += f", stopped by {report.stopped}"
        counts = {k: v for k, v in report.summary.items() if v} if report else ""
        self.story.append(f"run {len(self.story) + 1} {end} {counts}")
        after = Moment.of(self.server.store, folder)
        if after.by_method != before.by_method:
            self.used |= ledgers
        run = Run(
            scenario,
            scenario.never_sent[number],
            texts,
            scenario.generations[number],
            before,
            after,
            report,
            client.blamed,
            settings.request_budget,
            resumed,
            begun,
        )
        run.check()
        if final:
            open_ = [r for r in report.results if r["outcome"] not in {"accepted", "skipped", "rejected", "invalid"}]
            left = {r["outcome"]: r["reason"] for r in open_ if not run.may_stay_open(r)}
            run.require(not left, "an order without a definite outcome at the end", left)
        return report

    def ledger(self, folder: Path, steps: Steps) -> CrashingLedger:
        return CrashingLedger(folder, steps=steps, clock=self.clock, flush_seconds=self.scenario.flush_seconds)


def _texts(extract: TableSource) -> dict[str, str]:
    """Return the JSON texts of the orders that are to be sent."""
    with OrderReader(extract) as orders:
        return {
            order_id: text.rstrip(",")
            for batch in orders.select().read()
            for order_id, text in zip(batch["order_id"].to_pylist(), batch["json"].to_pylist(), strict=True)
            if text
        }
