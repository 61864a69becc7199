"""Waiting for processes of tests, and stopping them at a known point, however busy the machine is."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

#: seconds after which a test gives up
DEADLINE = 60


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def stop(process: subprocess.Popen[str], number: int) -> str:
    """Send a signal to `ecdp`, and return its stderr up to the line with which it says that it stops."""
    process.send_signal(number)
    output = b""
    # not by `process.stderr`: `communicate` would miss what that has read ahead
    while b"once more ends at once" not in output:
        chunk = os.read(process.stderr.fileno(), 65536)
        assert chunk, output
        output += chunk
    return output.decode()
