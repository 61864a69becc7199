"""Faults on demand: which request of the sandbox goes wrong, and how; the same seed gives the same run.

The n-th request since the faults were set gets the n-th draw. With several requests in flight the draws are the same,
but the clients decide which request gets which.
"""

from __future__ import annotations

import math
import random
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_ecdp.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = ("POST", "GET", "PUT", "DELETE")
_TRAILING_NUMBER = re.compile(r"([0-9]+)\Z")
# answers that may not have a body
_BODILESS = (204, 205, 304)

# three years: waits and dates far beyond are out of Python's range
_MOST_SECONDS = 100_000_000


class FaultKind(StrEnum):
    """Kinds of faults; where two strike the same request, the first in this list wins."""

    THROTTLE = "throttle"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    HTML_BEFORE = "html_before"
    HTML_AFTER = "html_after"
    CUT_SHORT = "cut_short"
    CUT_JSON = "cut_json"
    EMPTY = "empty"
    BLAME_NOBODY = "blame_nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How the sandbox misbehaves; by default, not at all.

    Fields with the name of a `FaultKind` set its frequency: 0 is never, a number below 1 is a probability, N ≥ 1 means
    every Nth request. `before` and `after` are before and after the request was processed: after, a POST is stored, and
    its sender does not know. Raises ConfigurationError.
    """

    # for pydantic, which reads the faults that come over HTTP
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    seed: int = 0
    #: the faults strike only these methods
    methods: tuple[str, ...] = METHODS
    #: the faults strike only from this request on, counted from 1
    first_request: int = 1
    #: and up to this one, None being the last: an outage that ends
    last_request: int | None = None

    #: mean time to answer in milliseconds, spread evenly between half and one and a half of it; on every request
    latency_ms: float = 0.0
    #: more than this are answered 429, on every method; a pause saves up at most one second's worth
    requests_per_second: float | None = None

    #: 429, not processed
    throttle: float = 0.0
    #: one of `error_statuses`, not processed
    error_before: float = 0.0
    #: one of `error_statuses`, processed
    error_after: float = 0.0
    #: statuses of the two above; a 3xx points to a path of the sandbox that does not exist
    error_statuses: tuple[int, ...] = (500, 502, 503)
    #: `Retry-After` of a 429 and 503: seconds, or a text sent unchanged, or None for no header
    retry_after: float | str | None = None
    #: send the seconds as an HTTP date
    retry_after_date: bool = False

    #: the TCP connection is reset once the request was read, not processed
    reset_before: float = 0.0
    #: the TCP connection is reset once the request was processed
    reset_after: float = 0.0
    #: no answer for `hang_seconds`, then a reset; not processed
    hang_before: float = 0.0
    #: no answer for `hang_seconds`, then a reset; processed
    hang_after: float = 0.0
    hang_seconds: float = 60.0

    #: 502 with an HTML page, not processed
    html_before: float = 0.0
    #: processed, and the right status with an HTML page
    html_after: float = 0.0
    #: processed, and half of the body that Content-Length announces, then the connection closes
    cut_short: float = 0.0
    #: processed, and the first half of the JSON as if it were all
    cut_json: float = 0.0
    #: processed, and the right status with an empty body
    empty: float = 0.0
    #: 400 that names no order, for a POST without any fault; not processed
    blame_nobody: float = 0.0

    #: orders whose trailing number is divisible by this are refused
    reject_every: int | None = None
    #: these orders are refused
    reject_ids: frozenset[str] = frozenset()
    #: a 400 about orders names none of them
    vague: bool = False
    #: maximum number of orders that a 400 names
    max_errors: int | None = None
    #: a larger body is answered 413
    max_bytes: int | None = None
    #: a batch of more orders is answered 413
    max_orders: int | None = None

    def __post_init__(self) -> None:
        for kind in FaultKind:
            often = getattr(self, kind.value)
            if not math.isfinite(often) or often < 0 or (often > 1 and often % 1):
                raise ConfigurationError(
                    f"fault {kind.value}={often}: give 0, a probability below 1, or N for every N-th request"
                )
        for name in ("requests_per_second", "reject_every", "max_errors", "max_bytes", "max_orders", "first_request"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigurationError(f"fault setting {name}={value}: must be above 0")
        # a text as retry_after is sent unchanged
        for name in ("latency_ms", "hang_seconds", "retry_after"):
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0 <= value <= _MOST_SECONDS:
                raise ConfigurationError(f"fault setting {name}={value}: must be from 0 to {_MOST_SECONDS:,}")
        if unknown := set(self.methods) - set(METHODS):
            raise ConfigurationError(f"fault setting methods: {sorted(unknown)} are not among {', '.join(METHODS)}")
        if not self.error_statuses or any(not 200 <= of <= 599 or of in _BODILESS for of in self.error_statuses):
            raise ConfigurationError("fault setting error_statuses: give statuses from 200 to 599 that have a body")

    def refuses(self, order_id: str) -> bool:
        """Whether the sandbox refuses an order of this id although nothing is wrong with it."""
        if order_id in self.reject_ids:
            return True
        if self.reject_every is None:
            return False
        number = _TRAILING_NUMBER.search(order_id)
        return number is not None and int(number[1]) % self.reject_every == 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The fate of one request: `latency` in seconds, then `kind` if any; `status` is for the two kinds of error."""

    latency: float
    kind: FaultKind | None
    status: int


class FaultPlan:
    """Draws a decision for each request; any thread may swap the faults."""

    def __init__(
        self,
        faults: Faults,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self.set(faults)

    @property
    def faults(self) -> Faults:
        """The faults in force."""
        return self._faults

    def set(self, faults: Faults) -> None:
        """Put other faults in force, from the first draw of their seed."""
        with self._lock:
            self._faults = faults
            self._random = random.Random(faults.seed)  # noqa: S311 - repeatable on purpose
            self._requests = 0
            self._allowance = self._burst()
            self._refilled = self._clock()

    def draw(self, method: str) -> Decision:
        """Decide about the next request."""
        with self._lock:
            faults = self._faults
            self._requests += 1
            # every request takes the same number of draws, so that one setting does not shift the others
            spread, pick = self._random.random(), self._random.random()
            rolls = [(kind, self._random.random()) for kind in FaultKind]
            struck = [kind for kind, roll in rolls if self._strikes(getattr(faults, kind.value), roll)]
            inside = faults.first_request <= self._requests <= (faults.last_request or self._requests)
            if method != "POST":
                struck = [kind for kind in struck if kind is not FaultKind.BLAME_NOBODY]
            kind = struck[0] if struck and inside and method in faults.methods else None
            return Decision(
                latency=faults.latency_ms / 1000 * (0.5 + spread),
                kind=kind if self._admits() else FaultKind.THROTTLE,
                status=faults.error_statuses[int(pick * len(faults.error_statuses))],
            )

    def retry_after(self) -> str | None:
        """Return the value of the `Retry-After` header to send with a 429 or 503, None for no header."""
        wait = self._faults.retry_after
        if wait is None or isinstance(wait, str):
            return wait
        if self._faults.retry_after_date:
            return format_datetime(self._now() + timedelta(seconds=wait), usegmt=True)
        return f"{wait:g}"

    def _strikes(self, often: float, roll: float) -> bool:
        return roll < often if often < 1 else self._requests % int(often) == 0

    def _burst(self) -> float:
        return max(1.0, self._faults.requests_per_second or 1.0)

    def _admits(self) -> bool:
        rate = self._faults.requests_per_second
        if rate is None:
            return True
        at = self._clock()
        self._allowance = min(self._burst(), self._allowance + (at - self._refilled) * rate)
        self._refilled = at
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True
