"""The hook: one Airflow connection of type `ecdp` as a client of the Orders API.

Nothing is read before it is needed: a DAG file that makes a hook costs no connection, no network and no Arrow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from airflow import __version__ as airflow_version
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.by_id.validation import listed_status
from airflow_provider_ecdp.errors import EcdpError, KeyRefusedError
from airflow_provider_ecdp.hooks.connection import ConnectionSettings, api_key, read_settings
from airflow_provider_ecdp.hooks.run_settings import RunSettings

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_ecdp.dry_run.findings import Findings
    from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
    from airflow_provider_ecdp.orders.sources.base import Source
    from airflow_provider_ecdp.push.run import Progress
    from airflow_provider_ecdp.results.report import Report


class EcdpHook(BaseHook):
    """Speaks to ExpertSender CDP with the key and the settings of one connection. A context manager.

    :param ecdp_conn_id: the connection, of type `ecdp`
    :param max_in_flight: maximum requests in flight; None leaves it to the connection
    :param policy: how one request is tried again; None is the client's own policy
    """

    conn_name_attr = "ecdp_conn_id"
    default_conn_name = "ecdp_default"
    conn_type = "ecdp"
    hook_name = "ExpertSender CDP"

    def __init__(
        self,
        ecdp_conn_id: str = default_conn_name,
        *,
        max_in_flight: int | None = None,
        policy: RetryPolicy | None = None,
        logger_name: str | None = None,
    ) -> None:
        super().__init__(logger_name=logger_name)
        self.ecdp_conn_id = ecdp_conn_id
        self._max_in_flight = max_in_flight
        self._policy = policy or RetryPolicy()
        self._stopping = threading.Event()
        self._client: EcdpClient | None = None
        self._connection: tuple[str, ConnectionSettings] | None = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels of the form for Airflow 3.1; later versions read them from the provider's metadata."""
        return {
            "hidden_fields": ["login", "schema", "port"],
            "relabeling": {"host": "Base URL", "password": "API key"},
            "placeholders": {"host": "https://api.ecdp.app", "password": "Settings > API in ECDP"},
        }

    def __enter__(self) -> Self:
        """Return the hook."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; the hook opens new ones when it is used again."""
        if self._client is not None:
            self._client.close()
        self._client = self._connection = None

    def stop(self) -> None:
        """Wait for nothing any more: no pause before a request, and none between tries. For a task that is killed."""
        self._stopping.set()
        if self._client is not None:
            self._client.interrupt()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def get_conn(self) -> EcdpClient:
        """Return the client, the same one until `close`.

        :raises ConfigurationError: a field of the connection has a value that it cannot have
        """
        if self._client is None:
            key, settings = self._read_connection()
            self._client = EcdpClient(key, settings.client, policy=self._policy)
            if self.stopping:
                self._client.interrupt()
        return self._client

    def _read_connection(self) -> tuple[str, ConnectionSettings]:
        if self._connection is None:
            connection = self.get_connection(self.ecdp_conn_id)
            key = api_key(connection)
            # Airflow masks passwords that it fetches itself, but not those of a connection that is only tested
            mask_secret(key)
            suffix = f"apache-airflow/{airflow_version}"
            settings = read_settings(connection, max_in_flight=self._max_in_flight, user_agent_suffix=suffix)
            self._connection = key, settings
        return self._connection

    def test_connection(self) -> tuple[bool, str]:
        """Ask ECDP whether it takes the key, by a request that changes nothing; return the answer and what it means."""
        try:
            client = self.get_conn()
            client.check_key()
        except KeyRefusedError as error:
            return False, f"ECDP was reached, and refuses the API key: {error}"
        except EcdpError as error:
            return False, str(error)
        finally:
            self.close()
        return True, f"{client.settings.base_url} accepts the API key"

    def get_order(self, order_id: str) -> dict[str, Any]:
        """Return an order as ECDP holds it, with its customer's data.

        :raises ApiError: NotFoundError if ECDP has no such order
        """
        return self.get_conn().get_order(order_id)

    def update_order_status(self, order_id: str, status: str, *, website_id: int | None = None) -> None:
        """Change the status of an order to `placed`, `paid`, `completed` or `canceled`, in any case.

        :raises ConfigurationError: the status is none of these; nothing was sent
        :raises ApiError: NotFoundError if ECDP has no such order
        """
        self.get_conn().update_order_status(order_id, listed_status(status), website_id=website_id)

    def delete_order(self, order_id: str) -> dict[str, Any]:
        """Mark an order as deleted and return it, with its customer's data.

        :raises ApiError: NotFoundError if ECDP has no such order, which includes one that is deleted already
        """
        return self.get_conn().delete_order(order_id)

    def push_orders(
        self,
        orders: Iterable[Mapping[str, Any]] | Source,
        *,
        mode: str = Mode.ADD_OR_REPLACE,
        max_failed: str | float = 0,
        **settings: Any,
    ) -> dict[str, Any]:
        """Send orders and return what became of each: `summary`, `results`, `results_path`, `warnings`, `reasons`.

        :param orders: dicts with the API's fields, or an extract such as `ParquetSource.open(path)`
        :param mode: `add`, `replace` or `add_or_replace`
        :param max_failed: how many orders may fail: a count (10), or a share of all ("1%")
        :param settings: those of `RunSettings`, and `memory` and `progress` of `push`
        :raises OrdersFailedError: more orders failed, after everything else was sent
        :raises PushStoppedError: an outage, or a refused key, stopped the run
        :raises ExtractError: the orders cannot be read
        """
        from airflow_provider_ecdp.orders.sources.records import source_from_records  # noqa: PLC0415  # Arrow, at parse time
        from airflow_provider_ecdp.results.report import MaxFailed  # noqa: PLC0415  # as above

        tolerated = MaxFailed.parse(max_failed)
        extract = source_from_records(orders) if isinstance(orders, Iterable) else orders
        report = self.push(extract, mode=mode, **settings)
        report.raise_for_failures(tolerated)
        return report.as_json()

    def push(
        self,
        extract: Source | Mapping[str, Source],
        *,
        memory: PriorRuns | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
        **settings: Any,
    ) -> Report:
        """Send the orders of an extract and return the report; refusals and outages are in it, not raised.

        :param extract: one, or several by the names that the SQL text has for them
        :param memory: where the outcomes of this run and of earlier ones are kept
        :param settings: those of `RunSettings`
        :raises ExtractError: the extract cannot be read as orders
        :raises ConfigurationError: a value is out of range
        """
        # Arrow and DuckDB, which a DAG file must not load when it is parsed
        from airflow_provider_ecdp.ledger.prior_runs import PriorRuns  # noqa: PLC0415
        from airflow_provider_ecdp.orders.reader import OrderReader  # noqa: PLC0415
        from airflow_provider_ecdp.push.run import push  # noqa: PLC0415

        run, kept = RunSettings(**settings), memory or PriorRuns()
        _, connection = self._read_connection()
        with OrderReader(extract, run.of_orders(connection)) as orders:
            return push(
                orders,
                self.get_conn(),
                run.of_push(connection),
                ledger=kept.ledger,
                history=kept.history,
                replay=kept.replay,
                columns=kept.columns,
                progress=progress,
            )

    def check(
        self,
        extract: Source | Mapping[str, Source],
        *,
        memory: PriorRuns | None = None,
        progress: Callable[[int], None] = lambda _: None,
        **settings: Any,
    ) -> Findings:
        """Do everything that `push` does, but for sending, and return what is to be said of the orders.

        :raises ExtractError: the extract cannot be read as orders
        :raises ConfigurationError: a value is out of range
        """
        from airflow_provider_ecdp.dry_run.orders import check  # noqa: PLC0415  # Arrow and DuckDB, as above
        from airflow_provider_ecdp.orders.reader import OrderReader  # noqa: PLC0415  # as above

        run = RunSettings(**settings)
        _, connection = self._read_connection()
        with OrderReader(extract, run.of_orders(connection)) as orders:
            return check(orders, run.of_push(connection), memory, progress=progress)
