"""The main job: the orders of a Parquet extract reach ECDP, and every one of them has an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.operators.push import PushOperator
from airflow_provider_ecdp.operators.results import open_storage
from airflow_provider_ecdp.operators.version_compat import get_hook_lineage_collector

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.definitions.context import Context

    from airflow_provider_ecdp.orders.extract import Extract


class ParquetToEcdpOperator(PushOperator):
    """Sends the orders of Parquet files to ExpertSender CDP.

    Columns named like the API's fields (`totalValue` or `total_value`), nested, need no configuration; `sql` shapes
    anything else. The task fails after everything was sent if more than `max_failed` orders failed, and Airflow does
    not try it again; an outage fails it at once, and Airflow's retries go on where it stopped.

    :param path: a Parquet file, a folder or a glob: a path on the worker, or a URL of an object storage, such as
        `s3://conn_id@bucket/orders/{{ ds }}/*.parquet`
    :param sql: one SELECT from `extract` that returns the API's fields as columns, or the path of a `.sql` file
    :param object_storage_conn_id: Airflow's connection of the storage, where the URL of `path` names none
    :param mode: `add`, `replace` or `add_or_replace`, any of the API's spellings
    :param timezone: IANA name of the zone in which timestamps without a zone are read
    :param warnings_as_errors: names of warnings that keep an order from being sent, or `all`
    :param batch_size: most orders of one request; None leaves it to the connection
    :param batch_bytes: most bytes of one request; None leaves it to the connection
    :param max_in_flight: most requests at a time; None leaves it to the connection
    :param request_budget: most requests for one refused batch, to find out which of its orders are at fault
    :param max_failed: how many orders may fail: a count (10), or a share of all ("1%"); 0 unless set
    :param results_path: folder or object storage URL, such as `s3://conn_id@bucket/results`, under which each task
        instance keeps the outcome of every order; None takes Airflow's setting `[ecdp] results_path`. With it, a retry
        goes on where the try before it stopped
    :param results_limit: how many results XCom lists, failures first
    :param only_changed: send only orders that no earlier run of this task had accepted with the same content
    :param replay_from: the results of an earlier run: of the orders, only those that it left rejected or unresolved
        are sent, as they are now
    :param on_empty: what an extract without orders is: `fail`, `skip` or `succeed`
    :param memory_limit: of the engine that shapes and checks; beyond it, it spills to disk
    :param ecdp_conn_id: the connection, of type `ecdp`
    :raises ConfigurationError: a parameter has a value that it cannot have
    """

    template_fields: Sequence[str] = (*PushOperator.template_fields, "path", "sql", "object_storage_conn_id")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath,
        sql: str | None = None,
        object_storage_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.sql = sql
        self.object_storage_conn_id = object_storage_conn_id

    def _extract(self, context: Context, hook: EcdpHook) -> Extract:  # noqa: ARG002  # the others need it
        from airflow_provider_ecdp.orders.extract import ParquetExtract  # noqa: PLC0415  # Arrow, at parse time

        url, path, filesystem = open_storage(self.path, self.object_storage_conn_id or None)
        self.log.info("Reading %s", url)
        extract = ParquetExtract.open(path, filesystem=filesystem)
        uri = url if "://" in url else Path(url).absolute().as_uri()
        get_hook_lineage_collector().add_input_asset(context=hook, uri=uri)
        return replace(extract, name=url)

    def _sql(self) -> str | None:
        return self.sql or None
