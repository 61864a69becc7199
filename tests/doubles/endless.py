"""A server whose answer never ends."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

#: seconds for which the server keeps its client; what ends before was ended by the client
PATIENCE = 120.0

OK = b"HTTP/1.1 200 OK\r\n"
#: The beginning of an answer, and the piece that follows again and again.
DRIPS = {
    "silence": (b"", b""),
    "status line": (b"HTTP/1.1", b" "),
    "reason": (b"HTTP/1.1 200 O", b"K"),
    "header": (OK + b"x: ", b"y"),
    "headers": (OK, b"x: y\r\n"),
    # silent after it: what comes after the client's end, if its thread stands still, resets the connection (Linux)
    "header of a 201": (b"HTTP/1.1 201 Created\r\nx: ", b""),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "body to the end": (OK + b"Connection: close\r\n\r\n", b" "),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "chunk length": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
}


class Endless:
    """Takes a request, if it `reads`, sends a beginning, then the same piece again and again.

    `asked` is set when a client waits for the rest of the answer, `gave_up` when it has waited for all of the patience.
    """

    def __init__(self, beginning=b"", piece=b"", *, certificate=None, reads=True, patience=PATIENCE):
        self.beginning, self.piece, self.reads, self.patience = beginning, piece, reads, patience
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        self.asked, self.gave_up, self.closing = threading.Event(), threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            conn = stack.enter_context(self.listener.accept()[0])
            if self.context:
                conn = stack.enter_context(self.context.wrap_socket(conn, server_side=True))
            if self.reads:
                conn.recv(65536)
            conn.sendall(self.beginning)
            # a test that waits for it may end the request, which then has the beginning of an answer
            self.asked.set()
            until = time.monotonic() + self.patience
            while not self.closing.wait(0.02):
                if time.monotonic() > until:
                    self.gave_up.set()
                    return
                if self.piece:
                    conn.sendall(self.piece)

    def close(self):
        self.closing.set()
        with contextlib.suppress(OSError):
            # wakes a thread that waits for a client
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(self.patience)
