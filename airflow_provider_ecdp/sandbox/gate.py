"""The middleware of the sandbox: checks the key, applies the faults, and keeps the log of requests.

The key is checked before anything else. Faults wrap the real routes, so that "after" means that the routes have run.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from airflow_provider_ecdp.sandbox.faults import Decision, FaultKind, FaultPlan
from airflow_provider_ecdp.sandbox.problems import NOBODY_NAMED, PROBLEM_JSON, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ecdp.sandbox.requestlog import RequestLog

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
#: closes the connection of a request: a reset at once if the flag is set, else after the bytes that were written
Hangup = Callable[[Scope, bool], None]

#: where a route leaves the number of orders that it read
ORDERS = "ecdp.orders"
INSPECTION_PREFIX = "/_sandbox"

_HTML = "text/html; charset=utf-8"
_HTML_PAGE = b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
_BEFORE = (FaultKind.RESET_BEFORE, FaultKind.HANG_BEFORE)
_AFTER = (FaultKind.RESET_AFTER, FaultKind.HANG_AFTER)


@dataclass(slots=True)
class _Answer:
    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    @classmethod
    def of(cls, status: int, body: bytes, content_type: str = PROBLEM_JSON) -> _Answer:
        return cls(status, body, [(b"content-type", content_type.encode())])

    async def send(self, send: Send, *, length: int | None = None) -> None:
        announced = str(len(self.body) if length is None else length).encode()
        headers = [item for item in self.headers if item[0] != b"content-length"] + [(b"content-length", announced)]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": length is not None})


class Gate:
    """ASGI middleware around the routes of the Orders API; the paths of the inspection pass, from this machine only."""

    def __init__(self, app: App, *, keys: Sequence[str], plan: FaultPlan, log: RequestLog, hangup: Hangup) -> None:
        self._app = app
        self._keys = [key.encode() for key in keys]
        self._plan = plan
        self._log = log
        self._hangup = hangup

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif not _names_this_machine(scope):
            body = problem(421, "The Host header must name this machine: localhost, 127.0.0.1 or ::1.", scope["path"])
            await _Answer.of(421, body).send(send)
        elif scope["path"] == INSPECTION_PREFIX or scope["path"].startswith(INSPECTION_PREFIX + "/"):
            if _from_this_machine(scope):
                await self._app(scope, receive, send)
            else:
                await _Answer.of(403, problem(403, "Only from this machine.", scope["path"])).send(send)
        else:
            self._log.enter()
            try:
                await self._serve(scope, receive, send)
            finally:
                self._log.leave()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        # routes match the path as it was sent: decoded, an id with a slash or a line break fits none
        path = scope["path"] = _raw_path(scope)
        if not self._knows_key(scope):
            self._log.add(scope["method"], path, status=401)
            await _Answer.of(401, problem(401, "The x-api-key header is missing or wrong.", path)).send(send)
            return
        body = await _read(receive)
        if body is None:
            self._log.add(scope["method"], path, status=None)
            return
        decision = self._plan.draw(scope["method"])
        if decision.latency:
            await asyncio.sleep(decision.latency)
        answer = await self._answer(scope, body, decision, path)
        # logged before it is sent: a client with the answer finds the record
        status = None if answer is None else answer.status
        kind, orders = decision.kind, scope.get(ORDERS, 0)
        self._log.add(scope["method"], path, status=status, fault=kind, orders=orders, size=len(body))
        if answer is None:
            await self._say_nothing(scope, receive, kind)
        elif kind is FaultKind.CUT_SHORT:
            await answer.send(send, length=len(answer.body) * 2 + 1)
            self._hangup(scope, False)
            await _disconnected(receive)
        else:
            await answer.send(send)

    async def _answer(self, scope: Scope, body: bytes, decision: Decision, path: str) -> _Answer | None:
        """Return the answer to a request, None if it gets none."""
        kind = decision.kind
        answer = self._instead(kind, decision.status, path)
        if answer is None and kind not in _BEFORE:
            answer = await self._route(scope, body)
        if answer is None or kind in _AFTER:
            return None
        return answer if kind is None else self._distort(answer, kind, decision.status, path)

    async def _say_nothing(self, scope: Scope, receive: Receive, kind: FaultKind | None) -> None:
        """Reset the connection, at once or after a while."""
        if kind in (FaultKind.HANG_BEFORE, FaultKind.HANG_AFTER):
            await _disconnected(receive, self._plan.faults.hang_seconds)
        self._hangup(scope, True)
        await _disconnected(receive)

    def _knows_key(self, scope: Scope) -> bool:
        keys = [value for name, value in scope["headers"] if name == b"x-api-key"]
        return len(keys) == 1 and any(hmac.compare_digest(keys[0], key) for key in self._keys)

    def _instead(self, kind: FaultKind | None, status: int, path: str) -> _Answer | None:
        """Return the answer of a fault that strikes before the routes."""
        match kind:
            case FaultKind.THROTTLE:
                return self._later(_Answer.of(429, problem(429, "Too many requests.", path)))
            case FaultKind.ERROR_BEFORE:
                return self._error(status, path)
            case FaultKind.HTML_BEFORE:
                return _Answer.of(502, _HTML_PAGE, _HTML)
            case FaultKind.BLAME_NOBODY:
                return _Answer.of(400, problem(400, NOBODY_NAMED, path, [NOBODY_NAMED]))
        return None

    def _distort(self, answer: _Answer, kind: FaultKind, status: int, path: str) -> _Answer:
        """Return the answer of the routes after the fault that strikes it."""
        match kind:
            case FaultKind.ERROR_AFTER:
                return self._error(status, path)
            case FaultKind.HTML_AFTER:
                return _Answer.of(answer.status, _HTML_PAGE, _HTML)
            case FaultKind.CUT_SHORT | FaultKind.CUT_JSON:
                return _Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)
            case FaultKind.EMPTY:
                return _Answer(answer.status, b"", answer.headers)
        return answer

    def _error(self, status: int, path: str) -> _Answer:
        answer = _Answer.of(status, problem(status, f"The sandbox was asked for a {status}.", path))
        if 300 <= status < 400:
            answer.headers.append((b"location", b"/redirected"))
        return self._later(answer) if status == HTTPStatus.SERVICE_UNAVAILABLE else answer

    def _later(self, answer: _Answer) -> _Answer:
        wait = self._plan.retry_after()
        if wait is not None:
            answer.headers.append((b"retry-after", wait.encode("latin-1")))
        return answer

    async def _route(self, scope: Scope, body: bytes) -> _Answer:
        answer = _Answer(500, b"")
        parts: list[bytes] = []

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, replay, keep)
        answer.body = b"".join(parts)
        return answer


def _raw_path(scope: Scope) -> str:
    path: bytes = scope["raw_path"]
    return path.partition(b"?")[0].decode("ascii", "replace")


def _from_this_machine(scope: Scope) -> bool:
    return scope.get("client") is not None and ip_address(scope["client"][0]).is_loopback


def _names_this_machine(scope: Scope) -> bool:
    """Whether `Host` is a loopback name: a web page can make its own name lead here (DNS rebinding)."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1:
        return False
    host = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:]+))(?::\d*)?", hosts[0].decode("latin-1"))
    if host is None:
        return False
    name = (host[1] or host[2]).lower()
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


async def _read(receive: Receive) -> bytes | None:
    """Return the whole body, None if the client left before its end."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _disconnected(receive: Receive, seconds: float | None = None) -> None:
    """Wait until the client is gone, `seconds` at most."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass
