"""A clock that only sleep moves."""

from __future__ import annotations

import threading


class FakeClock:
    """Seconds that pass while somebody sleeps, or when a test sets `now`; for several threads."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds
