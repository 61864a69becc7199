"""Files that are whole or absent, whatever ends the process while they are written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ConfigurationError, EcdpError

#: Protocols of fsspec under which a file is there once its upload has ended, and not before.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "oss", "oci", "memory"})


def put_whole(filesystem: Any, folder: str, name: str, data: bytes) -> None:
    """Write a file into a folder, which is made if it is not there.

    :param filesystem: of fsspec
    :raises OSError: it cannot be written
    """
    folder = folder.rstrip("/")
    protocol = filesystem.protocol
    if not _OBJECT_STORES.isdisjoint([protocol] if isinstance(protocol, str) else protocol):
        # no folder is made: there are none, and of a bucket that is misspelled it would make one
        filesystem.pipe_file(f"{folder}/{name}", data)
        return
    filesystem.makedirs(folder, exist_ok=True)
    hidden = f"{folder}/.{name}.part"
    if not isinstance(filesystem, LocalFileSystem):
        # SFTP, SMB, HDFS: a file is there from its first byte on
        filesystem.pipe_file(hidden, data)
        filesystem.mv(hidden, f"{folder}/{name}")
        return
    with open(hidden, "wb") as file:  # noqa: PTH123 - the path is a string of fsspec's
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(hidden, f"{folder}/{name}")  # noqa: PTH105 - as above


@contextlib.contextmanager
def first_write(path: str) -> Iterator[None]:
    """Turn any error into ConfigurationError: nothing was sent yet, and a folder that takes nothing is a setting."""
    try:
        yield
    except EcdpError:
        raise
    except Exception as error:
        # the clients of S3, GCS and Azure have errors of their own, which are no OSError
        raise ConfigurationError(f"results path {path} cannot be written: {error}") from error
