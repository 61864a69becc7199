"""The folder of results of each task instance, so that a retry finds the outcomes of the try before.

The folder ends in an epoch, `ti.max_tries`: the same in all retries, and raised by Airflow when a task is cleared. So a
cleared task starts over in a folder of its own, or resumes in that of the newest epoch that has results (`on_clear`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_ecdp.errors import ConfigurationError, EcdpError
from airflow_provider_ecdp.hooks.version_compat import conf
from airflow_provider_ecdp.orders.sources.storage import credentials_in, without_credentials
from airflow_provider_ecdp.results.folders import instance_folder, join, segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk.types import RuntimeTaskInstanceProtocol

    from airflow_provider_ecdp.ledger.store import Ledger

log = logging.getLogger(__name__)

#: Files of a history above which its next run takes seconds to begin.
_MANY_FILES = 200


def results_root(results_path: str | None) -> str | None:
    """Return the operator's own path, or Airflow's setting `[ecdp] results_path`; None if neither is set."""
    return results_path or conf.get("ecdp", "results_path", fallback="") or None


def own_folder(root: str, ti: RuntimeTaskInstanceProtocol, *, resume: bool = False) -> str:
    """Return the folder of a task instance: `{root}/{dag_id}/{run_id}/{task_id}[/{map_index}]/{epoch}`.

    :param resume: take the newest epoch that has results, also if the task was cleared since
    :raises ConfigurationError: Airflow has no file system for this URL, or the storage refuses to list the folder
    :raises StorageError: the storage does not answer
    """
    epochs = instance_folder(root, ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
    newest = _newest_epoch(epochs) if resume else None
    return join(epochs, ti.max_tries if newest is None else newest)


def remove_old_results(
    root: str, ti: RuntimeTaskInstanceProtocol, keep_days: int, histories: Iterable[str] = ()
) -> None:
    """Remove the results of a task's earlier runs, and old rows of its histories; what fails is logged.

    :param keep_days: days since something was written in a run's folder
    :param histories: folders that all runs share: the history of the task, the deletions over its connection
    """
    from airflow_provider_ecdp.ledger.compaction import compact, prune  # noqa: PLC0415  # Arrow, at parse time
    from airflow_provider_ecdp.ledger.reader import files_in  # noqa: PLC0415  # as above

    if ti.map_index is not None and ti.map_index > 0:
        # the first of mapped tasks does it for all
        return
    name = segment(ti.task_id)
    try:
        url, path, filesystem = open_storage(join(root, ti.dag_id))
        removed = prune(path, filesystem, keep_days=keep_days, belongs=lambda folder: folder.split("/")[1:2] == [name])
        if removed:
            log.info("Removed the results of %d earlier runs from %s: nothing since %d days", removed, url, keep_days)
        for history in histories:
            _, path, filesystem = open_storage(history)
            if len(files_in(filesystem, path, history)) > _MANY_FILES:
                compact(path, filesystem, keep_days=keep_days)
    except EcdpError as error:
        log.warning("old results were not removed: %s", error)


def _newest_epoch(folder: str) -> int | None:
    from airflow_provider_ecdp.ledger.reader import folders_in  # noqa: PLC0415  # Arrow and DuckDB, at parse time

    url, path, filesystem = open_storage(folder)
    epochs = sorted(int(name) for name in folders_in(filesystem, path, url) if name.isdecimal())
    return next((epoch for epoch in reversed(epochs) if open_ledger(join(folder, epoch)).exists()), None)


def open_storage(path: str | ObjectStoragePath, conn_id: str | None = None) -> tuple[str, str, Any]:
    """Return the URL for people, the path, and the file system of a path or of a URL such as `s3://conn_id@bucket/key`.

    :raises ConfigurationError: Airflow has no file system for this URL, or it holds a user and a password
    """
    if credentials_in(str(path)):
        # Airflow takes them for the name of a connection, and logs that there is none of this name
        raise ConfigurationError(
            f"{without_credentials(str(path))}: Airflow does not accept a user and password in a URL; name a "
            "connection instead, for example s3://conn_id@bucket/key"
        )
    try:
        # from text, for a path object would be copied by its deprecated __fspath__; in Airflow 3.1 a conn_id that is
        # None hides the one in the URL
        storage = ObjectStoragePath(str(path), conn_id=conn_id) if conn_id else ObjectStoragePath(str(path))
        return str(storage), storage.path, storage.fs
    except (ValueError, ImportError) as error:
        raise ConfigurationError(
            f"{path}: {error}; install the Airflow provider of this storage, and check the URL"
        ) from None


def open_ledger(folder: str) -> Ledger:
    """Return the ledger in a folder, or under an object storage URL.

    :raises ConfigurationError: Airflow has no file system for this URL
    """
    from airflow_provider_ecdp.ledger.store import Ledger  # noqa: PLC0415  # Arrow and DuckDB, at parse time

    _, path, filesystem = open_storage(folder)
    return Ledger(path, filesystem)
