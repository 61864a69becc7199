"""A small cache of open results, so that the next page of a table is not read again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.query import Folders, Results
from airflow_provider_ecdp.ledger.reader import files_in
from airflow_provider_ecdp.operators.results import open_storage
from airflow_provider_ecdp.orders.sources.storage import without_credentials
from airflow_provider_ecdp.plugin.results.folders import Place

#: Results that stay open; more are open only while more requests use them.
MOST = 3

#: Memory of the engine of each; beyond it, it spills to the disk.
MEMORY_LIMIT = "128MB"

#: Seconds after which unused results are closed.
_IDLE = 300.0

#: Seconds for which a listing of the files is relied on: a run in progress writes a file every second.
_FRESH = 5.0

_Files = Mapping[str, int]
_Places = tuple[Place, ...]


@dataclass(slots=True, eq=False)
class _Entry:
    """Results of certain files; the first request opens them, and the others wait."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    results: Results | None = None
    users: int = 0
    used: float = 0.0


class OpenResults:
    """A cache of open results, safe for threads.

    :param clock: monotonic seconds
    """

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[tuple[_Places, tuple[tuple[str, int], ...]], _Entry] = {}
        self._listings: dict[_Places, tuple[float, _Files]] = {}
        self._timer: threading.Timer | None = None

    @contextmanager
    def of(self, places: Sequence[Place]) -> Iterator[Results]:
        """Provide the results in some places, added up; they stay open for later requests.

        :raises ConfigurationError: there are no results
        :raises StorageError: the storage does not answer
        """
        where = tuple(places)
        files = self._listed(where)
        if not files:
            folders = ", ".join(without_credentials(place.folder) for place in where)
            raise ConfigurationError(f"{folders} has no results of a run")
        with self._lock:
            entry = self._entries.setdefault((where, tuple(sorted(files.items()))), _Entry())
            entry.users += 1
        try:
            with entry.lock:
                if entry.results is None:
                    entry.results = Results([_folders(place) for place in places], memory_limit=MEMORY_LIMIT)
            yield entry.results
        finally:
            with self._lock:
                entry.users -= 1
                entry.used = self._clock()
            self._close_unused()

    def close(self) -> None:
        """Close all unused results."""
        self._close_unused(idle=-1.0)

    @property
    def count(self) -> int:
        """How many are open."""
        with self._lock:
            return len(self._entries)

    def _listed(self, where: _Places) -> _Files:
        listed, files = self._listings.get(where, (0.0, None))
        if files is not None and self._clock() - listed <= _FRESH:
            return files
        files = {file: size for place in where for file, size in _files_of(place)}
        with self._lock:
            self._listings[where] = self._clock(), files
        return files

    def _close_unused(self, idle: float = _IDLE) -> None:
        with self._lock:
            now = self._clock()
            newest_first = sorted(self._entries.items(), key=lambda item: item[1].used, reverse=True)
            for i, (key, entry) in enumerate(newest_first):
                if not entry.users and (entry.results is None or i >= self._most or now - entry.used > idle):
                    if entry.results is not None:
                        entry.results.close()
                    del self._entries[key]
            self._listings = {k: listing for k, listing in self._listings.items() if now - listing[0] <= _FRESH}
            self._close_later()

    def _close_later(self) -> None:
        """Close unused results once no request has come for a while."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._entries:
            self._timer = threading.Timer(_IDLE + 1, self._close_unused)
            self._timer.daemon = True
            self._timer.start()


def _folders(place: Place) -> Folders:
    _, path, filesystem = open_storage(place.folder)
    return Folders(path, filesystem, place.inside)


def _files_of(place: Place) -> Iterator[tuple[str, int]]:
    url, path, filesystem = open_storage(place.folder)
    for inside in place.inside:
        yield from files_in(filesystem, f"{path.rstrip('/')}/{inside}", url).items()
