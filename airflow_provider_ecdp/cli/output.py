"""Printing: the report on stdout, everything else on stderr; the API key on neither.

Control characters are printed as escapes, and so are characters that the stream's encoding does not have: an order's id
neither steers a terminal nor ends a command.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: Width where there is no terminal: a log file, a mail of cron.
_WIDTH = 120

KEY_VARIABLE = "ECDP_API_KEY"

#: A shorter text is not a key, and may be a word of any message.
_SHORTEST_KEY = 8


#: Characters that steer a terminal or reorder a line: C0 and C1 controls, DEL, and those of direction. Tabs and line
#: ends are the caller's own.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def out(text: str, *, masked: bool = True) -> None:
    """Print a result.

    :param masked: whether the API key of the environment is cut out
    """
    _write_out(printable(text), masked=masked)


def out_json(value: dict[str, Any], *, indent: int | None = None, masked: bool = True) -> None:
    """Print one object, on one line unless it is indented."""
    separators = (",", ":") if indent is None else None
    out_json_text(json.dumps(value, ensure_ascii=False, indent=indent, separators=separators), masked=masked)


def out_json_text(text: str, *, masked: bool = True) -> None:
    """Print JSON text; characters that cannot be printed are escaped as in JSON."""
    _write_out(_encodable(_STEERING.sub(_json_escape, text), sys.stdout, _json_escape), masked=masked)


def out_csv(text: str) -> None:
    """Print data for other programs, which is escaped on a terminal only."""
    _write_out(printable(text) if sys.stdout.isatty() else text)


def report(*parts: RenderableType) -> None:
    """Print tables and texts."""
    # rendered: their text is printable, their colour codes are not
    _write_out(rendered(sys.stdout, *parts))


def err(text: str) -> None:
    """Print a message."""
    sys.stderr.write(f"{_encodable(_without_key(printable(text)), sys.stderr)}\n")
    sys.stderr.flush()


def err_lost(reason: str) -> None:
    """Print why stdout cannot be written to."""
    err(f"ecdp: the output is incomplete: stdout cannot be written to: {reason}; the exit code is that of the command")


def printable(text: str) -> str:
    """Return `text` with control characters as escapes, except tabs and line ends."""
    return _STEERING.sub(_escape, text)


def one_line(text: str) -> str:
    """Return a value of the user's, such as an id, so that it stays within its line, and within its cell of a table."""
    return _encodable(printable(text), sys.stdout).replace("\n", "\\n").replace("\t", "\\t")


def console(stream: TextIO) -> Console:
    """Return a console that prints text unchanged: `products[2]` is not markup."""
    from rich.console import Console  # noqa: PLC0415 - 40 ms that --json and --quiet need not pay

    width = None if stream.isatty() else _WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def rendered(stream: TextIO, *parts: RenderableType) -> str:
    """Return tables and texts as they look on `stream`."""
    target = console(stream)
    with target.capture() as captured:
        for part in parts:
            # a command that is to be copied must not be cut into lines
            text = isinstance(part, str)
            target.print(printable(part) if isinstance(part, str) else part, soft_wrap=text)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().split("\n"))


@contextlib.contextmanager
def logs(level: int) -> Iterator[None]:
    """Log the package's records to stderr, from `level` up."""
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


def _write_out(text: str, *, masked: bool = True) -> None:
    sys.stdout.write(f"{_encodable(_without_key(text) if masked else text, sys.stdout)}\n")
    sys.stdout.flush()


def _encodable(text: str, stream: TextIO, escape: Callable[[re.Match[str]], str] | None = None) -> str:
    """Return `text` with escapes for characters that the encoding of `stream` lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        if escape is None:
            return text.encode(encoding, "backslashreplace").decode(encoding)
        return re.sub("[^\x00-\x7f]", escape, text)
    return text


def _escape(match: re.Match[str]) -> str:
    # that of Python: \x1b, \r, \u202e; every one of them is unprintable to it
    return repr(match[0])[1:-1]


def _json_escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"


def _without_key(text: str) -> str:
    # no message holds the key; should one ever do, it ends here
    key = os.environ.get(KEY_VARIABLE, "")
    return text.replace(key, "[key]") if len(key) >= _SHORTEST_KEY else text
