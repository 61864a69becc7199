"""Enforces one deadline per exchange, from connecting to the last byte of its answer.

A socket's own timeout restarts with every byte, so a server that drips bytes would hold its client forever. Here a
thread shuts the sockets whose deadline has passed, and all of them soon after an interruption.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
import time
from typing import Self

#: Seconds that exchanges under way still have after an interruption: most answers arrive, and leave no doubt.
GRACE = 2.0


class Cut(enum.Enum):
    """Why an exchange was ended from outside."""

    DEADLINE = "deadline"
    INTERRUPTED = "interrupted"


class Exchange:
    """One request and its answer, in one thread; a context manager.

    `cut` is why it was ended from outside, None if it was not.
    """

    def __init__(self, watchdog: Watchdog, deadline: float) -> None:
        self.deadline = deadline
        self.cut: Cut | None = None
        self._watchdog = watchdog
        self._connection: socket.socket | None = None
        self._orphaned = False

    def __enter__(self) -> Self:
        self._watchdog.begin(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.end(self)
        if self._orphaned and self._connection is not None:
            self._connection.close()

    def use(self, connection: socket.socket) -> None:
        """Note the connection that the exchange uses; shut it at once if the exchange was cut before."""
        self._connection = connection
        if self.cut is not None:
            self.shut(self.cut)

    def release(self, connection: socket.socket) -> bool:
        """Take over a connection that is closed before its answer was read; False if another exchange uses it."""
        if connection is not self._connection:
            return False
        self._orphaned = True
        return True

    def shut(self, cut: Cut) -> None:
        """End the exchange: a thread that waits for its socket wakes up."""
        self.cut = cut
        if self._connection is not None:
            # the other end may have closed it
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """Shuts the connections of exchanges after `seconds`, in a thread that lives as long as there are any."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # re-entrant: a signal's handler may interrupt
        self._changed = threading.Condition(threading.RLock())
        # in the order of their deadlines, since each has as much time
        self._under_way: dict[Exchange, None] = {}
        self._current = threading.local()
        self._thread: threading.Thread | None = None
        self._interrupted_at: float | None = None
        self._wakes_at = 0.0

    @property
    def current(self) -> Exchange | None:
        """The exchange of this thread."""
        return getattr(self._current, "exchange", None)

    @property
    def interrupted(self) -> bool:
        """Whether new exchanges are refused."""
        return self._interrupted_at is not None

    def exchange(self) -> Exchange:
        """Return an exchange that is watched as long as its block runs."""
        return Exchange(self, time.monotonic() + self._seconds)

    def begin(self, exchange: Exchange) -> None:
        """Watch an exchange."""
        self._current.exchange = exchange
        with self._changed:
            self._under_way[exchange] = None
            # not alive in a process that was forked
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="ecdp-deadlines", daemon=True)
                self._thread.start()
            elif exchange.deadline < self._wakes_at:
                self._changed.notify()

    def end(self, exchange: Exchange) -> None:
        """Stop watching an exchange."""
        self._current.exchange = None
        with self._changed:
            self._under_way.pop(exchange, None)

    def interrupt(self) -> None:
        """Give the exchanges under way a short grace, then shut them."""
        with self._changed:
            self._interrupted_at = time.monotonic()
            self._changed.notify()

    def resume(self) -> None:
        """Let exchanges begin again."""
        with self._changed:
            self._interrupted_at = None

    def close(self) -> None:
        """Let the thread end now if nothing is under way."""
        with self._changed:
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while self._under_way:
                self._wakes_at = min(map(self._end_of, self._under_way))
                self._changed.wait(max(0.0, self._wakes_at - time.monotonic()))
                self._shut_late(time.monotonic())
            self._thread = None

    def _shut_late(self, now: float) -> None:
        for exchange in [late for late in self._under_way if self._end_of(late) <= now]:
            del self._under_way[exchange]
            exchange.shut(Cut.DEADLINE if exchange.deadline <= now else Cut.INTERRUPTED)

    def _end_of(self, exchange: Exchange) -> float:
        if self._interrupted_at is None:
            return exchange.deadline
        return min(exchange.deadline, self._interrupted_at + GRACE)
