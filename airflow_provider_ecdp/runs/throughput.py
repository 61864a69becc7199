"""Throughput over the last minute, and the estimated time left."""

from __future__ import annotations

from collections import deque

#: Seconds that the rate covers: several answers of a slow server, and few enough to follow a change.
_WINDOW = 60.0

#: Seconds between two samples.
_GRAIN = 1.0


class Throughput:
    """Orders per second over the last minute.

    Orders that need no request (skipped, or invalid) take no time: until the first answer there is no rate.
    """

    def __init__(self, started: float) -> None:
        self._kept = deque([(started, 0)])
        self._now = (started, -1)

    def note(self, moment: float, done: int, unsent: int = 0) -> None:
        """Note how many orders are done at `moment` in seconds; `unsent` of them needed no request."""
        if done == unsent > self._now[1]:
            self._kept.clear()
        self._now = (moment, done)
        if not self._kept or moment - self._kept[-1][0] >= _GRAIN:
            self._kept.append(self._now)
        while len(self._kept) > 1 and self._kept[1][0] <= moment - _WINDOW:
            self._kept.popleft()

    @property
    def rate(self) -> float:
        """Orders per second, 0 before the first answer."""
        (began, before), (moment, done) = self._kept[0], self._now
        return (done - before) / (moment - began) if moment > began else 0.0

    def left(self, total: int | None) -> float | None:
        """Return the seconds until `total` orders are done at this pace; None if unknown."""
        return max(total - self._now[1], 0) / self.rate if total and self.rate else None
