"""Beyond orders that exist: the statuses of a Parquet extract reach ECDP, and its deletions, each with an outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.operators.base import EcdpOperator
from airflow_provider_ecdp.operators.push import ON_EMPTY
from airflow_provider_ecdp.operators.results import open_ledger, own_folder, results_root

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.definitions.context import Context

    from airflow_provider_ecdp.by_id.queue import ChangeQueue
    from airflow_provider_ecdp.by_id.settings import ChangeSettings
    from airflow_provider_ecdp.results.report import MaxFailed


class _ParquetToEcdpChangesOperator(EcdpOperator):
    """What the two transfers share: parameters, the memory of a task instance, and the way of one run."""

    template_fields: Sequence[str] = (
        *EcdpOperator.template_fields,
        "path",
        "partitions",
        "sql",
        "mapping",
        "object_storage_conn_id",
        "missing",
        "results_path",
    )
    template_ext: Sequence[str] = (".sql", ".json")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql", "mapping": "json"}

    #: as `Operation` has it, which a DAG file must not import: it comes with Arrow
    operation: ClassVar[str]

    max_deletions: int | None = None

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath,
        partitions: Mapping[str, Any] | None = None,
        sql: str | None = None,
        mapping: Mapping[str, Any] | str | None = None,
        object_storage_conn_id: str | None = None,
        missing: str = "fail",
        max_in_flight: int | None = None,
        results_path: str | None = None,
        on_empty: Literal["fail", "skip", "succeed"] = "fail",
        dry_run: bool = False,
        memory_limit: str = "256MB",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.partitions = partitions
        self.sql = sql
        self.mapping = mapping
        self.object_storage_conn_id = object_storage_conn_id
        self.missing = missing
        self.max_in_flight = None if max_in_flight is None else self._whole("max_in_flight", max_in_flight)
        self.results_path = results_path
        self.on_empty = self._one_of("on_empty", on_empty, ON_EMPTY)
        # BaseOperator has a method of the parameter's name
        self.check_only = dry_run
        self.memory_limit = memory_limit

    @cached_property
    def hook(self) -> EcdpHook:
        """The hook of the connection; it reads nothing before it is used."""
        return EcdpHook(self.ecdp_conn_id, max_in_flight=self.max_in_flight)

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the changes, and return `summary`, `results`, `results_path`, `warnings` and `reasons`."""
        from airflow_provider_ecdp.results.report import MaxFailed  # noqa: PLC0415  # Arrow, at parse time

        with self._to_airflow() as hook:
            tolerated = MaxFailed.parse(self.max_failed)
            return self._unless_empty(lambda: self._run(context, hook, tolerated), self.on_empty)

    def _run(self, context: Context, hook: EcdpHook, tolerated: MaxFailed) -> dict[str, Any]:
        # Arrow and DuckDB, at parse time
        from airflow_provider_ecdp.by_id.from_source import apply_changes  # noqa: PLC0415
        from airflow_provider_ecdp.dry_run.changes import check_changes  # noqa: PLC0415
        from airflow_provider_ecdp.operators.dry_run import changes_as_text  # noqa: PLC0415

        ti = context["ti"]
        root = results_root(self.results_path)
        own = own_folder(root, ti) if root else None
        ledger = open_ledger(own) if own else None
        settings = self._settings(hook, retried=ti.try_number > 1)
        if self.check_only:
            with self._queue(hook) as queue:
                found = check_changes(queue, settings, ledger)
            return self._conclude_look(context, found.as_json(), tolerated, changes_as_text(found), "rows")
        self._note_earlier(ledger, retried=ti.try_number > 1)
        client = hook.get_conn()
        with self._queue(hook) as queue:
            report = apply_changes(queue, client, settings, ledger=ledger, progress=self._heartbeat(len(queue)))
        return self._conclude(context, replace(report, results_path=own), tolerated)

    def _settings(self, hook: EcdpHook, *, retried: bool) -> ChangeSettings:
        from airflow_provider_ecdp.by_id.requests import Missing  # noqa: PLC0415  # Arrow, at parse time
        from airflow_provider_ecdp.by_id.settings import ChangeSettings  # noqa: PLC0415  # as above
        from airflow_provider_ecdp.results.outcome import Outcome  # noqa: PLC0415  # as above

        return ChangeSettings(
            missing=Missing.parse(self.missing),
            max_in_flight=hook.get_conn().settings.max_in_flight,
            max_deletions=self.max_deletions,
            results_limit=self.results_limit,
            allow_empty=self.on_empty == "succeed",
            # a try that was killed may have sent what no ledger knows of
            resumed=retried,
            count_resumed_as=Outcome.ACCEPTED if retried else Outcome.SKIPPED,
        )

    def _queue(self, hook: EcdpHook) -> ChangeQueue:
        from airflow_provider_ecdp.by_id.queue import ChangeQueue  # noqa: PLC0415  # as above
        from airflow_provider_ecdp.by_id.requests import Operation  # noqa: PLC0415  # Arrow, at parse time

        return ChangeQueue(
            self._open(self.path, hook, self.object_storage_conn_id, self.partitions),
            Operation(self.operation),
            sql=self.sql or None,
            mapping=self.mapping or None,
            memory_limit=self.memory_limit,
        )


class ParquetToEcdpStatusesOperator(_ParquetToEcdpChangesOperator):
    """Changes the status of orders: a row of the Parquet files for each change, with `order_id` and `status`.

    All rows are read and checked before the first is sent. Statuses of one order are sent in the order of the rows. A
    status that the API does not list is `invalid`, and not sent. What fails the task, what Airflow tries again, and
    what a retry does not send again, is as with `ParquetToEcdpOperator`.

    :param path: a Parquet file, a folder or a glob: a path on the worker, or a URL of an object storage, such as
        `s3://conn_id@bucket/statuses/{{ ds }}/*.parquet`
    :param partitions: values of the Hive partitions to read, one or a list for each, such as `{"dt": "{{ ds }}"}`;
        no other files of `path` are looked at
    :param sql: one SELECT from `extract` that returns the columns `order_id`, `status` and, if it is to be sent,
        `website_id`; or the path of a `.sql` file
    :param mapping: instead of `sql`, which column is which of the three, and what is sent for other names, such as
        `{"order_id": "order_no", "status": {"column": "state", "map": {"shipped": "completed"}}}`: a dict, its JSON
        text, or the path of a `.json` file
    :param object_storage_conn_id: Airflow's connection for the storage, if the URL of `path` names none
    :param missing: how to treat an order that ECDP does not have: `fail`, or `report`, which counts it as skipped
    :param max_failed: how many rows may fail: a count (10), or a share of all ("1%"); 0 unless set
    :param max_in_flight: maximum requests in flight; None leaves it to the connection
    :param results_path: folder or object storage URL, such as `s3://conn_id@bucket/results`, under which each task
        instance keeps the outcome of every row; None takes Airflow's setting `[ecdp] results_path`. With it, a retry
        resumes where the previous try stopped
    :param results_limit: how many results XCom lists, failures first
    :param on_empty: how to treat an extract without rows: `fail`, `skip` or `succeed`
    :param dry_run: do everything but send: the log says what is wrong with the rows, XCom has it under `check`
    :param memory_limit: memory limit of the engine that reads and sorts; beyond it, the engine spills to disk
    :param ecdp_conn_id: the connection, of type `ecdp`
    :raises ConfigurationError: a parameter has an invalid value
    """

    operation = "update_status"


class ParquetToEcdpDeletionsOperator(_ParquetToEcdpChangesOperator):
    """Marks orders as deleted: a row of the Parquet files for each of them, with `order_id`.

    All rows are read and checked before the first is sent. What fails the task, what Airflow tries again, and what a
    retry does not send again, is as with `ParquetToEcdpOperator`.

    :param path: a Parquet file, a folder or a glob: a path on the worker, or a URL of an object storage, such as
        `s3://conn_id@bucket/deletions/{{ ds }}/*.parquet`
    :param partitions: values of the Hive partitions to read, one or a list for each, such as `{"dt": "{{ ds }}"}`;
        no other files of `path` are looked at
    :param max_deletions: if the extract has more rows, nothing is deleted, and the task fails; None for no limit
    :param sql: one SELECT from `extract` that returns the column `order_id`, or the path of a `.sql` file
    :param mapping: instead of `sql`, which column is the id, such as `{"order_id": "order_no"}`: a dict, its JSON text,
        or the path of a `.json` file
    :param object_storage_conn_id: Airflow's connection for the storage, if the URL of `path` names none
    :param missing: how to treat an order that ECDP does not have: `report` counts it as accepted, because the order is
        gone, which is the goal, and a second deletion may be answered the same way; `fail` counts it as rejected
    :param max_failed: how many rows may fail: a count (10), or a share of all ("1%"); 0 unless set
    :param max_in_flight: maximum requests in flight; None leaves it to the connection
    :param results_path: folder or object storage URL, such as `s3://conn_id@bucket/results`, under which each task
        instance keeps the outcome of every row; None takes Airflow's setting `[ecdp] results_path`. With it, a retry
        resumes where the previous try stopped
    :param results_limit: how many results XCom lists, failures first
    :param on_empty: how to treat an extract without rows: `fail`, `skip` or `succeed`
    :param dry_run: do everything but send: the log says what is wrong with the rows, XCom has it under `check`
    :param memory_limit: memory limit of the engine that reads and sorts; beyond it, the engine spills to disk
    :param ecdp_conn_id: the connection, of type `ecdp`
    :raises ConfigurationError: a parameter has an invalid value
    """

    operation = "delete"

    def __init__(self, *, max_deletions: int | None = None, missing: str = "report", **kwargs: Any) -> None:
        super().__init__(missing=missing, **kwargs)
        self.max_deletions = None if max_deletions is None else self._whole("max_deletions", max_deletions, least=0)
