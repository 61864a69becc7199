import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ecdp.api.retry import RetryPolicy, may_repeat
from airflow_provider_ecdp.errors import (
    ConfigurationError,
    KeyRefusedError,
    NoAnswerError,
    NotFoundError,
    RequestRejectedError,
    ServerError,
    ThrottledError,
    TooLargeError,
    UnexpectedAnswerError,
    UnreachableError,
)

seconds = st.floats(0, 1000, allow_nan=False)
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 10),
    base_delay=seconds,
    max_delay=seconds,
    throttle_base_delay=seconds,
    retry_after_cap=seconds,
    max_elapsed=seconds,
)
kinds = st.sampled_from(
    [
        KeyRefusedError,
        NoAnswerError,
        NotFoundError,
        RequestRejectedError,
        ServerError,
        ThrottledError,
        TooLargeError,
        UnexpectedAnswerError,
        UnreachableError,
    ]
)
errors = st.builds(lambda kind, after: kind("x", retry_after=after), kinds, st.none() | st.floats(0, 1e9))
fractions = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("kind", "harmless", "add"),
    [
        (UnreachableError, True, True),
        (ThrottledError, True, True),
        (ServerError, True, False),
        (NoAnswerError, True, False),
        (UnexpectedAnswerError, False, False),
        (KeyRefusedError, False, False),
        (RequestRejectedError, False, False),
        (TooLargeError, False, False),
        (NotFoundError, False, False),
    ],
)
def test_only_what_can_succeed_and_cannot_be_stored_twice_is_repeated(kind, harmless, add):
    assert may_repeat(kind("x"), repeatable=True) is harmless
    assert may_repeat(kind("x"), repeatable=False) is add


@given(
    policy=policies,
    error=errors,
    attempt=st.integers(1, 2000),
    fraction=fractions,
    repeatable=st.booleans(),
    elapsed=seconds,
)
def test_a_delay_is_within_every_bound_of_the_policy(*, policy, error, attempt, fraction, repeatable, elapsed):
    delay = policy.delay(error, attempt, lambda: fraction, repeatable=repeatable, elapsed=elapsed)
    if delay is None:
        return
    assert attempt < policy.max_attempts
    assert may_repeat(error, repeatable=repeatable)
    assert delay >= 0
    assert elapsed + delay <= policy.max_elapsed
    if error.retry_after is None:
        assert delay <= policy.max_delay
    else:
        assert delay >= min(error.retry_after, policy.retry_after_cap)
        assert delay <= policy.retry_after_cap + policy.base_delay


@given(policies, errors, st.integers(1, 2000), fractions)
def test_giving_up_has_one_of_three_reasons(policy, error, attempt, fraction):
    if policy.delay(error, attempt, lambda: fraction) is None:
        assert (
            attempt >= policy.max_attempts
            or not may_repeat(error, repeatable=True)
            or policy.backoff(error, attempt, lambda: fraction) > policy.max_elapsed
        )


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 20.0), (5000, 20.0)])
def test_the_longest_back_off_doubles_up_to_the_maximum(attempt, longest):
    assert RetryPolicy().backoff(ServerError("x"), attempt, lambda: 1.0) == longest
    assert RetryPolicy().backoff(ServerError("x"), attempt, lambda: 0.0) == 0.0


def test_throttling_without_retry_after_starts_from_its_own_base():
    assert RetryPolicy().backoff(ThrottledError("x"), 1, lambda: 0.5) == 0.5
    assert RetryPolicy().backoff(ThrottledError("x"), 3, lambda: 0.5) == 2.0


def test_retry_after_is_honoured_up_to_the_cap():
    assert RetryPolicy().delay(ThrottledError("x", retry_after=7.0), 1, lambda: 0.0) == 7.0
    assert RetryPolicy().delay(ThrottledError("x", retry_after=3600.0), 1, lambda: 0.0) == 60.0


def test_no_attempt_begins_after_the_time_is_up():
    error = ThrottledError("x", retry_after=60.0)
    assert RetryPolicy().delay(error, 1, lambda: 0.0, elapsed=60.0) == 60.0
    assert RetryPolicy().delay(error, 1, lambda: 0.0, elapsed=60.1) is None


@pytest.mark.parametrize(
    "setting", [{"max_attempts": 0}, {"base_delay": -1}, {"max_elapsed": math.nan}, {"max_delay": math.inf}]
)
def test_a_policy_out_of_range_is_refused_by_name(setting):
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        RetryPolicy(**setting)
