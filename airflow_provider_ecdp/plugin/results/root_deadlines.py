"""Limits how long a request waits for the roots of results: a storage that is down delays no report."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from airflow_provider_ecdp.errors import EcdpError, StorageError
from airflow_provider_ecdp.orders.sources.storage import without_credentials

_T = TypeVar("_T")

#: Seconds in which a storage lists the files of a run, also if it has to read credentials first.
SECONDS = 5.0

#: Seconds for which a root that has not answered is not asked again.
_PAUSE = 30.0


class RootDeadlines:
    """Asks roots at the same time, each for a limited time. Safe for threads.

    A call that is late goes on in its thread, since no file system has a way to end it. If it succeeds, the root is
    asked again.

    :param seconds: that all roots together have
    :param clock: monotonic seconds
    """

    def __init__(self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._late: dict[str, tuple[float, EcdpError]] = {}

    def of_each(self, roots: Sequence[str], ask: Callable[[str], _T]) -> list[_T | EcdpError]:
        """Call a function with each root, and return its results in this order.

        :param ask: reads from a root
        :return: results; in place of one, the EcdpError that `ask` has raised, or a StorageError if it is late
        """
        calls: list[Future[_T]] = [self._call(root, ask) for root in roots]
        end = self._clock() + self._seconds
        answers: list[_T | EcdpError] = []
        for root, call in zip(roots, calls, strict=True):
            wait([call], max(0.0, end - self._clock()))
            answer = self._answer(root, call)
            answers.append(answer)
        return answers

    def _call(self, root: str, ask: Callable[[str], _T]) -> Future[_T]:
        call: Future[_T] = Future()
        until, error = self._late.get(root, (0.0, None))
        if error is not None and self._clock() < until:
            call.set_exception(error)
            return call
        context = contextvars.copy_context()

        def run() -> None:
            try:
                call.set_result(context.run(ask, root))
            except BaseException as raised:  # noqa: BLE001 - the waiting thread raises it again
                call.set_exception(raised)

        threading.Thread(target=run, name="ecdp-results", daemon=True).start()
        return call

    def _answer(self, root: str, call: Future[_T]) -> _T | EcdpError:
        if call.done():
            raised = call.exception()
            return raised if isinstance(raised, EcdpError) else call.result()
        error = StorageError(
            f"{without_credentials(root)} did not answer within {self._seconds:g} s; check the storage and its "
            "connection, then load the report again"
        )
        self._late[root] = self._clock() + _PAUSE, error
        call.add_done_callback(lambda ended: self._answered_late(root, ended))
        return error

    def _answered_late(self, root: str, call: Future[Any]) -> None:
        # an error would name the folder of a DAG that the next reader may not see
        if call.exception() is None:
            self._late.pop(root, None)
