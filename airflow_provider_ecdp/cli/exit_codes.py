"""Exit codes of the command line: what a script may rely on."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """How a command ended; after SIGINT it is 130, after SIGTERM 143, as shells count."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    STOPPED = 3
    #: EX_SOFTWARE of sysexits.h: Python's own 1 would read as "some orders failed"
    BROKEN = 70


EXPLAINED = """\
exit codes:
  0    all orders accepted or skipped, or no more failed than --max-failed allows
  1    some orders failed
  2    wrong usage or configuration, or an extract or SQL text that cannot be read
  3    stopped by an outage or a refused key: run again
  70   a fault of ecdp itself
  130  interrupted (Ctrl-C), 143 terminated; what was sent is recorded
"""
