import datetime as dt

import pytest

from airflow_provider_ecdp.operators.task_log import ProgressLogger, summary_table
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.runs.progress import Progress


@pytest.fixture
def logged():
    """Make a progress logger that begins at noon; return it with the lines that it logs."""

    def make(*, dry_run=False):
        lines, now = [], [0.0]
        logger = ProgressLogger(
            lambda text, *values: lines.append(text % values),
            dry_run=dry_run,
            now=lambda: dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC) + dt.timedelta(seconds=now[0]),
        )

        def progress(seconds, done, failed=0, total=None, unsent=0):
            now[0] = float(seconds)
            logger(Progress(done, failed, total, now[0], unsent))

        return progress, lines

    return make


def test_progress_is_logged_every_five_seconds_with_its_rate(logged):
    progress, lines = logged()
    for second in range(18):
        progress(second, second * 1000, second)
    assert lines == [
        "5,000 orders done, 5 failed, 1,000 orders/s",
        "10,000 orders done, 10 failed, 1,000 orders/s",
        "15,000 orders done, 15 failed, 1,000 orders/s",
    ]


def test_the_total_and_the_expected_end_are_logged_where_the_total_is_known(logged):
    progress, lines = logged()
    progress(10, 1000, total=5000)
    assert lines == ["1,000 of 5,000 (20 %) orders done, 0 failed, 100 orders/s, ETA 12:00:50 UTC (0:00:40)"]


def test_nothing_is_promised_of_a_run_that_has_done_nothing(logged):
    progress, lines = logged()
    progress(10, 0, total=5000)
    assert lines == ["0 of 5,000 (0 %) orders done, 0 failed"]


def test_an_order_that_needs_no_request_promises_nothing(logged):
    progress, lines = logged()
    progress(0, 1, 1, 60_000, 1)
    progress(12, 1, 1, 60_000, 1)
    assert lines == ["1 of 60,000 (0 %) orders done, 1 failed"]


def test_the_end_of_a_run_that_goes_on_is_expected_by_what_it_sends(logged):
    progress, lines = logged()
    for second in (1, 2, 3):
        progress(second, second * 100_000, 0, 400_000, second * 100_000)
    progress(13, 350_000, 0, 400_000, 300_000)
    assert lines == ["350,000 of 400,000 (87 %) orders done, 0 failed, 5,000 orders/s, ETA 12:00:23 UTC (0:00:10)"]


def test_a_dry_run_counts_invalid_orders(logged):
    progress, lines = logged(dry_run=True)
    progress(10, 1000, 2, 5000)
    assert lines == ["1,000 of 5,000 (20 %) orders checked, 2 invalid, 100 orders/s, ETA 12:00:50 UTC (0:00:40)"]


def test_a_table_shows_only_what_there_is():
    counts = dict.fromkeys([outcome.value for outcome in Outcome], 0) | {"accepted": 1234}
    costs = {"requests": 3, "retries": 1, "bytes": 45678, "duration_seconds": 1.5}
    summary = {"mode": "Add", "total": 1234, **counts, **costs}
    assert summary_table(summary, {"no_products": {"count": 2, "example": "1"}}, "/results").splitlines() == [
        "ECDP Add: 1,234 orders in 1.5 s",
        "  accepted           1,234",
        "  warning no_products: 2",
        "  3 requests, 1 retried, 46 kB sent",
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
