"""A process that is told to end does so soon, whatever its server does; a gateway that answers 404 proves nothing."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import duckdb
import pytest
from certificates import self_signed

#: seconds for which the server keeps its client, and those within which a process that is told to end does
HOLDS, ENDS = 120.0, 20.0

DRIPS = {"silence": (b"", b""), "status line": (b"HTTP/1.1", b" ")}


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
            self.asked.set()
            conn.sendall(self.beginning)
            for _ in range(int(HOLDS / 0.05)):
                if self.closing.wait(0.05):
                    return
                if self.piece:
                    conn.sendall(self.piece)

    def close(self):
        self.closing.set()
        self.listener.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(
    ("drip", "number", "code"), [("silence", signal.SIGINT, 130), ("status line", signal.SIGTERM, 143)]
)
def test_a_signal_ends_a_push_to_an_endless_server(started, sample, tmp_path, certificate, tls, drip, number, code):
    server = Endless(*DRIPS[drip], certificate=certificate if tls else None)
    try:
        extract, results = sample(orders=10), tmp_path / "results"
        options = ["--ca-bundle", certificate] if tls else []
        process = started(
            *("push", extract, "--results", results, "--read-timeout", 3600, *options),
            ECDP_BASE_URL=server.url,
            ECDP_API_KEY="key",
        )
        assert server.asked.wait(60)
        process.send_signal(number)
        _, err = process.communicate(timeout=ENDS)
    finally:
        server.close()

    assert process.returncode == code
    assert "Traceback" not in err
    outcomes = duckdb.sql(f"SELECT outcome, count(*) FROM '{results}/*.parquet' WHERE order_id IS NOT NULL GROUP BY 1")
    assert outcomes.fetchall() == [("unresolved", 10)]


GATEWAYS = {
    "json": ("application/json", b'{"message": "no Route matched with those values"}'),
    "html": ("text/html", b"<html><title>404 Not Found</title></html>"),
}


@pytest.fixture(params=GATEWAYS)
def gateway(request, monkeypatch):
    """A gateway whose every answer is 404."""
    kind, body = GATEWAYS[request.param]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_DELETE = do_POST = answer  # noqa: N815  # the standard library's names

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("ECDP_BASE_URL", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("ECDP_API_KEY", "key")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(
    "command",
    [
        ["delete", "A-1", "A-2"],
        ["delete", "--from", "EXTRACT"],
        ["status", "A-1", "Paid", "--missing-ok"],
        ["status", "--from", "EXTRACT"],
        ["get", "A-1", "--missing-ok"],
    ],
    ids=" ".join,
)
def test_a_gateway_that_answers_404_has_no_order_and_deletes_none(ecdp, table, command):
    extract = table([{"order_id": "A-1", "status": "Paid"}, {"order_id": "A-2", "status": "Paid"}])
    run = ecdp(*(extract if word == "EXTRACT" else word for word in command))

    assert run.code == 3
    assert "the base URL may be wrong" in run.err
    assert "accepted" not in run.err.replace("0 accepted", "")
