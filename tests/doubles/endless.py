"""A server whose answer never ends."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

#: seconds for which the server keeps its client
HOLDS = 120.0

#: The beginning of an answer, and the piece that follows again and again.
DRIPS = {
    "silence": (b"", b""),
    "status line": (b"HTTP/1.1", b" "),
    "headers": (b"HTTP/1.1 201 Created\r\n", b"x: y\r\n"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


class Endless:
    """Takes a request, sends a beginning, then the same piece again and again."""

    def __init__(self, beginning, piece, certificate=None):
        self.beginning, self.piece = beginning, piece
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        self.asked, self.closing = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            conn = stack.enter_context(self.listener.accept()[0])
            if self.context:
                conn = stack.enter_context(self.context.wrap_socket(conn, server_side=True))
            conn.recv(65536)
            conn.sendall(self.beginning)
            # who waits for it may end the request, which then has the beginning of an answer
            self.asked.set()
            for _ in range(int(HOLDS / 0.05)):
                if self.closing.wait(0.05):
                    return
                if self.piece:
                    conn.sendall(self.piece)

    def close(self):
        self.closing.set()
        self.listener.close()
