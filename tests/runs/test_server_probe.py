from __future__ import annotations

import pytest

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.settings import ID_OF_NO_ORDER, ClientSettings
from airflow_provider_ecdp.errors import CancelledError, KeyRefusedError, ServerError
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.circuit_breaker import CircuitBreaker
from airflow_provider_ecdp.runs.server_probe import ServerProbe

NOT_FOUND = {"status_code": 404, "json": {"title": "Not found", "status": 404, "substatus": "NotFound"}}
REFUSED = {"status_code": 400, "json": {"title": "Bad request", "status": 400}}


@pytest.fixture
def probe():
    with EcdpClient("key", ClientSettings("https://ecdp.example.com"), sleep=lambda _: None) as client:
        yield ServerProbe(client, CircuitBreaker(), Cancellation())


@pytest.mark.parametrize(
    ("answers", "requests", "cause"),
    [
        ([NOT_FOUND], 1, None),
        ([REFUSED], 1, None),
        ([{"status_code": 500}, NOT_FOUND], 2, None),
        ([{"status_code": 500}, {"status_code": 500}], 2, ServerError),
        ([{"status_code": 401}], 1, KeyRefusedError),
    ],
)
def test_a_get_that_is_not_answered_stops_the_run(probe, requests_mock, answers, requests, cause):
    requests_mock.get(f"https://ecdp.example.com/orders/{ID_OF_NO_ORDER}", answers)

    assert probe.works() is (cause is None)
    assert requests_mock.call_count == requests
    assert type(probe.cancellation.cause) is (cause or type(None))


def test_a_request_that_succeeds_again_excuses_the_failures_before(probe):
    probe.breaker.failed(alone=True)
    assert probe.works(lambda: None)
    assert not probe.breaker.half_open


def test_nothing_is_sent_once_the_run_is_cancelled(probe, requests_mock):
    probe.cancellation.cancel(CancelledError("Ctrl-C"))
    assert not probe.works()
    assert requests_mock.call_count == 0
