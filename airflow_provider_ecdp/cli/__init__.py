"""The command line, `ecdp`; `parser.py` has its commands.

Importing this module imports nothing but the standard library: `ecdp --help` answers at once, and each command loads
what it needs. The key comes from ECDP_API_KEY and is cut out of everything that is printed.
"""

from __future__ import annotations

import importlib
import logging
import sys
import traceback
from argparse import Namespace
from collections.abc import Mapping, Sequence

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.exit_codes import Exit
from airflow_provider_ecdp.cli.parser import parse
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.cli.streams import safe_streams
from airflow_provider_ecdp.errors import (
    ApiError,
    EcdpError,
    NotFoundError,
    PushStoppedError,
    RequestRejectedError,
    StorageError,
)


def main(argv: Sequence[str] | None = None, defaults: Mapping[str, object] | None = None) -> int:
    """Run one command and return its exit code.

    :param argv: the arguments without the program's name; None takes those of the process
    :param defaults: values of options that the arguments leave out, by their names
    """
    with safe_streams(output.err_lost):
        return _main(sys.argv[1:] if argv is None else argv, defaults or {})


def _main(argv: Sequence[str], defaults: Mapping[str, object]) -> int:
    try:
        arguments = parse(argv)
        for name, value in defaults.items():
            if getattr(arguments, name, ...) is None:
                setattr(arguments, name, value)
    except SystemExit as end:
        # argparse ends with 0 after --help and --version, and with 2 after a mistake
        return int(end.code or 0)
    with Interruption() as interruption:
        try:
            code = _run(arguments, interruption)
        except (KeyboardInterrupt, Exception) as error:
            # an interruption can come out of an engine as an error of the engine's own
            if interruption.number is not None:
                output.err("ecdp: interrupted")
                code = 0
            elif isinstance(error, Exception):
                code = _failed(error, verbose=arguments.verbose)
            else:
                raise
        return interruption.code or code


def _run(arguments: Namespace, interruption: Interruption) -> int:
    level = logging.DEBUG if arguments.verbose else logging.ERROR if arguments.quiet else logging.WARNING
    with output.logs(level):
        # the name comes from this package's own parser
        command = importlib.import_module(f"airflow_provider_ecdp.cli.commands.{arguments.module}")
        return int(command.run(arguments, interruption))


def _failed(error: Exception, *, verbose: bool) -> int:
    if missing := _missing_package(error):
        if verbose:
            output.err("".join(traceback.format_exception(error)).rstrip())
        output.err(f"ecdp: a package is missing: {missing}; install airflow-provider-ecdp with its dependencies")
        return Exit.USAGE
    if not isinstance(error, EcdpError):
        output.err("".join(traceback.format_exception(error)).rstrip())
        output.err("ecdp: internal error: this is a bug in ecdp; please report it with the lines above")
        return Exit.BROKEN
    if verbose:
        output.err("".join(traceback.format_exception(error)).rstrip())
    output.err(f"ecdp: {error}")
    stopped = isinstance(error, PushStoppedError | StorageError) or (
        isinstance(error, ApiError) and not isinstance(error, RequestRejectedError | NotFoundError)
    )
    return Exit.STOPPED if stopped else Exit.USAGE


def _missing_package(error: Exception) -> str | None:
    """Return the package that is not installed, if that is the error; None for a module of this package."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    package = (name or "").partition(".")[0]
    return package if package and package != __name__.partition(".")[0] else None
