"""Values in the names of folders, such as `dt=2026-11-22`, as Hive, Spark and BigQuery lay out partitions.

All folders of a file's path count, so that the folder of one partition has the column too.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa

from airflow_provider_ecdp.errors import ConfigurationError, MissingSourceError
from airflow_provider_ecdp.orders.contract import folded_name
from airflow_provider_ecdp.orders.sources.discovery import natural_key

#: Hive's name for an absent value.
_NULL = "__HIVE_DEFAULT_PARTITION__"

_FOLDER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

#: A number with leading zeros is a code, or an hour.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")

#: Values that a message names.
_SHOWN = 5

#: The value of each partition column to read, or a list of them.
Selection = Mapping[str, object | Sequence[object]]


def partition_values(path: str) -> dict[str, str | None]:
    """Return the values in the folders of a file's path, by their names."""
    values: dict[str, str | None] = {}
    for folder in path.split("/")[:-1]:
        if match := _FOLDER.fullmatch(folder):
            value = unquote(match[2])
            values[match[1]] = None if value == _NULL else value
    return values


def as_texts(selection: Selection) -> dict[str, list[str]]:
    """Return the same as lists of folder names, which JSON can hold.

    :raises ConfigurationError: a value has a type that folder names cannot have
    """
    return {column: _texts(value) for column, value in selection.items()}


def chosen(files: Sequence[str], selection: Selection, name: str) -> list[str]:
    """Return the files of the selected partitions; every value of `selection` has some.

    :param name: of the extract, for messages
    :raises MissingSourceError: there is no such partition
    """
    texts = as_texts(selection)
    values = {file: _texts_of(file) for file in files}
    for column in texts:
        if not any(column in columns for columns in values.values()):
            names = sorted({key for columns in values.values() for key in columns})
            raise MissingSourceError(
                f"{name}: no folder is called {column}=...; "
                f"{'partitions are by ' + ', '.join(names) if names else 'its paths have no partitions'}"
            )
    for column, expected in texts.items():
        others = {other: text for other, text in texts.items() if other != column}
        same = [columns for columns in values.values() if _is_of(columns, others)]
        existing = sorted(
            {columns[column] for columns in same or values.values() if column in columns}, key=natural_key
        )
        # a day without its folder is an export that failed, and the other days do not make up for it
        if missing := [value for value in expected if value not in existing]:
            among = f" with {_shown(others)}" if others and same else ""
            raise MissingSourceError(
                f"{name}: there is no partition {_shown({column: missing})}{among}; "
                f"there are {len(existing):,}, the last of them {', '.join(existing[-_SHOWN:])}"
            )
    matches = [file for file in files if _is_of(values[file], texts)]
    if not matches:
        raise MissingSourceError(f"{name}: there is no partition {_shown(texts)}")
    return matches


def _texts_of(path: str) -> dict[str, str]:
    """Return the values in a file's path, with Hive's name for absent ones."""
    return {column: _NULL if value is None else value for column, value in partition_values(path).items()}


def _is_of(values: Mapping[str, str], texts: Mapping[str, list[str]]) -> bool:
    return all(values.get(column) in expected for column, expected in texts.items())


def _shown(texts: Mapping[str, list[str]]) -> str:
    return ", ".join(f"{column}={' or '.join(expected)}" for column, expected in texts.items())


def narrowed(filesystem: Any, path: str, selection: Selection) -> str:
    """Return the folder of the selected partition, as far as its path is known without listing folders."""
    left = {column: texts[0] for column, texts in as_texts(selection).items() if len(texts) == 1}
    while True:
        folders = {column: f"{path.rstrip('/')}/{column}={quote(value, safe=' ')}" for column, value in left.items()}
        there = next((column for column, folder in folders.items() if filesystem.isdir(folder)), None)
        if there is None:
            return path
        path = folders[there]
        del left[there]


def partition_columns(files: Sequence[str], schema_names: Iterable[str]) -> pa.Table:
    """Return the columns that the paths of `files` hold, with a row for each file, without those of `schema_names`.

    Names are compared without case and underscores, like those of fields. A column is of dates or of whole numbers if
    all its values are, else of text.
    """
    values = [partition_values(file) for file in files]
    taken = {folded_name(name) for name in schema_names}
    names = dict.fromkeys(name for value in values for name in value if folded_name(name) not in taken)
    return pa.table({name: _typed([value.get(name) for value in values]) for name in names})


def _typed(texts: list[str | None]) -> pa.Array:
    present = [text for text in texts if text is not None]
    if present and all(_DATE.fullmatch(text) for text in present):
        try:
            return pa.array([None if text is None else dt.date.fromisoformat(text) for text in texts], pa.date32())
        except ValueError:
            return pa.array(texts, pa.string())
    if present and all(_INTEGER.fullmatch(text) for text in present):
        return pa.array([None if text is None else int(text) for text in texts], pa.int64())
    return pa.array(texts, pa.string())


def _texts(value: object | Sequence[object]) -> list[str]:
    values = value if isinstance(value, list | tuple | set | frozenset) else [value]
    texts = [str(item) for item in values if item is not None and str(item)]
    if not texts or isinstance(value, Mapping):
        raise ConfigurationError(f"partitions: must be a value or a list of values, not {value!r}")
    return texts
