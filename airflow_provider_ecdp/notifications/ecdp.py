"""The notifier: a run's summary, from XCom, as a short message, which a notifier of Airflow sends."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.reasons import example_of
from airflow_provider_ecdp.results.report import MaxFailed, failed_in

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

#: The XCom in which a task's runs keep how many orders the last of them had.
_VOLUMES = "ecdp_volumes"

#: Runs whose orders are compared, and how many it takes for a comparison.
_RUNS, _FEWEST_RUNS = 14, 3

#: Reasons of a message, and characters of each of its lines.
_REASONS, _LINE = 3, 300


class EcdpSyncNotifier(BaseNotifier):
    """Turns the result of a task of this provider into a short message.

    Use it as a callback of a task. A message is sent if orders failed, even if `max_failed` tolerated them, if the task
    failed, and if the number of orders is unusual by `volume_change`; with `always`, after every run. It contains
    counts, the most common reasons, the results path and the link to the log, but no personal data.

    :param send: called with the message; returns an Airflow notifier, which then sends it, or None if it has sent the
        message itself. None writes the message to the task's log
    :param always: whether to send a message about a run in which nothing failed
    :param volume_change: a share, such as `"50%"`: send a message if the number of orders differs by more than this
        from the median of the last 14 runs; at least 3 are needed. None compares nothing
    :raises ConfigurationError: `volume_change` is not a share
    """

    def __init__(
        self,
        send: Callable[[str], Callable[[Context], object] | None] | None = None,
        *,
        always: bool = False,
        volume_change: str | float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.send = send
        self.always = always
        self.volume_change = None if volume_change is None else _share(volume_change)

    def notify(self, context: Context) -> None:
        """Send the message, if there is something to report."""
        ti = context["ti"]
        result = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
        summary = result["summary"] if isinstance(result, Mapping) and "summary" in result else None
        unusual = None if _is_replay(context) else self._unusual(ti, summary)
        error = context.get("exception")
        if not (self.always or unusual or error or (summary and failed_in(summary))):
            return
        text = _literal("\n".join(_lines(ti, result if summary else None, error, unusual)))
        if self.send is None:
            self.log.warning("%s", text)
        elif (notifier := self.send(text)) is not None:
            if not callable(notifier):
                raise ConfigurationError(
                    "the function of EcdpSyncNotifier must return a notifier of Airflow or None, not "
                    f"{type(notifier).__name__}"
                )
            notifier(context)

    def _unusual(self, ti: Any, summary: Mapping[str, Any] | None) -> str | None:
        """Say that the number of orders is unlike that of the last runs, and keep it for the next."""
        if self.volume_change is None or summary is None or summary.get("dry_run"):
            return None
        total = int(summary["total"])
        # of the newest run before this one that has it
        kept = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index, key=_VOLUMES, include_prior_dates=True) or []
        ti.xcom_push(key=_VOLUMES, value=[*kept, total][-_RUNS:])
        return unusual_volume(total, kept, self.volume_change)


def _share(volume_change: str | float) -> float:
    try:
        share = MaxFailed.parse(volume_change).share
    except ConfigurationError:
        # its message is about max_failed
        share = None
    if not share:
        raise ConfigurationError(f"volume_change must be a share above 0, such as 50% or 0.5, not {volume_change!r}")
    return share


def unusual_volume(total: int, earlier: Sequence[int], share: float) -> str | None:
    """Compare a number of orders with that of earlier runs.

    :param share: the greatest difference that is usual, of the median of earlier runs
    :return: the difference in words, None if it is usual or there are too few runs
    """
    if len(earlier) < _FEWEST_RUNS:
        return None
    usual = statistics.median(earlier)
    difference = total - usual
    if abs(difference) <= share * usual:
        return None
    than = f"than usual: the median of the last {len(earlier):,} runs is {usual:,.0f}"
    percent = f"{abs(difference) / usual:.0%} " if usual else ""
    return f"{number_of(total, 'order')}, {percent}{'more' if difference > 0 else 'fewer'} {than}"


def _is_replay(context: Context) -> bool:
    """Whether the run sends only what failed in another: its number of orders is no volume of an extract."""
    # Jinja writes None so
    return getattr(context.get("task"), "replay_from", None) not in (None, "", "None")


def _lines(
    ti: Any, result: Mapping[str, Any] | None, error: BaseException | str | None, unusual: str | None
) -> Iterator[str]:
    yield f"ECDP: {ti.dag_id}.{ti.task_id} {_verdict(result and result['summary'], error)}"
    if unusual:
        yield unusual
    if error:
        # the action, and without counts the event
        yield from map(_cut, str(error).splitlines()[: 1 if result else 2])
    if result:
        for reason in result["reasons"][:_REASONS]:
            yield _cut(f"{reason['count']:,} x {reason['reason']} ({example_of(reason['example'])})")
        if result["results_path"]:
            yield f"Outcome of every order: {result['results_path']}"
    yield f"Run {ti.run_id}, log: {ti.log_url}"


def _verdict(summary: Mapping[str, Any] | None, error: BaseException | str | None) -> str:
    if summary is None:
        return "failed before it had a result" if error else "has no result in XCom"
    failed = failed_in(summary)
    if summary.get("dry_run"):
        ended = "dry run failed" if error else "dry run"
        sent = f"{summary[Outcome.NOT_ATTEMPTED.value]:,} of {number_of(summary['total'], 'order')} would be sent"
        return f"{ended}: {sent} ({failed:,} invalid, {summary[Outcome.SKIPPED.value]:,} skipped)"
    ended = "failed" if error else "succeeded; its failures were tolerated" if failed else "succeeded"
    counts = ", ".join(f"{summary[outcome.value]:,} {outcome.value}" for outcome in Outcome if summary[outcome.value])
    return f"{ended}: {failed:,} of {number_of(summary['total'], 'order')} failed ({counts or 'none'})"


def _cut(line: str) -> str:
    return line if len(line) <= _LINE else f"{line[:_LINE]}…"


def _literal(text: str) -> str:
    """Return a text that Jinja leaves unchanged: notifiers render their texts, and a reason may be a server's words."""
    return text.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")
