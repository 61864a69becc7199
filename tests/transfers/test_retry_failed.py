"""`retry_failed`: what earlier runs left rejected or unresolved is sent with the next run's extract."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.errors import PushStoppedError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException
from airflow_provider_ecdp.operators.ecdp import EcdpPushOrdersOperator
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator


@pytest.fixture(autouse=True)
def connection(sandbox, connect):
    connect(sandbox.url, extra={"max_in_flight": 1})


@pytest.fixture
def day(tmp_path, order):
    """Write the extract of a day, with these orders."""

    def write(number, *ids, **fields):
        path = tmp_path / f"orders_{number}.parquet"
        pq.write_table(pa.Table.from_pylist([order(order_id, **fields) for order_id in ids]), path)
        return path

    return write


@pytest.fixture
def run(make_context, tmp_path):
    """Run the task over an extract, and return the summary."""

    def push(path, **arguments):
        settings = {"results_path": str(tmp_path / "results"), "retry_failed": True, "max_failed": 9, **arguments}
        operator = ParquetToEcdpOperator(task_id="push", path=str(path), **settings)
        operator.hook = EcdpHook("ecdp_default", policy=RetryPolicy(max_attempts=1))
        return operator.execute(make_context(run_id=f"run-{path}"))["summary"]

    return push


def counts(summary):
    return {name: summary[name] for name in ("total", "accepted", "rejected", "skipped", "failed_before")}


@pytest.mark.parametrize("only_changed", [False, True])
def test_what_was_refused_goes_with_the_extract_of_the_next_day(run, day, sandbox, only_changed, caplog):
    sandbox.faults = Faults(reject_ids=frozenset({"A-2", "A-3"}))
    first = run(day(1, "A-1", "A-2", "A-3"), only_changed=only_changed)
    assert counts(first) == {"total": 3, "accepted": 1, "rejected": 2, "skipped": 0, "failed_before": 0}
    sandbox.faults = Faults(reject_ids=frozenset({"A-3"}))
    with caplog.at_level("INFO"):
        second = run(day(2, "B-1"), only_changed=only_changed)
    assert counts(second) == {"total": 3, "accepted": 2, "rejected": 1, "skipped": 0, "failed_before": 2}
    assert any(text.startswith("2 orders failed in earlier runs") for text in caplog.messages)
    sandbox.faults = Faults()
    third = run(day(3, "C-1"), only_changed=only_changed)
    assert counts(third) == {"total": 2, "accepted": 2, "rejected": 0, "skipped": 0, "failed_before": 1}
    assert counts(run(day(4, "D-1"), only_changed=only_changed))["total"] == 1
    assert not sandbox.store.repeated_writes()
    assert sandbox.store.count() == 6


def test_what_the_next_extract_has_itself_is_sent_once_with_its_new_content(run, day, sandbox):
    sandbox.faults = Faults(reject_ids=frozenset({"A-1"}))
    run(day(1, "A-1", currency="EUR"))
    sandbox.faults = Faults()
    assert counts(run(day(2, "A-1", currency="PLN"))) == {
        "total": 1,
        "accepted": 1,
        "rejected": 0,
        "skipped": 0,
        "failed_before": 1,
    }
    assert run(day(3, "C-1"))["total"] == 1
    assert sandbox.store.get("A-1")["currency"] == "PLN"


def test_what_fails_in_two_extracts_is_sent_as_the_later_one_has_it(run, day, sandbox):
    sandbox.faults = Faults(reject_ids=frozenset({"A-1"}))
    run(day(1, "A-1", currency="EUR"))
    run(day(2, "A-1", currency="PLN"))
    sandbox.faults = Faults()
    assert counts(run(day(3, "C-1")))["failed_before"] == 1
    assert sandbox.store.get("A-1")["currency"] == "PLN"


def test_an_extract_that_is_the_same_every_night_needs_no_second_reading(run, day, sandbox):
    sandbox.faults = Faults(reject_ids=frozenset({"A-1"}))
    run(day(1, "A-1", "A-2"))
    assert counts(run(day(1, "A-1", "A-2")))["failed_before"] == 1
    # the order is gone: nothing is left to send
    assert counts(run(day(1, "A-2")))["failed_before"] == 0
    sandbox.faults = Faults()
    assert counts(run(day(1, "A-1", "A-2")))["failed_before"] == 0


def test_what_an_extract_no_longer_has_is_not_looked_for_again(run, day, sandbox, caplog):
    sandbox.faults = Faults(reject_ids=frozenset({"A-1"}))
    path = day(1, "A-1")
    run(path)
    path.unlink()
    with caplog.at_level("WARNING"):
        assert counts(run(day(2, "B-1")))["failed_before"] == 0
    assert any("1 order that failed in earlier runs cannot be sent again" in text for text in caplog.messages)
    caplog.clear()
    with caplog.at_level("WARNING"):
        run(day(3, "C-1"))
    assert caplog.messages == []


def test_what_an_outage_left_without_an_answer_goes_with_the_next_run(run, day, sandbox):
    sandbox.faults = Faults(error_after=1.0)
    with pytest.raises(PushStoppedError):
        run(day(1, "A-1"))
    sandbox.faults = Faults()
    assert counts(run(day(2, "B-1")))["failed_before"] == 1


def test_orders_of_an_extract_that_cannot_be_read_stay_on_the_list(run, day, sandbox, caplog):
    sandbox.faults = Faults(reject_ids=frozenset({"A-1"}))
    path = day(1, "A-1")
    run(path)
    sandbox.faults = Faults()
    whole = path.read_bytes()
    path.write_bytes(b"no Parquet")
    with caplog.at_level("WARNING"):
        assert counts(run(day(2, "B-1")))["failed_before"] == 0
    assert any(text.startswith("1 order of earlier runs left for the next run") for text in caplog.messages)
    path.write_bytes(whole)
    assert counts(run(day(3, "C-1")))["failed_before"] == 1


def test_it_needs_a_memory_and_a_task_that_is_not_mapped(day, make_context, tmp_path):
    path = day(1, "A-1")
    with pytest.raises(AirflowFailException, match="retry_failed needs results_path: set it"):
        ParquetToEcdpOperator(task_id="push", path=str(path), retry_failed=True).execute(make_context())
    mapped = ParquetToEcdpOperator(task_id="push", path=str(path), retry_failed=True, results_path=str(tmp_path / "r"))
    with pytest.raises(AirflowFailException, match="retry_failed does not work with mapped tasks"):
        mapped.execute(make_context(map_index=0))
    assert "retry_failed" not in EcdpPushOrdersOperator.parameters
