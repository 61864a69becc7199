import math
from itertools import pairwise

import pytest
from fake_clock import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.api.governor.pacing import Pacer

# the sum of many slots is not exact
EPSILON = 1e-6


def a_pacer(clock, rate=None):
    return Pacer(requests_per_second=rate, clock=clock, sleep=clock.sleep)


def succeed(pacer, clock, *, times, seconds=0.0):
    """Send requests one after the other, each answered after some seconds."""
    for _ in range(times):
        pacer.acquire()
        clock.now += seconds
        pacer.succeeded()


def rate_of(pacer, clock):
    """Return the requests per second that may start now, by the distance of the next two."""
    first = pacer.acquire()
    pacer.acquire()
    return 1 / (clock.now - first) if clock.now > first else math.inf


rates = st.floats(0.1, 200)
# (seconds until the next request, the pause if the server throttles this one)
traffic = st.lists(st.tuples(st.floats(0, 2), st.none() | st.floats(0, 5)), min_size=1, max_size=80)


def assert_never_more_than(rate, starts):
    reach = math.ceil(rate)
    for early, late in zip(starts, starts[reach:], strict=False):
        assert late - early >= 1 - EPSILON


@given(rates, traffic)
def test_starts_keep_to_the_rate_and_to_every_pause(rate, events):
    clock = FakeClock(0.0)
    pacer = a_pacer(clock, rate)
    starts = []
    paused_until = 0.0
    for gap, pause in events:
        clock.now += gap
        started = pacer.acquire()
        assert started == clock.now
        assert started >= paused_until
        starts.append(started)
        if pause is None:
            pacer.succeeded()
        else:
            pacer.throttled(pause, started)
            paused_until = max(paused_until, clock.now + pause)
    assert_never_more_than(rate, starts)
    assert min(rate, 0.5) - EPSILON <= rate_of(pacer, clock) <= rate + EPSILON


@settings(max_examples=examples(25))
@given(st.integers(1, 20), st.integers(1, 6), st.lists(st.none() | st.floats(0.01, 3), min_size=1, max_size=40))
def test_threads_together_keep_to_the_rate_and_to_every_pause(virtual_time, rate, threads, answers):
    time = virtual_time()
    pacer = Pacer(requests_per_second=rate, clock=time.clock, sleep=time.sleep)
    starts = []
    pauses = []
    todo = list(answers)

    def work():
        while todo:
            try:
                pause = todo.pop()
            except IndexError:
                return
            started = pacer.acquire()
            starts.append(started)
            time.sleep(0.05)
            if pause is None:
                pacer.succeeded()
            else:
                pauses.append((time.now, time.now + pause))
                pacer.throttled(pause, started)

    time.run(*[work] * threads)
    assert len(starts) == len(answers)
    assert_never_more_than(rate, sorted(starts))
    for declared, over in pauses:
        # what starts in the moment of the declaration may not know of it yet
        assert not [start for start in starts if declared < start < over - EPSILON]


def test_without_a_rate_nobody_waits():
    clock = FakeClock(0.0)
    pacer = a_pacer(clock)
    succeed(pacer, clock, times=100)
    assert clock.slept == []


def test_the_first_throttling_finds_the_rate_that_the_server_bore():
    clock = FakeClock(0.0)
    pacer = a_pacer(clock)
    succeed(pacer, clock, times=20, seconds=0.1)
    pacer.throttled(1.0, pacer.acquire())
    assert 0.6 * 10 < rate_of(pacer, clock) < 0.8 * 10


def test_a_burst_is_not_taken_for_a_rate():
    clock = FakeClock(0.0)
    pacer = a_pacer(clock)
    succeed(pacer, clock, times=5, seconds=0.001)
    pacer.throttled(1.0, pacer.acquire())
    assert rate_of(pacer, clock) == pytest.approx(0.7 * 5)


def test_throttling_from_the_start_leaves_a_slow_trickle():
    clock = FakeClock(0.0)
    pacer = a_pacer(clock)
    pacer.throttled(1.0, pacer.acquire())
    assert rate_of(pacer, clock) == 0.5


def test_the_refusals_of_one_burst_count_once():
    clock = FakeClock(0.0)
    pacer = a_pacer(clock, rate=100)
    burst = [pacer.acquire() for _ in range(8)]
    clock.now += 1.0
    pacer.succeeded()
    pacer.throttled(1.0, burst[0])
    for started in burst[1:]:
        # even long after the pause: slow answers to requests of before
        clock.now += 0.5
        pacer.throttled(1.0, started)
    assert rate_of(pacer, clock) == pytest.approx(0.7)


def test_the_rate_recovers_without_a_jump_up_to_what_was_requested():
    clock = FakeClock(0.0)
    pacer = a_pacer(clock, rate=10)
    succeed(pacer, clock, times=20)
    pacer.throttled(1.0, pacer.acquire())
    rates_seen = [rate_of(pacer, clock)]
    while rates_seen[-1] < 10 - EPSILON:
        pacer.succeeded()
        rates_seen.append(rate_of(pacer, clock))
    assert 0.6 * 10 < rates_seen[0] < 0.8 * 10
    assert all(early - EPSILON <= late < early + 1.5 for early, late in pairwise(rates_seen))
    assert 2 < clock.now < 10


def test_after_one_bad_moment_of_a_fast_server_the_rate_is_soon_no_bound():
    clock = FakeClock(0.0)
    pacer = a_pacer(clock)
    pacer.throttled(1.0, pacer.acquire())
    done = 0
    while clock.now < 15:
        pacer.acquire()
        clock.now += 0.01
        pacer.succeeded()
        done += 1
    assert rate_of(pacer, clock) > 50
    assert done > 200


def test_a_rate_that_the_server_bears_is_approached_slowly():
    clock = FakeClock(0.0)
    pacer = a_pacer(clock)
    succeed(pacer, clock, times=50, seconds=0.1)
    pacer.throttled(0.0, pacer.acquire())
    starts = []
    while len(starts) < 20:
        starts.append(pacer.acquire())
        pacer.succeeded()
    # 20 requests at 10 a second take 2 seconds
    assert 2.0 < starts[-1] - starts[0] < 3.0


def test_a_later_shorter_pause_does_not_end_a_longer_one():
    clock = FakeClock(0.0)
    pacer = a_pacer(clock)
    first, second = pacer.acquire(), pacer.acquire()
    pacer.throttled(5.0, first)
    pacer.throttled(1.0, second)
    assert pacer.acquire() == 5.0


def test_an_interrupted_sleep_ends_the_waiting():
    clock = FakeClock(0.0)
    pacer = Pacer(requests_per_second=1, clock=clock, sleep=lambda _: True)
    assert pacer.acquire() == 0.0
    assert pacer.acquire() is None


@settings(max_examples=examples(20))
@given(st.integers(1, 12), st.integers(1, 8), st.sampled_from([0.0, 0.02, 0.3, 1.5]), st.sampled_from([0.0, 1.0, 2.0]))
def test_behind_a_limiting_server_everything_is_done_with_few_refusals(
    virtual_time, allowed, threads, latency, retry_after
):
    time = virtual_time()
    pacer = Pacer(requests_per_second=None, clock=time.clock, sleep=time.sleep)
    accepted = []
    refused = []
    todo = list(range(60))

    def work():
        while True:
            try:
                todo.pop()
            except IndexError:
                return
            while True:
                started = pacer.acquire()
                now = time.now
                fits = sum(moment > now - 1.0 for moment in accepted) < allowed
                (accepted if fits else refused).append(now)
                if latency:
                    time.sleep(latency)
                if fits:
                    pacer.succeeded()
                    break
                pacer.throttled(retry_after + 0.1, started)

    time.run(*[work] * threads)
    assert len(accepted) == 60
    assert len(refused) <= 60
    # and it is not done by going slow: at least a quarter of what the server allows
    assert time.now <= 60 / min(allowed, threads / max(latency, 0.01)) * 4 + 10 + 4 * retry_after
