"""Batches to threads, under a limit that changes."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_provider_ecdp.push.dispatch import Dispatcher

PATIENCE = 20.0


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

    def reaches(self, count):
        end = time.monotonic() + PATIENCE
        while self.now != count and time.monotonic() < end:
            time.sleep(0.001)
        return self.now == count


def all_of(dispatcher):
    taken = []
    while dispatcher.pending:
        taken.append(dispatcher.take(PATIENCE))
    return taken


def test_everything_that_is_put_in_comes_out_once():
    gauge = Gauge(permits=500)
    with Dispatcher(gauge.send, lambda: 3, 3) as dispatcher:
        for batch in range(500):
            dispatcher.put(batch)
        assert sorted(all_of(dispatcher)) == list(range(500))
    assert gauge.most <= 3


def test_when_the_limit_falls_no_new_ones_are_sent_until_there_are_fewer():
    gauge = Gauge()
    limit = [4]
    with Dispatcher(gauge.send, lambda: limit[0], 8) as dispatcher:
        for batch in range(20):
            dispatcher.put(batch)
        assert gauge.reaches(4)
        limit[0] = 1
        gauge.permits.release(3)
        for _ in range(3):
            dispatcher.take(PATIENCE)
        assert gauge.reaches(1)
        gauge.most = 0
        gauge.permits.release(20)
        assert len(all_of(dispatcher)) == 17
    assert gauge.most == 1


def test_when_the_limit_rises_the_next_answer_starts_more_threads():
    gauge = Gauge()
    limit = [1]
    with Dispatcher(gauge.send, lambda: limit[0], 8) as dispatcher:
        for batch in range(10):
            dispatcher.put(batch)
        assert gauge.reaches(1)
        limit[0] = 5
        gauge.permits.release(1)
        assert gauge.reaches(5)
        gauge.permits.release(9)
        assert len(all_of(dispatcher)) == 10
    assert gauge.most == 5


def test_an_error_is_raised_where_it_is_taken_and_the_others_still_come():
    def send(batch):
        if batch == 2:
            raise RuntimeError("no such batch")
        return batch

    with Dispatcher(send, lambda: 2, 2) as dispatcher:
        for batch in range(5):
            dispatcher.put(batch)
        taken, errors = [], 0
        while dispatcher.pending:
            try:
                taken.append(dispatcher.take(PATIENCE))
            except RuntimeError:
                errors += 1
        assert (sorted(taken), errors) == ([0, 1, 3, 4], 1)


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_nothing_is_taken_where_nothing_has_ended(timeout):
    with Dispatcher(lambda batch: batch, lambda: 1, 1) as dispatcher:
        assert dispatcher.take(timeout) is None
        assert dispatcher.pending == 0
