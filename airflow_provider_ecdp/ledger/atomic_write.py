"""Writes files atomically: a file is complete or absent, however the process ends."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ConfigurationError, EcdpError, StorageError
from airflow_provider_ecdp.orders.sources.storage import without_credentials

#: Suffix of a file that is being written, or that a killed process left.
UNFINISHED = ".part"

#: fsspec protocols of object stores, where a file appears when its upload has ended, and not before.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "oss", "oci", "memory"})

#: Errors of a path that stays wrong, such as a file in place of a folder, a misspelled bucket, a read-only folder.
_PERMANENT = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ValueError)
_PERMANENT_NUMBERS = frozenset({errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP})


def put_whole(filesystem: Any, folder: str, name: str, data: bytes) -> None:
    """Write a file into a folder, which is made if it is not there.

    :param filesystem: of fsspec
    :raises OSError: it cannot be written
    """
    folder = folder.rstrip("/")
    protocol = filesystem.protocol
    if not _OBJECT_STORES.isdisjoint([protocol] if isinstance(protocol, str) else protocol):
        # no makedirs: an object store has no folders, and a misspelled bucket would be created
        filesystem.pipe_file(f"{folder}/{name}", data)
        return
    filesystem.makedirs(folder, exist_ok=True)
    hidden = f"{folder}/.{name}{UNFINISHED}"
    if not isinstance(filesystem, LocalFileSystem):
        # SFTP, SMB, HDFS: a file is visible from its first byte on
        filesystem.pipe_file(hidden, data)
        filesystem.mv(hidden, f"{folder}/{name}")
        return
    with open(hidden, "wb") as file:  # noqa: PTH123 - the path is a string of fsspec's
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(hidden, f"{folder}/{name}")  # noqa: PTH105 - as above


@contextlib.contextmanager
def accessing(path: str, action: str = "written", *, expected: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn an error of a storage into StorageError, or into ConfigurationError where it will not pass by itself.

    :param path: the user's name for the folder
    :param action: for the message: written, read
    :param expected: errors that are raised unchanged
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (EcdpError, *expected)):
            raise
        # the clients of S3, GCS and Azure have errors of their own, which are not OSError
        permanent = isinstance(error, _PERMANENT) or getattr(error, "errno", None) in _PERMANENT_NUMBERS
        kind = ConfigurationError if permanent else StorageError
        message = f"results path {path} cannot be {action}: {str(error) or type(error).__name__}"
        raise kind(without_credentials(message, path)) from error
