"""The operators that send the statuses or deletions of a Parquet extract to ECDP, with an outcome for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_ecdp.by_id.settings import ChangeRowSettings, ChangeSettings, DeletionSettings, Operation
from airflow_provider_ecdp.operators.base import EcdpOperator
from airflow_provider_ecdp.operators.dry_run import changes_as_text
from airflow_provider_ecdp.operators.results import open_ledger, remove_old_results
from airflow_provider_ecdp.operators.settings import FileSettings, RunTaskSettings
from airflow_provider_ecdp.orders.settings import refuse_both
from airflow_provider_ecdp.results.folders import deletions_folder

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk.definitions.context import Context

    from airflow_provider_ecdp.by_id.queue import ChangeQueue
    from airflow_provider_ecdp.hooks.ecdp import EcdpHook
    from airflow_provider_ecdp.operators.parameters import Templated


class _ParquetToEcdpChangesOperator(EcdpOperator):
    """Shared by the two transfers: the results of a task instance, and one run."""

    template_ext: Sequence[str] = (".sql", ".json")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql", "mapping": "json"}

    operation: ClassVar[Operation]
    sending: ClassVar[type[ChangeSettings]]

    def _check_combination(self, written: Mapping[str, Any]) -> None:
        refuse_both(written.get("sql"), written.get("mapping"))

    def _execute(self, context: Context, hook: EcdpHook) -> dict[str, Any]:
        """Send the changes, and return `summary`, `results`, `results_path`, `warnings` and `reasons`."""
        task = self._settings(RunTaskSettings)
        return self._unless_empty(lambda: self._run(context, hook, task), task.on_empty)

    def _run(self, context: Context, hook: EcdpHook, task: RunTaskSettings) -> dict[str, Any]:
        # Arrow and DuckDB, at parse time
        from airflow_provider_ecdp.by_id.from_source import apply_changes  # noqa: PLC0415
        from airflow_provider_ecdp.dry_run.changes import check_changes  # noqa: PLC0415

        ti = context["ti"]
        settings = hook.settings(self.sending, self._run_options(ti, task))
        root = self._place_results(ti, task)
        ledger = open_ledger(self.results_folder) if self.results_folder else None
        deleted = deletions_folder(root, task.ecdp_conn_id) if root and self.operation is Operation.DELETE else None
        if task.dry_run:
            with self._queue(hook) as queue:
                findings = check_changes(queue, settings, ledger)
            text = changes_as_text(findings)
            return self._conclude_dry_run(context, findings.as_json(), settings.max_failed, text, "rows")
        self._note_earlier(ti, ledger)
        client = hook.get_conn()
        with self._queue(hook) as queue:
            report = apply_changes(
                queue,
                client,
                settings,
                ledger=ledger,
                history=open_ledger(deleted) if deleted else None,
                progress=self._progress_logger(),
                cancellation=hook.cancellation,
            )
        if root and task.keep_results_days is not None:
            remove_old_results(root, ti, task.keep_results_days, [deleted] if deleted else ())
        return self._conclude_run(context, hook, report, settings.max_failed)

    def _queue(self, hook: EcdpHook) -> ChangeQueue:
        from airflow_provider_ecdp.by_id.queue import ChangeQueue  # noqa: PLC0415  # Arrow and DuckDB, as above

        files = self._settings(FileSettings)
        extract = self._open(files.path, hook, files.object_storage_conn_id, files.partitions)
        return ChangeQueue(extract, self.operation, self._settings(ChangeRowSettings))


class ParquetToEcdpStatusesOperator(_ParquetToEcdpChangesOperator):
    """Changes the status of orders. Each row of the Parquet files is one change, with `order_id` and `status`.

    All rows are read and checked before the first is sent. Statuses of one order are sent in the order of the rows. A
    status that the API does not list is `invalid`, and not sent. Failures, Airflow's
    retries and resuming are as with `ParquetToEcdpOperator`.

    :raises ConfigurationError: a parameter has an invalid value
    """

    tables: ClassVar[tuple[type, ...]] = (FileSettings, ChangeRowSettings, ChangeSettings, RunTaskSettings)
    operation = Operation.UPDATE_STATUS
    sending = ChangeSettings

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            task_id: str,
            path: Any,
            partitions: Mapping[str, Any] | Templated | None = ...,
            object_storage_conn_id: Templated | None = ...,
            on_missing: Templated = ...,
            sql: Templated | None = ...,
            mapping: Mapping[str, Any] | Templated | None = ...,
            memory_limit: Templated = ...,
            max_in_flight: int | Templated = ...,
            max_failed: Any = ...,
            results_limit: int | Templated = ...,
            max_duration: float | timedelta | Templated | None = ...,
            missing: Templated = ...,
            ecdp_conn_id: Templated = ...,
            results_path: Templated | None = ...,
            on_empty: Templated = ...,
            on_clear: Templated = ...,
            keep_results_days: int | Templated | None = ...,
            dry_run: bool | Templated = ...,
            **kwargs: Any,
        ) -> None: ...


class ParquetToEcdpDeletionsOperator(_ParquetToEcdpChangesOperator):
    """Marks orders as deleted. Each row of the Parquet files is one order, with `order_id`.

    All rows are read and checked before the first is sent. Failures, retries and resuming are those of
    `ParquetToEcdpOperator`.

    :raises ConfigurationError: a parameter has an invalid value
    """

    tables: ClassVar[tuple[type, ...]] = (FileSettings, ChangeRowSettings, DeletionSettings, RunTaskSettings)
    operation = Operation.DELETE
    sending = DeletionSettings

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            task_id: str,
            path: Any,
            partitions: Mapping[str, Any] | Templated | None = ...,
            object_storage_conn_id: Templated | None = ...,
            on_missing: Templated = ...,
            sql: Templated | None = ...,
            mapping: Mapping[str, Any] | Templated | None = ...,
            memory_limit: Templated = ...,
            max_in_flight: int | Templated = ...,
            max_failed: Any = ...,
            results_limit: int | Templated = ...,
            max_duration: float | timedelta | Templated | None = ...,
            missing: Templated = ...,
            max_deletions: int | Templated | None = ...,
            ecdp_conn_id: Templated = ...,
            results_path: Templated | None = ...,
            on_empty: Templated = ...,
            on_clear: Templated = ...,
            keep_results_days: int | Templated | None = ...,
            dry_run: bool | Templated = ...,
            **kwargs: Any,
        ) -> None: ...
