import threading

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ecdp.api.governor.quota import RetryQuota
from airflow_provider_ecdp.errors import ApiError, ServerError, ThrottledError, UnreachableError


def tokens_left(quota):
    """Return the tokens of a quota in which a retry after throttling costs one; none are left afterwards."""
    tokens = 0
    while quota.take(ThrottledError("x")) is not None:
        tokens += 1
    return tokens


def test_an_outage_uses_the_quota_up():
    quota = RetryQuota(throttle_cost=1)
    taken = 0
    while quota.take(UnreachableError("x")) is not None:
        taken += 1
    assert taken == 500 // 14
    assert tokens_left(quota) == 500 - taken * 14


def test_throttling_costs_less():
    quota = RetryQuota()
    assert quota.take(ThrottledError("x")) == 5
    assert quota.take(ServerError("x")) == 14


def test_successes_fill_the_quota_up_to_its_capacity():
    quota = RetryQuota(capacity=20, throttle_cost=1)
    cost = quota.take(ServerError("x"))
    quota.give_back(None)
    quota.give_back(cost)
    quota.give_back(cost)
    assert tokens_left(quota) == 20


def test_a_success_without_a_retry_gives_back_one_token():
    quota = RetryQuota(capacity=20, throttle_cost=1)
    quota.take(ServerError("x"))
    quota.give_back(None)
    assert tokens_left(quota) == 7


@given(st.lists(st.sampled_from([ApiError("x"), ThrottledError("x"), None]), max_size=200))
def test_the_quota_stays_between_nothing_and_its_capacity(events):
    quota = RetryQuota(capacity=50, throttle_cost=1)
    for event in events:
        if event is None:
            quota.give_back(None)
        else:
            quota.take(event)
    assert 0 <= tokens_left(quota) <= 50


def test_threads_never_take_the_same_tokens():
    quota = RetryQuota(capacity=1400)
    taken = []

    def take_all():
        while (cost := quota.take(ServerError("x"))) is not None:
            taken.append(cost)

    threads = [threading.Thread(target=take_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 1400
