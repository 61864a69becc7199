"""Probes whether the server works at all, after a request that may have failed because of its content."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.errors import ApiError, NotFoundError, RequestRejectedError
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.circuit_breaker import CircuitBreaker


@dataclass(frozen=True, slots=True)
class ServerProbe:
    """Sends requests that change nothing, one at a time; safe for threads."""

    client: EcdpClient
    breaker: CircuitBreaker
    cancellation: Cancellation
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def works(self, control: Callable[[], object] | None = None) -> bool:
        """Return whether the server works, and stop the run if it does not.

        :param control: repeats a request that was accepted. If that succeeds, the content of other requests has
            caused their failures. None is a GET of an order that does not exist, which is less evidence
        """
        with self._lock:
            if self.cancellation.cancelled:
                return False
            error = self._read() if control is None else _error_of(control)
            if error is not None:
                self.cancellation.stop(error)
            elif control is None:
                self.breaker.answered_get()
            else:
                self.breaker.excuse()
            return error is None

    def may_be_orders(self, control: Callable[[], object] | None = None, *, left_open: bool = False) -> bool:
        """Return whether orders may be at fault although several failed in a row, for bad ones are often neighbours.

        It stops the run if the server does not work.

        :param control: as in `works`
        :param left_open: whether an earlier run has left these orders open, and sent others
        """
        breaker = self.breaker
        if breaker.answers:
            return (control is not None or breaker.excusable) and self.works(control)
        # nothing was answered yet: if a GET is, more orders are tried before the run stops
        if left_open:
            if self.works():
                breaker.expect_bad_orders()
        elif not breaker.only_gets_answered:
            self.works()
        return not breaker.is_open

    def may_be_content(self, error: ApiError, control: Callable[[], object] | None = None) -> bool:
        """Return whether other content may get another answer, and stop the run if the key is refused.

        :param control: as in `works`
        """
        if error.status != HTTPStatus.UNAUTHORIZED:
            return error.may_be_content
        if self.breaker.only_gets_answered:
            # another GET is no new evidence; the breaker limits how many orders are tried
            return True
        return self.works(control)

    def _read(self) -> ApiError | None:
        error = _error_of(self.client.check_key)
        # one GET in twenty may fail by chance
        if error is not None and error.transient and self.client.wait(self.client.policy.base_delay):
            error = _error_of(self.client.check_key)
        return error


def _error_of(request: Callable[[], object]) -> ApiError | None:
    try:
        request()
    except (NotFoundError, RequestRejectedError):
        # a refusal in the server's own words is an answer, and so is that an order is gone which was deleted before
        return None
    except ApiError as error:
        return error
    return None
