"""The sensor that waits for an order in ECDP."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.by_id.validation import checked_id, listed_status
from airflow_provider_ecdp.errors import ConfigurationError, EcdpError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException, conf
from airflow_provider_ecdp.settings import literal
from airflow_provider_ecdp.triggers.ecdp import EcdpOrderTrigger, poll_order

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context


class EcdpOrderSensor(BaseSensorOperator):
    """Waits until ECDP has an order, or until the order has one of some statuses. It only reads.

    One request per `poke_interval`. Outages, limits and timeouts are waited out until `timeout`; a refused key or a
    wrong address fails the task at once, and Airflow does not try it again. XCom gets `order_id` and `status`.

    :param order_id: the id of the order (templated)
    :param statuses: one status or a list of them, such as `paid`; None waits until the order exists (templated)
    :param ecdp_conn_id: the connection (templated)
    :param deferrable: whether to wait in the triggerer, without occupying a worker slot; the default is Airflow's
        `[operators] default_deferrable`
    """

    template_fields: Sequence[str] = ("order_id", "statuses", "ecdp_conn_id")
    ui_color = "#e3eefb"

    def __init__(
        self,
        *,
        order_id: str | int,
        statuses: str | Sequence[str] | None = None,
        ecdp_conn_id: str = EcdpHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.order_id = order_id
        self.statuses = statuses
        self.ecdp_conn_id = ecdp_conn_id
        self.deferrable = deferrable

    def poke(self, context: Context) -> bool | PokeReturnValue:  # noqa: ARG002  # Airflow's signature
        """Ask once."""
        try:
            with EcdpHook(self.ecdp_conn_id, policy=RetryPolicy(max_attempts=1)) as hook:
                order = poll_order(hook.get_conn(), checked_id(self.order_id, in_path=True), self._listed_statuses())
        except EcdpError as error:
            if error.transient:
                self.log.warning("The limits of the connection cannot be shared, waiting: %s", error)
                return False
            raise AirflowFailException(str(error)) from None
        return False if order is None else PokeReturnValue(is_done=True, xcom_value=order)

    def execute(self, context: Context) -> Any:
        """Wait here, or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        result = self.poke(context)
        if not isinstance(result, PokeReturnValue):
            self.defer(
                trigger=EcdpOrderTrigger(
                    order_id=checked_id(self.order_id),
                    statuses=self._listed_statuses(),
                    ecdp_conn_id=self.ecdp_conn_id,
                    poke_interval=self.poke_interval,
                ),
                method_name="execute_complete",
                timeout=dt.timedelta(seconds=self.timeout),
            )
        return result.xcom_value

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002  # as above
        """Return the event of the trigger."""
        if "error" in event:
            raise AirflowFailException(event["error"])
        return dict(event)

    def _listed_statuses(self) -> list[str]:
        """Return the statuses in the spelling of the API.

        :raises ConfigurationError: the API does not list one of them
        """
        statuses = self.statuses
        if isinstance(statuses, str) and statuses.lstrip().startswith("["):
            try:
                statuses = literal(statuses)
            except ValueError:
                raise ConfigurationError("statuses: must be one status or a list of them") from None
        if statuses in (None, "", "None"):
            return []
        return [listed_status(status) for status in ([statuses] if isinstance(statuses, str) else statuses or ())]
