import pytest

from airflow_provider_ecdp.errors import (
    ApiError,
    ConfigurationError,
    EcdpError,
    KeyRefusedError,
    MissingSourceError,
    OrdersFailedError,
    PushStoppedError,
    ServerError,
    StorageError,
    WrongAddressError,
)
from airflow_provider_ecdp.operators.failures import FIRST_LINE, explained


def kinds(of):
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("kind", [*kinds(EcdpError)])
@pytest.mark.parametrize("conn_id", ["ecdp_default", "c" * 250])
@pytest.mark.parametrize("retries", [0, 3])
def test_the_first_line_is_short_and_the_connection_the_message_and_the_retry_are_reported(kind, conn_id, retries):
    error = kind("what has happened")
    first, *others = explained(error, conn_id, retries).splitlines()
    assert len(first) <= FIRST_LINE + 1
    assert repr(conn_id) in "\n".join([first, *others])
    assert "what has happened" in others
    assert ("does not retry" in others[-1]) == (not error.transient or not retries)


@pytest.mark.parametrize(
    ("error", "first"),
    [
        (KeyRefusedError("401"), "Correct the API key in connection 'shop': ECDP refused it."),
        (PushStoppedError("401", key_refused=True), "Correct the API key in connection 'shop': ECDP refused it."),
        (WrongAddressError("404"), "Correct the base URL in connection 'shop': the server there is not ECDP."),
        (OrdersFailedError("2 of 3"), "Correct the orders that failed: the reasons follow (connection 'shop')."),
        (MissingSourceError("x"), "Check whether the export has run: a file is missing (connection 'shop')."),
        (ConfigurationError("x"), "Correct a setting of this task, or of connection 'shop'."),
        (StorageError("x"), "Check the storage of the results (connection 'shop')."),
        (PushStoppedError("503"), "Wait for Airflow's next try: the run over connection 'shop' was stopped."),
        (ServerError("503"), "Wait for Airflow's next try: the run over connection 'shop' was stopped."),
        (ApiError("?"), "Clear the task when the cause is gone: the run over connection 'shop' was stopped."),
    ],
)
def test_the_first_line_says_what_to_do(error, first):
    assert explained(error, "shop", 3).splitlines()[0] == first
