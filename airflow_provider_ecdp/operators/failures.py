"""Messages of failed tasks: first the action, then the cause, then whether Airflow retries, and why."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_ecdp.errors import (
    ConfigurationError,
    EcdpError,
    EmptyExtractError,
    ExtractError,
    KeyRefusedError,
    MissingSourceError,
    OrdersFailedError,
    PushStoppedError,
    StorageError,
    WrongAddressError,
)

#: Characters of the first line that the log in Airflow's UI shows at a width of 1,440 pixels.
FIRST_LINE = 100

#: The action after each kind of error, the most specific kind first.
_ADVICE: Mapping[type[EcdpError], str] = {
    KeyRefusedError: "Correct the API key in {connection}: ECDP refused it",
    WrongAddressError: "Correct the base URL in {connection}: the server there is not ECDP",
    OrdersFailedError: "Correct the orders that failed: the reasons follow ({connection})",
    EmptyExtractError: "Check whether the extract should be empty, and set on_empty if so ({connection})",
    MissingSourceError: "Check whether the export has run: a file is missing ({connection})",
    ExtractError: "Correct the extract, or how the task reads it ({connection})",
    ConfigurationError: "Correct a setting of this task, or of {connection}",
    StorageError: "Check the storage of the results ({connection})",
}


#: The section of docs/troubleshooting.md about each kind of error.
_SECTIONS: Mapping[type[EcdpError], str] = {
    PushStoppedError: "the-run-was-stopped",
    OrdersFailedError: "orders-failed",
    EmptyExtractError: "the-extract",
    ExtractError: "the-extract",
    StorageError: "results",
    ConfigurationError: "connection-and-settings",
}


def section_about(error: EcdpError) -> str:
    """Return the section of docs/troubleshooting.md about an error."""
    return next((section for kind, section in _SECTIONS.items() if isinstance(error, kind)), "first-steps")


def explained(error: EcdpError, conn_id: str, retries: int | None) -> str:
    """Return the message of an error with the advice before it, and whether Airflow tries again after it.

    :param conn_id: the connection that the run used
    :param retries: how often Airflow tries the task again
    """
    connection = f"connection {conn_id!r}"
    again = error.transient and bool(retries)
    first = _advice(error, again=again).format(connection=connection)
    if len(first) > FIRST_LINE:
        first = _advice(error, again=again).format(connection="the connection")
    lines = [f"{first}.", str(error)]
    if connection not in str(error) and connection not in first:
        lines.append(f"It used {connection}.")
    return "\n".join([*lines, _retry(error, retries)])


def _advice(error: EcdpError, *, again: bool) -> str:
    if isinstance(error, PushStoppedError) and error.key_refused:
        return _ADVICE[KeyRefusedError]
    for kind, advice in _ADVICE.items():
        if isinstance(error, kind):
            return advice
    if again:
        return "Wait for Airflow's next try: the run over {connection} was stopped"
    return "Clear the task when the cause is gone: the run over {connection} was stopped"


def _retry(error: EcdpError, retries: int | None) -> str:
    if not error.transient:
        return "Airflow does not retry this, even where the task has retries: the same would fail again."
    if retries:
        return f"Airflow retries this while the task has retries left (retries={retries}): the cause may pass."
    return "Airflow does not retry this, because the task has no retries: set retries, or clear the task."
