"""The main job: the orders of a Parquet extract reach ECDP, and every one of them has an outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.operators.push import PushOperator

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.definitions.context import Context

    from airflow_provider_ecdp.orders.sources.base import Source


class ParquetToEcdpOperator(PushOperator):
    """Sends the orders of Parquet files to ExpertSender CDP.

    Columns named like the API's fields (`totalValue` or `total_value`), nested, need no configuration; `mapping` says
    which column is which field, and `sql` shapes anything else. The task fails after everything was sent if more than
    `max_failed` orders failed, and Airflow does not try it again; an outage fails it at once, and Airflow's retries go
    on where it stopped.

    :param path: a Parquet file, a folder or a glob: a path on the worker, or a URL of an object storage, such as
        `s3://conn_id@bucket/orders/{{ ds }}/*.parquet`; or a shard of one, from `operators.sharding.shards`
    :param extracts: instead of `path`, several such paths by the names that `sql` has for them
    :param partitions: values of the Hive partitions to read, one or a list for each, such as `{"dt": "{{ ds }}"}`; no
        other files are looked at. With `extracts`, such values by their names: `{"orders": {"dt": "{{ ds }}"}}`
    :param mapping: which column is which field, such as `{"id": "order_no", "customer.email": "email"}`: a dict, its
        JSON text, or the path of a `.json` file. Order lines are grouped where `products.` fields name columns. The
        paths of `.json` and `.sql` files are relative to the DAG file's folder, or to the DAG's `template_searchpath`
    :param sql: one SELECT from `extract`, or from `extracts` by their names, that returns the API's fields as columns,
        or the path of a `.sql` file
    :param partition_by: for extracts that are larger than memory, the column by whose values the rows of an order go
        together, or one for each of `extracts`
    :param object_storage_conn_id: Airflow's connection for the storage, if the URL of a path names none
    :param mode: `add`, `replace` or `add_or_replace`, any of the API's spellings
    :param timezone: IANA name of the time zone in which timestamps without one are read
    :param warnings_as_errors: names of warnings that keep an order from being sent, or `all`
    :param batch_size: maximum orders per request; None leaves it to the connection
    :param batch_bytes: maximum bytes per request; None leaves it to the connection
    :param max_in_flight: maximum requests in flight; None leaves it to the connection
    :param request_budget: maximum requests for one refused batch, to find out which of its orders are at fault
    :param max_failed: how many orders may fail: a count (10), or a share of all ("1%"); 0 unless set
    :param results_path: folder or object storage URL, such as `s3://conn_id@bucket/results`, under which each task
        instance keeps the outcome of every order; None takes Airflow's setting `[ecdp] results_path`. With it, a retry
        resumes where the previous try stopped
    :param results_limit: how many results XCom lists, failures first
    :param only_changed: send only orders that no earlier run of this task had accepted with the same content
    :param replay_from: the results of an earlier run: only the orders that failed in it are read
        are sent, as they are now
    :param on_empty: how to treat an extract without orders: `fail`, `skip` or `succeed`
    :param canary: how many orders are sent first, alone; the others follow if all of them are accepted
    :param on_drift: what to do if a column that the previous run read is gone or has another type: `ignore`,
        `warn` or `fail`. It needs a `results_path`; `fail` is refused without one
    :param dry_run: do everything but send: the log says what is wrong with the orders, XCom has it under `check`
    :param memory_limit: memory limit of the engine that shapes and checks; beyond it, the engine spills to disk
    :param ecdp_conn_id: the connection, of type `ecdp`
    :raises ConfigurationError: a parameter has an invalid value
    """

    template_fields: Sequence[str] = (
        *PushOperator.template_fields,
        "path",
        "extracts",
        "partitions",
        "mapping",
        "sql",
        "object_storage_conn_id",
    )
    template_ext: Sequence[str] = (".sql", ".json")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql", "mapping": "json"}

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath | Mapping[str, Any] | None = None,
        extracts: Mapping[str, str | ObjectStoragePath] | None = None,
        partitions: Mapping[str, Any] | None = None,
        mapping: Mapping[str, Any] | str | None = None,
        sql: str | None = None,
        partition_by: str | Mapping[str, str] | None = None,
        object_storage_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        name = f"{type(self).__name__} {self.task_id}"
        if (path is None) == (extracts is None):
            raise ConfigurationError(f"{name}: give path, or extracts (a path for each name)")
        if isinstance(extracts, Mapping) and isinstance(partitions, Mapping):
            _refuse_unnamed(partitions, extracts)
        if mapping is not None and sql is not None:
            raise ConfigurationError(f"{name}: sql and mapping both say what an order is made of; keep one of them")
        self.path = path
        self.extracts = extracts
        self.partitions = partitions
        self.mapping = mapping
        self.sql = sql
        self.partition_by = partition_by
        self.object_storage_conn_id = object_storage_conn_id

    def _extract(
        self,
        context: Context,  # noqa: ARG002  # the others need it
        hook: EcdpHook,
    ) -> Source | Mapping[str, Source]:
        if self.extracts is None:
            return self._open(self.path, hook, self.object_storage_conn_id, self.partitions)
        partitions = self.partitions or {}
        # what a template gives is not known before
        _refuse_unnamed(partitions, self.extracts)
        return {
            name: self._open(path, hook, self.object_storage_conn_id, partitions.get(name))
            for name, path in self.extracts.items()
        }

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {
            "sql": self.sql or None,
            "mapping": self.mapping or None,
            "partition_by": self.partition_by or None,
        }


def _refuse_unnamed(partitions: Mapping[str, Any], extracts: Mapping[str, Any]) -> None:
    """Refuse partitions that are not those of one of the extracts.

    :raises ConfigurationError: there are such
    """
    there = ", ".join(extracts)
    for name, wanted in partitions.items():
        if name not in extracts:
            raise ConfigurationError(f"partitions: there is no extract {name}; there are {there}")
        if not isinstance(wanted, Mapping):
            raise ConfigurationError(f"partitions: of the extract {name}, a dict of columns and values, not {wanted!r}")
