"""The settings of the client, checked when they are made, before anything is sent.

Messages never show a whole URL: it may hold a password or a token.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.settings import Kind, boolean, check, number, setting, text, whole

#: The page also shows client.ecdp.app; the vendor's own shop plugins call only this host.
DEFAULT_BASE_URL = "https://api.ecdp.app"
#: An unused order id: a GET of it shows whether the key is accepted, and changes nothing.
ID_OF_NO_ORDER = "airflow-provider-ecdp-connection-test"


def _certificates(value: object) -> Literal[True] | str:
    if value is True or isinstance(value, str):
        return value
    raise TypeError


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The settings of an EcdpClient; a wrong one raises ConfigurationError.

    `base_url` is normalised: no trailing slash, and a trailing `/orders` is dropped. Timeouts are in seconds; the read
    timeout also bounds sending the body, and their sum one request with its answer. `ca_bundle` is the path of a CA
    bundle, or True for that of the environment or the system: certificates are always verified. Plain http is for
    loopback, beyond it only with `allow_http`. `requests_per_second` None is no limit. `max_in_flight` is the number of
    connections kept open: as many as threads use the client.

    Proxies and, for `ca_bundle=True`, a CA bundle are taken from the environment as requests does (HTTPS_PROXY,
    NO_PROXY, REQUESTS_CA_BUNDLE), once, when the client is made. A .netrc file is not read.
    """

    base_url: str = setting(DEFAULT_BASE_URL, text(metavar="URL"), help="URL of ECDP")
    connect_timeout: float = setting(10, number("seconds"), help="Seconds to wait for a connection")
    read_timeout: float = setting(60, number("seconds"), help="Seconds to wait for an answer")
    ca_bundle: Literal[True] | str = setting(
        default=True,
        kind=Kind("the path of a CA bundle", _certificates, "FILE"),
        help="Certificates to trust, if those of the system are not enough",
    )
    allow_http: bool = setting(
        default=False, kind=boolean(), help="Allow plain http beyond this machine: the API key is sent unencrypted"
    )
    requests_per_second: float | None = setting(None, number("requests"), help="Maximum requests per second")
    max_in_flight: int = setting(4, whole(least=1, most=64), help="Maximum requests in flight")
    user_agent_suffix: str = ""

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "base_url", _base_url(self.base_url, self.allow_http))
        if isinstance(self.ca_bundle, str) and not Path(self.ca_bundle).exists():
            raise ConfigurationError(
                f"ca_bundle is the path of a CA bundle, and there is no such file: {self.ca_bundle!r}"
            )
        if not (self.user_agent_suffix.isascii() and self.user_agent_suffix.isprintable()):
            raise ConfigurationError("user_agent_suffix is sent in a header; use printable ASCII characters")


def order_path(order_id: str) -> str:
    """Return the path of one order.

    :raises ConfigurationError: the id cannot be part of a path: clients and proxies fold `.` and `..` away (RFC 3986)
    """
    if order_id in {"", ".", ".."}:
        raise ConfigurationError(
            f"order id {order_id!r} cannot be part of a URL, because clients and proxies remove it"
        )
    try:
        return f"/orders/{quote(order_id, safe='')}"
    except UnicodeEncodeError:
        raise ConfigurationError("the order id contains an unpaired surrogate, which is not valid text") from None


def checked_key(api_key: str) -> str:
    """Return the key, or raise a ConfigurationError that does not show it: empty, or no header can carry it."""
    if not api_key:
        raise ConfigurationError("the API key is empty; copy it from Settings > API in ECDP")
    try:
        api_key.encode("latin-1")
    except UnicodeEncodeError:
        sendable = False
    else:
        sendable = api_key.isprintable() and api_key == api_key.strip()
    if not sendable:
        # outside of `except`: a UnicodeEncodeError holds the key
        raise ConfigurationError(
            "the API key has white space around it, a line break or a character that headers cannot hold; copy it again"
        )
    return api_key


def _base_url(text: str, allow_http: bool) -> str:
    text = complete_url(text.strip())
    example = f"write it like {DEFAULT_BASE_URL}"
    # urlsplit silently drops tabs and newlines, http.client refuses blanks late and shows the URL
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ConfigurationError(
            f"the base URL contains white space, a control character or a non-ASCII character; {example}"
        )
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"the base URL is not a valid URL; {example}") from None
    # urlsplit reads [::1].example.com as ::1
    if not re.fullmatch(r"\[[^\]]*\](:\d*)?|[^\[\]]*", parts.netloc.rpartition("@")[2]):
        raise ConfigurationError(f"the base URL is not a valid URL; {example}")
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(f"the base URL needs a host and the scheme https; {example}")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "the base URL contains a user name or password; remove them: the API uses only its key"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(f"the base URL contains a query or a fragment (? or #); remove it: {example}")
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        raise ConfigurationError(
            f"the base URL is plain http to {host}: the API key would be sent unencrypted; "
            "use https, or set allow_http (--allow-http)"
        )
    return _without_orders(parts)


def complete_url(text: str, scheme: str = "") -> str:
    """Return a URL that has a scheme: https, and http for this machine, where the sandbox runs.

    An IPv6 address gets its brackets.
    """
    own, separator, rest = text.rpartition("://")
    if _is_ipv6(rest):
        rest = f"[{rest}]"
    if separator or not rest:
        return f"{own}{separator}{rest}"
    try:
        host = urlsplit(f"//{rest}").hostname or ""
    except ValueError:
        host = ""
    return f"{scheme or ('http' if is_loopback(host) else 'https')}://{rest}"


def _without_orders(parts: SplitResult) -> str:
    path = parts.path.rstrip("/")
    if path.endswith("/orders"):
        path = path.removesuffix("/orders").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host name or an address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
