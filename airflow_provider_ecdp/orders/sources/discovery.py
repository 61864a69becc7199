"""Finds the files of a path: a file, a folder or a glob.

Files are in the natural order of their names: numbers in them count as numbers, so `part.2` is before `part.10`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_ecdp.errors import ExtractError, MissingSourceError
from airflow_provider_ecdp.orders.sources.storage import display_path, reading

#: Characters that make a path a pattern.
_SPECIAL = re.compile(r"[*?\[]")

_SUFFIXES = (".parquet", ".parq", ".pq")

#: Hadoop's marker of a folder in an object storage.
_FOLDER_MARKER = "_$folder$"

#: Hudi's marker of a partition.
_HUDI_MARKERS = (".hoodie_partition_metadata", ".hoodie_partition_metadata.parquet")

_NUMBER = re.compile(r"([0-9]+)")
_HIVE_FOLDER = re.compile(r"[^/=]+=[^/]*")


def find_files(filesystem: Any, path: str, name: str) -> list[str]:
    """Return the files behind `path`, in the natural order of their names.

    :param name: the user's name for it, for messages
    :raises MissingSourceError: there are none
    :raises ExtractError: they belong to a table, and only the table's own reader can distinguish current from removed
        files; or the name of one is not UTF-8
    """
    with reading(filesystem, name):
        if filesystem.isfile(path):
            _refuse_other_encodings([path], name)
            return [path]
        if filesystem.isdir(path):
            files = _in_folder(filesystem, path, name)
        elif is_pattern(path):
            # after the others: a name may contain brackets
            files = _matching(filesystem, path, name)
        else:
            raise MissingSourceError(f"{name}: no such file or folder")
        _refuse_tables(filesystem, files, name)
    _refuse_other_encodings(files, name)
    return sorted(files, key=natural_key)


def is_pattern(path: str) -> bool:
    """Whether a path can be a glob."""
    return _SPECIAL.search(path) is not None


def natural_key(path: str) -> tuple[list[str | int], str]:
    """Return the key by which names are sorted so that numbers in them count as numbers."""
    # text and numbers take turns, so that like is compared with like
    parts = _NUMBER.split(path)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path


def _in_folder(filesystem: Any, folder: str, name: str) -> list[str]:
    listed = filesystem.find(folder, detail=True)
    if files := list(_data_files(listed, folder)):
        return files
    _refuse_tables(filesystem, [f"{folder.rstrip('/')}/"], name)
    others = f"it holds {len(listed):,} other file{'s' * (len(listed) > 1)}" if listed else "it is empty"
    raise MissingSourceError(f"{name}: no Parquet file in this folder ({others}; looked for {', '.join(_SUFFIXES)})")


def _matching(filesystem: Any, pattern: str, name: str) -> list[str]:
    files: set[str] = set()
    fixed = _SPECIAL.split(pattern, maxsplit=1)[0].rpartition("/")[0]
    # a pattern that names hidden files includes them
    hidden_too = _hidden(pattern, fixed)
    for match, info in filesystem.glob(_without_names(filesystem, pattern), detail=True).items():
        if _hidden(match, fixed) and not hidden_too:
            continue
        if info["type"] == "directory":
            files.update(_data_files(filesystem.find(match, detail=True), match))
        elif not _is_marker(match, info):
            files.add(match)
    if not files:
        raise MissingSourceError(f"{name}: no file matches")
    return list(files)


def _without_names(filesystem: Any, pattern: str) -> str:
    """Return a pattern with the names of existing folders escaped: a folder can be called `br[1]`."""
    literal = escaped = ""
    *folders, last = pattern.split("/")
    for folder in folders:
        literal += f"{folder}/"
        if _SPECIAL.search(folder) and filesystem.isdir(literal.rstrip("/")):
            folder = _SPECIAL.sub(r"[\g<0>]", folder)  # noqa: PLW2901 - the same folder
        escaped += f"{folder}/"
    return escaped + last


def _data_files(listed: Mapping[str, Mapping[str, Any]], folder: str) -> Iterator[str]:
    for file, info in listed.items():
        if file.lower().endswith(_SUFFIXES) and not _hidden(file, folder) and not _is_marker(file, info):
            yield file


def _is_marker(path: str, info: Mapping[str, Any]) -> bool:
    """Whether a file is a sign that a writer leaves; a Parquet file without bytes is a broken one."""
    stem = path.lower().removesuffix(next(filter(path.lower().endswith, _SUFFIXES), ""))
    data = stem != path.lower() and not stem.endswith(_FOLDER_MARKER)
    return (info.get("size") == 0 and not data) or path.endswith(_FOLDER_MARKER)


def _hidden(path: str, folder: str) -> bool:
    return any(part[:1] in ("_", ".") for part in path[len(folder.rstrip("/")) :].split("/") if part)


def _refuse_tables(filesystem: Any, files: Iterable[str], name: str) -> None:
    """Refuse files of a table format, which keeps files that the table has replaced or whose rows it has deleted.

    :raises ExtractError: some of them lie in such a table
    """
    for root in dict.fromkeys(root for file in files for root in _table_roots(file)):
        kind = _table_kind(filesystem, root)
        if kind:
            package = {"Delta": "deltalake", "Iceberg": "pyiceberg", "Hudi": "hudi"}[kind]
            raise ExtractError(
                f"{name}: {display_path(filesystem, root)} is a table in the {kind} format, and its folder keeps files "
                "whose rows the table has replaced or deleted; export its current rows to another folder "
                f"(from the warehouse, or with the package {package}), and use that folder"
            )


def _refuse_other_encodings(files: Iterable[str], name: str) -> None:
    """Refuse names of files that are not UTF-8: Arrow does not open them."""
    for file in files:
        try:
            file.encode()
        except UnicodeEncodeError:
            raise ExtractError(
                f"{name}: the name {file!a} is not text in UTF-8; rename the file or folder, or, if it has the name in "
                "UTF-8, set a locale of UTF-8 (LC_ALL=C.UTF-8)"
            ) from None


def _table_roots(file: str) -> Iterator[str]:
    """Yield the folders that can be the root of the table to which a file belongs: above those of partitions."""
    folder = file.rpartition("/")[0]
    while _HIVE_FOLDER.fullmatch(folder.rpartition("/")[2]):
        folder = folder.rpartition("/")[0]
    yield folder
    above, _, last = folder.rpartition("/")
    if last == "data":
        yield above


def _table_kind(filesystem: Any, root: str) -> str | None:
    if filesystem.isdir(f"{root}/_delta_log"):
        return "Delta"
    # a partition need not be named as Hive names it
    if filesystem.isdir(f"{root}/.hoodie") or any(
        map(filesystem.isfile, (f"{root}/{marker}" for marker in _HUDI_MARKERS))
    ):
        return "Hudi"
    if filesystem.isdir(f"{root}/metadata") and any(
        file.endswith(".metadata.json") for file in filesystem.find(f"{root}/metadata")
    ):
        return "Iceberg"
    return None
