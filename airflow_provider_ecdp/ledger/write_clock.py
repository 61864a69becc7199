"""A clock that never goes back, so that the newest row of an order is the one written last.

A hybrid logical clock: it shows the machine's time, or one microsecond more than the newest time that it has seen.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Iterable

_FORMAT = "%Y%m%dT%H%M%S.%f"
_STAMP = re.compile(r"(?:^|[/-])([0-9]{8}T[0-9]{6}\.[0-9]{6})-[^/]*$")

_TICK = dt.timedelta(microseconds=1)


def newest_time(files: Iterable[str]) -> dt.datetime | None:
    """Return the time of the newest of some files, by their names; None if no name has a time."""
    stamps = [stamp[1] for file in files if (stamp := _STAMP.search(file))]
    return dt.datetime.strptime(max(stamps), _FORMAT).replace(tzinfo=dt.UTC) if stamps else None


class WriteClock:
    """Gives times, each later than those before and than those of the files that it has seen; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = dt.datetime.min.replace(tzinfo=dt.UTC)

    def see(self, files: Iterable[str]) -> None:
        """Note the newest file's time, from its name; it is no earlier than that of any row in it."""
        if (newest := newest_time(files)) is not None:
            self._last = max(self._last, newest)

    def next(self) -> dt.datetime:
        """Return the time of the next row."""
        with self._lock:
            self._last = max(dt.datetime.now(dt.UTC), self._last + _TICK)
            return self._last

    def stamp(self) -> str:
        """Return the next time as a part of a file's name; names sort by it."""
        return f"{self.next():{_FORMAT}}"
