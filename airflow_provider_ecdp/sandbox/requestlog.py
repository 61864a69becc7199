"""The log of the sandbox's requests and responses; paths hold order ids, bodies and keys are not kept."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: requests kept one by one; older ones are only counted
KEPT = 100_000


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request to the Orders API.

    `status` is None when no answer was sent, `fault` names the fault that struck, `orders` counts the orders of a POST
    that could be read, `size` the bytes of the body, `at` is in seconds since the log was started.
    """

    method: str
    path: str
    status: int | None
    fault: str | None
    orders: int
    size: int
    at: float


class RequestLog:
    """The requests in the order in which they were decided, and their counts.

    Only the server's thread writes; any thread may read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: called with each request, in the server's thread
        self.on_request: Callable[[RequestRecord], object] | None = None
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.entries: deque[RequestRecord] = deque(maxlen=KEPT)
        self.by_method: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.by_fault: Counter[str] = Counter()
        self.in_flight = 0
        self.in_flight_peak = 0
        self._start = self._clock()

    def enter(self) -> None:
        """Count a request that has arrived."""
        self.in_flight += 1
        self.in_flight_peak = max(self.in_flight_peak, self.in_flight)

    def leave(self) -> None:
        """Count a request that has ended, answered or not."""
        self.in_flight = max(0, self.in_flight - 1)

    def add(
        self, method: str, path: str, *, status: int | None, fault: str | None = None, orders: int = 0, size: int = 0
    ) -> None:
        """Record how a request is about to end."""
        record = RequestRecord(method, path, status, fault, orders, size, self._clock() - self._start)
        self.entries.append(record)
        self.by_method[method] += 1
        self.by_status["none" if status is None else str(status)] += 1
        if fault is not None:
            self.by_fault[fault] += 1
        if self.on_request is not None:
            self.on_request(record)
