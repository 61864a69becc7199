"""Batches to threads, under a limit that changes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from airflow_provider_ecdp.runs.dispatcher import Dispatcher

PATIENCE = 60.0


class Gauge:
    """Sends nothing: counts how many do so at once, each until it gets a permit to end."""

    def __init__(self, permits=0):
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.permits = threading.Semaphore(permits)

    def send(self, batch):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.permits.acquire(timeout=PATIENCE)
        with self.lock:
            self.now -= 1
        return batch

    def let_go(self, _):
        self.permits.release(1000)

    def reaches(self, count):
        end = time.monotonic() + PATIENCE
        while self.now != count and time.monotonic() < end:
            time.sleep(0.001)
        return self.now == count


@contextmanager
def dispatching(send, limit, threads):
    """Yield a dispatcher, and the list of what it has recorded."""
    recorded = []
    # a test that fails does not wait for what it would have let go
    on_error = getattr(getattr(send, "__self__", None), "let_go", lambda _: None)
    with Dispatcher(send, recorded.append, limit=limit, threads=threads, on_error=on_error) as dispatcher:
        yield dispatcher, recorded


def take_all(dispatcher):
    while dispatcher.pending:
        dispatcher.take(PATIENCE)


def test_everything_that_is_put_in_comes_out_once():
    gauge = Gauge(permits=500)
    with dispatching(gauge.send, lambda: 3, 3) as (dispatcher, recorded):
        for batch in range(500):
            dispatcher.put(batch)
        take_all(dispatcher)
        assert sorted(recorded) == list(range(500))
    assert gauge.most <= 3


def test_when_the_limit_falls_no_new_ones_are_sent_until_there_are_fewer():
    gauge = Gauge()
    limit = [4]
    with dispatching(gauge.send, lambda: limit[0], 8) as (dispatcher, recorded):
        for batch in range(20):
            dispatcher.put(batch)
        assert gauge.reaches(4)
        limit[0] = 1
        gauge.permits.release(3)
        for _ in range(3):
            assert dispatcher.take(PATIENCE)
        assert gauge.reaches(1)
        gauge.most = 0
        gauge.permits.release(20)
        take_all(dispatcher)
        assert len(recorded) == 20
    assert gauge.most == 1


def test_when_the_limit_rises_the_next_answer_starts_more_threads():
    gauge = Gauge()
    limit = [1]
    with dispatching(gauge.send, lambda: limit[0], 8) as (dispatcher, recorded):
        for batch in range(10):
            dispatcher.put(batch)
        assert gauge.reaches(1)
        limit[0] = 5
        gauge.permits.release(1)
        assert gauge.reaches(5)
        gauge.permits.release(9)
        take_all(dispatcher)
        assert len(recorded) == 10
    assert gauge.most == 5


def test_an_error_is_raised_where_it_is_taken_and_the_others_still_come():
    def send(batch):
        if batch == 2:
            raise RuntimeError("no such batch")
        return batch

    with dispatching(send, lambda: 2, 2) as (dispatcher, recorded):
        for batch in range(5):
            dispatcher.put(batch)
        errors = 0
        while dispatcher.pending:
            try:
                dispatcher.take(PATIENCE)
            except RuntimeError:
                errors += 1
        assert (sorted(recorded), errors) == ([0, 1, 3, 4], 1)


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_nothing_is_taken_where_nothing_has_ended(timeout):
    with dispatching(lambda batch: batch, lambda: 1, 1) as (dispatcher, _):
        assert not dispatcher.take(timeout)
        assert dispatcher.pending == 0


def test_after_an_error_what_is_under_way_is_recorded_and_the_rest_is_reported():
    raised, gauge, recorded = [], Gauge(), []

    def on_error(error):
        raised.append(str(error))
        gauge.permits.release(10)

    def begin(dispatcher):
        for batch in range(6):
            dispatcher.put(batch)
        assert gauge.reaches(2)
        raise RuntimeError("the extract ends in the middle")

    with (
        pytest.raises(RuntimeError, match="in the middle"),
        Dispatcher(gauge.send, recorded.append, limit=lambda: 2, threads=2, on_error=on_error) as dispatcher,
    ):
        begin(dispatcher)
    assert raised == ["the extract ends in the middle"]
    assert sorted(recorded) == list(range(6))


#: A signal's exception at a moment of its own, thousands of times.
INTERRUPTED = """
import itertools, random, signal, sys
from airflow_provider_ecdp.runs.dispatcher import Dispatcher

class TimeIsUp(BaseException):
    pass

def ring(*_):
    raise TimeIsUp

signal.signal(signal.SIGALRM, ring)
dice = random.Random(int(sys.argv[1]))
interrupted = 0
for _ in range(400):
    sent, recorded = [], []

    def send(batch):
        sent.append(batch)
        return batch

    try:
        with Dispatcher(send, recorded.append, limit=lambda: 3, threads=3) as dispatcher:
            signal.setitimer(signal.ITIMER_REAL, dice.uniform(0.0001, 0.004))
            for batch in itertools.count():
                dispatcher.put(batch)
                while dispatcher.pending > 6:
                    dispatcher.take(60)
    except TimeIsUp:
        interrupted += 1
    assert set(sent) == set(recorded), (sent, recorded)
print(interrupted)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_an_interruption_at_any_moment_neither_hangs_nor_loses_what_was_sent(seed):
    command = [sys.executable, "-c", INTERRUPTED, str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["400"], done.stderr
