"""`ecdp sandbox`: runs the stand-in for ECDP in the foreground."""

from __future__ import annotations

import datetime as dt
import json
import shlex
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.exit_codes import Exit
from airflow_provider_ecdp.cli.parser import FAULTS
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.results.numbers import number_of, size

if TYPE_CHECKING:
    from airflow_provider_ecdp.sandbox.requestlog import RequestRecord


def run(arguments: Namespace, _interruption: Interruption) -> int:
    """Serve until a signal comes."""
    try:
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - an extra, which may be absent

        from airflow_provider_ecdp.sandbox.faults import Faults  # noqa: PLC0415 - as above
        from airflow_provider_ecdp.sandbox.server import serve  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the sandbox needs {error.name}: pip install 'airflow-provider-ecdp[sandbox]'"
        ) from None
    options = {name: value for name in FAULTS if (value := getattr(arguments, name)) is not None}
    try:
        faults = TypeAdapter(Faults).validate_python(_json(arguments.faults) | options)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise ConfigurationError(f"--faults: {wrong}") from None

    def ready(url: str) -> None:
        # its key is made up; that of the environment may be the same
        if arguments.json:
            output.out_json(
                {"url": url, "key": arguments.key, "connection": _connection(url, arguments.key)}, masked=False
            )
        else:
            output.out(_pointers(url, arguments.key), masked=False)

    show = None if arguments.quiet else _show
    serve(arguments.host, arguments.port, arguments.key, arguments.database, faults, ready, show)
    return Exit.DONE


def _show(request: RequestRecord) -> None:
    """Print a request in one line on stderr: neither id, which may identify a customer, nor content."""
    head, _, last = request.path.rpartition("/")
    path = request.path if last in {"orders", "status"} else f"{head}/{{id}}"
    status = "no answer" if request.status is None else str(request.status)
    parts = [f"{request.method} {path}: {status}{f' (fault {request.fault})' if request.fault else ''}"]
    if request.orders:
        parts.append(number_of(request.orders, "order"))
    if request.size:
        parts.append(size(request.size))
    output.err(f"{dt.datetime.now().astimezone():%H:%M:%S} {', '.join(parts)}")


def _json(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        document = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except OSError as error:
        raise ConfigurationError(f"--faults: {text[1:]} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"--faults is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError('--faults must be a JSON object, such as {"vague": true}')
    return document


def _connection(url: str, key: str) -> str:
    """Return the sandbox as an Airflow connection in JSON."""
    return json.dumps({"conn_type": "ecdp", "host": url, "password": key})


def _pointers(url: str, key: str) -> str:
    connection = shlex.quote(_connection(url, key))
    return f"""\
The sandbox is at {url}. Ctrl-C stops it.

For the command line:
  export ECDP_BASE_URL={url} ECDP_API_KEY={shlex.quote(key)}

For Airflow, either by the environment or in its database:
  export AIRFLOW_CONN_ECDP_DEFAULT={connection}
  airflow connections add ecdp_default --conn-json {connection}
"""
