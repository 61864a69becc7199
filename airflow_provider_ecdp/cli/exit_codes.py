"""Exit codes of the command line, on which scripts may rely, and the code of a report."""

from __future__ import annotations

import enum

from airflow_provider_ecdp.cli.output import err, one_line
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.errors import OrdersFailedError, PushStoppedError
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.reasons import example_of
from airflow_provider_ecdp.results.report import MaxFailed, Report


class Exit(enum.IntEnum):
    """How a command ended; after SIGINT it is 130, after SIGTERM 143, as shells count."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    STOPPED = 3
    #: EX_SOFTWARE of sysexits.h: Python's own 1 would read as "some orders failed"
    BROKEN = 70


EXPLAINED = """\
exit codes:
  0    all orders accepted or skipped, or no more failed than --max-failed allows
  1    some orders failed
  2    wrong usage or configuration, or an extract or SQL text that cannot be read
  3    stopped by an outage or a refused key: run again
  70   internal error: a bug in ecdp
  130  interrupted (Ctrl-C), 143 terminated; outcomes are recorded
"""


def ending(report: Report, max_failed: MaxFailed, interruption: Interruption, *, brief: bool) -> int:
    """Return the exit code that `report` calls for.

    :param brief: reasons are on the screen already
    """
    if interruption.code is not None:
        goes_on = (
            "run the same command again to resume" if report.results_path else "with --results DIR a run can be resumed"
        )
        read = _read(report)
        counts = "; ".join(read if read and not report.summary["total"] else [*read, _failures(report)])
        err(f"ecdp: interrupted: {counts}; {goes_on}")
        return interruption.code
    try:
        report.raise_for_failures(max_failed)
    except PushStoppedError:
        err(f"ecdp: stopped: {report.stopped}; {_failures(report)}")
        return Exit.STOPPED
    except OrdersFailedError:
        halted = f"{report.halted}; " if report.halted else ""
        err(f"ecdp: {halted}{_failures(report)}{'' if brief else _reason(report)}")
        return Exit.FAILED
    return Exit.DONE


def _read(report: Report) -> list[str]:
    """Return how much of the extract was read, where that is not all."""
    total, count = report.summary["total"], report.in_extract
    return [] if count in (None, total) else [f"{total:,} of {count:,} orders read"]


def _failures(report: Report) -> str:
    if not report.summary["total"]:
        return "no orders were read"
    counts = [(report.summary[o.value], o) for o in sorted(Outcome, key=lambda o: not o.failed)]
    outcomes = ", ".join(f"{count:,} {outcome.value}" for count, outcome in counts if count)
    return f"{report.failed:,} of {number_of(report.summary['total'], 'order')} failed ({outcomes})"


def _reason(report: Report) -> str:
    if not report.reasons:
        return ""
    first, *others = report.reasons
    more = f"; and {number_of(len(others), 'other reason')}" if others else ""
    return f": {first['reason']} ({one_line(example_of(first['example']))}){more}"
