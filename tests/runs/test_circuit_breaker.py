"""When failures in a row open the breaker, by what was answered before."""

from __future__ import annotations

import pytest

from airflow_provider_ecdp.runs.circuit_breaker import CircuitBreaker


def after(*events: str) -> CircuitBreaker:
    breaker = CircuitBreaker()
    for event in events:
        getattr(breaker, event)()
    return breaker


@pytest.mark.parametrize(
    ("events", "orders"),
    [
        ((), 2),
        (("answered_get",), 5),
        (("expect_bad_orders",), 10),
        (("expect_bad_orders", "answered_get"), 10),
        (("answered",), 5),
        (("answered_get", "answered"), 5),
        (("expect_bad_orders", "answered"), 5),
    ],
)
def test_single_orders_that_fail_one_after_the_other_open_it(events, orders):
    breaker = after(*events)
    for _ in range(orders - 1):
        breaker.failed(alone=True)
    assert not breaker.is_open
    breaker.failed(alone=True)
    assert breaker.is_open


@pytest.mark.parametrize("event", ["answered", "excuse"])
def test_an_answer_closes_it(event):
    breaker = after("answered")
    for _ in range(5):
        breaker.failed(alone=True)
    getattr(breaker, event)()
    assert breaker.closed
    assert not breaker.is_open


def test_failures_of_several_orders_never_open_it():
    breaker = after("answered")
    for _ in range(100):
        breaker.failed(alone=False)
    assert breaker.in_doubt
    assert not breaker.is_open


@pytest.mark.parametrize(
    ("events", "only_gets"),
    [((), False), (("answered_get",), True), (("expect_bad_orders",), True), (("answered_get", "answered"), False)],
)
def test_a_get_is_evidence_until_another_request_is_answered(events, only_gets):
    assert after(*events).only_gets_answered is only_gets
