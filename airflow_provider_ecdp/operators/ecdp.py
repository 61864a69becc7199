"""Operators for lists of orders and of ids: push, read, change the status, delete."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Union

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.operators.base import EcdpOperator
from airflow_provider_ecdp.operators.push import PushOperator
from airflow_provider_ecdp.operators.results import open_ledger, results_root
from airflow_provider_ecdp.operators.settings import ByIdTaskSettings, DeletionTaskSettings
from airflow_provider_ecdp.results.folders import deletions_folder
from airflow_provider_ecdp.settings import literal

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import XComArg
    from airflow.sdk.definitions.context import Context

    from airflow_provider_ecdp.hooks.ecdp import EcdpHook
    from airflow_provider_ecdp.ledger.store import Ledger
    from airflow_provider_ecdp.operators.parameters import Templated
    from airflow_provider_ecdp.orders.sources.base import Source
    from airflow_provider_ecdp.results.report import Report

_Orders = Iterable[Mapping[str, Any]]
_OrderIds = Union[str, Sequence[str], "XComArg"]


class EcdpPushOrdersOperator(PushOperator):
    """Sends a list of dicts to ExpertSender CDP as orders.

    For more than a few thousand orders, write a Parquet file and use `ParquetToEcdpOperator`: XCom is not for data.

    :param orders: a list of dicts with the API's fields; the output of a task that returns one; or a function that
        returns one, called with the keywords `context` and `jinja_env` when the task runs
    """

    orders: Any

    template_fields: Sequence[str] = ("orders",)
    #: parameters of extracts: how they become orders, and how they are opened again
    left_out: ClassVar[frozenset[str]] = frozenset({"sql", "mapping", "partition_by", "retry_failed"})

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            task_id: str,
            orders: _Orders | XComArg | Callable[..., _Orders],
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
            **kwargs: Any,
        ) -> None: ...
    else:

        def __init__(self, *, orders: _Orders | XComArg | Callable[..., _Orders], **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.orders = orders

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        # Airflow stores rendered fields and shows them; orders hold e-mail addresses and telephone numbers
        super()._do_render_template_fields(parent, *args, **kwargs)
        if parent is self and not isinstance(self.orders, _Hidden):
            self.orders = _Hidden(self.orders)

    def _extract(self, context: Context, hook: EcdpHook) -> Source:  # noqa: ARG002  # the others need it
        from airflow_provider_ecdp.orders.sources.records import source_from_records  # noqa: PLC0415  # Arrow, at parse time

        orders: Any = self.orders.value if isinstance(self.orders, _Hidden) else self.orders
        if callable(orders):
            # Airflow 3.3 calls it while it renders, earlier versions do not
            orders = orders(context=context, jinja_env=self.get_template_env())
        if isinstance(orders, (str, bytes, Mapping)) or not isinstance(orders, Iterable):
            raise ConfigurationError(
                f"orders must be a list of dicts, not {type(orders).__name__}; pass the output of a task itself"
                " (task.output), because a Jinja template renders to text"
            )
        return source_from_records(orders)


class _Hidden:
    """Holds a value that must not be stored with the rendered template fields."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __str__(self) -> str:
        count = f"{len(self.value):,} orders" if isinstance(self.value, list) else "orders"
        return f"{count}, which may hold personal data and are not shown"


class _ByIdOperator(EcdpOperator):
    """An operator for orders that are named by id."""

    tables: ClassVar[tuple[type, ...]] = (ByIdTaskSettings,)

    def _run(
        self, context: Context, hook: EcdpHook, use_case: Callable[..., Report], items: Sequence[Any], **settings: Any
    ) -> dict[str, Any]:
        task: ByIdTaskSettings = self._settings(self.tables[0])
        report = use_case(
            hook.get_conn(),
            items,
            missing=task.missing,
            results_limit=task.results_limit,
            progress=self._progress_logger(),
            cancellation=hook.cancellation,
            **self._ledgers(task),
            **settings,
        )
        return self._conclude(context, hook, report, task.max_failed)

    def _ledgers(self, task: Any) -> dict[str, Ledger | None]:  # noqa: ARG002  # deletions need it
        """Return the ledgers that note the outcomes, by the parameters of the use case."""
        return {}


class EcdpGetOrderOperator(_ByIdOperator):
    """Reads one or more orders; each result in XCom has the order as returned by ECDP, under `order`.

    :param order_id: an order id or a list of them
    :param include_customer: whether orders in XCom keep their customer, which is personal data; False
        leaves `customer` out
    """

    order_id: Any
    include_customer: bool

    reads_only = True

    template_fields: Sequence[str] = ("order_id",)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            task_id: str,
            order_id: _OrderIds,
            include_customer: bool = ...,
            ecdp_conn_id: Templated = ...,
            max_failed: Any = ...,
            results_limit: int | Templated = ...,
            missing: Templated = ...,
            **kwargs: Any,
        ) -> None: ...
    else:

        def __init__(self, *, order_id: _OrderIds, include_customer: bool = True, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.order_id = order_id
            self.include_customer = include_customer

    def _execute(self, context: Context, hook: EcdpHook) -> dict[str, Any]:
        """Read the orders, and return `summary` and `results`."""
        from airflow_provider_ecdp.by_id.from_ids import get_orders  # noqa: PLC0415  # Arrow, at parse time

        return self._run(context, hook, get_orders, _listed(self.order_id), include_customer=self.include_customer)


class EcdpUpdateOrderStatusOperator(_ByIdOperator):
    """Changes the status of one or more orders.

    Give `order_id` and `status`, or `updates`. A status that the API does not list is `invalid`, and not sent.

    :param order_id: an order id, or a list of them that get the same status
    :param status: `placed`, `paid`, `completed` or `canceled`, in any case
    :param website_id: the website's id, sent with each change if set; the API's page does not mention it
    :param updates: a list of dicts with `order_id`, `status` and, optionally, `website_id`
    :raises ConfigurationError: both ways are used, or neither
    """

    order_id: Any
    status: Any
    website_id: Any
    updates: Any

    template_fields: Sequence[str] = ("order_id", "status", "website_id", "updates")
    template_fields_renderers: ClassVar[dict[str, str]] = {"updates": "json"}

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            task_id: str,
            order_id: _OrderIds | None = ...,
            status: Templated | None = ...,
            website_id: int | Templated | None = ...,
            updates: Sequence[Mapping[str, Any]] | XComArg | None = ...,
            ecdp_conn_id: Templated = ...,
            max_failed: Any = ...,
            results_limit: int | Templated = ...,
            missing: Templated = ...,
            **kwargs: Any,
        ) -> None: ...
    else:

        def __init__(
            self,
            *,
            order_id: _OrderIds | None = None,
            status: Templated | None = None,
            website_id: int | Templated | None = None,
            updates: Sequence[Mapping[str, Any]] | XComArg | None = None,
            **kwargs: Any,
        ) -> None:
            super().__init__(**kwargs)
            if (order_id is None) != (status is None) or (order_id is None) == (updates is None):
                raise ConfigurationError(
                    f"{type(self).__name__} {self.task_id}: give order_id and status, or updates (a list of both)"
                )
            self.order_id = order_id
            self.status = status
            self.website_id = website_id
            self.updates = updates

    def _execute(self, context: Context, hook: EcdpHook) -> dict[str, Any]:
        """Change the statuses, and return `summary` and `results`."""
        from airflow_provider_ecdp.by_id.from_ids import update_order_statuses  # noqa: PLC0415  # Arrow, at parse time

        updates = _listed(self.updates)
        if self.order_id is not None:
            updates = [{"order_id": order_id, "status": self.status} for order_id in _listed(self.order_id)]
        if self.website_id not in (None, "None"):
            website = {"website_id": self.website_id}
            updates = [website | dict(update) if isinstance(update, Mapping) else update for update in updates]
        return self._run(context, hook, update_order_statuses, updates)


class EcdpDeleteOrderOperator(_ByIdOperator):
    """Marks one or more orders as deleted. With `missing="report"`, an order that is gone counts as accepted.

    :param order_id: an order id or a list of them
    """

    order_id: Any

    tables: ClassVar[tuple[type, ...]] = (DeletionTaskSettings,)
    template_fields: Sequence[str] = ("order_id",)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            task_id: str,
            order_id: _OrderIds,
            ecdp_conn_id: Templated = ...,
            max_failed: Any = ...,
            results_limit: int | Templated = ...,
            missing: Templated = ...,
            results_path: Templated | None = ...,
            **kwargs: Any,
        ) -> None: ...
    else:

        def __init__(self, *, order_id: _OrderIds, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.order_id = order_id

    def _execute(self, context: Context, hook: EcdpHook) -> dict[str, Any]:
        """Delete the orders, and return `summary` and `results`."""
        from airflow_provider_ecdp.by_id.from_ids import delete_orders  # noqa: PLC0415  # Arrow, at parse time

        return self._run(context, hook, delete_orders, _listed(self.order_id))

    def _ledgers(self, task: DeletionTaskSettings) -> dict[str, Ledger | None]:
        root = results_root(task.results_path)
        return {"history": open_ledger(deletions_folder(root, task.ecdp_conn_id)) if root else None}


def _listed(value: Any) -> list[Any]:
    """Return a list unchanged, and a single value as a list of one; the output of a mapped task is read to its end.

    A template that is not rendered natively makes text of a list.
    """
    if value is None:
        return []
    if isinstance(value, str) and value.lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            value = literal(value)
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, Mapping)) else [value]
