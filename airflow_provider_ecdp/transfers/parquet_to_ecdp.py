"""The operator that sends the orders of a Parquet extract to ECDP, with an outcome for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.operators.push import PushOperator
from airflow_provider_ecdp.operators.results import open_storage, results_root
from airflow_provider_ecdp.operators.settings import ExtractSettings, PushTaskSettings, refuse_unnamed
from airflow_provider_ecdp.orders.settings import OrderSettings, refuse_both
from airflow_provider_ecdp.results.folders import failed_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from airflow.sdk.definitions.context import Context

    from airflow_provider_ecdp.operators.parameters import Templated
    from airflow_provider_ecdp.orders.sources.base import Source
    from airflow_provider_ecdp.push.failed_before import FailedBefore


class ParquetToEcdpOperator(PushOperator):
    """Sends the orders of Parquet files to ExpertSender CDP.

    Columns named like the API's fields (`totalValue` or `total_value`) need no configuration. For other column names,
    and for order lines, use `mapping`; for anything else, `sql`. If more than `max_failed` orders fail, the task fails
    once everything has been sent, and is not retried. An outage fails the task at once, and a retry resumes where it
    stopped.

    :raises ConfigurationError: a parameter has an invalid value
    """

    tables: ClassVar[tuple[type, ...]] = (ExtractSettings, *PushOperator.tables)
    template_ext: Sequence[str] = (".sql", ".json")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql", "mapping": "json"}

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            task_id: str,
            path: Any = ...,
            partitions: Mapping[str, Any] | Templated | None = ...,
            object_storage_conn_id: Templated | None = ...,
            on_missing: Templated = ...,
            extracts: Mapping[str, Any] | Templated | None = ...,
            sql: Templated | None = ...,
            mapping: Mapping[str, Any] | Templated | None = ...,
            partition_by: Mapping[str, str] | Templated | None = ...,
            timezone: Templated | None = ...,
            warnings_as_errors: Iterable[str] | Templated = ...,
            memory_limit: Templated = ...,
            max_in_flight: int | Templated = ...,
            max_failed: Any = ...,
            results_limit: int | Templated = ...,
            max_duration: float | timedelta | Templated | None = ...,
            mode: Templated = ...,
            batch_size: int | Templated = ...,
            batch_bytes: int | Templated = ...,
            request_budget: int | Templated = ...,
            canary: int | Templated = ...,
            verify: int | Templated = ...,
            on_drift: Templated = ...,
            ecdp_conn_id: Templated = ...,
            results_path: Templated | None = ...,
            on_empty: Templated = ...,
            on_clear: Templated = ...,
            keep_results_days: int | Templated | None = ...,
            dry_run: bool | Templated = ...,
            only_changed: bool | Templated = ...,
            replay_from: Templated | None = ...,
            retry_failed: bool | Templated = ...,
            **kwargs: Any,
        ) -> None: ...

    def _check_combination(self, written: Mapping[str, Any]) -> None:
        if (written.get("path") is None) == (written.get("extracts") is None):
            raise ConfigurationError("give path, or extracts (a path for each name)")
        refuse_both(written.get("sql"), written.get("mapping"))
        extracts, partitions = written.get("extracts"), written.get("partitions")
        if isinstance(extracts, Mapping) and isinstance(partitions, Mapping):
            refuse_unnamed(partitions, extracts)

    def _extract(
        self,
        context: Context,  # noqa: ARG002  # the others need it
        hook: EcdpHook,
    ) -> Source | Mapping[str, Source]:
        return self._open_files(self._settings(ExtractSettings), hook)

    def _failed_before(
        self, context: Context, hook: EcdpHook, task: PushTaskSettings, reading: OrderSettings
    ) -> FailedBefore | None:
        from airflow_provider_ecdp.orders.reader import OrderReader  # noqa: PLC0415  # Arrow, at parse time
        from airflow_provider_ecdp.push.failed_before import FailedBefore  # noqa: PLC0415  # as above

        if not task.retry_failed:
            return None
        root, ti = results_root(task.results_path), context["ti"]
        if not root:
            raise ConfigurationError(
                "retry_failed needs results_path: set it, or results_path in the section [ecdp] of Airflow"
            )
        if ti.map_index is not None and ti.map_index >= 0:
            raise ConfigurationError(
                "retry_failed does not work with mapped tasks, which would all send the same orders again: "
                "use replay_from in a separate task"
            )
        _, path, filesystem = open_storage(failed_folder(root, ti.dag_id, ti.task_id, task.ecdp_conn_id))
        return FailedBefore(
            path, filesystem, self._describe(), lambda extract: OrderReader(self._reopen(extract, hook), reading)
        )

    def _describe(self) -> dict[str, Any]:
        """Return the extract of this run in plain JSON types, for `_reopen` in a later run."""
        files = self._settings(ExtractSettings)
        described = {"path": files.path, "extracts": files.extracts, "partitions": files.partitions}
        return {name: _plain(value) for name, value in described.items() if value is not None}

    def _reopen(self, extract: Mapping[str, Any], hook: EcdpHook) -> Source | Mapping[str, Source]:
        """Return the extract of an earlier run."""
        storage = self._settings(ExtractSettings).object_storage_conn_id
        return self._open_files(ExtractSettings(**extract, object_storage_conn_id=storage), hook)

    def _open_files(self, files: ExtractSettings, hook: EcdpHook) -> Source | Mapping[str, Source]:
        storage, partitions = files.object_storage_conn_id, files.partitions or {}
        if files.extracts is None:
            return self._open(files.path, hook, storage, files.partitions)
        return {name: self._open(path, hook, storage, partitions.get(name)) for name, path in files.extracts.items()}


def _plain(value: Any) -> Any:
    """Return paths and dicts of them in plain JSON types."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
