"""What a storage is called in messages, and what it raises, as an error of this package: the own error is its cause."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import EcdpError, ExtractError

#: User and password in a URL; a name alone is that of one of Airflow's connections.
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*:[^/]*@")


def told(filesystem: Any, path: str) -> str:
    """Return what a path of `filesystem` is called in messages: its URL, or a path of this machine as it is."""
    if isinstance(filesystem, LocalFileSystem):
        return path
    return without_credentials(str(filesystem.unstrip_protocol(path)))


def without_credentials(url: str) -> str:
    """Return a URL without a user and a password in it."""
    return _CREDENTIALS.sub("", url)


@contextlib.contextmanager
def reading(filesystem: Any, name: str) -> Iterator[None]:
    """Turn what `filesystem` raises into ExtractError that says `name`."""
    try:
        yield
    except EcdpError:
        raise
    except Exception as error:
        # what the clients of S3, GCS and Azure raise for want of a network or of credentials is no OSError
        local = isinstance(filesystem, LocalFileSystem)
        if local and not isinstance(error, OSError):
            raise
        failure = ExtractError(f"{name}: cannot be read: {str(error) or type(error).__name__}")
        # of broken pages Arrow makes an OSError too, which has no number
        broken = local and getattr(error, "errno", None) is None
        failure.of_storage = not broken and not isinstance(error, FileNotFoundError | ValueError)
        raise failure from error
