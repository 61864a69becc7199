"""Ctrl-C and SIGTERM: the first stops sending and records the outcomes, the second ends the process."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Self

from airflow_provider_ecdp.errors import CancelledError
from airflow_provider_ecdp.runs.cancellation import Cancellation

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While its block runs, a signal cancels `cancellation`.

    It raises KeyboardInterrupt in the main thread too, until a run heeds the cancellation: a batch that is sent, and
    not yet recorded, must not be lost. `number` is the signal that came, None so far. Outside of the main thread, where
    Python takes no signal handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.cancellation = Cancellation()
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # a shell that starts a command in the background may have it ignore Ctrl-C
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # the result of signal.signal

    @property
    def code(self) -> int | None:
        """The exit code of a process that a signal ended, by the convention of shells; None without a signal."""
        return None if self.number is None else 128 + self.number

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.number is not None:
            # threads still wait for answers, and a normal exit would wait for them
            os._exit(128 + number)
        self.number = number
        self.cancellation.cancel(CancelledError(f"interrupted by {signal.Signals(number).name}"))
        # no buffered stream: the signal may have come in the midst of a write to it
        with contextlib.suppress(OSError):
            os.write(2, b"\necdp: stopping: waiting for the requests in flight; once more ends at once\n")
        if not self.cancellation.heeded:
            raise KeyboardInterrupt
