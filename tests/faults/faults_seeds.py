"""Hostile servers drawn from a seed, and what must hold after up to three tries over one results folder."""

from __future__ import annotations

import math
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from fake_clock import FakeClock
from faults_hostile import HINTS, KEY, LOST, POISONS, REFUSALS, REWRITES, HostileServer, cutting, serving
from faults_laws import Violation
from plain_reader import PlainReader, ids_of

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.results.report import Report
from airflow_provider_ecdp.runs.cancellation import Cancellation

_TRIES = 3
_ATTEMPTS = 4
#: Seconds of the longest pause, which is between two readings of an order.
_LONGEST_PAUSE = 29.0
_TRANSIENT = ("500", "502 HTML", "503", "504", "408", "429", "reset", "hang", "drip of a status", *LOST)
#: Any request may be hit by one of these by chance; a batch that is set aside costs a search.
_OUTAGES = ("500", "reset", "403 HTML", "404", "429", "hang", "drip of 100 Continue")
#: A firewall that dislikes a text, and how it says so.
_WORD, _FIREWALLS = "DROP TABLE cups", ("403 HTML", "406", "451", "502 HTML", "reset", "drip of headers")


class Hostility:
    """A server, a mode and settings, of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        dice = random.Random(seed)
        self.clock = FakeClock()
        self.mode = dice.choice((Mode.ADD, Mode.ADD, Mode.ADD_OR_REPLACE, Mode.REPLACE))
        self.ids = ids_of(dice.randint(1, 150))
        self.settings: dict[str, Any] = {
            "batch_size": dice.choice((1, 4, 15, 40, 150)),
            "max_in_flight": dice.randint(1, 4),
            "results_limit": 10_000,
        }
        # where most orders make the server fail, a run takes it for an outage
        most = max(1, len(self.ids) // 8)
        poison = dice.sample(self.ids, min(most, dice.choice((0, 1, 1, 2, 5))))
        share = dice.choice((0, 0, 0.02, 0.2))
        bad = {i for i in self.ids if dice.random() < share} - set(poison)
        disliked = dice.sample(self.ids, min(most - len(poison), dice.choice((0, 0, 1, 3))))
        self.words = dict.fromkeys(disliked, _WORD)
        # an outage strikes for good: chance beside it would leave nothing to tell the two apart
        outage = dice.choice(_OUTAGES) if dice.random() < 0.2 else None
        blips = dice.sample(_TRANSIENT, dice.randint(0, 3))
        self.server = HostileServer(
            seed=seed,
            poison={order_id: dice.choice(POISONS) for order_id in poison},
            bad=frozenset(bad),
            firewall={_WORD: dice.choice(_FIREWALLS)},
            hint=dice.choice(list(HINTS)),
            random_reactions={name: dice.random() * 0.06 for name in blips},
            lag=dice.choice((0, 0, 0.4, 5, 40)),
            clock=self.clock,
            rewrite=dice.choice(list(REWRITES)),
            max_orders=dice.choice((None, None, None, 7)),
            outage=outage,
            outage_from=dice.randint(0, 30),
        )
        if dice.random() < 0.2:
            self.settings["max_duration"] = dice.choice((5, 30))
        # what a GET does not show yet is sent again, and only the refusal of the second tells
        self.server.lenient = self.server.lag == 0 and dice.random() < 0.5
        if self.mode is Mode.REPLACE:
            self.server.stored = {order_id: {} for order_id in self.ids}

    @property
    def good(self) -> set[str]:
        """What the server takes alone."""
        return set(self.ids) - self.server.poison.keys() - self.server.bad - self.words.keys()

    @property
    def unclear(self) -> set[str]:
        """Orders whose answers never tell whether they were processed."""
        reactions = dict.fromkeys(self.words, self.server.firewall[_WORD]) | self.server.poison
        return {order_id for order_id, reaction in reactions.items() if reaction not in REFUSALS}

    def play(self) -> int:
        """Push until a run ends, and check the laws after each; return the number of runs."""
        with serving(self.server), tempfile.TemporaryDirectory(prefix="ecdp-seed-") as folder:
            runs = 0
            stopped = True
            while stopped and runs < _TRIES:
                posts, writes = self.server.methods["POST"], self.server.writes.copy()
                began = self.clock()
                report = self.run(Path(folder))
                self.check_time(self.clock() - began)
                self.check(report, self.server.methods["POST"] - posts, self.server.writes - writes)
                self.server.outage = None
                runs, stopped = runs + 1, report.stopped is not None
            if not stopped or "max_duration" not in self.settings:
                self.check_end()
            return runs

    def run(self, folder: Path) -> Report:
        clock = self.clock
        policy = RetryPolicy(max_attempts=_ATTEMPTS, max_elapsed=1e9)
        about = ClientSettings(base_url=self.server.url, read_timeout=300)
        with EcdpClient(KEY, about, policy=policy, clock=clock, sleep=clock.sleep) as client:
            self.server.cut = cutting(client)
            return push(
                PlainReader(self.ids, self.words),
                client,
                PushSettings(mode=self.mode, **self.settings),
                prior_runs=PriorRuns(Ledger(folder)),
                cancellation=Cancellation(clock=clock),
            )

    def check(self, report: Report, posts: int, writes: Counter[str]) -> None:
        server, results = self.server, {r["order_id"]: r for r in report.results}
        self.require(len(report.results) == len(self.ids) == report.summary["total"], "counts do not add up")
        self.require(results.keys() == set(self.ids), "an order is lost")
        for order_id, result in results.items():
            outcome, stored = result["outcome"], server.writes[order_id] > 0
            self.require(outcome not in ("accepted", "skipped") or stored, "accepted and absent", result)
            self.require(outcome != "rejected" or order_id not in self.good, "a good order is rejected", result)
            self.require(outcome != "rejected" or order_id not in self.unclear, "rejected without a refusal", result)
            self.require(outcome != "rejected" or not stored, "rejected and stored", result)
            self.require(outcome != "not_attempted" or report.stopped is not None, "not attempted", result)
            self.require(outcome in ("accepted", "skipped") or result["reason"], "no reason", result)
        if self.mode is Mode.ADD:
            # a later run finds out by the refusal
            counted = writes if server.lenient else server.writes
            self.require(max(counted.values(), default=0) <= 1, "stored twice by Add", counted.most_common(3))
        self.require(server.since_outage <= 60, "an outage costs more than 60 requests", server.since_outage)
        self.require(posts <= self.most_posts, "more requests than are stated", posts, self.most_posts)

    def check_time(self, seconds: float) -> None:
        """A run ends at its deadline, or with the pause that it is in then: each thread may be in one."""
        if (limit := self.settings.get("max_duration")) is not None:
            most = limit + self.settings["max_in_flight"] * _LONGEST_PAUSE
            self.require(seconds <= most, "a run goes on behind its deadline", seconds, most)

    @property
    def most_posts(self) -> int:
        """The stated bound: two requests for each order, in as many attempts as the policy has."""
        batches = math.ceil(len(self.ids) / self.settings["batch_size"])
        return _ATTEMPTS * (batches + 2 * len(self.ids)) + 60

    def check_end(self) -> None:
        left = self.good - self.server.writes.keys()
        self.require(not left, "good orders are not stored", sorted(left))

    def require(self, holds: bool, law: str, *facts: object) -> None:
        if not holds:
            server = self.server
            about = {
                "mode": self.mode,
                "orders": len(self.ids),
                **self.settings,
                "poison": server.poison,
                "bad": sorted(server.bad),
                "words": (sorted(self.words), server.firewall),
                "hint": server.hint,
                "random": server.random_reactions,
                "lag": server.lag,
                "rewrite": server.rewrite,
                "max_orders": server.max_orders,
                "lenient": server.lenient,
                "outage": (server.outage, server.outage_from),
            }
            raise Violation(f"seed {self.seed}: {law}: {', '.join(map(repr, facts))}\n  {about}")
