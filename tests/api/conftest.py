"""A scripted server on loopback, and time that passes only while everybody sleeps."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_ecdp.api import deadlines
from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.settings import ClientSettings

KEY = "key-5f3a9c"

#: seconds after which a test gives up on a thread or a request that stands still, as on a busy machine
PATIENCE = 60.0


@dataclass
class Received:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Answered:
    """One answer as it goes over the wire."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def wire(self, length: int | None = None) -> bytes:
        headers = {"Content-Length": str(len(self.body) if length is None else length), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Words", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


class Server:
    """Plays one step of its script for each request, and `otherwise` when the script is at its end."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.otherwise: Callable[[Received], Answered] = lambda _: Answered(201)
        self._script: deque[Callable[[socket.socket, Received], bool]] = deque()
        self._context = context
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def reply(self, status, body=b"", headers=None, *, times=1):
        content = {"Content-Type": "application/problem+json"} if isinstance(body, (dict, list)) else {}
        answer = Answered(status, json.dumps(body).encode() if content else body, {**content, **(headers or {})})
        for _ in range(times):
            self._script.append(lambda conn, _: conn.sendall(answer.wire()) or True)

    def cut_short(self, status, body, missing=10):
        """Answer with a body that ends before its declared length."""
        wire = Answered(status, body).wire(len(body) + missing)
        self._script.append(lambda conn, _: conn.sendall(wire) or False)

    def raw(self, wire):
        self._script.append(lambda conn, _: conn.sendall(wire) or False)

    def close_without_answer(self):
        self._script.append(lambda _conn, _: False)

    def reset(self):
        def step(conn, _):
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False

        self._script.append(step)

    def hang(self, wire=b"", then=lambda: None):
        """Send `wire` and call `then`; send nothing more until the server is closed."""
        self._script.append(lambda conn, _: conn.sendall(wire) or then() or not self._closing.wait())

    def wait_until_all_are_closed(self):
        with self._changed:
            assert self._changed.wait_for(lambda: not self._open, timeout=PATIENCE)

    def wait_for_requests(self, count):
        """Wait until so many requests are read; a client that has given up may be ahead of the server."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) == count, timeout=PATIENCE)

    def close(self):
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for conn in self._open:
                with contextlib.suppress(OSError):
                    conn.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self):
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
                self._open.add(conn)
            thread = threading.Thread(target=self._serve, args=(conn, number))
            self._threads.append(thread)
            thread.start()

    def _serve(self, conn, number):
        plain = conn
        try:
            if self._context:
                conn = self._context.wrap_socket(conn, server_side=True)
                with self._lock:
                    # the plain socket is an empty shell from now on, which cannot be shut down
                    self._open.discard(plain)
                    self._open.add(conn)
            with conn.makefile("rb") as stream:
                while (request := self._read(stream, number)) is not None:
                    with self._lock:
                        self.requests.append(request)
                        self._changed.notify_all()
                        step = self._script.popleft() if self._script else None
                    if step is None:
                        conn.sendall(self.otherwise(request).wire())
                    elif not step(conn, request):
                        break
        except OSError:
            pass
        finally:
            conn.close()
            with self._changed:
                self._open -= {plain, conn}
                self._changed.notify_all()

    @staticmethod
    def _read(stream, number):
        start = stream.readline().decode("latin-1").split()
        if len(start) != 3:
            return None
        headers = {}
        while (line := stream.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Received(start[0], start[1], headers, stream.read(int(headers.get("content-length", 0))), number)


class VirtualTime:
    """A clock for several threads that moves to the next wake-up when all of them sleep; I/O takes no time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._awake = 0
        self._wakeups: list[float] = []
        self._changed = threading.Condition()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._changed:
            wakeup = self.now + seconds
            self._wakeups.append(wakeup)
            self._leave()
            assert self._changed.wait_for(lambda: self.now >= wakeup, timeout=PATIENCE)

    def run(self, *tasks) -> None:
        """Run each task in a thread of its own; the first failure is raised."""
        failures = []

        def body(task):
            try:
                task()
            except BaseException as failure:  # noqa: BLE001  # raised below, in the thread of the test
                failures.append(failure)
            finally:
                with self._changed:
                    self._leave()

        self._awake = len(tasks)
        threads = [threading.Thread(target=body, args=(task,)) for task in tasks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * PATIENCE)
        if failures:
            raise failures[0]

    def _leave(self) -> None:
        self._awake -= 1
        if self._awake == 0 and self._wakeups:
            self.now = min(self._wakeups)
            self._awake = sum(wakeup <= self.now for wakeup in self._wakeups)
            self._wakeups = [wakeup for wakeup in self._wakeups if wakeup > self.now]
            self._changed.notify_all()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def key():
    return KEY


@pytest.fixture(scope="session")
def virtual_time():
    return VirtualTime


@pytest.fixture
def make_server():
    servers = []

    def make(context=None):
        servers.append(Server(context))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture
def open_descriptors():
    """Counts the sockets that this process has connected."""

    def count():
        connected = 0
        for descriptor in Path("/dev/fd").iterdir():
            with contextlib.suppress(OSError, ValueError), socket.socket(fileno=os.dup(int(descriptor.name))) as sock:
                connected += bool(sock.getpeername())
        return connected

    return count


@pytest.fixture
def answered():
    return Answered


@pytest.fixture
def expire(monkeypatch):
    """Let the deadline of a client's exchanges pass, whatever the time is: `expire(client)`."""
    ahead = itertools.count(0, 1000)
    now = next(ahead)
    monkeypatch.setattr(deadlines, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + now))

    def pass_deadline(client):
        nonlocal now
        now = next(ahead)
        client._transport._watchdog.close()

    return pass_deadline


@pytest.fixture
def waits():
    """The seconds that the clients of a test have slept; no other time passes for them."""
    return []


@pytest.fixture
def make_client(waits):
    clients = []

    def make(base_url, *, policy=None, clock=None, sleep=None, random=lambda: 1.0, **settings):
        given = {
            "policy": policy,
            "clock": clock or (lambda: sum(waits)),
            "sleep": sleep or waits.append,
            "random": random,
        }
        clients.append(
            EcdpClient(
                KEY,
                ClientSettings(
                    base_url=base_url, **{"connect_timeout": PATIENCE, "read_timeout": PATIENCE, **settings}
                ),
                **{name: value for name, value in given.items() if value is not None},
            )
        )
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client, server):
    return make_client(server.url)
