"""`@task.ecdp_push`: a TaskFlow function returns orders, and they are pushed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import ObjectStoragePath
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory
from airflow.sdk.definitions.context import context_merge

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.version_compat import determine_kwargs
from airflow_provider_ecdp.operators.push import PushOperator
from airflow_provider_ecdp.operators.settings import FileSettings

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

    from airflow_provider_ecdp.hooks.ecdp import EcdpHook
    from airflow_provider_ecdp.orders.sources.base import Source


class _EcdpPushDecoratedOperator(DecoratedOperator, PushOperator):
    """Calls a function in the task, and pushes the orders that it returns."""

    tables: ClassVar[tuple[type, ...]] = (FileSettings, *PushOperator.tables)
    #: the function returns the path; a returned value cannot be opened again, as retry_failed would have to
    left_out: ClassVar[frozenset[str]] = frozenset({"path", "retry_failed"})
    template_fields: Sequence[str] = DecoratedOperator.template_fields
    template_ext: Sequence[str] = (".sql", ".json")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        "sql": "sql",
        "mapping": "json",
    }
    custom_operator_name = "@task.ecdp_push"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def _extract(self, context: Context, hook: EcdpHook) -> Source:
        context_merge(context, self.op_kwargs)
        returned = self.python_callable(*self.op_args, **determine_kwargs(self.python_callable, self.op_args, context))
        if _is_path(returned) or _is_shard(returned):
            files = self._settings(FileSettings, path=returned)
            return self._open(files.path, hook, files.object_storage_conn_id, files.partitions)
        return _in_memory(returned)


def _is_path(value: Any) -> bool:
    if isinstance(value, str | os.PathLike | ObjectStoragePath):
        return True
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_path, value))


def _is_shard(value: Any) -> bool:
    return isinstance(value, Mapping) and "path" in value


def _in_memory(returned: Any) -> Source:
    import pyarrow as pa  # noqa: PLC0415  # Arrow, at parse time

    from airflow_provider_ecdp.orders.sources.records import source_from_records  # noqa: PLC0415  # as above
    from airflow_provider_ecdp.orders.sources.table import TableSource  # noqa: PLC0415  # as above

    name = "the result of the function"
    if isinstance(returned, pa.RecordBatchReader):
        returned = returned.read_all()
    if isinstance(returned, pa.RecordBatch):
        returned = pa.Table.from_batches([returned])
    if isinstance(returned, pa.Table):
        return TableSource(name, returned)
    if returned is None:
        raise ConfigurationError(
            "the function of @task.ecdp_push returned None: add the return, or return an empty list if there are no "
            "orders"
        )
    if isinstance(returned, bytes | Mapping) or not isinstance(returned, Iterable):
        raise ConfigurationError(
            "a function of @task.ecdp_push must return a list of dicts, an Arrow table or a path, not "
            f"{type(returned).__name__}"
        )
    return source_from_records(returned, name)


def ecdp_push_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """Make a task of a function that returns orders: it pushes them.

    :param python_callable: returns dicts with the API's fields, an Arrow table, or the path of Parquet files
    :param kwargs: the parameters of `ParquetToEcdpOperator`, except `path`, `extracts` and `retry_failed`
    """
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=_EcdpPushDecoratedOperator, **kwargs
    )
