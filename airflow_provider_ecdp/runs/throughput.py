"""How fast a run is of late, and when it is to end: told alike on a terminal and in a task's log."""

from __future__ import annotations

from collections import deque

#: Seconds of which the pace is taken: several answers of a slow server, and few enough to follow a change.
_WINDOW = 60.0

#: Seconds between two moments that are kept.
_GRAIN = 1.0


class Throughput:
    """Orders a second over the last minute, from what `note` is told.

    What earlier runs have is passed over in no time: as long as nothing was sent, it is no measure of what is to come.
    Nor is the time before the first word, if that is that nothing is done yet.
    """

    def __init__(self, started: float) -> None:
        self._kept = deque([(started, 0)])
        self._now = (started, -1)

    def note(self, moment: float, done: int, passed_over: int = 0) -> None:
        """Take in how many orders are done, with those that were passed over, at `moment` in seconds."""
        if done == passed_over > self._now[1]:
            self._kept.clear()
        self._now = (moment, done)
        if not self._kept or moment - self._kept[-1][0] >= _GRAIN:
            self._kept.append(self._now)
        while len(self._kept) > 1 and self._kept[1][0] <= moment - _WINDOW:
            self._kept.popleft()

    @property
    def rate(self) -> float:
        """Orders a second, 0 while nothing is known."""
        (began, before), (moment, done) = self._kept[0], self._now
        return (done - before) / (moment - began) if moment > began else 0.0

    def left(self, total: int | None) -> float | None:
        """Return the seconds until `total` orders are done at this pace; None if nobody can tell."""
        return max(total - self._now[1], 0) / self.rate if total and self.rate else None
