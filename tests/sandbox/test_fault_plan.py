"""Drawing decisions: how often, when, for whom; no server."""

from datetime import UTC, datetime

import pytest

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.sandbox.faults import METHODS, FaultKind, FaultPlan, Faults


def kinds(plan, count, method="POST"):
    return [plan.draw(method).kind for _ in range(count)]


def test_without_settings_nothing_goes_wrong():
    plan = FaultPlan(Faults())

    decisions = [plan.draw(method) for method in METHODS for _ in range(100)]

    assert {(decision.kind, decision.latency) for decision in decisions} == {(None, 0)}


@pytest.mark.parametrize("kind", FaultKind)
def test_a_whole_number_is_every_so_many_requests(kind):
    assert kinds(FaultPlan(Faults(**{kind: 3})), 7) == [None, None, kind, None, None, kind, None]
    assert kinds(FaultPlan(Faults(**{kind: 1})), 3) == [kind] * 3


@pytest.mark.parametrize("kind", FaultKind)
def test_a_share_is_a_probability(kind):
    struck = kinds(FaultPlan(Faults(**{kind: 0.3})), 2000).count(kind)

    assert 500 < struck < 700


def test_one_setting_does_not_shift_the_draws_of_another():
    alone = kinds(FaultPlan(Faults(reset_after=0.3)), 200)
    beside = kinds(FaultPlan(Faults(reset_after=0.3, empty=0.3, latency_ms=50, error_statuses=(500,))), 200)

    assert [at for at, kind in enumerate(alone) if kind] == [
        at for at, kind in enumerate(beside) if kind is FaultKind.RESET_AFTER
    ]
    assert FaultKind.EMPTY in beside


def test_faults_strike_only_their_methods_and_only_in_their_window():
    plan = FaultPlan(Faults(error_before=1, methods=("GET",), first_request=3, last_request=5))

    assert kinds(plan, 4, "GET") == [None, None, FaultKind.ERROR_BEFORE, FaultKind.ERROR_BEFORE]
    assert kinds(plan, 1, "POST") == [None]
    assert kinds(plan, 2, "GET") == [None, None]


def test_setting_faults_starts_their_draws_again():
    plan = FaultPlan(Faults(seed=3, empty=0.5, latency_ms=10))
    first = [plan.draw("GET") for _ in range(50)]

    plan.set(plan.faults)

    assert [plan.draw("GET") for _ in range(50)] == first


def test_latency_is_spread_around_its_mean():
    plan = FaultPlan(Faults(latency_ms=200))
    latencies = [plan.draw("GET").latency for _ in range(1000)]

    assert 0.1 <= min(latencies) < 0.12
    assert 0.28 < max(latencies) <= 0.3


def test_a_rate_admits_a_second_at_once_and_then_its_pace():
    at = 100.0
    plan = FaultPlan(Faults(requests_per_second=4), clock=lambda: at)

    assert kinds(plan, 6) == [None] * 4 + [FaultKind.THROTTLE] * 2
    at += 0.5
    assert kinds(plan, 3) == [None, None, FaultKind.THROTTLE]
    at += 60
    assert kinds(plan, 5) == [None] * 4 + [FaultKind.THROTTLE]


def test_a_date_to_retry_after_counts_from_now():
    now = datetime(2026, 1, 31, 23, 59, 0, tzinfo=UTC)
    plan = FaultPlan(Faults(retry_after=90, retry_after_date=True), now=lambda: now)

    assert plan.retry_after() == "Sun, 01 Feb 2026 00:00:30 GMT"


@pytest.mark.parametrize(
    "setting",
    [
        {"empty": -0.1},
        {"empty": 1.5},
        {"empty": float("nan")},
        {"empty": float("inf")},
        {"requests_per_second": 0},
        {"reject_every": 0},
        {"max_bytes": -1},
        {"first_request": 0},
        {"latency_ms": -1},
        {"hang_seconds": float("inf")},
        {"methods": ("PATCH",)},
        {"error_statuses": ()},
        {"error_statuses": (500, 204)},
        {"error_statuses": (99,)},
    ],
)
def test_a_setting_without_sense_is_refused_by_name(setting):
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        Faults(**setting)
