"""Opens the extracts that the arguments name, for `check` and `push`."""

from __future__ import annotations

import glob
import os
import re
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from airflow_provider_ecdp.api.mode import MatchBy
from airflow_provider_ecdp.errors import ConfigurationError, ExtractError
from airflow_provider_ecdp.orders.execution.catalog import EXTRACT
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.storage import without_credentials
from airflow_provider_ecdp.push.failed_before import FailedBefore
from airflow_provider_ecdp.settings import build

#: The beginnings of SQL texts and mappings, in words and as patterns: other arguments are paths.
_TEXTS = {
    "SQL": (
        "SELECT, WITH or FROM",
        re.compile(r"(\s|\(|--[^\n]*\n|/\*.*?\*/)*(SELECT|WITH|FROM)\b\s*\S", re.IGNORECASE | re.DOTALL),
    ),
    "mapping": ("{", re.compile(r"(\s|//[^\n]*\n|/\*.*?\*/)*\{", re.DOTALL)),
}

#: A name that SQL takes without quotes, and a path.
_NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def open_orders(arguments: Namespace) -> OrderReader:
    """Open the extracts that `arguments` name.

    :raises ConfigurationError: a setting has a value that is not allowed, or the file of a text cannot be read
    :raises ExtractError: an extract is missing or is not Parquet, or its columns cannot be read as orders
    """
    read = {
        "sql": text_of("SQL", arguments.sql),
        "mapping": text_of("mapping", arguments.mapping),
        "matching": None if arguments.matching is None else MatchBy.parse(arguments.matching).field,
        "partition_by": _partition_by(arguments.partition_by or []),
    }
    settings = build(OrderSettings, vars(arguments) | read)
    paths = named(arguments.extract)
    partitions = partitions_of(arguments.partition or [], paths)
    extracts: ParquetSource | dict[str, ParquetSource]
    if list(paths) == [EXTRACT]:
        extracts = ParquetSource.open(*paths[EXTRACT], partitions=partitions[EXTRACT])
    else:
        extracts = {name: _opened(name, locations, partitions[name]) for name, locations in paths.items()}
    return OrderReader(extracts, settings)


def failed_before(arguments: Namespace) -> FailedBefore:
    """Return the orders that earlier runs left rejected or unresolved, by `--retry-failed`.

    :raises ConfigurationError: the name of an extract holds credentials, which are kept nowhere
    """
    for path in arguments.extract:
        shown = without_credentials(path, path)
        if shown != path:
            raise ConfigurationError(
                f"--retry-failed keeps the names of extracts, and {shown} holds credentials: set "
                "them in the environment"
            )
    extract = {"extract": list(map(_absolute, arguments.extract)), "partition": arguments.partition or []}
    return FailedBefore(
        arguments.retry_failed, None, extract, lambda earlier: open_orders(Namespace(**{**vars(arguments), **earlier}))
    )


def _absolute(argument: str) -> str:
    """Return an argument that means the same in another working directory."""
    name = "" if _exists(argument) else argument[: -len(match[2])] if (match := _NAMED.fullmatch(argument)) else ""
    path = argument.removeprefix(name)
    return argument if "://" in path else name + os.path.abspath(path)  # noqa: PTH100  # a glob keeps its form


def named(arguments: Sequence[str]) -> dict[str, list[str]]:
    """Return paths by the name of their extract; without names they are all of one, `extract`.

    `NAME=PATH` has a name, unless there is a file or folder of that name, such as `dt=2026-11-22`.

    :raises ConfigurationError: some have names and others have none
    """
    matches = [(argument, _NAMED.fullmatch(argument)) for argument in arguments]
    matches = [(argument, None if name and _exists(argument) else name) for argument, name in matches]
    paths: dict[str, list[str]] = {}
    for argument, name in matches:
        paths.setdefault(name[1] if name else EXTRACT, []).append(name[2] if name else argument)
    without = [argument for argument, name in matches if name is None]
    if without and len(without) < len(matches):
        raise ConfigurationError(
            f"extracts: {without[0]} has no name, but others do; write NAME=PATH for each, or ./ before a "
            "path that is not a name"
        )
    return paths


def _exists(path: str) -> bool:
    # those of pathlib raise where a name is too long, and take no absolute pattern
    return os.path.exists(path) or next(glob.iglob(path), None) is not None  # noqa: PTH110, PTH207


def _opened(name: str, paths: list[str], partitions: Mapping[str, list[str]]) -> ParquetSource:
    try:
        return ParquetSource.open(*paths, partitions=partitions)
    except ExtractError as error:
        raise ExtractError(without_credentials(f"the extract {name}: {error}")) from error


def partitions_of(arguments: Sequence[str], extracts: Collection[str]) -> dict[str, dict[str, list[str]]]:
    """Return the values of partition columns by the name of an extract; those without a name are for all.

    :raises ConfigurationError: one is not COLUMN=VALUE, or names an extract that is not there
    """
    partitions: dict[str, dict[str, list[str]]] = {name: {} for name in extracts}
    for argument in arguments:
        column, equals, value = argument.partition("=")
        name, dot, inner = column.rpartition(".")
        if not equals or not inner:
            raise ConfigurationError(f"partitions: {argument!r} is not COLUMN=VALUE or NAME.COLUMN=VALUE")
        if dot and name not in partitions:
            raise ConfigurationError(f"partitions: there is no extract {name}; there are {', '.join(extracts)}")
        for extract in [name] if dot else partitions:
            partitions[extract].setdefault(inner, []).append(value)
    return partitions


def _partition_by(arguments: Sequence[str]) -> str | dict[str, str] | None:
    if len(arguments) == 1 and "=" not in arguments[0]:
        return arguments[0]
    columns: dict[str, str] = {}
    for argument in arguments:
        name, equals, column = argument.partition("=")
        if not equals or name in columns:
            raise ConfigurationError(
                f"partition_by: {argument!r}: one column for all extracts, or NAME=COLUMN once for each"
            )
        columns[name] = column
    return columns or None


def text_of(kind: str, option: str | None) -> str | None:
    """Return the text of an option that names a file or is the text itself; None if the option is not given.

    :param kind: `SQL` or `mapping`
    :raises ConfigurationError: the option is empty, or the file cannot be read
    """
    start, begins = _TEXTS[kind]
    # a file that exists takes precedence, whatever its name
    if option is None or (begins.match(option) and not os.path.isfile(option)):  # noqa: PTH113 - as in _exists
        return option
    if not option.strip():
        raise ConfigurationError(f"--{kind.lower()} is empty; give the text, or the name of a file")
    path = Path(option)
    try:
        # editors on Windows begin a file with a byte order mark
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"the {kind} file {path} cannot be read: {error.strerror}; the text itself begins with {start}"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"the {kind} file {path} is not text in UTF-8") from None
    if not text.strip():
        # elsewhere an empty text is a setting that is not set, and the extract would be read without it
        raise ConfigurationError(f"the {kind} file {path} is empty; was it written to its end?")
    return text
