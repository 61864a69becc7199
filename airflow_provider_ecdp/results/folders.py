"""The folders of results below a root: those of task instances, and those that all runs of a task share.

A run of a task instance has `{root}/{dag_id}/{run_id}/{task_id}[/{map_index}]/{epoch}`.
"""

from __future__ import annotations

from urllib.parse import quote


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
    return join(root, dag_id, task_id, "history", conn_id)


def failed_folder(root: str, dag_id: str, task_id: str, conn_id: str) -> str:
    """Return the folder of the orders that all runs of a task left: `{root}/{dag_id}/{task_id}/failed/{conn_id}`."""
    return join(root, dag_id, task_id, "failed", conn_id)


def deletions_folder(root: str, conn_id: str) -> str:
    """Return the folder of the orders that were deleted over a connection, by any task: `{root}/deleted={conn_id}`.

    A quoted id never holds `=`, so no DAG has this folder.
    """
    return f"{root.rstrip('/')}/deleted={segment(conn_id)}"


def columns_folder(root: str, dag_id: str, task_id: str) -> str:
    """Return the folder where a task keeps which columns its extract has: `{root}/{dag_id}/{task_id}/columns`."""
    return join(root, dag_id, task_id, "columns")


def join(root: str, *parts: object) -> str:
    """Return a folder below a root; ids are quoted."""
    # a run id holds `:` and `+`, which not every storage takes, and globs read more; as Hive writes partitions
    return "/".join([root.rstrip("/"), *(segment(str(part)) for part in parts)])


def segment(text: str) -> str:
    """Return an id as the name of a folder."""
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if not quoted.strip(".") else quoted
