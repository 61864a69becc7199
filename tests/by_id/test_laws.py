"""Laws of changes, in runs that are drawn: crashed or stopped anywhere, and run again until one ends."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest
from fake_clock import FakeClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.by_id.settings import Missing
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.sandbox.faults import Faults

KEY = "sandbox-key"
STORED = ["A", "B", "C", "D"]

#: more tries than any run needs: each of them ends by a crash, or by one of the faults, or for good
TRIES = 5


class Killed(BaseException):  # no error: the process is gone
    """The process ends here."""


@dataclass
class Life:
    """Ends at a step, None for never; after its end nothing reaches the server or the disk."""

    left: int | None
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self):
        with self.lock:
            if self.left is not None:
                self.left -= 1
            self.ended = self.ended or (self.left is not None and self.left < 0)
            if self.ended:
                raise Killed


class MortalClient(EcdpClient):
    def __init__(self, url, life):
        policy = RetryPolicy(max_attempts=2)
        clock = FakeClock()
        super().__init__(KEY, ClientSettings(url), policy=policy, clock=clock, sleep=clock.sleep)
        self.life = life

    def update_order_status(self, order_id, status, *, website_id=None):
        self.life.step()
        super().update_order_status(order_id, status, website_id=website_id)
        self.life.step()

    def delete_order(self, order_id):
        self.life.step()
        found = super().delete_order(order_id)
        self.life.step()
        return found


class MortalLedger(Ledger):
    def __init__(self, path, life, flush_seconds):
        super().__init__(path, flush_seconds=flush_seconds)
        self.life = life

    def _put(self, name, data):
        self.life.step()
        super()._put(name, data)


@pytest.fixture(scope="module")
def server(running_sandbox):
    return running_sandbox


IDS = st.sampled_from([*STORED, "absent", "", None])
STATUSES = st.sampled_from(["placed", "paid", "completed", "Cancelled", "shipped"])
CHANGES = st.lists(st.tuples(IDS, STATUSES), min_size=1, max_size=16)
#: of each try but the last: how many steps it lives, how often its ledger is written, and the faults that it meets
LIVES = st.lists(
    st.tuples(
        st.none() | st.integers(0, 40),
        st.sampled_from([0.0, 60.0]),
        st.builds(
            Faults,
            seed=st.integers(0, 99),
            error_before=st.sampled_from([0.0, 0.2]),
            error_after=st.sampled_from([0.0, 0.2]),
            reset_after=st.sampled_from([0.0, 0.2]),
            throttle=st.sampled_from([0.0, 0.2]),
            retry_after=st.just(0),
        ),
    ),
    max_size=TRIES,
)
MISSING = st.sampled_from(list(Missing))

#: the fixtures make what runs, and hold nothing
LAWS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def counts(report):
    found = {outcome.value: report.summary[outcome.value] for outcome in Outcome}
    assert sum(found.values()) == report.summary["total"]
    assert Counter(result["outcome"] for result in report.results) == {k: v for k, v in found.items() if v}
    return found


def fill(server, order):
    server.reset()
    with MortalClient(server.url, Life(None)) as client:
        client.post_orders(Mode.ADD, ",".join(json.dumps(order(i)) for i in STORED).encode())


def tries(server, run, folder, lives):
    """Run over one folder, through every life, until one run ends for good; return its report."""
    for number, (steps, flush_seconds, faults) in enumerate([*lives, (None, 60.0, Faults())]):
        server.faults = faults
        life = Life(steps)
        with MortalClient(server.url, life) as client:
            ledger = MortalLedger(folder, life, flush_seconds)
            try:
                report = run(client, ledger, resumed=number > 0)
            except Killed:
                continue
            counts(report)
            # unresolved changes fail a task too, and Airflow runs it again
            if report.stopped is None and not report.summary["unresolved"]:
                return report
    raise AssertionError("the last run did not send everything, and nothing was wrong with it")


def results_by_order(report):
    return Counter((result["order_id"], result["outcome"]) for result in report.results)


@settings(LAWS, max_examples=examples(10, soak=500))
@given(changes=CHANGES, lives=LIVES, missing=MISSING)
def test_statuses_end_as_without_a_crash(server, update, order, tmp_path_factory, changes, lives, missing):
    def run(client, ledger, *, resumed):
        again = {"resumed": resumed, "count_resumed_as": Outcome.ACCEPTED}
        return update(client, changes, ledger=ledger, missing=missing, max_in_flight=3, **again)

    fill(server, order)
    expected = results_by_order(tries(server, run, tmp_path_factory.mktemp("whole"), []))
    fill(server, order)
    report = tries(server, run, tmp_path_factory.mktemp("crashed"), lives)

    assert results_by_order(report) == expected
    last = {i: status for i, status in changes if i in STORED and status != "shipped"}
    for order_id in STORED:
        status = last.get(order_id, "paid").capitalize().replace("Cancelled", "Canceled")
        assert server.store.get(order_id)["status"].capitalize() == status, order_id


@settings(LAWS, max_examples=examples(10, soak=500))
@given(ids=st.lists(IDS, min_size=1, max_size=16), lives=LIVES)
def test_deletions_end_as_without_a_crash(server, delete, order, tmp_path_factory, ids, lives):
    def run(client, ledger, *, resumed):
        again = {"resumed": resumed, "count_resumed_as": Outcome.ACCEPTED}
        return delete(client, ids, ledger=ledger, max_in_flight=3, **again)

    fill(server, order)
    expected = results_by_order(tries(server, run, tmp_path_factory.mktemp("whole"), []))
    fill(server, order)
    report = tries(server, run, tmp_path_factory.mktemp("crashed"), lives)

    assert results_by_order(report) == expected
    assert server.store.ids() == [i for i in STORED if i not in ids]
