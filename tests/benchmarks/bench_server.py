"""A server for orders that costs little: asyncio and the standard library, in a process of its own.

It counts what it stores, with a scan for a key that each order has once; ids are parsed only where that is asked for.
`GET /stats` gives the counts, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter

#: stands once in each order, whatever wrote the JSON
_ONCE = b'"products"'

#: of bad orders, by their numbers
BAD_EVERY = 997


class State:
    """What it holds, and how it answers."""

    def __init__(self, latency=0.0, *, unique=False, bad=False, limit=None, clock=time.monotonic):
        self.latency = latency
        self.unique = unique
        self.bad = bad
        self.limit = limit
        self.clock = clock
        self.stored = 0
        self.ids = set()
        self.answers = Counter()
        self.connections = 0
        self.open = self.most_open = 0
        self.bytes = 0
        self.first = self.last = None
        self.window = (0, 0)

    def post(self, body):
        """Store a batch; return status, document and more headers."""
        self.bytes += len(body)
        answer = self._throttle() or self._store(body)
        self.answers[answer[0]] += 1
        return answer

    def _throttle(self):
        if self.limit is None:
            return None
        second = int(self.clock())
        self.window = (second, self.window[1] + 1 if self.window[0] == second else 1)
        if self.window[1] > self.limit:
            return 429, {"title": "Too many requests"}, "Retry-After: 1\r\n"
        return None

    def _store(self, body):
        if self.unique or self.bad:
            ids = [order["id"] for order in json.loads(body)["data"]]
            if self.bad and (bad := [i for i in ids if int(i.rpartition("-")[2]) % BAD_EVERY == 0]):
                errors = [f"Order '{i}' breaks a rule." for i in bad]
                return 400, {"title": "Bad request", "status": 400, "errors": errors}, ""
            self.ids.update(ids)
        self.stored += body.count(_ONCE)
        return 201, None, ""

    def stats(self):
        """Return the counts; times are those of the machine's monotonic clock, which its processes share."""
        return {
            "stored": self.stored,
            "unique": len(self.ids),
            "answers": {str(status): count for status, count in self.answers.items()},
            "requests": self.answers.total(),
            "connections": self.connections,
            "in_flight": self.most_open,
            "bytes": self.bytes,
            "first": self.first,
            "last": self.last,
        }


class Connection(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, state):
        self.state = state
        self.transport = None
        self.held = []
        self.size = 0
        self.need = None  # bytes of head and body, once the head is known

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.held.append(data)
        self.size += len(data)
        if self.need is None:
            whole = b"".join(self.held)
            self.held = [whole]
            end = whole.find(b"\r\n\r\n")
            if end < 0:
                return
            self._begin(whole[:end].decode("latin-1"), end + 4)
        if self.size >= self.need:
            self._whole()

    def _begin(self, head, length):
        first, *lines = head.split("\r\n")
        self.method = first.partition(" ")[0]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.head = length
        self.need = length + int(headers.get("content-length", 0))
        self.close = headers.get("connection", "").lower() == "close"
        if self.method == "POST":
            state = self.state
            state.first = state.first or time.monotonic()
            state.open += 1
            state.most_open = max(state.most_open, state.open)

    def _whole(self):
        message = b"".join(self.held)
        self.held, self.size, self.need = [], 0, None
        if self.method == "GET":
            self._send(200, self.state.stats(), "")
            return
        answer = self.state.post(message[self.head :])
        if self.state.latency:
            asyncio.get_running_loop().call_later(self.state.latency, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, answer):
        self.state.open -= 1
        self.state.last = time.monotonic()
        self.state.connections += not getattr(self, "counted", False)
        self.counted = True
        self._send(*answer)

    def _send(self, status, document, more):
        data = b"" if document is None else json.dumps(document).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{more}Content-Length: {len(data)}\r\n\r\n"
        self.transport.write(head.encode() + data)
        if self.close:
            self.transport.close()


async def serve(state):
    """Serve on a free port of this machine, print it, and go on until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before an answer")
    parser.add_argument("--unique", action="store_true", help="parse bodies, and count each id once")
    parser.add_argument(
        "--bad", action="store_true", help=f"refuse batches with an order whose number {BAD_EVERY} divides"
    )
    parser.add_argument("--limit", type=int, help="requests a second, in fixed windows; more are answered 429")
    given = parser.parse_args()
    asyncio.run(serve(State(given.latency, unique=given.unique, bad=given.bad, limit=given.limit)))


if __name__ == "__main__":
    main()
