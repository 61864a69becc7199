"""Computes the results folder of a task from its ids, below a root from the deployment's configuration.

No path of an XCom, of a rendered field or of a request is read: the author of a DAG could make the API server read
files that only the API server may read, or results of a DAG that the reader of the report may not see.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import ConfigurationError, EcdpError
from airflow_provider_ecdp.hooks.version_compat import conf
from airflow_provider_ecdp.ledger.query import Row, rows_of
from airflow_provider_ecdp.ledger.reader import files_in
from airflow_provider_ecdp.operators.results import open_storage
from airflow_provider_ecdp.orders.sources.storage import below, stripped
from airflow_provider_ecdp.plugin.results.root_deadlines import RootDeadlines
from airflow_provider_ecdp.results.folders import instance_folder, run_folder

#: Of all requests of this process.
deadlines = RootDeadlines()


@dataclass(frozen=True, slots=True)
class TaskKey:
    """A task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, and the subfolders with results that count, relative to it."""

    folder: str
    inside: tuple[str, ...]

    def of(self, inside: str) -> str:
        """Return one of the folders."""
        return f"{self.folder}/{inside}"


def configured_roots() -> list[str]:
    """Return the folders and URLs below which the API server reads results, without a slash at the end."""
    texts = [conf.get("ecdp", "results_path", fallback=""), conf.get("ecdp", "results_roots", fallback="")]
    roots = [root.strip().rstrip("/") for text in texts for root in re.split(r"[,\n]", text or "")]
    return list(dict.fromkeys(root for root in roots if root))


def results_of(key: TaskKey, reported: str | None) -> Place | None:
    """Return where the newest results of a task instance are, None if no root has any.

    :param reported: the folder that the task itself names; it chooses among the roots, and is not read
    :raises ConfigurationError: no root that can be read has any, and Airflow has no file system for another, its
        storage refuses to list it, or a link is on the way
    :raises StorageError: as before, and the storage does not answer
    """

    def place_below(root: str) -> Place | None:
        folder = instance_folder(root, key.dag_id, key.run_id, key.task_id, key.map_index)
        epochs = [inside for inside in _folders_with_results(root, folder) if inside.isdecimal()]
        return Place(folder, (max(epochs, key=int),)) if epochs else None

    likely, others = _likeliest_first(reported)
    failed: EcdpError | None = None
    # the others are not asked for a report whose task has named one
    for answers in (deadlines.of_each(roots, place_below) for roots in (likely, others)):
        for answer in answers:
            if isinstance(answer, Place):
                return answer
            failed = failed or answer
    if failed is not None:
        raise failed
    return None


@dataclass(frozen=True, slots=True)
class RunPlaces:
    """Where the newest results of the task instances of a DAG run are.

    :param failures: of roots that could not be read; one of them hides no other
    """

    places: Mapping[TaskKey, Place]
    failures: Sequence[EcdpError]


def results_of_run(dag_id: str, run_id: str, keys: Mapping[tuple[str, ...], TaskKey]) -> RunPlaces:
    """Return where the newest results of task instances of one DAG run are, with one listing for each root.

    :param keys: the task instances by their folders inside that of the run, as `inside_run` names them
    """
    places: dict[TaskKey, Place] = {}
    failures: list[EcdpError] = []
    roots = configured_roots()
    answers = deadlines.of_each(roots, lambda root: _folders_with_results(root, run_folder(root, dag_id, run_id)))
    for root, answer in zip(roots, answers, strict=True):
        if isinstance(answer, EcdpError):
            failures.append(answer)
            continue
        folder = run_folder(root, dag_id, run_id)
        newest: dict[TaskKey, int] = {}
        for inside in answer:
            *parts, epoch = inside.split("/")
            key = keys.get(tuple(parts))
            if key is not None and epoch.isdecimal():
                newest[key] = max(int(epoch), newest.get(key, -1))
        for key, epoch_number in newest.items():
            places.setdefault(key, Place(folder, ("/".join([*inside_run(key), str(epoch_number)]),)))
    return RunPlaces(places, failures)


def inside_run(key: TaskKey) -> tuple[str, ...]:
    """Return the folder of a task instance inside that of its DAG run, in parts."""
    above = run_folder("", key.dag_id, key.run_id)
    folder = instance_folder("", key.dag_id, key.run_id, key.task_id, key.map_index)
    return tuple(folder.removeprefix(f"{above}/").split("/"))


def root_of(key: TaskKey, reported: str) -> str | None:
    """Return the root of the folder that a task names, None if the folder is not that of the task."""
    root, folder, _ = reported.rpartition(instance_folder("", key.dag_id, key.run_id, key.task_id, key.map_index) + "/")
    return root if folder else None


def readable(root: str) -> bool:
    """Whether the API server may read below a root."""
    return root.rstrip("/") in configured_roots()


def rows_of_order(dag_id: str, run_id: str, task_id: str | None, order_id: str) -> tuple[list[Row], EcdpError | None]:
    """Return the rows that a DAG run has kept of one order, in any of its tasks or in one, and in all of their epochs.

    :return: the rows, and why those below a root are not among them: Airflow has no file system for it, its storage
        does not answer, a file is damaged, or a link is on the way
    """

    def folder_below(root: str) -> str:
        return run_folder(root, dag_id, run_id) if task_id is None else instance_folder(root, dag_id, run_id, task_id)

    rows: list[Row] = []
    failed: EcdpError | None = None
    roots = configured_roots()
    answers = deadlines.of_each(roots, lambda root: refuse_links(root, folder_below(root)))
    for root, answer in zip(roots, answers, strict=True):
        if isinstance(answer, EcdpError):
            failed = failed or answer
            continue
        try:
            url, path, filesystem = open_storage(folder_below(root))
            rows += rows_of(filesystem, path, url, order_id)
        except EcdpError as error:
            failed = failed or error
    return rows, failed


def refuse_links(root: str, folder: str, *, notes: bool = False) -> list[str]:
    """Refuse a folder behind a link on the local disk, and files in it that are links.

    A link may lead to files of others, also to those below the same root. The root itself may be a link, or below one:
    the deployment names it.

    :param notes: look at the notes instead of the results
    :return: the files in the folder and those inside it
    :raises ConfigurationError: there is a link, or Airflow has no file system for the root
    :raises StorageError: the storage does not answer
    """
    url, path, filesystem = open_storage(folder)
    files = list(files_in(filesystem, path, url, end=".json" if notes else ".parquet", deep=True, notes=notes))
    if not isinstance(filesystem, LocalFileSystem):
        return files
    own_root, own_folder, *own_files = (stripped(filesystem, one) for one in (root, path, *files))
    real_root = os.path.realpath(own_root)
    # each folder once, for a run may have written thousands of files
    folders = sorted({own_folder, *map(os.path.dirname, own_files)})
    relative = os.path.relpath
    linked = [one for one in folders if relative(os.path.realpath(one), real_root) != relative(one, own_root)]
    linked += filter(os.path.islink, own_files)
    if linked:
        raise ConfigurationError(
            f"{linked[0]} is a link, or behind one, and the API server follows no links below {own_root}: move the "
            "results there, or add the folder where they are to results_roots in the section [ecdp]"
        )
    return files


def _likeliest_first(reported: str | None) -> tuple[list[str], list[str]]:
    """Return the roots of which one is above the folder that a task names, and the others."""
    roots = configured_roots()
    likely = [root for root in roots if (reported or "").startswith(f"{root}/")]
    return likely, [root for root in roots if root not in likely]


def _folders_with_results(root: str, folder: str) -> list[str]:
    """Return the folders inside a folder that hold files of results, relative to it."""
    files = refuse_links(root, folder)
    _, path, filesystem = open_storage(folder)
    inner = (below(filesystem, path, file).rpartition("/")[0] for file in files)
    return list(dict.fromkeys(name for name in inner if name))
