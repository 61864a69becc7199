"""Shared by pushing operators: parameters, the results of a task instance, and one run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.operators.base import EcdpOperator
from airflow_provider_ecdp.operators.dry_run import as_text, as_xcom
from airflow_provider_ecdp.operators.results import open_ledger, remove_old_results
from airflow_provider_ecdp.operators.settings import PushTaskSettings
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.results.folders import columns_folder, deletions_folder, history_folder

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
        ti = context["ti"]
        options = self._run_options(ti, task)
        reading, sending = hook.settings(OrderSettings, options), hook.settings(PushSettings, options)
        root = self._place_results(ti, task)
        prior_runs = self._prior_runs(ti, task, root)
        if task.dry_run:
            return self._check(context, hook, reading, sending, prior_runs)
        self._note_earlier(ti, prior_runs.ledger)
        report = hook.push(
            self._extract(context, hook),
            reading,
            sending,
            prior_runs=prior_runs,
            failed_before=self._failed_before(context, hook, task, reading),
            progress=self._progress_logger(),
        )
        if root and task.keep_results_days is not None:
            history = history_folder(root, ti.dag_id, ti.task_id, task.ecdp_conn_id)
            shared = [history, deletions_folder(root, task.ecdp_conn_id)] if prior_runs.history is not None else ()
            remove_old_results(root, ti, task.keep_results_days, shared)
        return self._conclude_run(context, hook, report, sending.max_failed)

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

    def _prior_runs(self, ti: RuntimeTaskInstanceProtocol, task: PushTaskSettings, root: str | None) -> PriorRuns:
        from airflow_provider_ecdp.ledger.prior_runs import PriorRuns  # noqa: PLC0415  # Arrow, at parse time

        if task.only_changed and not root:
            raise ConfigurationError(
                "only_changed needs results_path: set it, or results_path in the section [ecdp] of Airflow"
            )
        history = open_ledger(history_folder(root, ti.dag_id, ti.task_id, task.ecdp_conn_id)) if root else None
        if history is not None and not task.only_changed and not history.exists():
            # once there is one, a run that sends everything notes it too: ECDP then has these orders
            history = None
        return PriorRuns(
            ledger=open_ledger(self.results_folder) if self.results_folder else None,
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
