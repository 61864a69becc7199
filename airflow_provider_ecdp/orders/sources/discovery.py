"""Which files a path means: a file, those of a folder, or those that a glob matches."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_ecdp.errors import ExtractError
from airflow_provider_ecdp.orders.sources.storage import reading

GLOB = re.compile(r"[*?\[]")
_SUFFIXES = (".parquet", ".parq", ".pq")


def find(filesystem: Any, path: str, name: str) -> list[str]:
    """Return the files behind `path`, in the order of their names.

    :param name: what the user called it, for messages
    :raises ExtractError: there are none
    """
    with reading(filesystem, name):
        if filesystem.isfile(path):
            return [path]
        if filesystem.isdir(path):
            if files := sorted(_data_files(filesystem, path)):
                return files
            others = len(filesystem.find(path))
            held = f"it holds {others} other files" if others else "it is empty"
            raise ExtractError(f"{name}: no Parquet file in this folder ({held}; looked for {', '.join(_SUFFIXES)})")
        # after the others: brackets may stand in a name
        if GLOB.search(path):
            return _matching(filesystem, path, name)
    raise ExtractError(f"{name}: no such file or folder")


def _matching(filesystem: Any, pattern: str, name: str) -> list[str]:
    files: set[str] = set()
    fixed = GLOB.split(pattern, maxsplit=1)[0].rpartition("/")[0]
    # a pattern that names what is hidden means it
    meant = _hidden(pattern, fixed)
    for match, info in filesystem.glob(pattern, detail=True).items():
        if _hidden(match, fixed) and not meant:
            continue
        inside = info["type"] == "directory"
        files.update(_data_files(filesystem, match) if inside else [match])
    if not files:
        raise ExtractError(f"{name}: no file matches")
    return sorted(files)


def _data_files(filesystem: Any, folder: str) -> list[str]:
    return [f for f in filesystem.find(folder) if f.lower().endswith(_SUFFIXES) and not _hidden(f, folder)]


def _hidden(path: str, folder: str) -> bool:
    return any(part[:1] in ("_", ".") for part in path[len(folder.rstrip("/")) :].split("/") if part)
