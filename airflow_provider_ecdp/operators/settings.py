"""The settings of a task, in addition to those of reading and sending."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_ecdp.by_id.settings import ChangeSettings, DeletionSettings, Missing
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.runs.settings import RunSettings
from airflow_provider_ecdp.settings import (
    Kind,
    boolean,
    check,
    choice,
    literal,
    mapping,
    same,
    setting,
    shown,
    text,
    whole,
)


class OnEmpty(enum.StrEnum):
    """What to do if the extract has no rows: fail, skip the task, or succeed."""

    FAIL = "fail"
    SKIP = "skip"
    SUCCEED = "succeed"


class OnMissing(enum.StrEnum):
    """What to do if a file, folder or partition does not exist: fail, let Airflow retry, or skip the task."""

    FAIL = "fail"
    RETRY = "retry"
    SKIP = "skip"


class OnClear(enum.StrEnum):
    """What a cleared task does: start over, or resume where its results end."""

    START_OVER = "start_over"
    RESUME = "resume"


def _folder(value: Any) -> str:
    """Return a folder or a URL as text."""
    if not isinstance(value, str | os.PathLike | ObjectStoragePath) or not str(value):
        raise TypeError
    return str(value)


def _paths(value: Any) -> Any:
    """Return a path, a list of them, or a shard; text may be a list that a template has rendered."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            value = literal(value)
        except ValueError:
            # a glob may begin with a bracket
            return value
    if isinstance(value, Mapping):
        return value
    paths = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    if not paths:
        raise ConfigurationError("must name at least one file: the list is empty")
    for path in paths:
        if not isinstance(path, str | os.PathLike | ObjectStoragePath) or not str(path):
            raise ConfigurationError(f"must be a path, a list of paths, or a shard of `shards`, not {shown(path)}")
    return list(paths) if paths is value else value


def _extracts(value: Any) -> Mapping[str, Any]:
    paths = mapping("").parse(value)
    return {name: _PATHS.read(path) for name, path in paths.items()}


_FOLDER = Kind("a folder or the URL of one", _folder, "DIR")
_PATHS = Kind("a path, a list of paths, or a shard", _paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """Settings of every operator."""

    ecdp_conn_id: str = setting(EcdpHook.default_conn_name, text("the id of a connection"), help="The connection")
    max_failed: Any = same(RunSettings, "max_failed")
    results_limit: int = same(RunSettings, "results_limit")

    def __post_init__(self) -> None:
        """Parse the settings."""
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByIdTaskSettings(TaskSettings):
    """Settings of operators that name orders by id."""

    missing: Missing = same(ChangeSettings, "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionTaskSettings(ByIdTaskSettings):
    """Settings of the operator that deletes orders by id."""

    missing: Missing = same(DeletionSettings, "missing")
    results_path: str | None = setting(
        None,
        _FOLDER,
        help="The `results_path` of pushes with `only_changed`, which then send a deleted order again; None takes "
        "`[ecdp] results_path`",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTaskSettings(TaskSettings):
    """Settings of operators whose runs have a ledger."""

    results_path: str | None = setting(
        None,
        _FOLDER,
        help="Folder or object storage URL under which each task instance keeps the outcome of every order, so that a "
        "retry resumes; None takes `[ecdp] results_path`",
    )
    on_empty: OnEmpty = setting(
        OnEmpty.FAIL.value, choice(OnEmpty), help="What to do if the extract has no rows: fail, skip or succeed"
    )
    on_clear: OnClear = setting(
        OnClear.START_OVER.value,
        choice(OnClear),
        help="What a cleared task does: start_over sends everything again, resume sends the orders that its "
        "results do not list as accepted",
    )
    keep_results_days: int | None = setting(
        None,
        whole(least=1),
        help="Remove results of this task's runs that have written nothing for this many days, and older rows of its "
        "history except the newest of each order; None keeps all",
    )
    dry_run: bool = setting(default=False, kind=boolean(), help="Do everything except sending")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushTaskSettings(RunTaskSettings):
    """Settings of operators that push."""

    only_changed: bool = setting(
        default=False,
        kind=boolean(),
        help="Send only new or changed orders, compared with all earlier runs of this task",
    )
    replay_from: str | None = setting(
        None,
        _FOLDER,
        help="Results of an earlier run: send only the orders that failed in it, with their current content",
    )
    retry_failed: bool = setting(
        default=False,
        kind=boolean(),
        help="Also send orders that were rejected or unresolved in earlier runs of this task, if their extracts still "
        "have them",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings:
    """Where the files of an extract are."""

    path: Any = setting(
        ...,
        _PATHS,
        help="A Parquet file, a folder or a glob, as a path on the worker or an object storage URL; a list of them; or "
        "a shard of one",
    )
    partitions: Mapping[str, Any] | None = setting(
        None,
        mapping("a dict of columns and values, or its JSON text"),
        help="Values of the Hive partitions to read, one or a list per column; other files are not read",
    )
    object_storage_conn_id: str | None = setting(
        None,
        text("the id of a connection"),
        help="Airflow connection for the storage, if the URL of a path names none",
    )

    on_missing: OnMissing = setting(
        OnMissing.FAIL.value,
        choice(OnMissing),
        help="What to do if a file, folder or partition does not exist: fail, retry (Airflow retries the task, as set "
        "by `retries` and `retry_delay`) or skip",
    )

    def __post_init__(self) -> None:
        """Parse the settings."""
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractSettings(FileSettings):
    """Where the files of one extract or of several are."""

    path: Any = same(FileSettings, "path", default=None)
    extracts: Mapping[str, Any] | None = setting(
        None,
        Kind("a dict of names and paths, or its JSON text", _extracts, "JSON"),
        help="Instead of path, several paths, each under the name that sql uses for it",
    )

    def __post_init__(self) -> None:
        """Parse the settings, and refuse partitions that are not those of one of the extracts."""
        check(self)
        if (self.path is None) == (self.extracts is None):
            raise ConfigurationError("give path, or extracts (a path for each name)")
        if self.extracts is not None:
            refuse_unnamed(self.partitions or {}, self.extracts)


def refuse_unnamed(partitions: Mapping[str, Any], extracts: Mapping[str, Any]) -> None:
    """Refuse partitions that are not those of one of the extracts.

    :raises ConfigurationError: there are such
    """
    for name, values in partitions.items():
        if name not in extracts:
            raise ConfigurationError(f"partitions: there is no extract {name}; there are {', '.join(extracts)}")
        if not isinstance(values, Mapping):
            raise ConfigurationError(
                f"partitions: must be a dict of columns and values for the extract {name}, not {shown(values)}"
            )
