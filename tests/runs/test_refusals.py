"""When a run takes refusals of single orders for an outage."""

from __future__ import annotations

import pytest

from airflow_provider_ecdp.errors import RequestRejectedError, ServerError, UnexpectedAnswerError
from airflow_provider_ecdp.runs.cancellation import Cancellation
from airflow_provider_ecdp.runs.refusals import AcceptedRequest, Refusals


def refusing(text, repeated):
    def repeat():
        repeated.append(text)
        raise RequestRejectedError("POST /orders: HTTP 400", status=400, details=(text,))

    return AcceptedRequest("ORD-1", repeat)


@pytest.fixture
def refusals():
    return Refusals(Cancellation())


def test_many_alike_and_an_accepted_order_refused_alike_stop_the_run(refusals):
    repeated = []
    for n in range(2, 40):
        refusals.refused(
            f"Order ORD-{n}: quota of 500 exceeded",
            f"ORD-{n}",
            refusing("Order ORD-1: quota of 500 exceeded", repeated),
        )

    assert len(repeated) == 1
    assert refusals.of_all
    assert isinstance(refusals.cancellation.cause, UnexpectedAnswerError)
    assert refusals.cancellation.cause.status == 400


@pytest.mark.parametrize("again", ["this order is unchanged", None], ids=["another reason", "accepted"])
def test_an_accepted_order_that_is_not_refused_alike_is_no_outage(refusals, again):
    repeated = []
    control = refusing(again, repeated) if again else AcceptedRequest("ORD-1", lambda: repeated.append(again))
    for _ in range(100):
        refusals.refused("currency is not allowed", "ORD-2", control)

    assert len(repeated) == 5
    assert not refusals.cancellation.cancelled


def test_a_failure_of_the_repetition_decides_nothing(refusals):
    def fail():
        raise ServerError("POST /orders: HTTP 503", status=503)

    for _ in range(20):
        refusals.refused("no", "ORD-2", AcceptedRequest("ORD-1", fail))

    assert not refusals.of_all
    assert not refusals.cancellation.cancelled


def test_an_accepted_order_and_another_reason_end_the_row(refusals):
    repeated = []
    for n in range(200):
        refusals.refused(("no" if n % 38 < 19 else "never"), "ORD-2", refusing("no", repeated))
        if n % 19 == 18:
            refusals.accepted()

    assert repeated == []
