import datetime as dt

import pytest

from airflow_provider_ecdp.errors import PushStoppedError
from airflow_provider_ecdp.operators.base import ProgressLogger, summary_table
from airflow_provider_ecdp.results.outcome import Outcome


@pytest.fixture
def told():
    """Make a heartbeat at noon, whose clock stands still; return it, its clock, and the lines that it logs."""

    def make(total=None):
        now, lines = [0.0], []
        heartbeat = ProgressLogger(
            lambda text, *values: lines.append(text % values),
            lambda: False,
            total,
            clock=lambda: now[0],
            now=lambda: dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC) + dt.timedelta(seconds=now[0]),
        )
        return heartbeat, now, lines

    return make


def test_how_far_a_run_is_is_logged_every_five_seconds_with_its_rate(told):
    heartbeat, now, lines = told()
    for second in range(18):
        now[0] = float(second)
        heartbeat(second * 1000, second)
    assert lines == [
        "5,000 orders done, 5 failed, 1,000 orders/s",
        "10,000 orders done, 10 failed, 1,000 orders/s",
        "15,000 orders done, 15 failed, 1,000 orders/s",
    ]


@pytest.mark.parametrize("known_before", [True, False])
def test_the_total_and_the_expected_end_are_told_where_the_total_is_known(told, known_before):
    heartbeat, now, lines = told(5000 if known_before else None)
    now[0] = 10.0
    heartbeat(1000, 0, None if known_before else 5000)
    assert lines == [
        "1,000 of 5,000 (20 %) orders done, 0 failed, 100 orders/s, to end at about 12:00:50 UTC, in 0:00:40"
    ]


def test_nothing_is_promised_of_a_run_that_has_done_nothing(told):
    heartbeat, now, lines = told(5000)
    now[0] = 10.0
    heartbeat(0, 0)
    assert lines == ["0 of 5,000 (0 %) orders done, 0 failed, 0 orders/s"]


def test_the_end_of_a_run_that_goes_on_is_expected_by_what_it_sends(told):
    heartbeat, now, lines = told()
    for now[0], done in ((1.0, 100_000), (2.0, 200_000), (3.0, 300_000)):
        heartbeat(done, 0, 400_000, done)
    now[0] = 13.0
    heartbeat(350_000, 0, 400_000, 300_000)
    assert lines == [
        "350,000 of 400,000 (87 %) orders done, 0 failed, 5,000 orders/s, to end at about 12:00:23 UTC, in 0:00:10"
    ]


def test_a_task_that_was_told_to_end_goes_no_further():
    heartbeat = ProgressLogger(print, lambda: True)
    with pytest.raises(PushStoppedError, match="told to end after 7 orders"):
        heartbeat(7, 0)


def test_a_table_shows_only_what_there_is():
    counts = dict.fromkeys(("rejected", "invalid", "unresolved", "not_attempted", "skipped"), 0) | {"accepted": 1234}
    costs = {"requests": 3, "retries": 1, "bytes": 45678, "duration_seconds": 1.5}
    summary = {"mode": "Add", "total": 1234, **counts, **costs}
    assert summary_table(summary, {"no_products": {"count": 2, "example": "1"}}, "/results").splitlines() == [
        "ECDP Add: 1,234 orders in 1.5 s",
        "  accepted           1,234",
        "  warning no_products: 2",
        "  3 requests, 1 repeated, 45,678 bytes sent",
        "  results of every order: /results",
    ]


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_line_in_the_log_of_a_task(outcome):
    counts = dict.fromkeys([one.value for one in Outcome], 0) | {outcome.value: 1234}
    summary = {
        "mode": "Add",
        "total": 1234,
        "requests": 1,
        "retries": 0,
        "bytes": 10,
        "duration_seconds": 0.5,
        **counts,
    }
    assert f"  {outcome.value:<14}     1,234" in summary_table(summary, {}, None).splitlines()
