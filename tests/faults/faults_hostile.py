"""A hostile server for orders: it fails at some contents, names the wrong ones, lags, drips, resets, rewrites.

No code shared with the sandbox or the other server of these tests. What it does to a request
depends on what is in it, and on the dice of its seed.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

from quiet_server import QuietHandler, QuietServer

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.deadlines import Cut

KEY = "hostile-key"

_HTML = "<html><head><title>Blocked by the firewall</title></head></html>"

#: Reactions to a request: a status and a body, or what happens to the connection.
Reaction = str

ANSWERS: Mapping[Reaction, tuple[int, str | dict[str, Any]]] = {
    "400": (400, {"title": "Bad request", "errors": ["One or more orders are invalid."]}),
    "401": (401, {"title": "Unauthorized"}),
    "403 HTML": (403, _HTML),
    "404": (404, {"message": "no Route matched with those values"}),
    "406": (406, _HTML),
    "408": (408, ""),
    "409": (409, {"title": "Conflict"}),
    "413": (413, _HTML),
    "415": (415, ""),
    "422": (422, {"title": "Unprocessable"}),
    "429": (429, {"title": "Too many requests"}),
    "451": (451, _HTML),
    "500": (500, {"title": "Internal error"}),
    "502 HTML": (502, _HTML),
    "503": (503, ""),
    "504": (504, _HTML),
}
#: The beginnings of answers that never end.
DRIPS: Mapping[Reaction, bytes] = {
    "hang": b"",
    "drip of a status": b"HTTP/1.1 ",
    "drip of headers": b"HTTP/1.1 502 Bad Gateway\r\nx: y\r\nx: y\r\n",
    "drip of 100 Continue": 3 * b"HTTP/1.1 100 Continue\r\n\r\n",
    # behind the status of the answer, which stands whatever follows
    "drip of trailers": b"Transfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\nx: y\r\n",
}
_SILENT = [name for name in DRIPS if name != "drip of trailers"]
#: Reactions that never store an order, and reactions to a request that was processed.
POISONS = (*(name for name in ANSWERS if name != "503"), "reset", *_SILENT)
#: Those that say that the order was not processed; after the others it may have been.
REFUSALS = ("400", "403 HTML", "404", "406", "409", "413", "415", "422", "451")
#: The same of a server that takes no orders at all: these are no refusals of orders.
OUTAGES = (*(name for name in POISONS if name not in ("400", "409", "413", "422")), "503")
LOST = ("stored, reset", "stored, 500", *(f"stored, {name}" for name in DRIPS))

#: What a 400 names of the orders at the positions `bad`.
HINTS: Mapping[str, Callable[[list[int], list[str]], list[str]]] = {
    "nobody": lambda bad, ids: ["One or more orders are invalid."],
    "all": lambda bad, ids: [f"data[{i}] breaks a rule" for i in bad],
    "counted from 1": lambda bad, ids: [f"data[{i + 1}] breaks a rule" for i in bad],
    "the first": lambda bad, ids: ["data[0] breaks a rule"],
    "a wrong one": lambda bad, ids: [f"order '{ids[bad[0] - 1]}' breaks a rule"],
    "one at a time": lambda bad, ids: [f"order '{ids[bad[0]]}' breaks a rule"],
}

#: What GET makes of an order.
REWRITES: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "as sent": lambda order: order,
    "numbers as text": lambda order: order | {"totalValue": str(order["totalValue"])},
    "capitals": lambda order: {name[0].upper() + name[1:]: value for name, value in order.items()},
    "no milliseconds": lambda order: order | {"date": order["date"].replace(".000Z", "+00:00")},
    "a customer by id": lambda order: order | {"customer": {"id": 7}},
    "backwards": lambda order: order | {"products": order["products"][::-1]},
    "unknown": lambda order: order | {"totalValue": -1},
}


@dataclass
class HostileServer:
    """What it holds, and how it behaves.

    `poison` are reactions to each request with an order, `bad` the orders that are refused by a rule, `hint` how.
    An order of `fails_at_first` gets a 500 for its first two requests.
    A body that holds a word of `firewall` gets its reaction: who refuses by content knows nothing of orders.
    `random_reactions` strike any request, each with a probability. A stored order is found after `lag` seconds.
    One that is `lenient` takes a second `Add` of an order without a word. From the request `outage_from` on, all get
    `outage`; it is counted from the first request with poison if that is `after_poison`. Orders behind the poison are
    then processed after that request, whichever thread comes first.

    Of a request whose answer never ends, `cut` gets the port that it came from, and ends it as a deadline does; without
    `cut` the server is silent for `hang_seconds`.
    """

    seed: int = 0
    poison: Mapping[str, Reaction] = field(default_factory=dict)
    bad: frozenset[str] = frozenset()
    firewall: Mapping[str, Reaction] = field(default_factory=dict)
    hint: str = "all"
    fails_at_first: frozenset[str] = frozenset()
    random_reactions: Mapping[Reaction, float] = field(default_factory=dict)
    lag: float = 0.0
    clock: Callable[[], float] = time.monotonic
    rewrite: str = "as sent"
    max_orders: int | None = None
    lenient: bool = False
    outage: Reaction | None = None
    outage_from: int = 0
    after_poison: bool = False
    hang_seconds: float = 1.0
    cut: Callable[[int], None] | None = None

    url: str = ""
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    stored_at: dict[str, float] = field(default_factory=dict)
    methods: Counter[str] = field(default_factory=Counter)
    struck: Counter[Reaction] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    since_outage: int = 0
    poisoned: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.poison_came = threading.Event()
        self.dice = random.Random(self.seed)

    def react(self, method: str, path: str, raw: bytes) -> tuple[Reaction | None, tuple[int, Any]]:
        """Return what happens to the request, None for its answer; and the answer."""
        body = json.loads(raw) if raw else None
        if self.after_poison and min(self._ids(method, path, body)) > max(self.poison):
            assert self.poison_came.wait(60)
        with self.lock:
            self.methods[method] += 1
            if self._out():
                self.since_outage += 1
                return self.outage, (0, None)
            ids = self._ids(method, path, body)
            reaction = self._of_content(ids, raw.decode()) if method != "GET" else None
            reaction = reaction or self._by_chance(method)
            processed = reaction is None or reaction.startswith("stored")
            return reaction, self._answer(method, ids, body) if processed else (0, None)

    def _out(self) -> bool:
        if self.outage is None or (self.after_poison and self.poisoned is None):
            return False
        return self.methods.total() > self.outage_from + (self.poisoned or 0)

    @staticmethod
    def _ids(method: str, path: str, body: Any) -> list[str]:
        if method == "POST":
            return [order["id"] for order in body["data"]]
        return [body["orderId"]] if method == "PUT" else [unquote(path.removeprefix("/orders/"))]

    def _of_content(self, ids: list[str], text: str) -> Reaction | None:
        reactions = [self.poison[i] for i in ids if i in self.poison]
        reactions += ["500" for i in ids if i in self.fails_at_first and self.alone[i] < 2]
        reactions += [reaction for word, reaction in self.firewall.items() if word in text]
        if not reactions:
            return None
        self.poisoned = self.poisoned or self.methods.total()
        self.poison_came.set()
        if len(ids) == 1:
            self.alone[ids[0]] += 1
        return reactions[0]

    def _by_chance(self, method: str) -> Reaction | None:
        draw = self.dice.random()
        for reaction, share in self.random_reactions.items():
            draw -= share
            if draw < 0 and not (method == "GET" and reaction.startswith("stored")):
                self.struck[reaction] += 1
                return reaction
        return None

    def _answer(self, method: str, ids: list[str], body: Any) -> tuple[int, Any]:
        if method == "POST":
            return self._post(body["mode"], ids, body["data"])
        if method == "GET":
            return self._get(ids[0])
        if ids[0] not in self.stored:
            return 404, {"title": "Not found", "status": 404, "substatus": "NotFound"}
        if method == "DELETE":
            self.statuses[ids[0]] = "deleted"
            return 200, {"status": 0, "data": self.stored[ids[0]]}
        self.statuses[ids[0]] = body["orderStatus"]
        return 200, None

    def _get(self, order_id: str) -> tuple[int, Any]:
        if order_id not in self.stored or self.clock() < self.stored_at.get(order_id, 0.0) + self.lag:
            return 404, {"title": "Not found", "status": 404, "substatus": "NotFound"}
        return 200, {"status": 0, "data": REWRITES[self.rewrite](self.stored[order_id])}

    def _post(self, mode: str, ids: list[str], orders: list[dict[str, Any]]) -> tuple[int, Any]:
        if self.max_orders is not None and len(ids) > self.max_orders:
            return 413, None
        bad = [i for i, order_id in enumerate(ids) if order_id in self.bad]
        errors = HINTS[self.hint](bad, ids) if bad else []
        if mode != "AddOrReplace" and not (self.lenient and mode == "Add"):
            wrong = [i for i, order_id in enumerate(ids) if (order_id in self.stored) == (mode == "Add")]
            errors += HINTS[self.hint](wrong, ids) if wrong else []
        if errors:
            return 400, {"title": "Bad request", "status": 400, "errors": errors}
        for order_id, order in zip(ids, orders, strict=True):
            self.stored[order_id] = order
            self.stored_at[order_id] = self.clock()
            self.writes[order_id] += 1
        return 201, None


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one segment: two wait 40 ms for each other
    hostile: HostileServer

    def handle_any(self) -> None:
        length = int(self.headers["Content-Length"] or 0)
        body = self.rfile.read(length)
        if self.headers["x-api-key"] != KEY:
            return self._send(401, {"title": "Unauthorized"})
        reaction, (status, answer) = self.hostile.react(self.command, self.path, body)
        if reaction is None:
            return self._send(status, answer)
        reaction = reaction.removeprefix("stored, ")
        if reaction in ANSWERS:
            return self._send(*ANSWERS[reaction])
        if reaction not in DRIPS:
            return self.reset()
        head = b"HTTP/1.1 %d Said\r\n" % status if reaction == "drip of trailers" else b""
        return self._drip(head + DRIPS[reaction])

    do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815  # names of the library

    def _send(self, status: int, body: Any) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        data = b"" if body is None else text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/problem+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _drip(self, beginning: bytes) -> None:
        self.close_connection = True
        self.wfile.write(beginning)
        self.wfile.flush()
        if self.hostile.cut is not None:
            self.hostile.cut(self.client_address[1])
        else:
            time.sleep(self.hostile.hang_seconds)


class _Server(QuietServer):
    block_on_close = False


def cutting(client: EcdpClient) -> Callable[[int | None], None]:
    """Return a function that ends the exchange from a port, or all exchanges, as a deadline does, without waiting."""
    watchdog = client._transport._watchdog

    def cut(port: int | None) -> None:
        with watchdog._changed:
            for exchange in list(watchdog._under_way):
                with contextlib.suppress(OSError):
                    connection = exchange._connection
                    if connection is not None and port in (None, connection.getsockname()[1]):
                        exchange.shut(Cut.DEADLINE)

    return cut


@contextlib.contextmanager
def serving(hostile: HostileServer) -> Iterator[HostileServer]:
    """Serve on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hostile": hostile}))
    hostile.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hostile
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
