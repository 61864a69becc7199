import datetime as dt
from types import SimpleNamespace

import fsspec
import pytest
from airflow.sdk import DAG

from airflow_provider_ecdp.errors import (
    ConfigurationError,
    ExtractError,
    KeyRefusedError,
    OrdersFailedError,
    PushStoppedError,
    ThrottledError,
    UnreachableError,
)
from airflow_provider_ecdp.operators import retry_policy as retries
from airflow_provider_ecdp.operators.ecdp import EcdpGetOrderOperator
from airflow_provider_ecdp.operators.retry_policy import LONGEST_PAUSE, is_transient
from airflow_provider_ecdp.orders.sources.storage import reading

if not retries.AVAILABLE:
    pytest.skip("Airflow asks a policy since 3.3", allow_module_level=True)

from airflow.sdk import RetryAction, RetryPolicy

from airflow_provider_ecdp.operators.retry_policy import EcdpRetryPolicy


def decide(error, *, retry_delay=None):
    context = {"task": SimpleNamespace(retry_delay=retry_delay)} if retry_delay is not None else None
    return EcdpRetryPolicy().evaluate(error, 1, 3, context)


@pytest.mark.parametrize(
    "error",
    [
        PushStoppedError("stopped", key_refused=True, retry_after=5),
        OrdersFailedError("failed"),
        ConfigurationError("wrong"),
        ExtractError("no such file"),
        KeyRefusedError("401"),
    ],
)
def test_what_cannot_succeed_is_not_tried_again(error):
    assert decide(error).action is RetryAction.FAIL


@pytest.mark.parametrize(
    "error", [PushStoppedError("stopped"), UnreachableError("no connection"), ValueError("not ours"), SystemExit(1)]
)
def test_without_a_word_of_the_server_airflow_decides(error):
    assert decide(error).action is RetryAction.DEFAULT


@pytest.mark.parametrize("error", [PushStoppedError("stopped", retry_after=90), ThrottledError("429", retry_after=90)])
def test_the_pause_that_the_server_asks_for_is_kept(error):
    decision = decide(error, retry_delay=dt.timedelta(seconds=60))
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, dt.timedelta(seconds=90))
    assert decide(error).retry_delay == dt.timedelta(seconds=90)


def test_a_pause_that_is_shorter_than_the_tasks_own_changes_nothing():
    error = PushStoppedError("stopped", retry_after=1)
    assert decide(error, retry_delay=dt.timedelta(minutes=5)).action is RetryAction.DEFAULT


def test_a_pause_without_end_is_cut():
    assert decide(PushStoppedError("stopped", retry_after=10**9)).retry_delay == LONGEST_PAUSE


def test_a_storage_that_does_not_answer_is_transient_and_a_file_that_is_not_there_is_not():
    def extract_error(cause):
        with pytest.raises(ExtractError) as raised, reading(fsspec.filesystem("memory"), "memory://lake"):
            raise cause
        return raised.value

    assert is_transient(extract_error(OSError("connection reset")))
    assert is_transient(extract_error(PermissionError("token expired")))
    assert is_transient(extract_error(Exception("what a storage's client raises: no network")))
    assert not is_transient(extract_error(FileNotFoundError("gone")))
    assert not is_transient(extract_error(ValueError("no Parquet")))


class AnotherPolicy(RetryPolicy):
    def evaluate(self, exception, try_number, max_tries, context=None):
        raise NotImplementedError


def test_operators_use_the_policy_unless_a_task_or_its_dag_has_another():
    assert isinstance(EcdpGetOrderOperator(task_id="get", order_id="1").retry_policy, EcdpRetryPolicy)
    assert isinstance(
        EcdpGetOrderOperator(task_id="get", order_id="1", retry_policy=AnotherPolicy()).retry_policy, AnotherPolicy
    )
    with DAG("policies", schedule=None, default_args={"retry_policy": AnotherPolicy()}):
        own = EcdpGetOrderOperator(task_id="get", order_id="1")
    assert isinstance(own.retry_policy, AnotherPolicy)


def test_mapped_operators_use_the_policy_too():
    with DAG("mapped", schedule=None):
        mapped = EcdpGetOrderOperator.partial(task_id="get").expand(order_id=["1", "2"])
    assert isinstance(mapped.unmap({"order_id": "1"}).retry_policy, EcdpRetryPolicy)
