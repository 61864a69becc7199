"""One HTTP exchange over requests: bytes out, an Answer in, and a typed error for every network failure.

Mode Add relies on one rule: an error raised while connecting proves that nothing was sent (UnreachableError), any
later one proves nothing (NoAnswerError). urllib3 does not distinguish the two for TLS and resets, so the connections
here mark errors of `connect`. An idle connection that the server closes just when it is used again is "later".
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, InvalidURL, parse_headers
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from airflow_provider_ecdp import __version__
from airflow_provider_ecdp.api.deadlines import Cut, Exchange, Watchdog
from airflow_provider_ecdp.api.redaction import redact
from airflow_provider_ecdp.api.responses import Answer
from airflow_provider_ecdp.api.settings import is_loopback
from airflow_provider_ecdp.errors import ConfigurationError, EcdpError, NoAnswerError, UnreachableError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from airflow_provider_ecdp.api.settings import ClientSettings

#: bytes read of an order's answer, and of any other
_MAX_ORDER = 16 * 1024 * 1024
_MAX_BODY = 1024 * 1024
_CHUNK = 65536

#: Errors of a response that is not HTTP; those of a broken connection are OSErrors too.
_MALFORMED = (HTTPException, ValueError, urllib3.exceptions.InvalidHeader)


class Transport:
    """A session for one host, for several threads; sends each request once and follows no redirect."""

    def __init__(self, settings: ClientSettings, api_key: str) -> None:
        self._settings = settings
        self._watchdog = Watchdog(settings.connect_timeout + settings.read_timeout)
        self._headers = _headers(api_key, settings.user_agent_suffix)
        self._session = _Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(settings, self._watchdog)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._answered = False
        # looked up once: it reads the environment, and on some systems the registry, for each request
        self._send_options: dict[str, Any] = {
            **self._session.merge_environment_settings(settings.base_url, {}, True, settings.ca_bundle, None),
            "timeout": (settings.connect_timeout, settings.read_timeout),
            "allow_redirects": False,
        }
        if is_loopback(urlsplit(settings.base_url).hostname or ""):
            # a proxy would be sent the key unencrypted, and cannot reach this machine's own address
            self._send_options["proxies"] = {}

    def exchange(self, method: str, path: str, body: bytes | None, call: str) -> Answer:
        """Send one request and return its answer, or raise UnreachableError, NoAnswerError or ConfigurationError.

        The whole of it, from connecting to the last byte of the answer, takes at most the sum of
        `connect_timeout` and `read_timeout`.

        A certificate that is not trusted, or another fault of the settings, is a ConfigurationError until the first
        answer; after it, an UnreachableError: the settings were right, and the next connection may succeed.

        `path` begins with a slash and is percent-encoded. A body that breaks off is part of the answer, not an error:
        the status has come, and a 201 stays a 201.
        """
        if self._watchdog.interrupted:
            raise UnreachableError(f"{call}: not sent because the run is stopping")
        failure: EcdpError
        with self._watchdog.exchange() as exchange:
            try:
                response = self._session.send(self._prepared(method, path, body), **self._send_options)
            except (requests.RequestException, HTTPError, OSError) as error:
                cut = exchange.cut
                failure = _cut_off(error, cut, call, self._settings) if cut else _failure(error, call, self._settings)
            else:
                self._answered = True
                return self._read(response, exchange)
        if isinstance(failure, ConfigurationError) and self._answered:
            # the same settings connected before: a node of the server, or a file on this machine, has changed
            failure = UnreachableError(f"{call}: no connection, though there was one before: {failure}")
        # outside of `except`: requests' exceptions hold the request with its key, and would stay as the context
        raise failure

    def interrupt(self) -> None:
        """Refuse new exchanges, and end those under way within seconds."""
        self._watchdog.interrupt()

    def resume(self) -> None:
        """Let exchanges begin again."""
        self._watchdog.resume()

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()
        self._watchdog.close()

    def _prepared(self, method: str, path: str, body: bytes | None) -> requests.PreparedRequest:
        # Not prepare(): it costs more than the rest of the client, takes Authorization from .netrc, and re-quotes URLs.
        request = requests.PreparedRequest()
        request.method = method
        request.url = self._settings.base_url + path
        request.headers = CaseInsensitiveDict(self._headers)
        if body is not None:
            request.body = body
            request.headers["Content-Type"] = "application/json"
            request.headers["Content-Length"] = str(len(body))
        return request

    def _read(self, response: requests.Response, exchange: Exchange) -> Answer:
        # read to the end even where the body is not used: only then is the connection used again
        limit = _MAX_ORDER if response.status_code == 200 else _MAX_BODY
        chunks: list[bytes] = []
        size = 0
        complete = False
        try:
            while size < limit:
                chunk = response.raw.read1(_CHUNK, decode_content=True)
                if not chunk:
                    # a socket that was shut looks like the end
                    complete = exchange.cut is None
                    break
                chunks.append(chunk)
                size += len(chunk)
        except (HTTPError, HTTPException, OSError):
            complete = False
        finally:
            if not complete:
                response.raw.close()
            response.raw.release_conn()
        return Answer(response.status_code, response.headers, b"".join(chunks), complete)


def _headers(api_key: str, suffix: str) -> dict[str, str]:
    agent = f"airflow-provider-ecdp/{__version__} python-requests/{requests.__version__} {suffix}".rstrip()
    # identity: the answers are short, and uncompressed answers cannot expand
    return {"x-api-key": api_key, "User-Agent": agent, "Accept": "application/json", "Accept-Encoding": "identity"}


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002  # requests' signature
        # Even with allow_redirects=False requests prepares the next request, and reads a redirect's body without limit.
        return None


class _Adapter(HTTPAdapter):
    def __init__(self, settings: ClientSettings, watchdog: Watchdog) -> None:
        self._pools = _pool_classes(settings.read_timeout, watchdog)
        self._pool: Any = None
        super().__init__(pool_connections=1, pool_maxsize=settings.max_in_flight, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        # one host, one pool: looking it up each time costs a tenth of a request's CPU
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*args, **kwargs)
        return self._pool

    def close(self) -> None:
        self._pool = None
        super().close()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        # SOCKS has connections of its own; its errors count as "later" unless urllib3 knows better
        if type(manager) is urllib3.ProxyManager:
            manager.pool_classes_by_scheme = self._pools
        return manager


class _NotConnectedError(NewConnectionError):
    """Connecting failed, TLS and proxy included, so that nothing of the request was sent; `__cause__` says why."""


class _Response(HTTPResponse):
    """A response whose header never reaches a log, after any number of interim responses."""

    def begin(self) -> None:
        super().begin()
        # urllib3 logs a header that it cannot parse, word for word: it may repeat the key, or a customer's data
        self.msg.defects.clear()
        self.msg.set_payload("")

    def _read_status(self) -> tuple[str, int, str]:
        # RFC 9110, section 15.2: any number of 1xx may precede the response. http.client skips only 100
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 102 <= status <= 199:
                return version, status, reason
            parse_headers(self.fp)


class _Watched(HTTPConnection):
    """A connection that the watchdog can shut, from another thread and whatever this one is doing.

    It has a second descriptor for that: TLS takes the first over in its handshake, and after SSLSocket.shutdown
    the rest of a request would go out unencrypted.
    """

    response_class = _Response

    _watchdog: Watchdog
    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self._handle = sock.dup()
        self._watch()
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._watch()
        super().request(*args, **kwargs)

    def close(self) -> None:
        # also while the answer is read, where the server closes the connection after it
        handle, self._handle = self._handle, None
        super().close()
        exchange = self._watchdog.current
        if handle is not None and not (exchange is not None and exchange.release(handle)):
            handle.close()

    def _watch(self) -> None:
        exchange = self._watchdog.current
        if exchange is not None and self._handle is not None:
            exchange.use(self._handle)


def _pool_classes(send_timeout: float, watchdog: Watchdog) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    @contextmanager
    def connecting(connection: HTTPConnection) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPError, HTTPException, ValueError) as error:
            raise _NotConnectedError(connection, "not connected") from error
        # urllib3 leaves the connect timeout on a new socket while it sends: too short for a large body on a slow line
        connection.sock.settimeout(send_timeout)

    class PlainConnection(_Watched, HTTPConnection):
        _watchdog = watchdog

        def connect(self) -> None:
            with connecting(self):
                super().connect()

    class TlsConnection(_Watched, HTTPSConnection):
        _watchdog = watchdog

        def connect(self) -> None:
            with connecting(self):
                super().connect()

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TlsPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": PlainPool, "https": TlsPool}


def _cut_off(error: Exception, cut: Cut, call: str, settings: ClientSettings) -> EcdpError:
    sent = not any(isinstance(link, NewConnectionError) for link in _chain(error))
    if cut is Cut.INTERRUPTED:
        kind = NoAnswerError if sent else UnreachableError
        return kind(f"{call}: cut off because the run is stopping")
    seconds = settings.connect_timeout + settings.read_timeout
    if not sent:
        return UnreachableError(f"{call}: no connection within {seconds:g} s")
    late = NoAnswerError(f"{call}: no complete response within {seconds:g} s")
    late.timed_out = True
    return late


def _failure(error: Exception, call: str, settings: ClientSettings) -> EcdpError:
    chain = list(_chain(error))
    refused = next((link for link in chain if isinstance(link, NewConnectionError)), None)
    if refused is not None:
        return _not_connected(refused, call, settings)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return UnreachableError(f"{call}: no connection within {settings.connect_timeout:g} s")
    if isinstance(error, requests.exceptions.ReadTimeout):
        late = NoAnswerError(f"{call}: sent, but no response within {settings.read_timeout:g} s")
        late.timed_out = True
        return late
    # InvalidHeader is a ValueError too, of the answer: Content-Length given twice. Our own headers were checked.
    unsendable = isinstance(error, ValueError) and not isinstance(error, requests.exceptions.InvalidHeader)
    if unsendable or any(isinstance(link, InvalidURL) for link in chain):
        # InvalidURL, InvalidProxyURL, InvalidSchema, urllib3's LocationValueError: the text may hold a password
        return ConfigurationError(f"the base URL, or a proxy in the environment, is malformed ({type(error).__name__})")
    if not isinstance(error, (requests.RequestException, HTTPError)):
        # requests raises a plain OSError, before it connects, for a CA bundle that is not there
        return ConfigurationError("the CA bundle (`ca_bundle`, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE) cannot be read")
    return _broken(chain, call)


def _broken(chain: list[BaseException], call: str) -> NoAnswerError:
    last = chain[-1]
    if isinstance(last, _MALFORMED) and not isinstance(last, OSError):
        return NoAnswerError(f"{call}: the response is not valid HTTP ({_reason(last)})")
    broken = NoAnswerError(f"{call}: the connection broke before a response arrived ({_reason(last)})")
    # while sending: the server does not read the request
    broken.timed_out = any(isinstance(link, TimeoutError) for link in chain)
    return broken


def _not_connected(refused: NewConnectionError, call: str, settings: ClientSettings) -> EcdpError:
    causes = list(_chain(refused))
    tls = next((cause for cause in causes if isinstance(cause, (ssl.SSLError, urllib3.exceptions.SSLError))), None)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return ConfigurationError(
            f"the server's certificate is not trusted ({tls.verify_message}); check the host of the base URL."
            " For a private certificate authority, set `ca_bundle` to the path of its CA bundle"
        )
    # An end of file in the handshake is an overloaded or restarting server; other TLS errors do not pass by themselves.
    if tls is not None and not isinstance(tls, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)):
        return ConfigurationError(
            f"no TLS connection ({_reason(tls)}); check that the base URL's port speaks https, and that the CA bundle"
            " is readable"
        )
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return UnreachableError(f"{call}: no connection within {settings.connect_timeout:g} s")
    if any(isinstance(cause, NameResolutionError) for cause in causes):
        return UnreachableError(f"{call}: cannot resolve the host name of the base URL or of a proxy")
    return UnreachableError(f"{call}: no connection ({_reason(causes[-1])})")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it wraps: requests and urllib3 put them into `args`, `reason` or the cause."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        wrapped = [getattr(error, "reason", None), error.__cause__, *reversed(error.args), error.__context__]
        # an error of this package is the context of whatever is raised while it is handled, and not a cause
        causes = (inner for inner in wrapped if isinstance(inner, BaseException) and not isinstance(inner, EcdpError))
        error = next(causes, None)


def _reason(error: BaseException) -> str:
    # The system's own words, TLS included, or a proxy's about its tunnel. http.client quotes the server's bytes.
    detail = f": {error.strerror or error}" if isinstance(error, OSError) else ""
    return redact(f"{type(error).__name__}{detail}", max_length=160)
