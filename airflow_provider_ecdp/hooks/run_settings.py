"""What a run over an extract is told: by the caller, and where the caller leaves it open, by the connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_ecdp.api.mode import Mode

if TYPE_CHECKING:
    from airflow_provider_ecdp.hooks.connection import ConnectionSettings
    from airflow_provider_ecdp.orders.settings import OrderSettings
    from airflow_provider_ecdp.push.settings import PushSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How an extract becomes orders, and how they are sent.

    :param mode: `add`, `replace` or `add_or_replace`
    :param sql: a SELECT from `extract`, or from several extracts by their names, that returns orders; None takes the
        columns as they are
    :param mapping: which column is which field, a dict or its JSON text, instead of `sql`
    :param partition_by: the column by whose values the rows of an order go together, or one for each extract
    :param timezone: IANA name of the zone of timestamps without one
    :param warnings_as_errors: names of warnings that make an order invalid, or `all`
    :param batch_size: maximum orders per request; None leaves it to the connection
    :param batch_bytes: maximum bytes per request; None leaves it to the connection
    :param request_budget: maximum requests for one refused batch, to find out which orders are at fault
    :param results_limit: how many results the report lists, failures first
    :param allow_empty: whether no orders at all is a success
    :param canary: how many orders are sent first, alone; others follow if all of them are accepted
    :param on_drift: what to do if columns differ from those of the previous run: `ignore`, `warn` or `fail`
    :param memory_limit: of the engine that shapes and checks
    :param resumed: whether an earlier try of this run may have stored orders
    :param continues: whether what the ledger holds counts as accepted by this run, not as skipped
    """

    mode: str = Mode.ADD_OR_REPLACE.value
    sql: str | None = None
    mapping: Mapping[str, Any] | str | None = None
    partition_by: str | Mapping[str, str] | None = None
    timezone: str | None = None
    warnings_as_errors: Iterable[str] = ()
    batch_size: int | None = None
    batch_bytes: int | None = None
    request_budget: int = 200
    results_limit: int = 1000
    allow_empty: bool = False
    canary: int = 0
    on_drift: str = "warn"
    memory_limit: str = "256MB"
    resumed: bool = False
    continues: bool = False

    def of_orders(self, connection: ConnectionSettings) -> OrderSettings:
        """Return the settings of reading.

        :raises ConfigurationError: a value that cannot be meant
        """
        from airflow_provider_ecdp.orders.settings import OrderSettings  # noqa: PLC0415  # Arrow, at parse time

        return OrderSettings(
            sql=self.sql,
            mapping=self.mapping,
            partition_by=self.partition_by,
            timezone=self.timezone,
            matching=connection.matching,
            warnings_as_errors=frozenset(self.warnings_as_errors),
            memory_limit=self.memory_limit,
        )

    def of_push(self, connection: ConnectionSettings) -> PushSettings:
        """Return the settings of sending.

        :raises ConfigurationError: a value is out of range
        """
        from airflow_provider_ecdp.ledger.schema_drift import OnDrift  # noqa: PLC0415  # Arrow, at parse time
        from airflow_provider_ecdp.push.settings import PushSettings  # noqa: PLC0415  # as above
        from airflow_provider_ecdp.results.outcome import Outcome  # noqa: PLC0415  # as above

        sizes: dict[str, Any] = {
            "batch_size": self.batch_size or connection.batch_size,
            "batch_bytes": self.batch_bytes or connection.batch_bytes,
        }
        return PushSettings(
            mode=Mode.parse(self.mode),
            match_by=connection.match_by,
            max_in_flight=connection.client.max_in_flight,
            request_budget=self.request_budget,
            results_limit=self.results_limit,
            allow_empty=self.allow_empty,
            canary=self.canary,
            on_drift=OnDrift.parse(self.on_drift),
            resumed=self.resumed,
            count_resumed_as=Outcome.ACCEPTED if self.continues else Outcome.SKIPPED,
            **{name: size for name, size in sizes.items() if size is not None},
        )
