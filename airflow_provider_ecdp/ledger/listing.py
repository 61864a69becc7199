"""The files of a ledger, as its file system lists them: not globbed, for a folder may be named with brackets."""

from __future__ import annotations

from typing import Any

from airflow_provider_ecdp.orders.sources.storage import reading


def files_in(
    filesystem: Any, folder: str, name: str, *, start: str = "", end: str = ".parquet", deep: bool = False
) -> list[str]:
    """Return the files in a folder, sorted; none if there is no such folder.

    :param name: what the user called the folder, for messages
    :param start: of the names; without it, names that begin with `.` or `_` do not count
    :param deep: whether files in folders inside count too
    :raises ExtractError: the storage does not answer
    """
    # what another process has added since is not cached
    filesystem.invalidate_cache(folder)
    with reading(filesystem, f"results path {name}"):
        try:
            found = filesystem.find(folder) if deep else filesystem.ls(folder, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
    above = filesystem._strip_protocol(folder).rstrip("/") + "/"  # noqa: SLF001 - fsspec has no public name for it
    hidden = () if start else (".", "_")
    names = {path: filesystem._strip_protocol(path).removeprefix(above).split("/") for path in found}  # noqa: SLF001
    return sorted(
        path
        for path, parts in names.items()
        if parts[-1].startswith(start) and parts[-1].endswith(end) and not any(p.startswith(hidden) for p in parts)
    )
