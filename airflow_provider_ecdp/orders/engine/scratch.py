"""Folders on the local disk for data that does not fit the memory: customers' data, removed however the run ends.

A folder is removed when its run ends. The next run removes that of a killed run: each folder holds a file that
its run keeps locked, and the system frees a lock when its process ends, however it does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:
    # Windows has none: nothing is locked there, and nothing of other runs removed
    _LOCKS = False
else:
    _LOCKS = True

log = logging.getLogger(__name__)

_PREFIXES = {kind: f"ecdp-{kind}-" for kind in ("parts", "spill")}

_LOCK = ".lock"

#: Attempts to create a folder, since another run may take it for an abandoned one.
_TRIES = 5


@contextlib.contextmanager
def scratch_folder(kind: str) -> Iterator[Path]:
    """Make a folder that nobody else may read, for as long as the context; before, remove those of killed runs.

    :param kind: "parts" or "spill"
    """
    _remove_abandoned_folders()
    folder, lock = _created(_PREFIXES[kind])
    try:
        yield folder
    finally:
        _remove(folder)
        if lock is not None:
            os.close(lock)


def _created(prefix: str) -> tuple[Path, int | None]:
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        if not _LOCKS:
            return folder, None
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        try:
            if _locked(lock, folder):
                return folder, lock
        except OSError:
            # a file system without locks: no other run can take this folder for one that was left
            os.close(lock)
            return folder, None
        os.close(lock)
    # without the file that is locked, no run takes it
    return Path(tempfile.mkdtemp(prefix=prefix)), None


def _locked(lock: int, folder: Path) -> bool:
    """Lock the open file `lock`; return whether that was free, and is still the file in the folder."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock), (folder / _LOCK).stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _remove_abandoned_folders() -> None:
    if not _LOCKS:
        return
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in list(entries):
            # another run may be at it
            with contextlib.suppress(OSError):
                if _is_ours(entry):
                    _remove_if_abandoned(Path(entry))


def _is_ours(entry: os.DirEntry[str]) -> bool:
    if not entry.name.startswith(tuple(_PREFIXES.values())) or not entry.is_dir(follow_symlinks=False):
        return False
    return entry.stat(follow_symlinks=False).st_uid == os.getuid()


def _remove_if_abandoned(folder: Path) -> None:
    # without the file it is of a run that has not come to locking it yet, or of an earlier version
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        if _locked(lock, folder):
            _remove(folder)
            log.info("Removed the temporary folder %s, left by a killed run", folder)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in [path for path in folder.iterdir() if path.name != _LOCK]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        # the lock last: if this is interrupted, the next run removes the rest
        shutil.rmtree(folder)
