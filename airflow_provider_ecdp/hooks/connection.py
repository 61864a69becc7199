"""An Airflow connection of type `ecdp`: its fields by name, checked, and errors that name the field.

The form gives numbers and booleans, a URI gives strings: both are read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from airflow_provider_ecdp.api.mode import MatchBy
from airflow_provider_ecdp.api.settings import DEFAULT_BASE_URL, ClientSettings, complete_url
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.settings import boolean, settings_of

log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: Fields of the form that are settings of the client, and of pushes.
_OF_CLIENT = ("connect_timeout", "read_timeout", "requests_per_second", "max_in_flight", "ca_bundle", "allow_http")
_OF_PUSH = ("batch_size", "batch_bytes")


_DEFAULT_PORTS = {"http": 80, "https": 443}


class Connection(Protocol):
    """The fields of an Airflow connection; `extra_dejson` holds the form's own fields."""

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
    """The settings that a connection holds.

    :param client: how ECDP is spoken to
    :param shared_limits: whether the limits hold for all tasks that run at once
    :param runs: by name, the settings of a run that the connection decides where the run's own are left open
    """

    client: ClientSettings
    runs: Mapping[str, Any] = field(default_factory=dict)
    shared_limits: bool = False


def read_settings(
    connection: Connection, *, max_in_flight: int | None = None, user_agent_suffix: str = ""
) -> ConnectionSettings:
    """Read the fields of `connection`; `max_in_flight` overrides the connection's own.

    :raises ConfigurationError: a field has a value that is not allowed
    """
    fields = _Fields(connection.conn_id, connection.extra_dejson)
    mode = fields.read("matching_mode", MatchBy.parse)
    send_match_by = fields.read("send_match_by", boolean().read) or False
    if send_match_by and mode is None:
        raise fields.error("send_match_by", "needs matching_mode; set it as well")
    shared = fields.read("shared_limits", boolean().read) or False
    options = fields.settings(ClientSettings, _OF_CLIENT)
    runs = fields.settings(PushSettings, _OF_PUSH)
    fields.warn_of_unread()
    if max_in_flight is not None:
        options["max_in_flight"] = max_in_flight
    try:
        client = ClientSettings(base_url=_base_url(connection), user_agent_suffix=user_agent_suffix, **options)
    except ConfigurationError as error:
        raise ConfigurationError(f"connection {connection.conn_id!r}: {error}") from None
    if mode is not None:
        runs["matching"] = mode.field
    if send_match_by:
        runs["match_by"] = mode
    return ConnectionSettings(client, {**runs, "max_in_flight": client.max_in_flight}, shared)


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
    """The form's fields; records which were read."""

    def __init__(self, conn_id: str, values: Mapping[str, Any]) -> None:
        self._conn_id = conn_id
        self._values = values
        self._read: set[str] = set()

    def settings(self, table: type, names: Collection[str]) -> dict[str, Any]:
        """Return the settings of a class that the form has, by their names; those that are empty are left out."""
        read = {field.name: self.read(field.name, field.parse) for field in settings_of(table) if field.name in names}
        return {name: value for name, value in read.items() if value is not None}

    def read(self, name: str, parse: Callable[[Any], _T]) -> _T | None:
        """Return the parsed value of a field; None if it is absent, null or empty."""
        self._read.add(name)
        value = self._values.get(name)
        if value is None or value == "":
            return None
        try:
            return parse(value)
        except ConfigurationError as error:
            text = str(error)
            raise self.error(name, f"it {text}" if text.startswith("must be ") else text) from None

    def error(self, name: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"connection {self._conn_id!r}, field {name!r}: {problem}")

    def warn_of_unread(self) -> None:
        # a misspelt name is otherwise a setting that silently does nothing
        if unknown := sorted(map(str, self._values.keys() - self._read)):
            log.warning(
                "connection %r: unknown field %s; the fields are %s",
                self._conn_id,
                ", ".join(unknown),
                ", ".join(sorted(self._read)),
            )


def _base_url(connection: Connection) -> str:
    """Join host, port and schema, as the form and the URI of a connection fill them, to a URL."""
    schema = (connection.schema or "").strip().lower()
    if schema not in {"", "http", "https"}:
        raise ConfigurationError("the field schema must be http, https or empty")
    url = complete_url((connection.host or "").strip() or DEFAULT_BASE_URL, schema)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # ClientSettings has the message
        return url
    # forms of Airflow store 0 for a port that was left empty, and need 443 for their Test button
    if not connection.port or connection.port == (port or _DEFAULT_PORTS.get(parts.scheme)):
        return url
    if port is not None:
        raise ConfigurationError(f"the host has port {port}, but the field port has {connection.port}; keep one")
    return parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
