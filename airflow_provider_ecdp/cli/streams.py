"""Standard streams that may be closed, full or broken: their errors change neither a run nor its exit code."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast

#: Descriptors of stdin, stdout and stderr.
_STANDARD = (0, 1, 2)


class SafeStream:
    """A text stream that drops its text from the first fault on; in everything else it is the stream that it wraps.

    :param stream: it may be closed; None if the process was started without it
    :param on_fault: called once, with the reason; not for a pipe whose reader has gone away (`| head`)
    """

    def __init__(self, stream: TextIO | None, on_fault: Callable[[str], object]) -> None:
        self._closed = stream is None or stream.closed
        self._stream = io.StringIO() if stream is None or stream.closed else stream
        self._on_fault = on_fault
        self._failed = False

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the stream."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text, or drop it; return its length."""
        if self._closed and text:
            self._fail("it is closed")
        elif not self._failed:
            with self._guarded():
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream while a broken pipe can still be distinguished from an error."""
        if not self._failed:
            with self._guarded():
                self._stream.flush()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self._fail(None)
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _fail(self, reason: str | None) -> None:
        if self._failed:
            return
        self._failed = True
        # else the interpreter flushes the same text at exit, and ends with 120
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(null, self._stream.fileno())
            finally:
                os.close(null)
        if reason is not None:
            self._on_fault(reason)


@contextlib.contextmanager
def safe_streams(on_lost_output: Callable[[str], object]) -> Iterator[None]:
    """Let stdout and stderr be safe streams within the block.

    :param on_lost_output: called with the reason when stdout cannot be written to
    """
    _reserve_descriptors()
    before = sys.stdout, sys.stderr
    sys.stderr = cast("TextIO", SafeStream(sys.stderr, lambda _: None))
    sys.stdout = cast("TextIO", SafeStream(sys.stdout, on_lost_output))
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _reserve_descriptors() -> None:
    """Open the null device for streams that are closed, so that no file of a run gets their descriptors."""
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest free descriptor, which is this one
            os.open(os.devnull, os.O_RDWR)
