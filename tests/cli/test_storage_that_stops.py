"""A storage that stops answering after the first request to ECDP: the report is printed, and it is an outage."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


class Gateway:
    """A way to a server on loopback that is cut as soon as `closed` says so."""

    def __init__(self, url, closed):
        self._server = (urlsplit(url).hostname, urlsplit(url).port)
        self._closed = closed
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(self, source, target):
        with contextlib.suppress(OSError), source, target:
            while (data := source.recv(65536)) and not self._closed():
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def stopping(s3, pointed, ecdp, sample, monkeypatch):
    """A bucket whose server stops answering once ECDP, which has three orders, gets a request."""
    import s3fs

    assert ecdp("push", sample(orders=3), "--quiet").code == 0
    before = len(pointed.store.requests)
    gateway = Gateway(s3.url, lambda: len(pointed.store.requests) > before)
    for name, value in {
        "AWS_ENDPOINT_URL": gateway.url,
        "AWS_ACCESS_KEY_ID": "made-up-key-id",
        "AWS_SECRET_ACCESS_KEY": "made-up-storage-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    # file systems that are kept have the address of another test
    s3fs.S3FileSystem.clear_instance_cache()
    # its own attempts, with their pauses
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    yield
    s3fs.S3FileSystem.clear_instance_cache()
    gateway.close()


@pytest.mark.usefixtures("stopping")
@pytest.mark.parametrize(
    "command",
    [
        ["push", "{orders}", "--results", "s3://warehouse/results"],
        ["push", "{orders}", "--only-changed", "s3://warehouse/results"],
        ["status", "--from", "{changes}", "--results", "s3://warehouse/results"],
        ["delete", "--from", "{ids}", "--only-changed", "s3://warehouse/results"],
        ["delete", "ORD-00000001", "ORD-00000002", "ORD-00000003", "--only-changed", "s3://warehouse/results"],
    ],
)
def test_a_storage_that_stops_is_an_outage_and_the_report_is_printed(command, ecdp, tmp_path):
    ids = [f"ORD-0000000{n}" for n in (1, 2, 3)]
    pq.write_table(pa.table({"order_id": ids, "status": ["paid"] * 3}), tmp_path / "changes.parquet")
    pq.write_table(pa.table({"order_id": ids}), tmp_path / "ids.parquet")
    paths = {name: tmp_path / f"{name}.parquet" for name in ("orders", "changes", "ids")}

    run = ecdp(*(word.format(**paths) for word in command), "--json")

    assert run.code == 3, run.err
    report = json.loads(run.out)
    assert report["summary"]["total"] == report["summary"]["accepted"] == 3
    assert "stopped: results path s3://warehouse/results cannot be " in run.err
    assert "made-up-storage-secret" not in run.err
