"""The hook: one Airflow connection of type `ecdp` as a client of the Orders API.

Nothing is read before it is needed: a DAG file that makes a hook costs no connection, no network and no Arrow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack
from urllib.parse import quote

from airflow import __version__ as airflow_version
from airflow.sdk import BaseHook, ObjectStoragePath
from airflow.sdk.log import mask_secret

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.assets.ecdp import uri_of
from airflow_provider_ecdp.by_id.validation import listed_status
from airflow_provider_ecdp.errors import (
    CancelledError,
    ConfigurationError,
    EcdpError,
    ExtractError,
    KeyRefusedError,
    WrongAddressError,
)
from airflow_provider_ecdp.hooks.connection import ConnectionSettings, api_key, read_settings
from airflow_provider_ecdp.hooks.form import form_behaviour, form_widgets
from airflow_provider_ecdp.hooks.version_compat import conf, get_hook_lineage_collector
from airflow_provider_ecdp.orders.settings import OrderOptions, OrderSettings
from airflow_provider_ecdp.orders.sources.storage import without_credentials
from airflow_provider_ecdp.push.settings import PushOptions, PushSettings
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.progress import OnProgress, no_progress
from airflow_provider_ecdp.settings import build

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_ecdp.dry_run.findings import Findings
    from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
    from airflow_provider_ecdp.orders.sources.base import Source
    from airflow_provider_ecdp.push.failed_before import FailedBefore
    from airflow_provider_ecdp.results.report import Report
    from airflow_provider_ecdp.runs.shared_limits import SharedLimits

_Settings = TypeVar("_Settings")


class HookOptions(PushOptions, OrderOptions, total=False):
    """The options of `EcdpHook.push_orders`; one that is left out is the connection's, or has its default."""


class EcdpHook(BaseHook):
    """Speaks to ExpertSender CDP with the key and the settings of one connection. A context manager.

    :param ecdp_conn_id: the connection, of type `ecdp`
    :param max_in_flight: maximum requests in flight; None leaves it to the connection
    :param policy: how one request is tried again; None is the client's own policy
    :param limits_path: folder or URL in which tasks share the limits of a connection that has `shared_limits`, if
        Airflow's `[ecdp] results_path` is not set
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
        limits_path: str | None = None,
        logger_name: str | None = None,
    ) -> None:
        super().__init__(logger_name=logger_name)
        self.ecdp_conn_id = ecdp_conn_id
        self._max_in_flight = max_in_flight
        self._policy = policy or RetryPolicy()
        self._limits_path = limits_path
        self._share = contextlib.ExitStack()
        self.cancellation = Cancellation()
        self._forget_client: Callable[[], None] | None = None
        self._client: EcdpClient | None = None
        self._connection: tuple[str, ConnectionSettings] | None = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels of the form for Airflow 3.1; later versions read them from the provider's metadata."""
        return form_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the further fields of the form for Airflow 3.1."""
        return form_widgets()

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
        if self._forget_client is not None:
            self._forget_client()
        if self._client is not None:
            self._client.close()
        self._share.close()
        self._client = self._connection = self._forget_client = None

    def stop(self) -> None:
        """Cancel the run and all waiting; called when the task is killed. Outcomes are recorded."""
        self.cancellation.cancel(CancelledError("the task was cancelled"))

    def get_conn(self) -> EcdpClient:
        """Return the client, the same one until `close`.

        :raises ConfigurationError: a field of the connection has a value that it cannot have
        """
        return self._connected(share_limits=True)

    def _connected(self, *, share_limits: bool) -> EcdpClient:
        if self._client is None:
            key, settings = self._read_connection()
            shared = share_limits and settings.shared_limits
            share = self._share.enter_context(self._shared_limits()) if shared else None
            self._client = EcdpClient(key, settings.client, policy=self._policy, share=share)
            self._forget_client = self.cancellation.on_cancel(self._client.interrupt)
        return self._client

    def _shared_limits(self) -> SharedLimits:
        from airflow_provider_ecdp.runs.shared_limits import SharedLimits  # noqa: PLC0415  # Arrow, at parse time

        # tasks with results in different folders share the limits too
        root = conf.get("ecdp", "results_path", fallback="") or self._limits_path
        if not root:
            raise ConfigurationError(
                f"connection {self.ecdp_conn_id!r}: shared_limits needs a folder that all tasks reach: set "
                "results_path in the section [ecdp] of Airflow"
            )
        folder = f"{root.rstrip('/')}/limits={quote(self.ecdp_conn_id, safe='')}"
        try:
            storage = ObjectStoragePath(folder)
            return SharedLimits(storage.path, storage.fs, folder)
        except (ValueError, ImportError) as error:
            message = f"connection {self.ecdp_conn_id!r}: {folder}: {error}"
            raise ConfigurationError(without_credentials(message)) from None

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
        """Ask ECDP whether it accepts the key, without a change; return whether it does, and a message."""
        try:
            # one request, of a machine that may not reach the folder of the tasks
            client = self._connected(share_limits=False)
            client.check_key()
        except KeyRefusedError as error:
            return False, f"ECDP was reached, but it refused the API key: {error}"
        except WrongAddressError as error:
            url = client.settings.base_url
            return False, f"the base URL {url} may be wrong: check its host and path; the key was not checked: {error}"
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
        self, orders: Iterable[Mapping[str, Any]] | Source, **options: Unpack[HookOptions]
    ) -> dict[str, Any]:
        """Send orders and return the outcome of each: `summary`, `results`, `results_path`, `warnings`, `reasons`.

        :param orders: dicts with the API's fields, or an extract such as `ParquetSource.open(path)`
        :param options: settings of `PushSettings` and `OrderSettings`, such as `mode="replace"` or `max_failed="1%"`
        :raises ConfigurationError: an option is unknown, or has a value that is not allowed
        :raises OrdersFailedError: more orders failed than `max_failed`, after everything else was sent
        :raises PushStoppedError: an outage, or a refused key, stopped the run
        :raises ExtractError: the orders cannot be read
        """
        from airflow_provider_ecdp.orders.sources.records import source_from_records  # noqa: PLC0415  # Arrow, at parse time

        if unknown := options.keys() - HookOptions.__annotations__.keys():
            raise ConfigurationError(
                f"unknown option {min(unknown)}; the options are {', '.join(HookOptions.__annotations__)}"
            )
        if not isinstance(orders, Iterable) and not hasattr(orders, "batches"):
            raise ExtractError(f"the list of orders is {type(orders).__name__}, not a list of dicts")
        sending = self.settings(PushSettings, options)
        reading = self.settings(OrderSettings, options)
        extract = source_from_records(orders) if isinstance(orders, Iterable) else orders
        report = self.push(extract, reading, sending)
        report.raise_for_failures(sending.max_failed)
        return report.as_json()

    def settings(self, table: type[_Settings], options: Mapping[str, object]) -> _Settings:
        """Return settings of a class: from `options`, or from the connection where they leave the choice open.

        :raises ConfigurationError: a value is not allowed
        """
        _, connection = self._read_connection()
        chosen = {name: value for name, value in options.items() if value is not None}
        return build(table, {**connection.runs, **chosen})

    def push(
        self,
        extract: Source | Mapping[str, Source],
        reading: OrderSettings | None = None,
        sending: PushSettings | None = None,
        *,
        prior_runs: PriorRuns | None = None,
        failed_before: FailedBefore | None = None,
        progress: OnProgress = no_progress,
    ) -> Report:
        """Send the orders of an extract and return the report; refusals and outages are in it, not raised.

        :param extract: one, or several by the names that the SQL text has for them
        :param reading: how the extract becomes orders; None takes the defaults and the connection
        :param sending: how orders are sent; None takes the defaults and the connection
        :param prior_runs: where the outcomes of this run and of earlier ones are kept
        :param failed_before: orders that earlier runs left rejected or unresolved, to be sent again
        :raises ExtractError: the extract cannot be read as orders
        """
        # Arrow and DuckDB, which a DAG file must not load when it is parsed
        from airflow_provider_ecdp.orders.reader import OrderReader  # noqa: PLC0415
        from airflow_provider_ecdp.push.run import push  # noqa: PLC0415

        # of a TaskFlow function; an operator has lineage of its own
        target = uri_of(self.get_conn().settings.base_url)
        get_hook_lineage_collector().add_output_asset(context=self, uri=target)
        with OrderReader(extract, reading or self.settings(OrderSettings, {})) as orders:
            return push(
                orders,
                self.get_conn(),
                sending or self.settings(PushSettings, {}),
                prior_runs=prior_runs,
                failed_before=failed_before,
                progress=progress,
                cancellation=self.cancellation,
            )

    def check(
        self,
        extract: Source | Mapping[str, Source],
        reading: OrderSettings | None = None,
        sending: PushSettings | None = None,
        *,
        prior_runs: PriorRuns | None = None,
        progress: OnProgress = no_progress,
    ) -> Findings:
        """Do everything that `push` does, except sending, and return the findings.

        :raises ExtractError: the extract cannot be read as orders
        """
        from airflow_provider_ecdp.dry_run.orders import check  # noqa: PLC0415  # Arrow and DuckDB, as above
        from airflow_provider_ecdp.orders.reader import OrderReader  # noqa: PLC0415  # as above

        with OrderReader(extract, reading or self.settings(OrderSettings, {})) as orders:
            return check(orders, sending or self.settings(PushSettings, {}), prior_runs, progress=progress)
