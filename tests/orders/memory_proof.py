"""Peak memory of pushes that differ only in their number of orders: run by hand, it takes minutes.

    python tests/orders/memory_proof.py [SMALL LARGE]

Nested orders go through the command line, unsorted order lines with a mapping through the core at a 256 MB limit of
the engine; each run is a process of its own, against a server of the standard library in another.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb

KEY = "memory-key"

NESTED = """
SELECT 'ORD-' || lpad(i::VARCHAR, 9, '0') AS id, TIMESTAMPTZ '2026-01-01 00:00:00Z' + i * INTERVAL 1 SECOND AS date,
    'Paid' AS status, 'EUR' AS currency, 61.50::DECIMAL(12, 2) AS total_value,
    {'email': 'user' || (i % 300000) || '@example.com', 'crmId': 'C' || (i % 300000)} AS customer,
    list_transform(range(3), lambda k: {'id': 'SKU-' || ((i + k) % 5000), 'name': 'Product number ' || ((i + k) % 5000),
        'price': 20.50::DECIMAL(12, 2), 'quantity': 1, 'category': 'Cups and mugs'}) AS products,
    [{'name': 'Note', 'value': md5(i::VARCHAR) || md5((i + 1)::VARCHAR)}] AS order_attributes
FROM range({orders}) t(i)
"""

LINES = """
SELECT 'ORD-' || lpad(((i * 7919) % {orders})::VARCHAR, 9, '0') AS order_no,
    TIMESTAMPTZ '2026-01-01 00:00:00Z' + ((i * 7919) % {orders}) * INTERVAL 1 SECOND
    AS ordered_at, 61.50::DECIMAL(12, 2) AS total, 'user' || ((i * 7919) % {orders}) || '@example.com' AS email,
    i AS line, 'SKU-' || (i % 5000) AS sku, 'Product number ' || (i % 5000) AS name,
    20.50::DECIMAL(12, 2) AS price, 1 AS quantity
FROM range(3 * {orders}) t(i)
"""

MAPPING = {
    "id": "order_no",
    "date": "ordered_at",
    "totalValue": "total",
    "customer.email": "email",
    "products.id": "sku",
    "products.name": "name",
    "products.price": "price",
    "products.quantity": "quantity",
}


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def push_lines(path: str, url: str, results: str) -> None:
    """Push order lines: what one of the processes does."""
    from airflow_provider_ecdp.api.client import EcdpClient
    from airflow_provider_ecdp.api.settings import ClientSettings
    from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
    from airflow_provider_ecdp.ledger.store import Ledger
    from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
    from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
    from airflow_provider_ecdp.push.run import push

    settings = OrderSettings(mapping=MAPPING, memory_limit="256MB")
    with (
        EcdpClient(KEY, ClientSettings(base_url=url)) as client,
        OrderReader(ParquetSource.open(path), settings) as orders,
    ):
        summary = push(orders, client, prior_runs=PriorRuns(Ledger(results))).summary
    say(f"{summary['total']} {summary['accepted']}")


class Accepting(BaseHTTPRequestHandler):
    """Stores nothing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Accepting)
    say(f"http://127.0.0.1:{server.server_address[1]}")
    server.serve_forever()


def measured(arguments: list[str]) -> tuple[int, float, str]:
    """Return the peak of resident memory in MB, the seconds, and what was printed."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(arguments, stdout=printed, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read()
    if process.returncode:
        raise SystemExit(text)
    return usage.ru_maxrss // 1024, time.monotonic() - started, text


def main(small: int = 400_000, large: int = 2_000_000) -> None:
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        os.environ.update(ECDP_API_KEY=KEY, ECDP_BASE_URL=url)
        for name, sql in (("nested", NESTED), ("lines", LINES)):
            peaks = []
            for orders in (small, large):
                with tempfile.TemporaryDirectory() as folder:
                    path, results = f"{folder}/orders.parquet", f"{folder}/results"
                    with duckdb.connect() as engine:
                        engine.execute(f"COPY ({sql.replace('{orders}', str(orders))}) TO '{path}'")
                    size = Path(path).stat().st_size // 1_000_000
                    command = [sys.executable, "-m", "airflow_provider_ecdp", "push", path, "--results", results]
                    if name == "lines":
                        command = [sys.executable, __file__, "lines", path, url, results]
                    peak, seconds, text = measured(command)
                    assert f"{orders:,}" in text or f"{orders} {orders}" in text, text
                peaks.append(peak)
                say(f"{name:<8}{orders:>12,} orders {size:>6} MB of Parquet {seconds:>8.1f} s {peak:>6} MB")
            say(f"{name:<8}{peaks[1] / peaks[0] - 1:+.0%}")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif sys.argv[1:2] == ["lines"]:
        push_lines(*sys.argv[2:])
    else:
        main(*map(int, sys.argv[1:]))
