"""A process that is told to end does so soon, whatever its server does; a gateway that answers 404 proves nothing."""

from __future__ import annotations

import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import duckdb
import pytest
from certificates import self_signed
from endless import DRIPS, Endless

#: seconds within which a process that is told to end does, long before the server lets go of it
ENDS = 60.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize(
    ("tls", "drip", "number", "code"),
    [(False, "silence", signal.SIGINT, 130), (True, "status line", signal.SIGTERM, 143)],
    ids=["http", "https"],
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
    "framework": (
        "application/problem+json",
        b'{"type": "about:blank", "title": "Not Found", "status": 404, "traceId": "00-0af7651916cd43dd"}',
    ),
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
