"""Runs `airflow ecdp` with the key and the settings of an Airflow connection."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from dataclasses import fields

from airflow.exceptions import AirflowNotFoundException  # type: ignore[attr-defined]  # it comes and goes lazily
from airflow.models.connection import Connection
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.cli import main, output
from airflow_provider_ecdp.cli.exit_codes import Exit
from airflow_provider_ecdp.cli.output import KEY_VARIABLE
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.connection import api_key, read_settings

#: Commands that send something.
_SENDING = {"push", "get", "status", "delete"}


@providers_configuration_loaded
def run(arguments: Namespace) -> None:
    """Run a command of `ecdp`, and end with its exit code.

    :raises SystemExit: always
    """
    argv = list(arguments.arguments)
    if argv[:1] == ["--"]:
        # the end of Airflow's own options
        del argv[0]
    conn_id, argv = _take_conn_id(argv, arguments.conn_id)
    if not argv or argv[0] not in _SENDING or {"-h", "--help"} & set(argv):
        raise SystemExit(main(argv or ["--help"]))
    # as Airflow's own commands read connections: from its database too
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    try:
        connection = Connection.get_connection_from_secrets(conn_id)
        key, settings = api_key(connection), read_settings(connection)
    except AirflowNotFoundException:
        raise _wrong(f"there is no connection {conn_id}; --conn-id names another") from None
    except ConfigurationError as error:
        raise _wrong(str(error)) from None
    os.environ[KEY_VARIABLE] = key
    client = {field.name: getattr(settings.client, field.name) for field in fields(ClientSettings)}
    raise SystemExit(main(argv, defaults={**client, **settings.runs}))


def _take_conn_id(argv: list[str], default: str) -> tuple[str, list[str]]:
    """Return the connection and the other arguments: Airflow's parser reads no option after the command."""
    parser = ArgumentParser("airflow ecdp", add_help=False, allow_abbrev=False)
    parser.add_argument("--conn-id", default=default, metavar="ID")
    end = argv.index("--") if "--" in argv else len(argv)
    named, others = parser.parse_known_args(argv[:end])
    return named.conn_id, others + argv[end:]


def _wrong(message: str) -> SystemExit:
    output.err(f"airflow ecdp: {message}")
    return SystemExit(Exit.USAGE)
