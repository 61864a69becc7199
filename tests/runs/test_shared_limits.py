"""Tasks that run at once share the limits of a connection."""

import itertools
import threading

import fsspec
import pytest
from fake_clock import FakeClock
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.api.governor.concurrency import Concurrency
from airflow_provider_ecdp.api.governor.pacing import Pacer
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.runs import shared_limits
from airflow_provider_ecdp.runs.shared_limits import SharedLimits


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def join(tmp_path, clock):
    """Make a task's part of limits whose thread does nothing: the test lists."""

    def make():
        limits = SharedLimits(str(tmp_path / "limits"), LocalFileSystem(), interval=1.0, clock=clock)
        limits._thread = threading.Thread(target=lambda: None)
        return limits

    return make


def turn(limits):
    """Do what the thread does each half interval."""
    limits._renew()
    limits._list()


def test_a_task_alone_has_all_and_sends_at_once(join):
    with join() as first:
        assert (first.count(), first.wait()) == (1, 0)


def test_a_task_that_joins_sends_nothing_until_the_others_have_listed_again(join, clock):
    with join() as first:
        with join() as second:
            assert (second.count(), second.wait()) == (2, 1.0)
            assert first.count() == 1
            clock.sleep(1.01)
            turn(second)
            assert second.wait() == 0
            # the first has not listed since: it must not rely on what it knows
            assert first.wait() > 0
            turn(first)
            assert (first.count(), first.wait()) == (2, 0)
        turn(first)
        assert first.count() == 1


def test_a_task_that_was_killed_counts_for_half_a_minute(join, clock, tmp_path):
    killed = join().__enter__()
    with join() as other:
        for _ in range(59):
            clock.sleep(0.5)
            turn(other)
        assert other.count() == 2
        clock.sleep(1)
        turn(other)
        assert other.count() == 1
    assert list((tmp_path / "limits").iterdir()) == []
    # it was not killed but asleep: it joins again, and waits
    turn(killed)
    assert killed.wait() == 1.0


@pytest.mark.parametrize("error", [ConfigurationError("the bucket is gone"), KeyError("name")])
def test_a_storage_that_fails_stops_nothing(join, clock, monkeypatch, caplog, error):
    def broken(*_, **__):
        raise error

    with join() as first:
        monkeypatch.setattr(shared_limits, "files_in", broken)
        ended = itertools.chain([False, False], itertools.repeat(True))
        monkeypatch.setattr(first._ended, "wait", lambda _: next(ended))
        clock.sleep(5)
        first._keep()
        assert (first.count(), first.wait()) == (1, 0)
    assert [text for text in caplog.messages if "Limits are not shared for now" in text]


def test_a_storage_in_which_nothing_can_be_written_is_an_error_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError), SharedLimits(str(tmp_path / "file"), LocalFileSystem()):
        pass


def test_a_folder_of_an_object_store_does_too(clock):
    files = fsspec.filesystem("memory")
    with (
        SharedLimits("/shared-limits-test", files, interval=0.05) as first,
        SharedLimits("/shared-limits-test", files, interval=0.05) as second,
    ):
        assert second.count() == 2
        # by its own thread
        while first.count() != 2:
            clock.sleep(0)
    assert files.glob("/shared-limits-test/*") == []


class Fixed:
    def __init__(self, count, wait=0.0):
        self.counted, self.waited = count, wait

    def count(self):
        return self.counted

    def wait(self):
        return self.waited


def test_a_part_of_the_rate_is_kept_exactly(clock):
    pacer = Pacer(requests_per_second=5, clock=clock, sleep=clock.sleep, share=Fixed(2))
    starts = [pacer.acquire() for _ in range(6)]
    assert [round(after - before, 6) for before, after in itertools.pairwise(starts)] == [0.4] * 5


def test_a_slot_is_lost_where_another_task_has_come(clock):
    share = Fixed(1)

    def sleep(seconds):
        clock.sleep(seconds)
        share.counted = 2

    pacer = Pacer(requests_per_second=5, clock=clock, sleep=sleep, share=share)
    pacer.acquire()
    # the slot at 0.2 s was of the whole rate; the next is after it, and those that follow have their distance
    assert [round(pacer.acquire() - 1000, 6) for _ in range(3)] == [0.4, 0.8, 1.2]


def test_many_threads_do_not_start_together_after_the_silence(clock):
    share = Fixed(2, wait=1.0)

    def sleep(seconds):
        clock.sleep(seconds)
        share.waited = 0.0

    pacer = Pacer(requests_per_second=5, clock=clock, sleep=sleep, share=share)
    starts = [pacer.acquire() - 1000 for _ in range(3)]
    assert starts[0] >= 1.0
    assert all(after - before >= 0.399 for before, after in itertools.pairwise(starts))


@pytest.mark.parametrize(("most", "count", "limit"), [(4, 1, 4), (4, 2, 2), (4, 3, 1), (4, 9, 1), (5, 2, 2)])
def test_a_part_of_the_requests_in_flight_is_at_least_one(clock, most, count, limit):
    assert Concurrency(most, clock, Fixed(count)).limit == limit
