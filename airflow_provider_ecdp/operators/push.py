"""What pushing operators share: parameters, the memory of a task instance, and the way of one run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.operators.base import EcdpOperator
from airflow_provider_ecdp.operators.results import (
    columns_folder,
    history_folder,
    open_ledger,
    own_folder,
    results_root,
)

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

    from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
    from airflow_provider_ecdp.orders.sources.base import Source
    from airflow_provider_ecdp.results.report import MaxFailed, Report

ON_EMPTY = ("fail", "skip", "succeed")
ON_DRIFT = ("ignore", "warn", "fail")


class PushOperator(EcdpOperator):
    """Sends orders in batches and keeps what became of each.

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
    :param on_empty: how to treat a run without orders: `fail`, `skip` or `succeed`
    :param canary: how many orders are sent first, alone; the others follow if all of them are accepted
    :param on_drift: what to do if a column that the previous run read is gone or has another type: `ignore`,
        `warn` or `fail`. It needs a `results_path`; `fail` is refused without one
    :param dry_run: do everything but send: the log says what is wrong with the orders, XCom has it under `check`
    :param memory_limit: memory limit of the engine that shapes and checks; beyond it, the engine spills to disk
    :param ecdp_conn_id: the connection, of type `ecdp`
    :raises ConfigurationError: a parameter has an invalid value
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
        canary: int = 0,
        on_drift: Literal["ignore", "warn", "fail"] = "warn",
        dry_run: bool = False,
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
        self.on_empty = self._one_of("on_empty", on_empty, ON_EMPTY)
        self.canary = self._whole("canary", canary, least=0)
        self.on_drift = self._one_of("on_drift", on_drift, ON_DRIFT)
        # BaseOperator has a method of the parameter's name
        self.check_only = dry_run
        self.memory_limit = memory_limit

    @cached_property
    def hook(self) -> EcdpHook:
        """The hook of the connection; it reads nothing before it is used."""
        return EcdpHook(self.ecdp_conn_id, max_in_flight=self.max_in_flight)

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the orders, and return `summary`, `results`, `results_path`, `warnings` and `reasons`."""
        from airflow_provider_ecdp.results.report import MaxFailed  # noqa: PLC0415  # Arrow, at parse time

        with self._to_airflow() as hook:
            tolerated = MaxFailed.parse(self.max_failed)
            return self._unless_empty(lambda: self._run(context, hook, tolerated), self.on_empty)

    def _run(self, context: Context, hook: EcdpHook, tolerated: MaxFailed) -> dict[str, Any]:
        if self.check_only:
            return self._check(context, hook, tolerated)
        return self._conclude(context, self._push(context, hook), tolerated)

    def _push(self, context: Context, hook: EcdpHook) -> Report:
        ti = context["ti"]
        memory = self._memory(ti)
        retried = ti.try_number > 1
        self._note_earlier(memory.ledger, retried=retried)
        heartbeat = self._heartbeat()
        report = hook.push(
            self._extract(context, hook),
            memory=memory,
            # a try that was killed may have stored orders that no ledger knows of
            resumed=retried,
            continues=retried,
            progress=lambda now: heartbeat(now.done, now.failed, now.total, now.passed_over),
            **self._settings(),
        )
        root = results_root(self.results_path)
        return replace(report, results_path=own_folder(root, ti) if root else None)

    def _check(self, context: Context, hook: EcdpHook, tolerated: MaxFailed) -> dict[str, Any]:
        from airflow_provider_ecdp.operators.dry_run import as_text, as_xcom  # noqa: PLC0415  # Arrow, at parse time

        heartbeat = self._heartbeat()
        findings = hook.check(
            self._extract(context, hook),
            memory=self._memory(context["ti"]),
            progress=lambda done: heartbeat(done, 0),
            **self._settings(),
        )
        value = as_xcom(findings, Mode.parse(self.mode).value)
        return self._conclude_look(context, value, tolerated, as_text(findings))

    def _memory(self, ti: RuntimeTaskInstanceProtocol) -> PriorRuns:
        from airflow_provider_ecdp.ledger.prior_runs import PriorRuns  # noqa: PLC0415  # Arrow, at parse time

        root = results_root(self.results_path)
        if self.only_changed and not root:
            raise ConfigurationError(
                "only_changed needs a memory: set results_path, or results_path in the section [ecdp] of Airflow"
            )
        return PriorRuns(
            ledger=open_ledger(own_folder(root, ti)) if root else None,
            history=open_ledger(history_folder(root, ti, self.ecdp_conn_id)) if root and self.only_changed else None,
            replay=open_ledger(self.replay_from) if self.replay_from else None,
            columns=open_ledger(columns_folder(root, ti)) if root else None,
        )

    def _settings(self) -> dict[str, Any]:
        """Return what the hook's `push` and `check` are told."""
        return {
            "mode": self.mode,
            "timezone": self.timezone or None,
            "warnings_as_errors": self.warnings_as_errors,
            "batch_size": self.batch_size,
            "batch_bytes": self.batch_bytes,
            "request_budget": self.request_budget,
            "results_limit": self.results_limit,
            "allow_empty": self.on_empty == "succeed",
            "canary": self.canary,
            "on_drift": self.on_drift,
            "memory_limit": self.memory_limit,
        }

    @abstractmethod
    def _extract(self, context: Context, hook: EcdpHook) -> Source | Mapping[str, Source]:
        """Return what is to be sent."""
