"""Passes batches to threads, as many at once as the client allows, and returns results to the calling thread.

The calling thread may be interrupted between any two steps, by a signal's exception: Ctrl-C, or a task's time limit. So
it holds no lock, starts no thread after the beginning, and a result stays here until it is recorded.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")

#: Seconds between two checks for results, while the threads are awaited at the end.
_POLL_SECONDS = 0.1


class Dispatcher(Generic[_Batch, _Result]):
    """Runs `send` for batches on threads of its own.

    A thread that has sent its batch takes the next one itself: without the calling thread, which reads the extract
    meanwhile.

    A context manager. After an error in its block it calls `on_error` with it, awaits pending items and records them;
    `send` is still called for waiting items, and has to know by then that nothing is to be sent.

    :param limit: how many batches may be sent at once now, 1 or more; it may change at any time
    :param threads: the most that `limit` will return
    :param record: takes a result, in the calling thread; if that is interrupted, it is called with the result again
    """

    def __init__(
        self,
        send: Callable[[_Batch], _Result],
        record: Callable[[_Result], None],
        *,
        limit: Callable[[], int],
        threads: int,
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._send = send
        self._record = record
        self._limit = limit
        self._on_error = on_error
        self._threads = [
            # one that waits for nothing must not keep the process alive
            threading.Thread(target=self._work, name=f"ecdp-send-{i}", daemon=True)
            for i in range(threads)
        ]
        #: batches that were put in, and are not recorded yet
        self.pending = 0
        self._ready: deque[_Batch] = deque()
        self._ended: deque[tuple[_Result | None, BaseException | None]] = deque()
        # one more in either queue does no harm: a thread that wakes checks whether there is work
        self._tickets: SimpleQueue[bool] = SimpleQueue()
        self._bell: SimpleQueue[None] = SimpleQueue()
        # of the threads
        self._lock = threading.Lock()
        self._running = 0

    def __enter__(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the threads."""
        if error is not None:
            self._on_error(error)
        for _ in self._threads:
            self._tickets.put(False)
        for thread in self._threads:
            while thread.is_alive():
                thread.join(_POLL_SECONDS)
                self._record_the_rest()
        self._record_the_rest()

    def put(self, batch: _Batch) -> None:
        """Have a batch sent."""
        self.pending += 1
        self._ready.append(batch)
        self._tickets.put(True)

    def take(self, timeout: float) -> bool:
        """Record the result of the first batch that ends within `timeout` seconds; return whether there was one.

        Errors of `send` are raised here.
        """
        while not self._ended:
            # a stale notification: its result was taken before
            try:
                self._bell.get(timeout > 0, timeout)
            except Empty:
                return False
        result, error = self._ended[0]
        if error is not None:
            self._off()
            raise error
        try:
            self._record(cast("_Result", result))
        except Exception:
            self._off()
            raise
        self._off()
        return True

    def _off(self) -> None:
        self._ended.popleft()
        self.pending -= 1

    def _record_the_rest(self) -> None:
        while self._ended:
            # the first error is raised, the others add nothing
            with contextlib.suppress(Exception):
                self.take(0)

    # in the threads

    def _work(self) -> None:
        going = True
        while going:
            going = self._tickets.get()
            # at the end, too: a thread ends only if nothing is left, or if another one will see the rest
            while (batch := self._begin()) is not None:
                try:
                    self._end(self._send(batch[0]), None)
                except BaseException as error:  # noqa: BLE001 - the calling thread raises it
                    self._end(None, error)

    def _begin(self) -> tuple[_Batch] | None:
        """Take the next batch; None if there is none, or as many are being sent as may be."""
        with self._lock:
            if not self._ready or self._running >= self._limit():
                return None
            self._running += 1
            return (self._ready.popleft(),)

    def _end(self, result: _Result | None, error: BaseException | None) -> None:
        with self._lock:
            self._running -= 1
            self._ended.append((result, error))
            # this thread goes on with one; if the limit has risen there is work for others
            others = min(len(self._ready), self._limit() - self._running) - 1
        self._bell.put(None)
        for _ in range(others):
            self._tickets.put(True)
