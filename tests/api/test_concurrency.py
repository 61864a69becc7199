"""The limit of requests in flight: it falls for a reason, and climbs back."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ecdp.api.concurrency import Concurrency


class Server:
    """Answers one request after the other, in time that passes only here."""

    def __init__(self, most=8):
        self.now = 0.0
        self.concurrency = Concurrency(most, lambda: self.now)

    def answer(self, seconds, size=1000, times=1):
        for _ in range(times):
            started = self.now
            self.now += seconds
            self.concurrency.answered(started, size)
        return self.concurrency.limit

    def refuse(self, seconds=0.1):
        self.now += 0.001
        started = self.now
        self.now += seconds
        self.concurrency.refused(started)
        return self.concurrency.limit


def test_all_that_was_asked_for_is_allowed_at_first_and_while_answers_come():
    server = Server()
    assert server.concurrency.limit == 8
    assert server.answer(0.1, times=100) == 8


def test_a_refusal_for_load_halves_the_limit_down_to_one():
    server = Server()
    assert [server.refuse() for _ in range(5)] == [4, 2, 1, 1, 1]


def test_the_refusals_of_requests_that_were_under_way_together_count_once():
    server = Server()
    started = [0.0, 0.01, 0.02, 0.03]
    server.now = 0.1
    for moment in started:
        server.concurrency.refused(moment)
    assert server.concurrency.limit == 4


def test_the_limit_climbs_by_about_one_for_each_round_of_answers():
    server = Server()
    server.refuse()
    server.refuse()
    assert server.concurrency.limit == 2
    limits = [server.answer(0.1) for _ in range(45)]
    # 2 + 3 + 4 + 5 + 6 + 7 answers, and some for what the fractions lose
    assert limits[:3] == [2, 2, 3]
    assert limits.index(8) in range(27, 40)
    assert limits == sorted(limits)


def test_answers_that_take_ever_longer_lower_the_limit():
    server = Server()
    server.answer(0.1, times=50)
    for seconds in (0.2, 0.4, 0.8, 1.2):
        server.answer(seconds)
    assert server.concurrency.limit <= 6
    server.answer(2.0, times=4)
    assert server.concurrency.limit <= 4


def test_a_server_that_is_slow_and_stays_so_gets_all_again():
    server = Server()
    server.answer(0.1, times=50)
    assert server.answer(1.0, times=10) < 8
    assert server.answer(1.0, times=200) == 8


@pytest.mark.parametrize("seconds", [0.001, 0.1, 2.0])
def test_noise_is_no_rise(seconds):
    dice = random.Random(7)
    server = Server()
    for _ in range(2000):
        assert server.answer(seconds * dice.uniform(0.6, 1.4)) == 8


def test_small_requests_are_not_compared_with_large_ones():
    server = Server()
    server.answer(0.01, size=500, times=50)
    # one order sent alone is answered sooner than a whole batch
    assert server.answer(1.0, size=260_000, times=1) == 8
    server.answer(0.005, size=500, times=500)
    assert server.answer(0.3, size=260_000, times=20) == 8


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 10), st.integers(0, 10**6)), max_size=200), st.integers(1, 16))
def test_the_limit_stays_between_one_and_what_was_asked_for(events, most):
    server = Server(most)
    for refused, seconds, size in events:
        limit = server.refuse(seconds) if refused else server.answer(seconds, size)
        assert 1 <= limit <= most
