"""A server for orders that is not the sandbox: standard library only, with the misbehaviour that the issue names.

Its refusals are worded by itself, it keeps orders in a dict, and its clock can be the client's.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from quiet_server import QuietHandler, QuietServer

KEY = "foreign-key"

#: status, body, headers; None for the body is no body
Answer = tuple[int, dict[str, Any] | str | None, dict[str, str]]


@dataclass
class ForeignServer:
    """What it holds and how it misbehaves; "every n-th" counts the requests of all methods."""

    #: requests a second, in fixed windows; more are answered 429 with Retry-After: 1
    limit: int | None = None
    #: every n-th request is answered 503 and not processed
    unavailable_every: int = 0
    #: every n-th request is processed, and its connection reset instead of an answer
    reset_after_every: int = 0
    #: after so many requests nobody listens any more
    gone_after: int | None = None
    #: orders that are refused, and how the refusal is worded; it may name nobody
    refuses: Callable[[str], bool] = lambda _: False
    worded: Callable[[int, str], str] = lambda i, order_id: f"data[{i}]: order {order_id} breaks rule 17"
    clock: Callable[[], float] = time.monotonic
    #: what a test wants answered: to the orders and the mode of a POST, or to a GET of an id; None is the server's own
    refuse: Callable[[list[dict[str, Any]], str], Answer | None] = lambda *_: None
    answer_get: Callable[[str], Answer | None] = lambda _: None
    #: whether the connection of the n-th POST is reset, before its orders are stored or after it
    reset_before_storing: Callable[[int], bool] = lambda _: False
    reset_after_storing: Callable[[int], bool] = lambda _: False

    url: str = ""
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    answers: Counter[int | None] = field(default_factory=Counter)
    posts: list[list[str]] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    window: tuple[int, int] = (0, 0)
    #: set when it goes away
    gone: threading.Event = field(default_factory=threading.Event)
    #: answers that are not written yet
    unsent: int = 0

    def __post_init__(self) -> None:
        self.all_sent = threading.Condition(self.lock)

    def answer(self, method: str, path: str, body: Any, key: str | None) -> Answer | None:
        """Return the answer, for which `sent` is called when it is written; None is a reset."""
        with self.lock:
            if self.gone_after is not None and self.requests >= self.gone_after:
                self.gone.set()
                return None
            self.requests += 1
            answer = self._answer(method, path, body, key)
            if self.reset_after_every and self.requests % self.reset_after_every == 0:
                answer = None
            self.answers[answer[0] if answer else None] += 1
            self.unsent += answer is not None
            return answer

    def sent(self) -> None:
        """Count an answer as written, or as lost with its connection."""
        with self.all_sent:
            self.unsent -= 1
            self.all_sent.notify_all()

    def wait_until_all_is_sent(self) -> None:
        """Wait for the answers of requests that were processed: a server that goes away has given them."""
        with self.all_sent:
            assert self.all_sent.wait_for(lambda: self.unsent == 0, timeout=60)

    def _answer(self, method: str, path: str, body: Any, key: str | None) -> Answer | None:
        if key != KEY:
            return 401, {"title": "Unauthorized", "status": 401}, {}
        if self.limit is not None:
            second, count = int(self.clock()), self.window[1] + 1
            self.window = (second, count if self.window[0] == second else 1)
            if self.window[1] > self.limit:
                return 429, {"title": "Too many requests"}, {"Retry-After": "1"}
        if self.unavailable_every and self.requests % self.unavailable_every == 0:
            return 503, None, {}
        if method == "GET":
            return self._get(unquote(path.removeprefix("/orders/")))
        return self._post(body["mode"], body["data"])

    def _get(self, order_id: str) -> Answer:
        self.gets.append(order_id)
        if answer := self.answer_get(order_id):
            return answer
        if order_id not in self.stored:
            return 404, {"title": "Not found", "status": 404, "substatus": "NotFound"}, {}
        return 200, {"status": 0, "data": self.stored[order_id]}, {}

    def _post(self, mode: str, orders: list[dict[str, Any]]) -> Answer | None:
        self.posts.append([order["id"] for order in orders])
        number = len(self.posts)
        if self.reset_before_storing(number):
            return None
        if refusal := self.refuse(orders, mode):
            return refusal
        errors = [self.worded(i, o["id"]) for i, o in enumerate(orders) if self.refuses(o["id"])]
        if mode == "Add":
            errors += [f"Order '{o['id']}' already exists." for o in orders if o["id"] in self.stored]
        if errors:
            # as a set: a server that names nobody says it once
            return 400, {"title": "Bad request", "status": 400, "errors": list(dict.fromkeys(errors))}, {}
        for order in orders:
            self.stored[order["id"]] = order
            self.writes[order["id"]] += 1
        return None if self.reset_after_storing(number) else (201, None, {})


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one segment: two wait 40 ms for each other
    foreign: ForeignServer
    connections: set[socket.socket]

    def setup(self) -> None:
        super().setup()
        self.connections.add(self.connection)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.connections.discard(self.connection)

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"])), parse_float=Decimal))

    def do_GET(self) -> None:
        self._serve(None)

    def _serve(self, body: Any) -> None:
        answer = self.foreign.answer(self.command, self.path, body, self.headers["x-api-key"])
        if answer is None:
            self.reset()
            return
        try:
            self._send(*answer)
        finally:
            self.foreign.sent()

    def _send(self, status: int, document: Any, headers: dict[str, str]) -> None:
        text = document if isinstance(document, str) else json.dumps(document, default=float)
        data = b"" if document is None else text.encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/problem+json"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


@contextlib.contextmanager
def serving(foreign: ForeignServer) -> Iterator[ForeignServer]:
    """Serve on a free port of this machine, or on that of the block before; what is stored outlives the block."""
    handler = type("Handler", (_Handler,), {"foreign": foreign, "connections": set()})
    server = QuietServer(("127.0.0.1", urlsplit(foreign.url).port or 0), handler)
    foreign.url = f"http://127.0.0.1:{server.server_address[1]}"
    foreign.listener = server.socket

    def close() -> None:
        foreign.gone.wait()
        foreign.wait_until_all_is_sent()
        server.shutdown()
        server.socket.close()
        for connection in [*handler.connections]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    foreign.gone.clear()
    threads = [
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}),
        threading.Thread(target=close),
    ]
    for thread in threads:
        thread.start()
    try:
        yield foreign
    finally:
        foreign.gone.set()
        for thread in threads:
            thread.join()
        server.server_close()
