"""What a storage raises, as an error of this package; the storage's own error is its cause."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import EcdpError, ExtractError


@contextlib.contextmanager
def reading(filesystem: Any, name: str) -> Iterator[None]:
    """Turn what `filesystem` raises into ExtractError that says `name`."""
    try:
        yield
    except EcdpError:
        raise
    except Exception as error:
        # what the clients of S3, GCS and Azure raise for want of a network or of credentials is no OSError
        if isinstance(filesystem, LocalFileSystem) and not isinstance(error, OSError):
            raise
        raise ExtractError(f"{name}: cannot be read: {str(error) or type(error).__name__}") from error
