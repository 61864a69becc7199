"""Shares the limits of one connection among running tasks: each has a file in a folder, and an equal share.

No task needs another's clock. A task relies on a listing of the folder for one interval from the moment at which it
began to list. A task that joins writes its file first, and sends nothing for one interval: by then, every other task
has listed again, and sends less. A file that does not change for half a minute is of a task that was killed, and counts
no longer.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Self

from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.ledger.atomic_write import accessing, put_whole
from airflow_provider_ecdp.ledger.reader import files_in
from airflow_provider_ecdp.results.numbers import number_of

log = logging.getLogger(__name__)

#: Seconds for which a listing is relied on: on a local disk, and where a listing is a request.
INTERVAL, REMOTE_INTERVAL = 1.0, 5.0

#: Seconds without a change after which a file is of a task that was killed.
EXPIRY = 30.0

_END = ".lease"

#: Bytes at which a file restarts at one byte: a change has to show in its size alone.
_MOST_BYTES = 1000


class SharedLimits:
    """One task's part of the limits. A context manager; safe for threads.

    :param path: a folder, the same for all tasks that share the limits
    :param filesystem: fsspec file system of `path`
    :param name: the folder, for messages
    :raises ConfigurationError: nothing can be written here
    :raises StorageError: nothing can be written now
    """

    def __init__(
        self,
        path: str,
        filesystem: Any,
        name: str | None = None,
        *,
        interval: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = path.rstrip("/")
        self._filesystem = filesystem
        self._name = name or path
        usual = INTERVAL if isinstance(filesystem, LocalFileSystem) else REMOTE_INTERVAL
        self._interval = usual if interval is None else interval
        self._clock = clock
        self._own = f"{uuid.uuid4().hex}{_END}"
        self._renewals = 0
        #: the size of each file, and since when it has been so
        self._seen: dict[str, tuple[int, float]] = {}
        self._count = 1
        self._listed = clock()
        self._silent_until = clock()
        self._failing = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="ecdp-shared-limits", daemon=True)

    def __enter__(self) -> Self:
        """Join."""
        self._renew()
        written = self._clock()
        self._list()
        if self._count > 1:
            log.info("The limits of the connection are shared with %s", number_of(self._count - 1, "other task"))
            self._silent_until = written + self._interval
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave: the others may send more."""
        self._ended.set()
        self._thread.join()
        try:
            self._filesystem.rm_file(f"{self._folder}/{self._own}")
        except Exception as error:  # noqa: BLE001  # clients of storages have errors of their own
            log.info("%s was not removed from %s: %s", self._own, self._name, error)

    def count(self) -> int:
        """Return how many tasks share the limits, this one too."""
        return self._count

    def wait(self) -> float:
        """Return the seconds in which this task must send nothing."""
        now = self._clock()
        joining = self._silent_until - now
        # a storage that fails must not stop a push: the last count is the best guess
        outdated = now - self._listed > self._interval and not self._failing
        return max(joining, self._interval / 10 if outdated else 0.0)

    def _keep(self) -> None:
        while not self._ended.wait(self._interval / 2):
            try:
                self._renew()
                self._list()
            except Exception as error:  # noqa: BLE001  # without this thread, the task would wait for a listing forever
                if not self._failing:
                    log.warning("Limits are not shared for now: %s", error)
                self._failing = True
            else:
                self._failing = False

    def _renew(self) -> None:
        now = self._clock()
        if self._renewals and now - self._listed > EXPIRY / 2:
            # others may have taken this task for a killed one
            self._silent_until = now + self._interval
        size = self._renewals % _MOST_BYTES + 1
        self._renewals += 1
        with accessing(self._name):
            put_whole(self._filesystem, self._folder, self._own, b"." * size)

    def _list(self) -> None:
        began = self._clock()
        files = files_in(self._filesystem, self._folder, self._name, end=_END)
        seen = {}
        for file, size in files.items():
            before = self._seen.get(file)
            seen[file] = before if before is not None and before[0] == size else (size, began)
        self._seen = seen
        alive = [file for file, (_, since) in seen.items() if began - since < EXPIRY or file.endswith(self._own)]
        self._count = max(1, len(alive))
        self._listed = began
        for file in files.keys() - set(alive):
            log.info("%s is of a task that was killed", file)
            try:
                self._filesystem.rm_file(file)
            except Exception as error:  # noqa: BLE001  # another task may have removed it
                log.debug("%s was not removed: %s", file, error)
