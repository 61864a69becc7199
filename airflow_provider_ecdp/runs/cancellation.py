"""The one way to end a run early: a `Cancellation`, made by the caller and passed to all code that sends or waits.

The caller is a signal's handler, for example, or a task's `on_kill`. A run makes a child of it, so that an outage that
stops one run does not stop the next, and so that each run can have a deadline of its own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_ecdp.errors import CancelledError, DeadlineError, EcdpError

if TYPE_CHECKING:
    from airflow_provider_ecdp.api.client import EcdpClient


class Cancellation:
    """Whether a run goes on; safe for threads and for signal handlers, since it holds no lock.

    Once `cancelled`, nothing new is sent. `stop` lets calls that are under way repeat and wait, as after an outage;
    `cancel`, and a deadline that is reached, end their waiting too.

    :param parent: cancels its children too
    :param max_seconds: how long until the deadline, None for no deadline
    :param clock: monotonic seconds; a child has its parent's
    """

    def __init__(
        self,
        parent: Cancellation | None = None,
        *,
        max_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock: Callable[[], float] = clock if parent is None else parent.clock
        self._parent = parent
        self._max_seconds = max_seconds
        self._started = self.clock()
        # a deque and a dict, because each operation is atomic: a signal may interrupt code that holds a lock
        self._causes: deque[EcdpError] = deque()
        self._callbacks: dict[object, Callable[[], None]] = {}
        # set once the callbacks of a `cancel` have been called
        self._called: deque[threading.Event] = deque()
        self._waits_end = False
        #: whether a run has begun that ends in order when this is cancelled
        self.heeded = False

    @property
    def cause(self) -> EcdpError | None:
        """The first cause for which the run was stopped or cancelled; a deadline counts once it is noticed."""
        if self._causes:
            return self._causes[0]
        return None if self._parent is None else self._parent.cause

    @property
    def cancelled(self) -> bool:
        """Whether nothing new is to be sent."""
        self.notice_deadline()
        return bool(self._causes) or (self._parent is not None and self._parent.cancelled)

    @property
    def abandoned(self) -> bool:
        """Whether the caller wants the end now: the rest of the extract is not read."""
        return isinstance(self.cause, CancelledError)

    def seconds_left(self) -> float | None:
        """Return the seconds until the deadline; None without one, or after the first cause."""
        if self._max_seconds is None or self._causes:
            return None
        return max(0.0, self._max_seconds - (self.clock() - self._started))

    def notice_deadline(self) -> None:
        """Cancel this if the deadline is reached; callers poll, there is no timer."""
        if self.seconds_left() == 0:
            self.cancel(DeadlineError(f"max_duration of {self._max_seconds:g} s is reached"))

    def stop(self, cause: EcdpError) -> None:
        """Let nothing new be sent; calls under way go on to their end."""
        if self.cause is None:
            # an error because a parent was cancelled is not a cause
            self._causes.append(cause)

    def cancel(self, cause: EcdpError) -> None:
        """Let nothing new be sent, and end all waiting."""
        self._causes.append(cause)
        self._waits_end = True
        called = threading.Event()
        try:
            # before the callbacks are read: one that is removed meanwhile is waited for, or not called
            self._called.append(called)
            self._start_callbacks(called)
        except BaseException:
            # such as the exception of a signal: nobody waits for a thread that was not started
            called.set()
            raise

    def _start_callbacks(self, called: threading.Event) -> None:
        if callbacks := list(self._callbacks.values()):
            # not here: a signal may have interrupted code that holds a lock which a callback needs
            arguments = (callbacks, called)
            threading.Thread(target=_call_back, args=arguments, name="ecdp-cancel", daemon=True).start()
        else:
            called.set()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called, in another thread, when this or a parent is cancelled; now if it was already.

        Return a function that removes it, and that returns only when no cancellation is going to call it any more.
        """
        key = object()
        self._callbacks[key] = callback
        if self._waits_end:
            callback()
        remove_above = None if self._parent is None else self._parent.on_cancel(callback)

        def remove() -> None:
            self._callbacks.pop(key, None)
            for called in list(self._called):
                called.wait()
            if remove_above is not None:
                remove_above()

        return remove

    def heed(self) -> None:
        """Take over: from now on a signal ends the run in order, and raises nothing."""
        self.heeded = True
        if self._parent is not None:
            self._parent.heed()

    @contextlib.contextmanager
    def interrupting(self, client: EcdpClient) -> Iterator[None]:
        """While the block runs, end it in order when this is cancelled: `client` waits no more and sends nothing.

        Afterwards the client serves others again, unless the caller has cancelled everything.
        """
        remove = self.on_cancel(client.interrupt)
        self.heed()
        try:
            yield
        finally:
            remove()
            if self._parent is None or not self._parent.cancelled:
                client.resume()


def _call_back(callbacks: list[Callable[[], None]], called: threading.Event) -> None:
    try:
        for callback in callbacks:
            callback()
    finally:
        called.set()
