"""Results that the API server holds open, few and bounded, so that the next page of a table is not read again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from airflow_provider_ecdp.ledger.query import Results
from airflow_provider_ecdp.ledger.reader import files_in
from airflow_provider_ecdp.operators.results import open_storage

#: Results that stay open; more are open only while more are being asked.
MOST = 3

#: Memory of the engine of each; beyond it, it spills to the disk.
MEMORY_LIMIT = "128MB"

#: Seconds after which results are closed that nobody asks for.
_IDLE = 300.0

#: Seconds for which a listing of the files is taken for the truth: a run that goes on writes a file every second.
_FRESH = 5.0

_Files = Mapping[str, int]
_Folders = tuple[str, tuple[str, ...] | None]


@dataclass(slots=True, eq=False)
class _Entry:
    """Results of certain files; whoever asks first opens them, and the others wait."""

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
        self._entries: dict[tuple[_Folders, tuple[tuple[str, int], ...]], _Entry] = {}
        self._listings: dict[_Folders, tuple[float, _Files]] = {}
        self._timer: threading.Timer | None = None

    @contextmanager
    def of(self, folder: str, folders: Sequence[str] | None = None) -> Iterator[Results]:
        """Give the results in a folder, opened or still open.

        :param folders: only these inside it, as `Results` takes them
        :raises ConfigurationError: there are no results
        :raises StorageError: the storage does not answer
        """
        where = (folder, None if folders is None else tuple(folders))
        files = self._listed(where)
        with self._lock:
            entry = self._entries.setdefault((where, tuple(sorted(files.items()))), _Entry())
            entry.users += 1
        try:
            with entry.lock:
                if entry.results is None:
                    _, path, filesystem = open_storage(folder)
                    entry.results = Results(path, filesystem, folders=folders, memory_limit=MEMORY_LIMIT)
            yield entry.results
        finally:
            with self._lock:
                entry.users -= 1
                entry.used = self._clock()
            self._close_unused()

    def close(self) -> None:
        """Close all that nobody is using."""
        self._close_unused(idle=-1.0)

    @property
    def count(self) -> int:
        """How many are open."""
        with self._lock:
            return len(self._entries)

    def _listed(self, where: _Folders) -> _Files:
        listed, files = self._listings.get(where, (0.0, None))
        if files is not None and self._clock() - listed <= _FRESH:
            return files
        folder, folders = where
        url, path, filesystem = open_storage(folder)
        inner = [path] if folders is None else [f"{path.rstrip('/')}/{name}" for name in folders]
        files = {file: size for one in inner for file, size in files_in(filesystem, one, url).items()}
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
                        entry.results.__exit__()
                    del self._entries[key]
            self._listings = {k: listing for k, listing in self._listings.items() if now - listing[0] <= _FRESH}
            self._look_later()

    def _look_later(self) -> None:
        """Look again when nobody has asked for a while."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._entries:
            self._timer = threading.Timer(_IDLE + 1, self._close_unused)
            self._timer.daemon = True
            self._timer.start()
