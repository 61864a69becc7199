"""Runs the sandbox on this machine: `SandboxServer` in a thread, `serve` in the foreground.

It binds to loopback addresses only: its key is no secret, and its inspection needs none.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import struct
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

try:
    import uvicorn
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"The sandbox needs {error.name}: pip install 'airflow-provider-ecdp[sandbox]'", name=error.name
    ) from error

from airflow_provider_ecdp.errors import ConfigurationError, EcdpError
from airflow_provider_ecdp.sandbox.app import create_app
from airflow_provider_ecdp.sandbox.faults import FaultPlan, Faults
from airflow_provider_ecdp.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import FrameType, TracebackType

    from airflow_provider_ecdp.sandbox.gate import Scope
    from airflow_provider_ecdp.sandbox.requestlog import RequestRecord

#: seconds that requests in progress get when the server stops
_GRACE = 5
#: seconds that a connection stays open without a request: uvicorn's five are over while a busy machine stands still
_KEEP_ALIVE = 60
#: SO_LINGER on, with no time to linger: the kernel ends the connection with RST instead of FIN
_RESET = struct.pack("ii", 1, 0)
#: a port has 16 bits
_MOST_PORT = 65535


class SandboxServer:
    """The sandbox in a daemon thread, as a context manager; it listens once the `with` block is entered.

    `database` is an SQLite file to keep, None is a temporary one. `port` 0 picks a free one. `store` is there for
    assertions; a temporary one ends with the block. Raises ConfigurationError for an address that is not loopback,
    a port that is taken or impossible, or a database that cannot be opened.
    """

    def __init__(
        self,
        api_key: str | Sequence[str] = "sandbox-key",
        database: Path | str | None = None,
        faults: Faults | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._host = _loopback(host)
        self._port = port
        self._plan = FaultPlan(faults or Faults())
        self._api_key = api_key
        self._database = database
        self._listening = threading.Event()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            listener = undo.enter_context(_listen(self._host, self._port))
            self.store = undo.enter_context(contextlib.closing(Store(self._database)))
            app = create_app(self.store, self._api_key, self._plan, hangup=self._hang_up)
            # log_config None: the host process keeps its own logging
            config = uvicorn.Config(
                app,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_GRACE,
            )
            self._server = _Server(config, on_started=self._listening.set)
            self._address = listener.getsockname()
            self._thread = threading.Thread(target=self._run, args=(listener,), name="ecdp-sandbox", daemon=True)
            self._thread.start()
            self._listening.wait()
            if self._ended.is_set():
                raise EcdpError("the sandbox did not start; see the lines of the thread ecdp-sandbox above")
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._undo.close()

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        host, port = self._address[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def faults(self) -> Faults:
        """The faults in force; set others at any time."""
        return self._plan.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._plan.set(faults)

    def reset(self, faults: Faults | None = None) -> None:
        """Forget all orders and requests, and put other faults in force; None is no faults."""
        self.store.reset()
        self._plan.set(faults or Faults())

    def wait(self, seconds: float) -> bool:
        """Wait for the server to end by itself, `seconds` at most; return whether it has."""
        return self._ended.wait(seconds)

    def _run(self, listener: socket.socket) -> None:
        try:
            self._server.run(sockets=[listener])
        finally:
            self._ended.set()
            self._listening.set()  # so that a failed start does not wait forever

    def _hang_up(self, scope: Scope, reset: bool) -> None:
        self._server.hang_up(tuple(scope["client"]), reset=reset)


class _Server(uvicorn.Server):
    """Reports when it listens, and can close the connection of a client."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # hanging requests end with their connection; idle keep-alive connections have nothing to wait for
        for connection in self._connections():
            connection.transport.abort()
        await super().shutdown(sockets)

    def hang_up(self, client: tuple[str, int], *, reset: bool) -> None:
        for connection in self._connections():
            if connection.client is None or tuple(connection.client[:2]) != client[:2]:
                continue
            if reset:
                # a duplicate, since the socket that a transport shows does not let options be set in every event loop
                with socket.socket(fileno=os.dup(connection.transport.get_extra_info("socket").fileno())) as same:
                    same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.transport.abort()
            else:
                connection.transport.close()

    def _connections(self) -> list[Any]:
        return list(self.server_state.connections)


def serve(  # noqa: PLR0917 - the options of the command line, in their order
    host: str,
    port: int,
    api_key: str | Sequence[str],
    database: Path | str | None,
    faults: Faults | None,
    on_ready: Callable[[str], None],
    on_request: Callable[[RequestRecord], object] | None = None,
) -> None:
    """Run the sandbox until SIGINT or SIGTERM. Main thread only.

    :param on_ready: called with the base URL
    :param on_request: called with each request, in the server's thread
    :raises ConfigurationError: as `SandboxServer` does
    """
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    with contextlib.ExitStack() as undo:
        for number in (signal.SIGINT, signal.SIGTERM):
            undo.callback(signal.signal, number, signal.signal(number, end))
        server = undo.enter_context(SandboxServer(api_key, database, faults, host=host, port=port))
        server.store.log.on_request = on_request
        on_ready(server.url)
        while not stop.is_set() and not server.wait(0.2):
            pass


def _loopback(host: str) -> str:
    """Return the address to bind to."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        if ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise ConfigurationError(f"sandbox host {host}: it serves this machine only; use 127.0.0.1, ::1 or localhost")


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _MOST_PORT:
        raise ConfigurationError(f"sandbox port {port}: must be from 0 to {_MOST_PORT}; 0 picks a free one")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        hint = "; port 0 picks a free one (--port 0)" if error.errno == errno.EADDRINUSE else ""
        # the text of Python's error repeats the address
        cause = os.strerror(error.errno) if error.errno else error.strerror
        raise ConfigurationError(f"sandbox cannot listen on {host} port {port}: {cause}{hint}") from error
