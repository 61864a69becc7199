"""The client of the Orders API: every method sends one request, retries it where that is safe, or raises a typed error.

Threads share one client, with its connections and its governor, which holds back requests and repeats them.
"""

from __future__ import annotations

import hashlib
import json
import random as randomness
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_ecdp.api.counts import ClientStats, Counter, PostResult
from airflow_provider_ecdp.api.governor.governor import Governor
from airflow_provider_ecdp.api.mode import envelope
from airflow_provider_ecdp.api.redaction import Redactor, SentValues
from airflow_provider_ecdp.api.responses import read_answer
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.api.settings import ID_OF_NO_ORDER, ClientSettings, checked_key, order_path
from airflow_provider_ecdp.api.transport import Transport
from airflow_provider_ecdp.errors import ApiError, ConfigurationError, NotFoundError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from airflow_provider_ecdp.api.governor.concurrency import Flight
    from airflow_provider_ecdp.api.governor.pacing import Share
    from airflow_provider_ecdp.api.mode import MatchBy, Mode

__all__ = ["ClientStats", "EcdpClient", "PostResult"]


class EcdpClient:
    """A synchronous client of the Orders API, with one key; safe to share between threads.

    `clock` (monotonic) and `wall_clock` (since the epoch) return seconds, `random` a number from [0, 1). All waiting is
    done by `sleep`, which `interrupt` ends if none is given. One that returns something true, as
    `threading.Event().wait` does once the event is set, interrupts the client too: the call raises the error it was
    about to repeat, or UnreachableError if nothing was sent yet, and nothing more is sent until `resume`.
    `share` divides the limits in `settings` among several clients; None is all for this one.
    """

    def __init__(
        self,
        api_key: str,
        settings: ClientSettings = ClientSettings(),  # noqa: B008  # a frozen value
        *,
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008  # a frozen value
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] | None = None,
        random: Callable[[], float] = randomness.random,
        share: Share | None = None,
    ) -> None:
        self.settings = settings
        self.policy = policy
        self._api_key = checked_key(api_key)
        self._wall_clock = wall_clock
        self._governor = Governor(settings, clock=clock, sleep=sleep, random=random, share=share)
        self._transport = Transport(settings, self._api_key)
        self._counter = Counter()
        self._key_accepted = False

    def key_fingerprint(self, salt: bytes) -> str:
        """Return eight hexadecimal digits that differ between keys; the key cannot be computed from them."""
        return hashlib.pbkdf2_hmac("sha256", self._api_key.encode(), salt, 50_000, dklen=4).hex()

    def __repr__(self) -> str:
        return f"EcdpClient({self.settings.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def interrupt(self) -> None:
        """Send nothing more and end all waiting, until `resume`; requests under way are cut off after 2 seconds.

        A request that is cut off ends in NoAnswerError: it may have been stored.
        """
        self._governor.interrupted.set()
        self._transport.interrupt()

    @property
    def interrupted(self) -> bool:
        """Whether nothing more is sent: an error may then come from a call that was cut short."""
        return self._governor.interrupted.is_set()

    def resume(self) -> None:
        """Send again after `interrupt`."""
        self._governor.interrupted.clear()
        self._transport.resume()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def in_flight_limit(self) -> int:
        """Requests that should be in flight at once now: `max_in_flight`, fewer while the server struggles."""
        return self._governor.concurrency.limit

    @property
    def in_flight_reached(self) -> int:
        """Maximum number of requests in flight at once since `recount_in_flight`, at least 1 and at most the limit."""
        return max(1, min(self._governor.concurrency.limit, self._governor.concurrency.reached))

    def recount_in_flight(self) -> None:
        """Reset `in_flight_reached`."""
        self._governor.concurrency.recount()

    def stats(self) -> ClientStats:
        """Return the counts so far, as one consistent snapshot."""
        return self._counter.stats

    def post_orders(
        self,
        mode: Mode,
        orders: bytes | bytearray | memoryview,
        *,
        match_by: MatchBy | None = None,
        attempts: int | None = None,
        sent_values: Callable[[], SentValues] = SentValues,
    ) -> PostResult:
        """Send one batch: `orders` is the UTF-8 JSON of the orders, joined by commas, without brackets.

        `sent_values` is called after a refusal: its personal values are replaced wherever the server repeats them.

        Raise ApiError; `maybe_stored` is whether the batch may nevertheless be in ECDP. In mode Add the request is
        repeated only after an error that proves that it was not processed.

        :param attempts: most attempts of this call; None is the policy's
        """
        before, after = envelope(mode, match_by)
        body = b"".join((before, orders, after))
        policy = replace(self.policy, max_attempts=attempts) if attempts is not None else None
        _, requests = self._call(
            "POST", "/orders", body, repeatable=mode.repeatable, policy=policy, sent_values=sent_values
        )
        return PostResult(requests)

    def get_order(self, order_id: str, *, sent_values: Callable[[], SentValues] = SentValues) -> dict[str, Any]:
        """Return the order's `data` object, or raise ApiError; NotFoundError if ECDP has no such order.

        `sent_values` is called after a refusal, as in `post_orders`.
        """
        order, _ = self._call("GET", order_path(order_id), sent_values=sent_values)
        return order or {}

    def delete_order(self, order_id: str) -> dict[str, Any]:
        """Mark the order as deleted and return it, or raise ApiError.

        NotFoundError can mean that it is deleted already: the API does not say how it answers a second DELETE, and the
        first may have been this call's own, whose answer was lost.
        """
        order, _ = self._call("DELETE", order_path(order_id))
        return order or {}

    def update_order_status(self, order_id: str, status: str, *, website_id: int | None = None) -> None:
        """Change the status of an order, sent unchanged, or raise ApiError; NotFoundError for an unknown order."""
        if not order_id or not status:
            raise ConfigurationError("an order id and a status are required; neither may be empty")
        change: dict[str, object] = {"orderId": order_id, "orderStatus": status}
        if website_id is not None:
            change["websiteId"] = website_id
        self._call("PUT", "/orders/status", json.dumps(change).encode())

    def check_key(self) -> None:
        """Ask once, for an order that does not exist: return if the key is accepted, or raise ApiError.

        Nothing is written and nothing repeated. KeyRefusedError: the key is wrong; UnreachableError: no connection.
        """
        try:
            self._call("GET", order_path(ID_OF_NO_ORDER), policy=replace(self.policy, max_attempts=1))
        except NotFoundError:
            return

    def pause(self, error: ApiError, attempt: int) -> bool:
        """Wait as the policy requires before the caller repeats a call itself; False if it should not be repeated.

        This is for mode Add after an error that leaves open whether the batch was stored: the caller reads back first.
        `attempt` counts the requests so far.
        """
        delay = self._governor.delay_before_resend(self.policy, error, attempt)
        if delay is None:
            return False
        self._counter.add(retries=1)
        # after a 503 it is the pacer that waits
        return error.status == 503 or self.wait(delay)

    def wait(self, seconds: float) -> bool:
        """Wait, as between two attempts; False if that was interrupted."""
        return self._governor.wait(seconds)

    def recovered(self) -> None:
        """Note that ECDP answered the request after `pause`: the retry's tokens return to the quota."""
        self._governor.quota.give_back_retry()

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        repeatable: bool = True,
        policy: RetryPolicy | None = None,
        sent_values: Callable[[], SentValues] = SentValues,
    ) -> tuple[dict[str, Any] | None, int]:
        """Send until an answer settles it or the policy gives up; return the result and the number of requests."""
        name = f"{method} {self.settings.base_url}{path}"
        call = self._governor.call(name, len(body or b""), policy or self.policy, repeatable=repeatable)
        while (flight := call.before()) is not None:
            try:
                result = self._attempt(method, path, body, name, flight, sent_values=sent_values)
            except ApiError as error:
                delay = call.on_error(flight, error)
            else:
                call.on_success(flight)
                return result, call.attempts
            if delay is None:
                break
            self._counter.add(retries=1)
            if not self.wait(delay):
                break
        raise call.error or _not_sent(name)

    def _attempt(
        self,
        method: str,
        path: str,
        body: bytes | None,
        call: str,
        flight: Flight,
        *,
        sent_values: Callable[[], SentValues],
    ) -> dict[str, Any] | None:
        size = len(body) if body else 0
        try:
            with flight:
                answer = self._transport.exchange(method, path, body, call)
        except ApiError as error:
            self._counter.add(requests=1, sent=0 if isinstance(error, UnreachableError) else size)
            raise
        self._counter.add(requests=1, sent=size)
        result = read_answer(
            method,
            answer,
            call=call,
            now=self._wall_clock(),
            redactor=lambda: Redactor.of(self._api_key, sent_values()),
            key_accepted=self._key_accepted,
        )
        self._key_accepted = True
        return result


def _not_sent(call: str) -> UnreachableError:
    error = UnreachableError(f"{call}: not sent because the run is stopping")
    error.attempts = 0
    return error
