"""The folders of results below a root: those of task instances, and those that all runs of a task share.

A run of a task instance has `{root}/{dag_id}/{run_id}/{task_id}[/{map_index}]/{epoch}`.
"""

from __future__ import annotations

import re
from urllib.parse import quote

#: Below a task's folder, for all its runs: what it has sent; the orders that failed, by extract; the columns it reads.
_HISTORY, _FAILED, _COLUMNS = "history", "failed", "columns"

#: Precedes a connection. A quoted id never holds `=`, so no DAG has such a folder.
_DELETED = "deleted="

#: The folder of an extract in a list of failed orders, which no epoch is as long as.
_EXTRACT = re.compile("[0-9a-f]{16}")


def instance_folder(root: str, dag_id: str, run_id: str, task_id: str, map_index: int | None = None) -> str:
    """Return the folder above the epochs of a task instance: `{root}/{dag_id}/{run_id}/{task_id}[/{map_index}]`."""
    mapped = [] if map_index is None or map_index < 0 else [map_index]
    return join(root, dag_id, run_id, task_id, *mapped)


def run_folder(root: str, dag_id: str, run_id: str) -> str:
    """Return the folder of a DAG run: `{root}/{dag_id}/{run_id}`."""
    return join(root, dag_id, run_id)


def history_folder(root: str, dag_id: str, task_id: str, conn_id: str) -> str:
    """Return the folder of a task for all its runs: `{root}/{dag_id}/{task_id}/history/{conn_id}`.

    Another connection may lead to another ECDP, so the connection is a part of it.
    """
    return join(root, dag_id, task_id, _HISTORY, conn_id)


def failed_folder(root: str, dag_id: str, task_id: str, conn_id: str) -> str:
    """Return the folder of the orders that all runs of a task left: `{root}/{dag_id}/{task_id}/failed/{conn_id}`."""
    return join(root, dag_id, task_id, _FAILED, conn_id)


def deletions_folder(root: str, conn_id: str) -> str:
    """Return the folder of the orders that were deleted over a connection, by any task: `{root}/deleted={conn_id}`."""
    return f"{root.rstrip('/')}/{_DELETED}{segment(conn_id)}"


def columns_folder(root: str, dag_id: str, task_id: str) -> str:
    """Return the folder where a task keeps which columns its extract has: `{root}/{dag_id}/{task_id}/columns`."""
    return join(root, dag_id, task_id, _COLUMNS)


def is_of_run(folder: str) -> bool:
    """Whether a folder is certainly that of one run of a task: `…/{task_id}[/{map_index}]/{epoch}`.

    :param folder: its path, from anywhere above it on
    """
    *above, last = folder.split("/")
    if not last.isdecimal() or not above or is_shared(folder):
        return False
    # a connection may be called 1, and a run `failed`
    in_list = above[-2:-1] == [_FAILED] and not above[-1].isdecimal()
    return above[-1] != _HISTORY and not in_list


def is_shared(folder: str) -> bool:
    """Whether a folder is one that all runs share: its rows are in the folders of the runs too.

    DAGs, tasks and runs may have the same names as these folders: what follows tells them apart.

    :param folder: its path, from anywhere above it on
    """
    *above, last = folder.split("/")
    if any(part.startswith(_DELETED) for part in (*above, last)):
        return True
    if above[-1:] == [_HISTORY]:
        # below a task that is called so, it is an epoch
        return not last.isdecimal()
    return _FAILED in above[-2:] and _EXTRACT.fullmatch(last) is not None


def join(root: str, *parts: object) -> str:
    """Return a folder below a root; ids are quoted."""
    # a run id holds `:` and `+`, which not every storage takes, and globs read more; as Hive writes partitions
    return "/".join([root.rstrip("/"), *(segment(str(part)) for part in parts)])


def segment(text: str) -> str:
    """Return an id as the name of a folder."""
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if not quoted.strip(".") else quoted
