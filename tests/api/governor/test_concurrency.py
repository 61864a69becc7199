"""The limit of requests in flight: it falls for a reason, and climbs back while it is used."""

import contextlib
import heapq
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.api.governor.concurrency import Concurrency, struggles
from airflow_provider_ecdp.errors import (
    NoAnswerError,
    RequestRejectedError,
    ServerError,
    ThrottledError,
    UnreachableError,
)

REFUSED = ThrottledError("throttled", status=429)


class Server:
    """Answers as many requests at a time as are allowed, or `at_once`, in time that passes only here."""

    def __init__(self, most=8, at_once=None):
        self.now = 0.0
        self.at_once = at_once
        self.concurrency = Concurrency(most, lambda: self.now)

    def answer(self, seconds, size=1000, times=1):
        for _ in range(times):
            self.concurrency.answered(self.fly(seconds), size)
        return self.concurrency.limit

    def refuse(self, seconds=0.1):
        self.now += 0.001
        self.concurrency.failed(self.fly(seconds), REFUSED)
        return self.concurrency.limit

    def fly(self, seconds):
        """Let one request end, with the others that are under way all the while."""
        with contextlib.ExitStack() as others:
            for _ in range((self.at_once or self.concurrency.limit) - 1):
                others.enter_context(self.concurrency.flight(self.now))
            with self.concurrency.flight(self.now) as flight:
                self.now += seconds
        return flight


class Crowd:
    """Callers, `wanted` of them at a time where the limit allows, before a server that answers in virtual time."""

    def __init__(self, most, wanted):
        self.now = 0.0
        self.wanted = wanted
        self.concurrency = Concurrency(most, lambda: self.now)
        self.most = most
        self.limits = []
        self._open = []
        self._number = itertools.count()

    def run(self, seconds, server):
        """Go on for `seconds`; `server` is told how many requests are open; it returns seconds, size, refused."""
        end = self.now + seconds
        while self.now < end:
            while len(self._open) < min(self.concurrency.limit, self.wanted):
                # no two moments are one
                self.now += 1e-9
                flight = self.concurrency.flight(self.now)
                flight.__enter__()
                takes, size, refused = server(len(self._open) + 1)
                heapq.heappush(self._open, (self.now + takes, next(self._number), flight, size, refused))
            ends, _, flight, size, refused = heapq.heappop(self._open)
            self.now = max(self.now, ends)
            flight.__exit__(None, None, None)
            if refused:
                self.concurrency.failed(flight, REFUSED)
            else:
                self.concurrency.answered(flight, size)
            self.limits.append(self.concurrency.limit)
            assert 1 <= self.limits[-1] <= self.most
        return self.concurrency.limit


def test_all_that_was_requested_is_allowed_at_first_and_while_answers_come():
    server = Server()
    assert server.concurrency.limit == 8
    assert server.answer(0.1, times=100) == 8


def test_a_refusal_for_load_halves_the_limit_down_to_one():
    server = Server()
    assert [server.refuse() for _ in range(5)] == [4, 2, 1, 1, 1]


def test_the_refusals_of_requests_that_were_under_way_together_count_once():
    server = Server()
    flights = [server.concurrency.flight(started) for started in (0.0, 0.01, 0.02, 0.03)]
    server.now = 0.1
    for flight in flights:
        server.concurrency.failed(flight, REFUSED)
    assert server.concurrency.limit == 4


def timed_out():
    error = NoAnswerError("no answer")
    error.timed_out = True
    return error


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (ThrottledError("throttled", status=429), True),
        (ServerError("bad gateway", status=502), True),
        (ServerError("unavailable", status=503), True),
        (ServerError("gateway timeout", status=504), True),
        (timed_out(), True),
        (ServerError("a fault", status=500), False),
        (NoAnswerError("the connection broke"), False),
        (UnreachableError("no connection"), False),
        (RequestRejectedError("refused", status=400), False),
    ],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_a_server_struggles_that_has_too_much_or_does_not_answer_in_time(error, counts):
    assert struggles(error) is counts


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


@pytest.mark.parametrize(("at_once", "climbs_to"), [(1, 3), (2, 5), (3, 7), (4, 8), (8, 8)])
def test_the_limit_climbs_no_further_than_about_twice_what_is_in_flight(at_once, climbs_to):
    server = Server(at_once=at_once)
    for _ in range(5):
        server.refuse()
    assert server.answer(0.1, times=500) == climbs_to


def test_what_was_in_flight_at_once_is_known_and_can_be_counted_again():
    concurrency = Concurrency(8, lambda: 0.0)
    assert concurrency.reached == 0
    with concurrency.flight(0.0), concurrency.flight(0.0):
        with concurrency.flight(0.0):
            pass
        assert concurrency.reached == 3
        concurrency.recount()
        assert concurrency.reached == 2
    concurrency.recount()
    assert concurrency.reached == 0


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
def test_noise_is_not_a_rise(seconds):
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


@pytest.mark.parametrize("large", [0, 1, 5])
def test_a_large_batch_among_smaller_ones_changes_nothing_for_those(large):
    server = Server()
    server.answer(0.1, size=260_000, times=50)
    server.answer(0.2, size=1_000_000, times=large)
    assert server.answer(0.1, size=260_000, times=50) == 8
    assert min(server.answer(2.0, size=260_000) for _ in range(60)) <= 2


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 10), st.integers(0, 10**6)), max_size=200), st.integers(1, 16))
def test_the_limit_stays_between_one_and_what_was_requested(events, most):
    server = Server(most)
    for refused, seconds, size in events:
        limit = server.refuse(seconds) if refused else server.answer(seconds, size)
        assert 1 <= limit <= most


@settings(max_examples=examples(40))
@given(st.integers(0, 10**6), st.integers(1, 16), st.integers(1, 20), st.sampled_from(["refuses", "times out", "slow"]))
def test_the_limit_falls_in_a_bad_hour_and_is_all_again_after_it_where_it_is_wanted(seed, most, wanted, trouble):
    dice = random.Random(seed)
    crowd = Crowd(most, wanted)

    def well(_):
        return 0.1 * dice.uniform(0.7, 1.3), dice.choice([900, 260_000, 500_000]), False

    def badly(_):
        seconds = {"refuses": 0.02, "times out": 30.0, "slow": 3.0}[trouble] * dice.uniform(0.9, 1.1)
        return seconds, 260_000, trouble != "slow"

    assert crowd.run(30, well) == most
    crowd.limits.clear()
    crowd.run(20 if trouble == "refuses" else 300, badly)
    if trouble == "slow":
        assert min(crowd.limits) < most or most == 1
    else:
        assert crowd.concurrency.limit == 1
    crowd.run(60, well)
    # twice what is in flight, and one more, is what can be known
    assert crowd.concurrency.limit == most or crowd.concurrency.limit > 2 * wanted
    assert crowd.concurrency.reached == min(most, wanted)


@settings(max_examples=examples(40))
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_the_limit_settles_about_what_a_server_can_bear(seed, bears):
    dice = random.Random(seed)
    crowd = Crowd(12, 12)
    crowd.run(60, lambda others: (0.1 * dice.uniform(0.8, 1.2), 1000, others > bears))
    late = crowd.limits[len(crowd.limits) // 2 :]
    assert max(late) <= bears + 1
    assert sum(late) / len(late) >= bears / 2
