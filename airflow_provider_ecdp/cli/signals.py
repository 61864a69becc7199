"""Ctrl-C and SIGTERM: the first asks the command to stop and to record what was sent, the second ends it."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While its block runs, a signal raises KeyboardInterrupt in the main thread and ends all waiting of `wait`.

    `number` is the signal that came, None so far. While `patient` is set a signal raises nothing, and `number` is there
    to be asked: a batch that is sent, and not yet recorded, must not be lost on the way. Outside of the main thread,
    where Python takes no signal handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.patient = False
        self._came = threading.Event()
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
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself has returned

    @property
    def code(self) -> int | None:
        """The exit code of a process that a signal has ended, as shells count; None without one."""
        return None if self.number is None else 128 + self.number

    def wait(self, seconds: float) -> bool:
        """Sleep; return at once, and True, when a signal has come."""
        return self._came.wait(seconds)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.number is not None:
            # threads still wait for answers, and a normal exit would wait for them
            os._exit(128 + number)
        self.number = number
        self._came.set()
        # no buffered stream: the signal may have come in the midst of a write to it
        os.write(2, b"\necdp: stopping: waiting for the requests in flight; once more ends at once\n")
        if not self.patient:
            raise KeyboardInterrupt
