"""Shared by pushing operators: parameters, the results of a task instance, and one run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.operators.base import EcdpOperator
from airflow_provider_ecdp.operators.dry_run import as_text, as_xcom
from airflow_provider_ecdp.operators.results import (
    open_ledger,
    own_folder,
    remove_old_results,
    results_root,
)
from airflow_provider_ecdp.operators.settings import OnClear, OnEmpty, PushTaskSettings
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.results.folders import columns_folder, deletions_folder, history_folder
from airflow_provider_ecdp.results.outcome import Outcome

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

    from airflow_provider_ecdp.hooks.ecdp import EcdpHook
    from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
    from airflow_provider_ecdp.orders.sources.base import Source
    from airflow_provider_ecdp.push.failed_before import FailedBefore


class PushOperator(EcdpOperator):
    """Sends orders in batches and keeps the outcome of each.

    :raises ConfigurationError: a parameter has an invalid value
    """

    tables: ClassVar[tuple[type, ...]] = (OrderSettings, PushSettings, PushTaskSettings)

    def _execute(self, context: Context, hook: EcdpHook) -> dict[str, Any]:
        """Send the orders, and return `summary`, `results`, `results_path`, `warnings` and `reasons`."""
        task = self._settings(PushTaskSettings)
        return self._unless_empty(lambda: self._run(context, hook, task), task.on_empty)

    def _run(self, context: Context, hook: EcdpHook, task: PushTaskSettings) -> dict[str, Any]:
        # a try that was killed may have stored orders that no ledger knows of
        retried = context["ti"].try_number > 1
        options = self._rendered() | {
            "allow_empty": task.on_empty is OnEmpty.SUCCEED,
            "resumed": retried,
            "count_resumed_as": Outcome.ACCEPTED if retried else Outcome.SKIPPED,
        }
        reading, sending = hook.settings(OrderSettings, options), hook.settings(PushSettings, options)
        root = results_root(task.results_path)
        own = own_folder(root, context["ti"], resume=task.on_clear is OnClear.RESUME) if root else None
        self.results_folder = own
        prior_runs = self._prior_runs(context["ti"], task, own)
        if task.dry_run:
            return self._check(context, hook, reading, sending, prior_runs)
        self._note_earlier(prior_runs.ledger, retried=retried)
        report = hook.push(
            self._extract(context, hook),
            reading,
            sending,
            prior_runs=prior_runs,
            failed_before=self._failed_before(context, hook, task, reading),
            progress=self._progress_logger(),
        )
        if root and task.keep_results_days is not None:
            shared = prior_runs.history is not None
            folders = [
                history_folder(root, context["ti"].dag_id, context["ti"].task_id, task.ecdp_conn_id),
                deletions_folder(root, task.ecdp_conn_id),
            ]
            remove_old_results(root, context["ti"], task.keep_results_days, folders if shared else ())
        return self._conclude(context, hook, replace(report, results_path=own), sending.max_failed)

    def _check(
        self, context: Context, hook: EcdpHook, reading: OrderSettings, sending: PushSettings, prior_runs: PriorRuns
    ) -> dict[str, Any]:
        findings = hook.check(
            self._extract(context, hook),
            reading,
            sending,
            prior_runs=prior_runs,
            progress=self._progress_logger(dry_run=True),
        )
        value = as_xcom(findings, sending.mode.value)
        return self._conclude_dry_run(context, value, sending.max_failed, as_text(findings))

    def _prior_runs(self, ti: RuntimeTaskInstanceProtocol, task: PushTaskSettings, own: str | None) -> PriorRuns:
        from airflow_provider_ecdp.ledger.prior_runs import PriorRuns  # noqa: PLC0415  # Arrow, at parse time

        root = results_root(task.results_path)
        if task.only_changed and not root:
            raise ConfigurationError(
                "only_changed needs results_path: set it, or results_path in the section [ecdp] of Airflow"
            )
        history = open_ledger(history_folder(root, ti.dag_id, ti.task_id, task.ecdp_conn_id)) if root else None
        if history is not None and not task.only_changed and not history.exists():
            # once there is one, a run that sends everything notes it too: ECDP then has these orders
            history = None
        return PriorRuns(
            ledger=open_ledger(own) if own else None,
            history=history,
            only_changed=task.only_changed,
            replay=open_ledger(task.replay_from) if task.replay_from else None,
            columns=open_ledger(columns_folder(root, ti.dag_id, ti.task_id)) if root else None,
            deletions=open_ledger(deletions_folder(root, task.ecdp_conn_id)) if root and history is not None else None,
        )

    def _failed_before(
        self,
        context: Context,  # noqa: ARG002  # the transfer needs them: files can be opened again
        hook: EcdpHook,  # noqa: ARG002
        task: PushTaskSettings,  # noqa: ARG002
        reading: OrderSettings,  # noqa: ARG002
    ) -> FailedBefore | None:
        """Return the orders that earlier runs left and this run sends, None if it sends none."""
        return None

    @abstractmethod
    def _extract(self, context: Context, hook: EcdpHook) -> Source | Mapping[str, Source]:
        """Return the extract to send."""
