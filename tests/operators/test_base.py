import pytest

from airflow_provider_ecdp.errors import PushStoppedError
from airflow_provider_ecdp.operators.base import Heartbeat, summary_table


def test_how_far_a_run_is_is_logged_every_ten_seconds():
    now, lines = [0.0], []
    heartbeat = Heartbeat(lambda text, *values: lines.append(text % values), lambda: False, clock=lambda: now[0])
    for second in range(36):
        now[0] = float(second)
        heartbeat(second * 1000, second)
    assert lines == ["10,000 orders done, 10 failed", "20,000 orders done, 20 failed", "30,000 orders done, 30 failed"]


def test_the_total_is_told_where_it_is_known():
    now, lines = [0.0], []
    heartbeat = Heartbeat(lambda text, *values: lines.append(text % values), lambda: False, 5000, clock=lambda: now[0])
    now[0] = 10.0
    heartbeat(1000, 0)
    assert lines == ["1,000 of 5,000 orders done, 0 failed"]


def test_a_task_that_was_told_to_end_goes_no_further():
    heartbeat = Heartbeat(print, lambda: True)
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
