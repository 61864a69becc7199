"""A task that is killed, or reaches its time limit, while its server never ends an answer."""

from __future__ import annotations

import datetime as dt
import os
import signal
import threading

import duckdb
import pytest
from airflow.sdk.execution_time.timeout import AirflowTaskTimeout, timeout
from endless import DRIPS, Endless

from airflow_provider_ecdp.api import deadlines
from airflow_provider_ecdp.errors import PushStoppedError
from airflow_provider_ecdp.sample import Sample
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator


@pytest.fixture(params=["silence", "status line", "header of a 201", "100 Continue"])
def server(request):
    server = Endless(*DRIPS[request.param])
    # a status stands, whatever follows
    server.outcome = "accepted" if request.param == "header of a 201" else "unresolved"
    yield server
    server.close()


@pytest.fixture
def push(server, connect, tmp_path, monkeypatch):
    """An operator for 40 orders in batches of 10, and a folder of results."""
    monkeypatch.setattr(deadlines, "GRACE", 0.1)
    connect(server.url, extra={"read_timeout": 3600})
    Sample(orders=40, day=dt.date(2026, 11, 1)).write(tmp_path / "orders.parquet")
    return ParquetToEcdpOperator(
        task_id="push", path=str(tmp_path / "orders.parquet"), batch_size=10, results_path=str(tmp_path / "results")
    )


def when_asked(server, act):
    """Act in the middle of the first request."""

    def wait():
        if server.asked.wait(60):
            act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def outcomes(tmp_path):
    sql = f"SELECT outcome, count(*) FROM '{tmp_path}/results/**/*.parquet' WHERE order_id IS NOT NULL GROUP BY 1"
    return dict(duckdb.sql(sql).fetchall())


def test_a_task_that_is_killed_ends_and_says_so(server, push, context, tmp_path):
    thread = when_asked(server, push.on_kill)
    with pytest.raises(PushStoppedError, match="stopped: the task was cancelled"):
        push.execute(context)
    thread.join()

    assert outcomes(tmp_path) == {server.outcome: 10, "not_attempted": 30}


def test_a_task_ends_at_its_time_limit(server, push, context, tmp_path):
    with timeout(3600):
        thread = when_asked(server, lambda: os.kill(os.getpid(), signal.SIGALRM))
        with pytest.raises(AirflowTaskTimeout):
            push.execute(context)
    thread.join()

    # what was not read yet has no outcome: the exception ends the reading too
    assert outcomes(tmp_path)[server.outcome] == 10
