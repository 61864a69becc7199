"""Batches to threads: as many at once as the client allows now, and what came of them back to the calling thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")


class Dispatcher(Generic[_Batch, _Result]):
    """Runs `send` for batches on threads of its own; a context manager, whose end waits for what is under way.

    A thread that has sent its batch takes the next one itself: the calling thread, which reads the extract meanwhile,
    need not be asked.

    :param limit: how many batches may be sent at once now; it may change at any time
    :param threads: the most that `limit` will return
    """

    def __init__(self, send: Callable[[_Batch], _Result], limit: Callable[[], int], threads: int) -> None:
        self._send = send
        self._limit = limit
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ecdp-send")
        self._lock = threading.Lock()
        self._ready: deque[_Batch] = deque()
        self._running = 0
        self._ended: SimpleQueue[tuple[_Result | None, BaseException | None]] = SimpleQueue()
        #: batches that were put in, and not yet taken out
        self.pending = 0

    def __enter__(self) -> Self:
        """Return the dispatcher itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the threads."""
        self._pool.shutdown()

    def put(self, batch: _Batch) -> None:
        """Have a batch sent."""
        self.pending += 1
        with self._lock:
            self._ready.append(batch)
            self._spawn()

    def take(self, timeout: float) -> _Result | None:
        """Return what came of a batch, the first that ends within `timeout` seconds; None if none does.

        What `send` has raised is raised here.
        """
        try:
            result, error = self._ended.get(timeout=timeout) if timeout > 0 else self._ended.get_nowait()
        except Empty:
            return None
        self.pending -= 1
        if error is not None:
            raise error
        return result

    def _spawn(self) -> None:
        # under the lock
        while self._running < min(self._limit(), self._running + len(self._ready)):
            self._running += 1
            self._pool.submit(self._work, self._ready.popleft())

    def _work(self, batch: _Batch) -> None:
        while True:
            try:
                self._ended.put((self._send(batch), None))
            except BaseException as error:  # noqa: BLE001 - the calling thread raises it
                self._ended.put((None, error))
            with self._lock:
                if not self._ready or self._running > self._limit():
                    self._running -= 1
                    return
                batch = self._ready.popleft()
                # the limit may have risen
                self._spawn()
