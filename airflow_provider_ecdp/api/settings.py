"""Where ECDP is and how it may be spoken to: checked when made, so that a wrong setting stops before anything is sent.

Messages never show a whole URL: it may hold a password or a token.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from airflow_provider_ecdp.errors import ConfigurationError

#: The page also shows client.ecdp.app; the vendor's own shop plugins call only this host.
DEFAULT_BASE_URL = "https://api.ecdp.app"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The settings of an EcdpClient; a wrong one raises ConfigurationError.

    `base_url` is normalised: no trailing slash, and a trailing `/orders` is dropped. Timeouts are in seconds; the read
    timeout also bounds sending the body. `verify` is whether the server's certificate is checked, or the path of a CA
    bundle. Plain http is for loopback, beyond it only with `allow_http`. `requests_per_second` None is no limit.
    `max_in_flight` is the number of connections kept open: as many as threads use the client.

    Proxies and, for `verify=True`, a CA bundle are taken from the environment as requests does (HTTPS_PROXY, NO_PROXY,
    REQUESTS_CA_BUNDLE), once, when the client is made. A .netrc file is not read.
    """

    base_url: str = DEFAULT_BASE_URL
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    verify: bool | str = True
    allow_http: bool = False
    requests_per_second: float | None = None
    max_in_flight: int = 4
    user_agent_suffix: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", _base_url(self.base_url, self.allow_http))
        for name in ("connect_timeout", "read_timeout"):
            _positive(name, getattr(self, name), "seconds")
        if self.requests_per_second is not None:
            _positive("requests_per_second", self.requests_per_second, "requests")
        if self.max_in_flight < 1:
            raise ConfigurationError(f"max_in_flight is {self.max_in_flight}: it must be at least 1")
        if isinstance(self.verify, str) and not Path(self.verify).exists():
            raise ConfigurationError(f"verify names a CA bundle that does not exist: {self.verify!r}")
        if not (self.user_agent_suffix.isascii() and self.user_agent_suffix.isprintable()):
            raise ConfigurationError("user_agent_suffix goes into a header: use printable ASCII characters")


def checked_key(api_key: str) -> str:
    """Return the key, or raise a ConfigurationError that does not show it: empty, or no header can carry it."""
    if not api_key:
        raise ConfigurationError("the API key is empty: copy it from Settings > API in ECDP")
    try:
        api_key.encode("latin-1")
    except UnicodeEncodeError:
        sendable = False
    else:
        sendable = api_key.isprintable() and api_key == api_key.strip()
    if not sendable:
        # outside of `except`: a UnicodeEncodeError holds the key
        raise ConfigurationError(
            "the API key holds a line break, a blank at an end or a character that no header can carry: copy it again"
        )
    return api_key


def _positive(name: str, value: float, unit: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigurationError(f"{name} is {value}: it must be a number of {unit} above 0")


def _base_url(text: str, allow_http: bool) -> str:
    text = text.strip()
    example = f"write it like {DEFAULT_BASE_URL}"
    # urlsplit silently drops tabs and newlines, http.client refuses blanks late and shows the URL
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ConfigurationError(f"the base URL holds a blank, a control or a non-ASCII character: {example}")
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"the base URL cannot be read as a URL: {example}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(f"the base URL needs the scheme https and a host: {example}")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("the base URL holds a user name or password: the API knows only its key, remove them")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"the base URL holds a query or a fragment (? or #): remove it, {example}")
    if parts.scheme == "http" and not (allow_http or _is_loopback(host)):
        raise ConfigurationError(
            f"the base URL is plain http to {host}: the API key would travel readable. Use https, or allow http"
        )
    return _without_orders(parts)


def _without_orders(parts: SplitResult) -> str:
    path = parts.path.rstrip("/")
    if path.endswith("/orders"):
        path = path.removesuffix("/orders").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
