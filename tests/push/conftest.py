"""A server for orders that is not our sandbox: standard library, no page, whatever answers a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pytest

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.orders.sources.table import TableSource

KEY = "foreign-key"

#: status, body, headers; None for the body is no body
Answer = tuple[int, Any, dict[str, str]]


@dataclass
class ForeignServer:
    """`refuse` gets the orders of a POST and returns an answer, or None to store them."""

    url: str = ""
    refuse: Callable[[list[dict[str, Any]], str], Answer | None] = lambda *_: None
    answer_get: Callable[[str], Answer | None] = lambda _: None
    reset_after_storing: Callable[[int], bool] = lambda _: False
    reset_before_storing: Callable[[int], bool] = lambda _: False
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    posts: list[list[str]] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, body: dict[str, Any]) -> tuple[Answer | None, bool]:
        """Return the answer, and whether the connection breaks instead of it."""
        with self.lock:
            orders, mode = body["data"], body["mode"]
            self.posts.append([o["id"] for o in orders])
            number = len(self.posts)
            if self.reset_before_storing(number):
                return None, True
            if refusal := self.refuse(orders, mode):
                return refusal, False
            if mode == "Add" and (taken := [o["id"] for o in orders if o["id"] in self.stored]):
                return (
                    400,
                    {"title": "Bad request", "errors": [f"Order '{i}' already exists." for i in taken]},
                    {},
                ), False
            for order in orders:
                self.stored[order["id"]] = order
                self.writes.append(order["id"])
            return (201, None, {}), self.reset_after_storing(number)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one segment: two wait 40 ms for each other
    foreign: ForeignServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])), parse_float=Decimal)
        if self.headers["x-api-key"] != KEY:
            self.send((401, {"title": "Unauthorized"}, {}))
            return
        answer, broken = self.foreign.post(body)
        if broken:
            self.close_connection = True
            self.connection.close()
            return
        assert answer is not None
        self.send(answer)

    def do_GET(self) -> None:
        if self.headers["x-api-key"] != KEY:
            self.send((401, {"title": "Unauthorized"}, {}))
            return
        order_id = unquote(self.path.removeprefix("/orders/"))
        with self.foreign.lock:
            self.foreign.gets.append(order_id)
            order = self.foreign.stored.get(order_id)
        answer = self.foreign.answer_get(order_id)
        if answer is None:
            found = (200, {"status": 0, "data": order}, {})
            answer = (
                (404, {"title": "Not found", "status": 404, "substatus": "NotFound"}, {}) if order is None else found
            )
        self.send(answer)

    def send(self, answer: Answer) -> None:
        status, body, headers = answer
        data = (
            b""
            if body is None
            else body.encode()
            if isinstance(body, str)
            else json.dumps(body, default=float).encode()
        )
        self.send_response(status)
        for name, value in ({"Content-Type": "application/problem+json"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class QuietServer(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, *_: object) -> None:
        """A connection that a test breaks is no error."""


@pytest.fixture
def foreign() -> Iterator[ForeignServer]:
    state = ForeignServer()
    server = QuietServer(("127.0.0.1", 0), type("H", (Handler,), {"foreign": state}))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.socket.close()


@pytest.fixture
def client(foreign: ForeignServer) -> Iterator[EcdpClient]:
    policy = RetryPolicy(base_delay=0.001, max_delay=0.002, throttle_base_delay=0.001)
    with EcdpClient(KEY, ClientSettings(base_url=foreign.url), policy=policy) as client:
        yield client


@pytest.fixture
def hasty(foreign: ForeignServer) -> Iterator[EcdpClient]:
    """A client that asks once and gives up."""
    settings = ClientSettings(base_url=foreign.url, read_timeout=2)
    with EcdpClient(KEY, settings, policy=RetryPolicy(max_attempts=1)) as client:
        yield client


def order(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"ORD-{number:06d}",
        "date": "2026-11-22T10:00:00Z",
        "totalValue": Decimal("12.50"),
        "customer": {"email": f"customer{number}@example.com"},
        "products": [{"id": "P1", "name": "Cup", "price": Decimal("12.50"), "quantity": 1}],
    } | changes


@pytest.fixture
def extract() -> Callable[..., TableSource]:
    def make(count: int, changes: dict[int, dict[str, Any]] | None = None) -> TableSource:
        return source_from_records([order(n, **(changes or {}).get(n, {})) for n in range(1, count + 1)])

    return make


def many(count: int) -> TableSource:
    """As `extract`, from columns, for counts where dicts are slow."""
    ids = pa.array([f"ORD-{n:06d}" for n in range(1, count + 1)])
    date = pa.repeat(pa.scalar("2026-11-22T10:00:00Z"), count)
    customer = pa.StructArray.from_arrays([ids], ["crmId"])
    product = pa.scalar([{"id": "P1", "name": "Cup", "price": Decimal("12.50"), "quantity": 1}])
    table = pa.table(
        {
            "id": ids,
            "date": date,
            "total_value": pa.repeat(pa.scalar(Decimal("12.50")), count),
            "customer": customer,
            "products": pa.repeat(product, count),
        }
    )
    return TableSource("many orders", table)


@pytest.fixture
def many_orders() -> Callable[[int], TableSource]:
    return many
