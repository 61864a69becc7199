"""A run's cancellation: causes, parents, deadlines and what is called."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest

from airflow_provider_ecdp.errors import CancelledError, DeadlineError, UnreachableError
from airflow_provider_ecdp.runs.cancellation import Cancellation

PATIENCE = 60


def test_the_first_cause_stays():
    cancellation = Cancellation()
    assert (cancellation.cancelled, cancellation.cause) == (False, None)
    first = UnreachableError("no connection")
    cancellation.stop(first)
    cancellation.cancel(CancelledError("told to end"))
    assert cancellation.cancelled
    assert cancellation.cause is first


def test_a_parent_cancels_its_children_and_no_child_its_parent():
    parent = Cancellation()
    first, second = Cancellation(parent), Cancellation(parent)
    first.stop(UnreachableError("no connection"))
    assert (first.cancelled, second.cancelled, parent.cancelled) == (True, False, False)
    parent.cancel(CancelledError("told to end"))
    assert second.cancelled
    assert second.abandoned
    assert not first.abandoned


def test_a_deadline_cancels_when_it_is_reached():
    now = [0.0]
    cancellation = Cancellation(Cancellation(clock=lambda: now[0]), max_seconds=10)
    assert cancellation.seconds_left() == 10
    now[0] = 9.9
    assert not cancellation.cancelled
    now[0] = 10.0
    assert cancellation.cancelled
    assert isinstance(cancellation.cause, DeadlineError)
    assert cancellation.cause.transient
    assert not cancellation.abandoned
    assert cancellation.seconds_left() is None


@pytest.mark.parametrize("level", ["its own", "its parent's"])
def test_cancel_calls_back_and_stop_does_not(level):
    parent = Cancellation()
    child = Cancellation(parent)
    called = threading.Event()
    child.on_cancel(called.set)
    child.stop(UnreachableError("no connection"))
    assert not called.is_set()
    (child if level == "its own" else parent).cancel(CancelledError("told to end"))
    assert called.wait(PATIENCE)


def test_what_comes_after_the_cancellation_is_called_at_once():
    parent, called = Cancellation(), []
    parent.cancel(CancelledError("told to end"))
    Cancellation(parent).on_cancel(lambda: called.append(1))
    assert called == [1]


def test_what_was_removed_is_not_called():
    cancellation, called = Cancellation(), []
    cancellation.on_cancel(lambda: called.append(1))()
    cancellation.cancel(CancelledError("told to end"))
    assert called == []


def test_cancelling_waits_for_no_lock_that_the_interrupted_code_holds():
    # as a signal's handler would, in the thread that holds the lock of an Event
    cancellation, event = Cancellation(), threading.Event()
    remove = cancellation.on_cancel(event.set)
    with event._cond:
        cancellation.cancel(CancelledError("told to end"))
    assert event.wait(PATIENCE)
    remove()


class _Client:
    def __init__(self):
        self.calls = []

    def interrupt(self):
        self.calls.append("interrupt")

    def resume(self):
        self.calls.append("resume")


def test_a_client_serves_others_after_a_run_that_reached_its_deadline():
    now, client = [0.0], _Client()
    run = Cancellation(Cancellation(clock=lambda: now[0]), max_seconds=1)
    with run.interrupting(client):
        now[0] = 2.0
        assert run.cancelled
    assert client.calls == ["interrupt", "resume"]


class _LateThread(threading.Thread):
    """A thread that runs a moment after it was started, as on a busy machine."""

    def run(self):
        time.sleep(0.05)
        super().run()


@pytest.mark.parametrize("cancellations", [1, 2])
def test_a_client_serves_others_however_late_it_is_interrupted(monkeypatch, cancellations):
    run, client = Cancellation(), _Client()
    with run.interrupting(client):
        monkeypatch.setattr("airflow_provider_ecdp.runs.cancellation.threading.Thread", _LateThread)
        run.cancel(CancelledError("told to end"))
        monkeypatch.undo()
        for _ in range(1, cancellations):
            run.cancel(CancelledError("told to end again"))
    assert client.calls == ["interrupt"] * cancellations + ["resume"]


def test_a_thread_that_cancels_late_interrupts_nobody_after_the_run():
    run, client = Cancellation(), _Client()
    cancelling, ended = threading.Event(), threading.Event()

    class Late(deque):
        def append(self, item):
            cancelling.set()
            assert ended.wait(PATIENCE)
            super().append(item)

    run._called = Late()
    canceller = threading.Thread(target=run.cancel, args=(CancelledError("told to end"),))
    with run.interrupting(client):
        canceller.start()
        assert cancelling.wait(PATIENCE)
    ended.set()
    canceller.join(PATIENCE)
    assert client.calls == ["resume"]


def test_a_client_stays_interrupted_where_its_caller_has_cancelled():
    caller, client = Cancellation(), _Client()
    assert not caller.heeded
    with Cancellation(caller).interrupting(client):
        assert caller.heeded
        caller.cancel(CancelledError("told to end"))
    assert client.calls == ["interrupt"]


def test_what_fails_because_a_parent_was_cancelled_is_no_cause():
    parent = Cancellation()
    child = Cancellation(parent)
    parent.cancel(cause := CancelledError("the task was cancelled"))
    child.stop(UnreachableError("cut off because the run is stopping"))
    assert child.cause is cause
    assert child.abandoned
