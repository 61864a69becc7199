"""A server of tests that breaks connections on purpose, and writes nothing to stderr."""

from __future__ import annotations

import socket
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: linger for no time: closing sends a reset
_RESET = struct.pack("ii", 1, 0)


class QuietHandler(BaseHTTPRequestHandler):
    def reset(self) -> None:
        """End the connection with a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A connection that breaks on purpose is no error."""
