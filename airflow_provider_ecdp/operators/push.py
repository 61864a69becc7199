"""What pushing operators share: parameters, the memory of a task instance, and the way of one run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.errors import ConfigurationError, EmptyExtractError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.operators.base import EcdpOperator
from airflow_provider_ecdp.operators.results import history_folder, open_ledger, own_folder, results_root
from airflow_provider_ecdp.operators.version_compat import AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

    from airflow_provider_ecdp.orders.extract import Extract
    from airflow_provider_ecdp.push import Progress
    from airflow_provider_ecdp.report import Report

ON_EMPTY = ("fail", "skip", "succeed")


class PushOperator(EcdpOperator):
    """Sends orders in batches and keeps what became of each.

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
    :param on_empty: what no orders at all are: `fail`, `skip` or `succeed`
    :param memory_limit: of the engine that shapes and checks; beyond it, it spills to disk
    :param ecdp_conn_id: the connection, of type `ecdp`
    :raises ConfigurationError: a parameter has a value that it cannot have
    """

    template_fields: Sequence[str] = (
        *EcdpOperator.template_fields,
        "mode",
        "timezone",
        "results_path",
        "replay_from",
    )

    def __init__(
        self,
        *,
        mode: str = Mode.ADD_OR_REPLACE.value,
        timezone: str | None = None,
        warnings_as_errors: Iterable[str] = (),
        batch_size: int | None = None,
        batch_bytes: int | None = None,
        max_in_flight: int | None = None,
        request_budget: int = 200,
        results_path: str | None = None,
        only_changed: bool = False,
        replay_from: str | None = None,
        on_empty: Literal["fail", "skip", "succeed"] = "fail",
        memory_limit: str = "256MB",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        self.timezone = timezone
        self.warnings_as_errors = [warnings_as_errors] if isinstance(warnings_as_errors, str) else warnings_as_errors
        self.batch_size = None if batch_size is None else self._whole("batch_size", batch_size)
        self.batch_bytes = None if batch_bytes is None else self._whole("batch_bytes", batch_bytes)
        self.max_in_flight = None if max_in_flight is None else self._whole("max_in_flight", max_in_flight)
        self.request_budget = self._whole("request_budget", request_budget)
        self.results_path = results_path
        self.only_changed = only_changed
        self.replay_from = replay_from
        if on_empty not in ON_EMPTY:
            raise ConfigurationError(
                f"{type(self).__name__} {self.task_id}: on_empty must be one of {', '.join(ON_EMPTY)}, not {on_empty!r}"
            )
        self.on_empty = on_empty
        self.memory_limit = memory_limit

    @cached_property
    def hook(self) -> EcdpHook:
        """The hook of the connection; it reads nothing before it is used."""
        return EcdpHook(self.ecdp_conn_id, max_in_flight=self.max_in_flight)

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the orders, and return `summary`, `results`, `results_path`, `warnings` and `reasons`."""
        from airflow_provider_ecdp.report import MaxFailed  # noqa: PLC0415  # Arrow, at parse time

        with self._to_airflow() as hook:
            tolerated = MaxFailed.parse(self.max_failed)
            mode = Mode.parse(self.mode)
            try:
                report = self._push(context, hook, mode)
            except EmptyExtractError as error:
                if self.on_empty == "skip":
                    raise AirflowSkipException(str(error)) from None
                raise
            return self._conclude(context, report, tolerated)

    def _push(self, context: Context, hook: EcdpHook, mode: Mode) -> Report:
        ti = context["ti"]
        root = results_root(self.results_path)
        own = own_folder(root, ti) if root else None
        history = history_folder(root, ti, self.ecdp_conn_id) if root and self.only_changed else None
        if self.only_changed and not root:
            raise ConfigurationError(
                "only_changed needs a memory: set results_path, or results_path in the section [ecdp] of Airflow"
            )
        retried = ti.try_number > 1
        ledger = open_ledger(own) if own else None
        if ledger and not retried and ledger.exists():
            self.log.warning("%s holds results of an earlier run of this name: what they accept is skipped", own)
        heartbeat = self._heartbeat()

        def progress(now: Progress) -> None:
            heartbeat(now.done, now.failed)

        report = hook.push(
            self._extract(context, hook),
            mode=mode,
            sql=self._sql(),
            timezone=self.timezone or None,
            warnings_as_errors=self.warnings_as_errors,
            batch_size=self.batch_size,
            batch_bytes=self.batch_bytes,
            request_budget=self.request_budget,
            results_limit=self.results_limit,
            allow_empty=self.on_empty == "succeed",
            memory_limit=self.memory_limit,
            ledger=ledger,
            history=open_ledger(history) if history else None,
            replay=open_ledger(self.replay_from) if self.replay_from else None,
            # a try that was killed may have stored orders that no ledger knows of
            resumed=retried,
            continues=retried,
            progress=progress,
        )
        return replace(report, results_path=own)

    @abstractmethod
    def _extract(self, context: Context, hook: EcdpHook) -> Extract:
        """Return what is to be sent."""

    def _sql(self) -> str | None:
        """Return the SQL text that makes orders of the extract."""
        return None
