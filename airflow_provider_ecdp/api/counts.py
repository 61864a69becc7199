"""Counts of a client's requests, over all of its threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class PostResult:
    """A POST that ECDP answered with 201: the whole batch is stored. `attempts` counts the requests it took."""

    attempts: int
    status: int = 201


@dataclass(frozen=True, slots=True)
class ClientStats:
    """The counts of a client so far: requests with their repetitions, repetitions, bytes of request bodies.

    `of_thread` are the requests of the thread that asks for the counts.
    """

    requests: int = 0
    retries: int = 0
    bytes: int = 0
    of_thread: int = field(default=0, compare=False)

    def since(self, before: ClientStats) -> dict[str, int]:
        """Return the differences to `before`, by the names of a run's summary."""
        return {name: getattr(self, name) - getattr(before, name) for name in ("requests", "retries", "bytes")}


class Counter:
    """Counts, in all threads; `stats` is a consistent snapshot."""

    def __init__(self) -> None:
        self._stats = ClientStats()
        self._lock = threading.Lock()
        self._thread = threading.local()

    @property
    def stats(self) -> ClientStats:
        """The counts so far."""
        with self._lock:
            return replace(self._stats, of_thread=getattr(self._thread, "requests", 0))

    def add(self, *, requests: int = 0, retries: int = 0, sent: int = 0) -> None:
        """Add to each count; `sent` is in bytes."""
        self._thread.requests = getattr(self._thread, "requests", 0) + requests
        with self._lock:
            was = self._stats
            self._stats = ClientStats(was.requests + requests, was.retries + retries, was.bytes + sent)
