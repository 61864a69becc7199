"""Every error that this package raises, grouped by the action that it calls for.

    EcdpError
    ├── ConfigurationError         a setting is wrong: correct it, nothing was sent
    ├── StorageError               a storage does not answer, or is full: retry later, or free space
    ├── ExtractError               the extract cannot be read as orders: correct the data or the SQL
    │   ├── MissingSourceError     no such file, folder or partition: has the export run?
    │   ├── SourceChangedError     its files were replaced while the run was reading them: run again
    │   ├── EmptyExtractError      it has no orders
    │   ├── ColumnsError           a required column is missing, or a column has the wrong kind
    │   └── SqlError               the SQL text fails, or needs files, extensions or settings
    │       └── MemoryLimitError   it needs more memory than it may have
    ├── ApiError                   one request did not succeed
    │   ├── KeyRefusedError        401, and 403 before any success: correct the key in the connection
    │   ├── ForbiddenError         403 after the key was accepted: perhaps a firewall blocks the content
    │   ├── RequestRejectedError   400 and other 4xx: the API refused the request
    │   │   └── TooLargeError      413: the same orders in smaller batches
    │   ├── NotFoundError          404 on an order's own path
    │   ├── ThrottledError         429: retry later
    │   ├── UnreachableError       no connection: the request was certainly not sent
    │   ├── ServerError            5xx: retry later; a POST may have been stored
    │   ├── NoAnswerError          timeout or reset after sending: a POST may have been stored
    │   └── UnexpectedAnswerError  an answer outside the contract: is the base URL right?
    │       └── WrongAddressError  a 404 that is not in ECDP's form, before any success
    ├── CancelledError             a run was cancelled: a signal, or a killed task
    ├── DeadlineError              a run has reached its `max_duration`
    └── PushError                  a push has ended and not every order is in ECDP: its report says which
        ├── OrdersFailedError      orders were refused: correct them, trying again changes nothing
        └── PushStoppedError       an outage or a refused key stopped the run: run again and it goes on

`transient` says whether the same call can succeed later without any change, `may_be_content` whether another request
can succeed now. Messages name orders by id, and never hold a payload, an e-mail address, a phone number or the key.
"""

from __future__ import annotations

from typing import ClassVar


class EcdpError(Exception):
    """Anything that this package raises on purpose."""

    _transient: ClassVar[bool] = False

    @property
    def transient(self) -> bool:
        """Whether the same call can succeed later without any change."""
        return self._transient


class ConfigurationError(EcdpError):
    """A setting is wrong; nothing was sent."""


class StorageError(EcdpError):
    """The storage of results does not answer, refuses for now, or is full."""

    _transient = True


class ExtractError(EcdpError):
    """The extract cannot be read as orders; orders that were sent before are recorded."""

    #: whether the storage failed, and not the extract: a retry may succeed
    of_storage: bool = False

    @property
    def transient(self) -> bool:
        """A failure of the storage may pass; a wrong extract stays wrong."""
        return self.of_storage


class MissingSourceError(ExtractError):
    """There is no such file, folder or partition, or no file matches; it may not have been written yet."""

    #: whether the caller expects the file, which is then only late
    expected: bool = False

    @property
    def transient(self) -> bool:
        """An expected file may be there at the next try."""
        return self.expected or super().transient


class SourceChangedError(ExtractError):
    """Files were replaced between two readings of one run: the ids read first are out of date."""

    @property
    def transient(self) -> bool:
        """The next run reads the new files."""
        return True


class EmptyExtractError(ExtractError):
    """The extract has no orders."""


class ColumnsError(ExtractError):
    """A required column is missing, or a column has a kind that its field cannot have."""


class SqlError(ExtractError):
    """The SQL text fails, or needs files, extensions or settings, which are locked."""


class MemoryLimitError(SqlError):
    """The query needs more memory than its limit, and cannot go on from disk."""


#: Never caused by the orders of one request: no answer, and a proxy that requires a password.
_NEVER_CONTENT = (None, 407)


class ApiError(EcdpError):
    """One request to ECDP that did not succeed.

    `status` is the HTTP status (None without an answer), `details` are the API's own words about the refusal, cut
    and stripped of personal data, `retry_after` the seconds that the server asked to wait (None if it did not).
    """

    _maybe_stored: ClassVar[bool] = False

    #: whether a request before the last one, of the same call, may have been stored
    earlier_maybe_stored: bool = False

    #: whether the read timeout expired
    timed_out: bool = False

    #: requests made by the call that ended like this: the last one ended in this error
    attempts: int = 1

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        details: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.details = details
        self.retry_after = retry_after

    @property
    def maybe_stored(self) -> bool:
        """Whether a POST that ended like this may nevertheless have been stored."""
        return self._maybe_stored or self.earlier_maybe_stored

    @property
    def may_be_content(self) -> bool:
        """Whether the content of the request may be the cause, so that a request with other content may succeed.

        True for everything that a server, or a firewall before it, can do because of one order. Where every request
        ends like this, the cause is another: the caller knows whether others have succeeded.
        """
        return self.status not in _NEVER_CONTENT

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only facts do not survive the default pickling of exceptions
        return _rebuild, (type(self), self.args, self.__dict__)


class KeyRefusedError(ApiError):
    """401, or 403 before any success: the key is wrong, or may not do this."""


class ForbiddenError(ApiError):
    """403 although the key was accepted before: this request is forbidden, perhaps because of its content."""


class RequestRejectedError(ApiError):
    """400 or another 4xx: the request was not processed, nothing of it was stored."""


class TooLargeError(RequestRejectedError):
    """413: the batch is larger than the server takes."""


class NotFoundError(ApiError):
    """404 on an order's own path: ECDP has no such order."""


class ThrottledError(ApiError):
    """429: the request was not processed, the server asks for a pause."""

    _transient = True


class UnreachableError(ApiError):
    """No connection could be made: the request was certainly not sent."""

    _transient = True


class ServerError(ApiError):
    """5xx: whether a POST was stored is unknown."""

    _transient = True
    _maybe_stored = True


class NoAnswerError(ApiError):
    """The connection timed out or broke after sending: whether a POST was stored is unknown."""

    _transient = True
    _maybe_stored = True

    @property
    def may_be_content(self) -> bool:
        """A server can fail or hang on one order."""
        return True


class UnexpectedAnswerError(ApiError):
    """An answer outside the contract: a redirect, 404 on POST, or a 2xx other than the documented one."""

    @property
    def maybe_stored(self) -> bool:
        """A redirect or a 4xx replaces processing; after any other answer the order may be stored."""
        processed = self.status is None or not 300 <= self.status < 500
        return processed or self.earlier_maybe_stored


class WrongAddressError(UnexpectedAnswerError):
    """404 on POST, or one without the API's form, before any success: no proof that ECDP lacks the order."""


class CancelledError(EcdpError):
    """The run was cancelled, by a signal or because its task is killed."""

    _transient = True


class DeadlineError(EcdpError):
    """The run has reached its `max_duration`."""

    _transient = True


class PushError(EcdpError):
    """A push has ended and not every order is in ECDP; `summary` holds the counts of its report."""

    def __init__(self, message: str, *, summary: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.summary = summary or {}

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class OrdersFailedError(PushError):
    """More orders failed than `max_failed` allows; everything else was sent."""


class PushStoppedError(PushError):
    """An outage, a refused key, `max_duration` or a signal stopped the run; unsent orders are `not_attempted`.

    `retry_after` is the pause in seconds that the server asked for last, `key_refused` is whether the key was refused.
    """

    def __init__(
        self,
        message: str,
        *,
        summary: dict[str, object] | None = None,
        retry_after: float | None = None,
        key_refused: bool = False,
    ) -> None:
        super().__init__(message, summary=summary)
        self.retry_after = retry_after
        self.key_refused = key_refused

    @property
    def transient(self) -> bool:
        """An outage passes; a refused key stays refused."""
        return not self.key_refused


def _rebuild(cls: type[EcdpError], args: tuple[object, ...], facts: dict[str, object]) -> EcdpError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(facts)
    return error
