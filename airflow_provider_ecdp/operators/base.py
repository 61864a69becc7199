"""The base of the operators: the hook, the result of a run for Airflow, and XCom even if the task fails."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.sdk import Asset, BaseOperator

from airflow_provider_ecdp.assets.ecdp import uri_of
from airflow_provider_ecdp.errors import (
    ConfigurationError,
    EcdpError,
    EmptyExtractError,
    MissingSourceError,
    OrdersFailedError,
    PushError,
)
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.hooks.version_compat import (
    AirflowFailException,
    AirflowSkipException,
    get_hook_lineage_collector,
)
from airflow_provider_ecdp.observability.lineage import Lineage
from airflow_provider_ecdp.observability.metrics import count_run, run_span
from airflow_provider_ecdp.operators.failures import explained, section_about
from airflow_provider_ecdp.operators.links import FailureDocsLink, ResultsFolderLink, SyncReportLink
from airflow_provider_ecdp.operators.parameters import attribute, check_literals, declare, parameters_of, shown_default
from airflow_provider_ecdp.operators.results import own_folder, results_root
from airflow_provider_ecdp.operators.retry_policy import is_transient, with_retry_policy
from airflow_provider_ecdp.operators.settings import OnClear, OnEmpty, OnMissing, RunTaskSettings, TaskSettings
from airflow_provider_ecdp.operators.sharding import open_extract
from airflow_provider_ecdp.operators.task_log import ProgressLogger, summary_table
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.settings import Setting, build

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk.definitions.context import Context
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

    from airflow_provider_ecdp.ledger.store import Ledger
    from airflow_provider_ecdp.orders.sources.base import Source
    from airflow_provider_ecdp.results.report import MaxFailed, Report

_Settings = TypeVar("_Settings")


class EcdpOperator(BaseOperator):
    """An operator that gives every order an outcome.

    Its parameters are the settings of the classes in `tables`; they are attributes of the same names, and templated.

    :raises ConfigurationError: a parameter has an invalid value
    """

    #: the classes whose settings are the parameters, except those in `left_out`
    tables: ClassVar[tuple[type, ...]] = (TaskSettings,)
    left_out: ClassVar[frozenset[str]] = frozenset()
    #: whether a run changes nothing in ECDP, and so makes no asset event
    reads_only: ClassVar[bool] = False
    parameters: ClassVar[Mapping[str, Setting]]

    ui_color = "#e3eefb"
    operator_extra_links = (SyncReportLink(), ResultsFolderLink(), FailureDocsLink())
    #: where the run keeps the outcome of every order, for the link to it
    results_folder: str | None = None
    #: the section of docs/troubleshooting.md about the failure of the run, for the link to it
    failure_section: str | None = None
    ecdp_conn_id: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the parameters of an operator."""
        super().__init_subclass__(**kwargs)
        cls.parameters = parameters_of(cls.tables, cls.left_out)
        declare(cls, cls.parameters)

    def __init__(self, **kwargs: Any) -> None:
        written = {name: kwargs.pop(name) for name in self.parameters if name in kwargs}
        super().__init__(**with_retry_policy(kwargs))
        for name, setting in self.parameters.items():
            value = written.get(name)
            setattr(self, attribute(name), shown_default(setting) if value is None and not setting.required else value)
        # mapped values come from other tasks, and are checked when the task runs
        if not getattr(self, "_BaseOperator__from_mapped", False):
            with self._naming_this():
                check_literals(self.parameters, written, self.template_ext)
        with self._naming_this():
            self._check_combination(written)

    @cached_property
    def hook(self) -> EcdpHook:
        """The hook of the connection; it reads nothing before it is used."""
        conn_id = self._settings(TaskSettings).ecdp_conn_id
        setting = self.parameters.get("max_in_flight")
        max_in_flight = self._rendered().get("max_in_flight")
        return EcdpHook(
            conn_id,
            max_in_flight=setting.read(max_in_flight) if setting and max_in_flight is not None else None,
            limits_path=self._rendered().get("results_path"),
        )

    @cached_property
    def _lineage(self) -> Lineage:
        return Lineage()

    def on_kill(self) -> None:
        """Stop sending; outcomes are recorded."""
        if "hook" in self.__dict__:
            self.hook.stop()

    @contextmanager
    def _naming_this(self) -> Iterator[None]:
        """Have errors of a DAG that is parsed name the operator and its task."""
        try:
            yield
        except ConfigurationError as error:
            raise ConfigurationError(f"{type(self).__name__} {self.task_id}: {error}") from None

    def _check_combination(self, written: Mapping[str, Any]) -> None:
        """Refuse parameters that do not go together.

        :param written: the parameters in the DAG's file, templates too
        :raises ConfigurationError: they do not
        """

    def _rendered(self) -> dict[str, Any]:
        """Return the parameters by name, after templating; those that are empty are left out."""
        values = {name: getattr(self, attribute(name)) for name in self.parameters}
        # Jinja writes a missing value so
        return {name: value for name, value in values.items() if value is not None and value != "None"}

    def _settings(self, table: type[_Settings], **more: Any) -> _Settings:
        """Return the settings of a class, from the parameters.

        :raises ConfigurationError: a template has left a value that is not allowed
        """
        return build(table, self._rendered() | more)

    def execute(self, context: Context) -> dict[str, Any]:
        """Do the work of the task, and return the value for XCom.

        :raises AirflowFailException: the same would fail again, so that Airflow does not retry
        :raises EcdpError: it may pass
        """
        try:
            with run_span(type(self).__name__, {"task_id": self.task_id, "dag_id": self.dag_id}), self.hook as hook:
                return self._execute(context, hook)
        except EcdpError as error:
            self.log.debug("The task has failed", exc_info=True)
            failure = self._for_airflow(error)
        # the message has the action, and a traceback of this package's internals would hide it in the log
        raise failure.with_traceback(None) from None

    @abstractmethod
    def _execute(self, context: Context, hook: EcdpHook) -> dict[str, Any]:
        """Do the work of the task, and return the value for XCom."""

    def _for_airflow(self, error: EcdpError) -> Exception:
        """Return the exception with which Airflow skips the task, retries it, or does not retry it."""
        if isinstance(error, MissingSourceError) and "on_missing" in self.parameters:
            on_missing = self.parameters["on_missing"].read(self._rendered().get("on_missing"))
            if on_missing is OnMissing.SKIP:
                return AirflowSkipException(str(error))
            error.expected = on_missing is OnMissing.RETRY
        self.failure_section = section_about(error)
        # not the settings: one of them may be wrong
        conn_id = str(self._rendered().get("ecdp_conn_id", EcdpHook.default_conn_name))
        text = explained(error, conn_id, self.retries)
        if not is_transient(error):
            return AirflowFailException(text)
        error.args = (text,)
        return error

    def _run_options(self, ti: RuntimeTaskInstanceProtocol, task: RunTaskSettings) -> dict[str, Any]:
        """Return the parameters by name, and the settings of a run that follow from its try."""
        # a try that was killed may have sent something that no ledger has
        retried = ti.try_number > 1
        return self._rendered() | {
            "allow_empty": task.on_empty is OnEmpty.SUCCEED,
            "resumed": retried,
            "count_resumed_as": Outcome.ACCEPTED if retried else Outcome.SKIPPED,
        }

    def _place_results(self, ti: RuntimeTaskInstanceProtocol, task: RunTaskSettings) -> str | None:
        """Choose the folder of this run's results, `results_folder`; return the root above it, None without one.

        :raises ConfigurationError: Airflow has no file system for the root, or the storage refuses to list the folder
        :raises StorageError: the storage does not answer
        """
        root = results_root(task.results_path)
        self.results_folder = own_folder(root, ti, resume=task.on_clear is OnClear.RESUME) if root else None
        return root

    def _unless_empty(self, run: Callable[[], dict[str, Any]], on_empty: str) -> dict[str, Any]:
        """Run; where there are no orders at all, skip the task if `on_empty` is "skip"."""
        try:
            return run()
        except EmptyExtractError as error:
            if on_empty == "skip":
                raise AirflowSkipException(str(error)) from None
            raise

    def _note_earlier(self, ti: RuntimeTaskInstanceProtocol, ledger: Ledger | None) -> None:
        if ledger and ti.try_number <= 1 and ledger.exists():
            self.log.warning(
                "%s has results of an earlier run with the same id: orders accepted there are skipped", ledger.path
            )

    def _open(
        self,
        path: Any,
        hook: EcdpHook,
        conn_id: str | None,
        partitions: Mapping[str, Any] | None = None,
    ) -> Source:
        """Open an extract or a shard, and report it to Airflow's lineage."""
        urls, extract = open_extract(path, conn_id or None, partitions)
        self.log.info("Reading %s", extract.name)
        uris = [url if "://" in url else Path(url).absolute().as_uri() for url in urls]
        self._lineage.inputs.append((uris, extract))
        for uri in uris:
            get_hook_lineage_collector().add_input_asset(context=hook, uri=uri)
        return extract

    def _note_run(self, context: Context, hook: EcdpHook, report: Report) -> None:
        """Pass a run on to lineage, metrics and assets."""
        changed = bool(report.summary["accepted"]) and not self.reads_only
        self._lineage.target = uri_of(hook.get_conn().settings.base_url)
        self._lineage.summary = report.summary
        count_run(report.summary, {"dag_id": self.dag_id, "task_id": self.task_id})
        for outlet in self.outlets:
            if isinstance(outlet, Asset) and changed:
                context["outlet_events"][outlet].extra = {**report.summary, "results_path": report.results_path}
        if not changed:
            self._no_events()

    def _no_events(self) -> None:
        """Clear the outlets of this task run: nothing has changed in them."""
        self._lineage.outlets = list(self.outlets)
        self.outlets = [outlet for outlet in self.outlets if not isinstance(outlet, Asset)]

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:  # noqa: ARG002  # OpenLineage's
        """Return inputs and outputs, for OpenLineage."""
        return self._lineage.as_openlineage(self.outlets)

    def get_openlineage_facets_on_failure(self, task_instance: object) -> OperatorLineage[Any, Any]:
        """Return inputs and outputs until the task failed, for OpenLineage."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def _progress_logger(self, *, dry_run: bool = False) -> ProgressLogger:
        return ProgressLogger(self.log.info, dry_run=dry_run)

    def _conclude_dry_run(
        self, context: Context, value: dict[str, Any], tolerated: MaxFailed, text: str, noun: str = "orders"
    ) -> dict[str, Any]:
        """Log the findings of a dry run and return them for XCom, or raise if too many orders are invalid."""
        self.log.info("%s", text)
        self._no_events()
        summary = value["summary"]
        if summary["invalid"] > tolerated.of(summary["total"]):
            if self.do_xcom_push:
                context["ti"].xcom_push(key="return_value", value=value)
            raise OrdersFailedError(
                f"dry run: {summary['invalid']:,} of {summary['total']:,} {noun} are invalid; the log and `check` in "
                f"XCom list the reasons; nothing was sent. Tolerated: {tolerated}",
                summary=summary,
            )
        return value

    def _conclude_run(self, context: Context, hook: EcdpHook, report: Report, tolerated: MaxFailed) -> dict[str, Any]:
        """Conclude a run whose outcomes are kept in `results_folder`, as `_conclude` does."""
        # the ledger knows its folder by another name: that of the file system
        return self._conclude(context, hook, replace(report, results_path=self.results_folder), tolerated)

    def _conclude(self, context: Context, hook: EcdpHook, report: Report, tolerated: MaxFailed) -> dict[str, Any]:
        """Log the report and return it for XCom, or raise its error; XCom is pushed in either case."""
        value = report.as_json()
        self._note_run(context, hook, report)
        self.log.info("%s", summary_table(report.summary, report.warnings, report.results_path))
        try:
            report.raise_for_failures(tolerated)
        except PushError:
            # Airflow pushes the result of `execute` only if the task succeeds; a retry clears it again
            if self.do_xcom_push:
                context["ti"].xcom_push(key="return_value", value=value)
            raise
        if report.failed:
            self.log.warning("%s\nTolerated: %s", report.message(), tolerated)
        elif len(report.results) < report.summary["total"]:
            results = f"{len(report.results):,} of {number_of(report.summary['total'], 'result')}"
            self.log.info("XCom lists %s", results)
        return value
