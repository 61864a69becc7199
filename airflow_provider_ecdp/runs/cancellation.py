"""Whether a run goes on."""

from __future__ import annotations

import threading

from airflow_provider_ecdp.errors import EcdpError


class Stop:
    """Set once, when the run cannot go on; `error` says why, None if the run was interrupted."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self.error: EcdpError | None = None

    def set(self, error: EcdpError | None) -> None:
        """Stop the run; the first cause stays."""
        with self._lock:
            if not self._event.is_set():
                self.error = error
                self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()
