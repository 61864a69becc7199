"""What an Airflow connection of type `ecdp` says: its fields by name, checked, and errors that name the field.

The form gives numbers and booleans, a URI gives strings: both are read.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from airflow_provider_ecdp.api.mode import MatchBy
from airflow_provider_ecdp.api.settings import DEFAULT_BASE_URL, ClientSettings
from airflow_provider_ecdp.errors import ConfigurationError

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Connection(Protocol):
    """What is read of Airflow's connection; `extra_dejson` holds the form's own fields."""

    conn_id: str
    host: str | None
    port: int | None
    schema: str | None
    login: str | None
    password: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """Return the fields of the form, by name."""


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """The settings that a connection holds; None where it leaves the choice open.

    `matching` is the contract's name of the customer field that every order needs.
    """

    client: ClientSettings
    matching: str | None
    match_by: MatchBy | None
    batch_size: int | None
    batch_bytes: int | None


def read_settings(
    connection: Connection, *, max_in_flight: int | None = None, user_agent_suffix: str = ""
) -> ConnectionSettings:
    """Read the fields of `connection`; `max_in_flight` overrides the connection's own.

    :raises ConfigurationError: a field has a value that it cannot have
    """
    fields = _Fields(connection.conn_id, connection.extra_dejson)
    mode = fields.read("matching_mode", MatchBy.parse)
    send_match_by = fields.read("send_match_by", _boolean) or False
    if send_match_by and mode is None:
        raise fields.error("send_match_by", "it sends the matching mode: set matching_mode as well")
    given = {
        "connect_timeout": fields.read("connect_timeout", _number),
        "read_timeout": fields.read("read_timeout", _number),
        "requests_per_second": fields.read("requests_per_second", _number),
        "max_in_flight": fields.read("max_in_flight", _count),
        "verify": fields.read("ca_bundle", str),
        "allow_http": fields.read("allow_http", _boolean),
    }
    if max_in_flight is not None:
        given["max_in_flight"] = max_in_flight
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    batch_size, batch_bytes = fields.read("batch_size", _count), fields.read("batch_bytes", _count)
    fields.warn_of_unread()
    try:
        client = ClientSettings(base_url=_base_url(connection), user_agent_suffix=user_agent_suffix, **settings)
    except ConfigurationError as error:
        raise ConfigurationError(f"connection {connection.conn_id!r}: {error}") from None
    return ConnectionSettings(
        client,
        matching=mode.field if mode else None,
        match_by=mode if send_match_by else None,
        batch_size=batch_size,
        batch_bytes=batch_bytes,
    )


def api_key(connection: Connection) -> str:
    """Return the key.

    :raises ConfigurationError: there is none
    """
    if connection.password:
        return connection.password
    hint = " (its login is not read)" if connection.login else ""
    raise ConfigurationError(
        f"connection {connection.conn_id!r} has no API key: put it into the password{hint};"
        " it is shown in ECDP under Settings > API"
    )


class _Fields:
    """The form's fields; notes which were read."""

    def __init__(self, conn_id: str, values: Mapping[str, Any]) -> None:
        self._conn_id = conn_id
        self._values = values
        self._read: set[str] = set()

    def read(self, name: str, parse: Callable[[Any], _T]) -> _T | None:
        """Return the parsed value of a field; None if it is absent, null or of no characters."""
        self._read.add(name)
        value = self._values.get(name)
        if value is None or value == "":
            return None
        try:
            return parse(value)
        except ConfigurationError as error:
            raise self.error(name, str(error)) from None

    def error(self, name: str, what: str) -> ConfigurationError:
        return ConfigurationError(f"connection {self._conn_id!r}, field {name!r}: {what}")

    def warn_of_unread(self) -> None:
        # a misspelt name is otherwise a setting that silently does nothing
        if unknown := sorted(map(str, self._values.keys() - self._read)):
            log.warning(
                "connection %r: no field is called %s; there are %s",
                self._conn_id,
                ", ".join(unknown),
                ", ".join(sorted(self._read)),
            )


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).strip().lower() in _BOOLEANS:
        return _BOOLEANS[str(value).strip().lower()]
    raise ConfigurationError("it must be true or false")


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ConfigurationError("it must be a number")
    try:
        return float(value)
    except (ValueError, TypeError):
        raise ConfigurationError("it must be a number") from None


def _count(value: Any) -> int:
    number = _number(value)
    if not number.is_integer() or number < 1:
        raise ConfigurationError("it must be a whole number, 1 or more")
    return int(number)


def _base_url(connection: Connection) -> str:
    """Join host, port and schema, as the form and the URI of a connection fill them, to a URL.

    Without a scheme it is https, and http for this machine, where the sandbox runs.
    """
    host = (connection.host or "").strip()
    if not host:
        host = DEFAULT_BASE_URL
    scheme, separator, rest = host.rpartition("://")
    if _is_ipv6(rest):
        rest = f"[{rest}]"
    if not separator:
        scheme = _scheme(connection, rest)
    url = f"{scheme}://{rest}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # ClientSettings knows how to say it
        return url
    if connection.port is None or port == connection.port:
        return url
    if port is not None:
        raise ConfigurationError(f"the host has the port {port}, and the field port says {connection.port}: keep one")
    return parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()


def _scheme(connection: Connection, host: str) -> str:
    schema = (connection.schema or "").strip().lower()
    if schema in {"http", "https"}:
        return schema
    if schema:
        raise ConfigurationError("the field schema is the base URL's scheme: http, https or empty")
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return "http"
    try:
        return "http" if ipaddress.ip_address(name).is_loopback else "https"
    except ValueError:
        return "https"


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False
