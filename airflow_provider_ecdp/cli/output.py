"""What is printed, and where: one result on stdout, everything else on stderr; the API key on neither."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: Columns of what is no terminal: a log file, a mail of cron.
_WIDTH = 120

KEY_VARIABLE = "ECDP_API_KEY"

#: A shorter one is no key, and may be a word of any message.
_SHORTEST_KEY = 8


def out(text: str) -> None:
    """Print a result. A reader that has gone away (`| head`) is no error: what was done stays done."""
    try:
        sys.stdout.write(f"{_without_key(text)}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)


def err(text: str) -> None:
    """Print a message."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"{_without_key(text)}\n")
        sys.stderr.flush()


def out_json(value: dict[str, Any]) -> None:
    """Print one object on one line."""
    out(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def close() -> None:
    """Flush stdout while a broken pipe can still be told from an error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)


def console(stream: TextIO) -> Console:
    """Return a console that takes text as it is: `products[2]` is no markup."""
    from rich.console import Console  # noqa: PLC0415 - 40 ms that --json and --quiet need not pay

    width = None if stream.isatty() else _WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def rendered(stream: TextIO, *parts: RenderableType) -> str:
    """Return tables and texts as they look on `stream`."""
    target = console(stream)
    with target.capture() as captured:
        for part in parts:
            # a command that is to be copied must not be cut into lines
            target.print(part, soft_wrap=isinstance(part, str))
    return "\n".join(line.rstrip() for line in captured.get().rstrip().split("\n"))


@contextlib.contextmanager
def logs(level: int) -> Iterator[None]:
    """Send what the package logs to stderr, from `level` up."""
    logger = logging.getLogger("airflow_provider_ecdp")
    handler = _ToStderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


class _ToStderr(logging.Handler):
    """Writes to the stderr of the moment: a progress bar puts its own in place while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        err(self.format(record))


def _without_key(text: str) -> str:
    # no message holds the key; should one ever do, it ends here
    key = os.environ.get(KEY_VARIABLE, "")
    return text.replace(key, "[key]") if len(key) >= _SHORTEST_KEY else text


def _discard(stream: TextIO) -> None:
    # else the interpreter tries again to flush at exit, and complains
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
