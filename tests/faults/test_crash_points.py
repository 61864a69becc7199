"""Crash points and odd servers that once lost, blamed or repeated an order, one by one."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pyarrow as pa
import pytest
from fake_clock import FakeClock
from faults_crash import Crash
from faults_hostile import cutting
from faults_laws import newest_rows
from foreign_server import KEY, ForeignServer, serving

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.errors import (
    ConfigurationError,
    EmptyExtractError,
    PushStoppedError,
    StorageError,
    ThrottledError,
)
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.orders.sources.table import TableSource
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import MaxFailed


def order(number, **changes):
    return {
        "id": f"ORD-{number:06d}",
        "date": "2026-11-22T10:00:00Z",
        "totalValue": Decimal("12.50"),
        "customer": {"crmId": f"C{number}"},
        "products": [{"id": "P1", "name": "Cup", "price": Decimal("12.50"), "quantity": 1}],
    } | changes


def orders_of(count):
    return source_from_records([order(n) for n in range(1, count + 1)])


@pytest.fixture
def foreign():
    state = ForeignServer()
    with serving(state):
        yield state


@pytest.fixture
def client(foreign):
    with client_of(foreign) as client:
        yield client


def client_of(foreign, kind=EcdpClient, *, max_in_flight=4, **options):
    clock = FakeClock()
    return kind(
        KEY,
        ClientSettings(base_url=foreign.url, max_in_flight=max_in_flight),
        clock=clock,
        sleep=clock.sleep,
        **options,
    )


def pushed(client, extract, *, ledger=None, history=None, replay=None, progress=lambda _: None, **settings):
    with OrderReader(extract) as orders:
        return push(
            orders,
            client,
            PushSettings(**settings),
            prior_runs=PriorRuns(ledger, history, replay),
            progress=progress,
        )


def counts(report):
    return {o.value: report.summary[o.value] for o in Outcome if report.summary[o.value]}


def crash(*_):
    raise Crash


class TestAddAfterARunThatWasNotRecorded:
    def test_killed_before_its_first_flush(self, foreign, client, tmp_path):
        class Killed(Ledger):
            def flush(self):
                raise Crash

        with pytest.raises(Crash):
            pushed(client, orders_of(20), mode=Mode.ADD, batch_size=5, ledger=Killed(tmp_path, flush_seconds=1e9))
        assert len(foreign.stored) == 20

        report = pushed(client, orders_of(20), mode=Mode.ADD, batch_size=5, ledger=Ledger(tmp_path))

        assert counts(report) == {"accepted": 20}

    def test_unresolved_in_the_run_that_is_replayed(self, foreign, client, tmp_path):
        unanswered(foreign, tmp_path / "1", orders_of(5))

        report = pushed(client, orders_of(5), mode=Mode.ADD, replay=Ledger(tmp_path / "1"))

        assert counts(report) == {"accepted": 5}

    def test_unresolved_in_an_earlier_run_of_the_history(self, foreign, client, tmp_path):
        unanswered(foreign, tmp_path / "history", orders_of(5))

        report = pushed(
            client,
            orders_of(6),
            mode=Mode.ADD,
            ledger=Ledger(tmp_path / "2"),
            history=Ledger(tmp_path / "history"),
        )

        assert counts(report) == {"accepted": 6}

    def test_a_server_that_names_one_order_at_a_time_is_not_asked_once_for_each(self, foreign, client, tmp_path):
        Ledger(tmp_path).begin()
        pushed(client, orders_of(300), mode=Mode.ADD)
        first_only(foreign)

        report = pushed(client, orders_of(400), mode=Mode.ADD, ledger=Ledger(tmp_path), request_budget=10)

        assert counts(report) == {"accepted": 400}
        assert sum(foreign.writes.values()) == 400

    def test_what_cannot_be_read_for_another_reason_is_not_absent(self, foreign, tmp_path):
        class Untrusted(EcdpClient):
            def get_order(self, order_id, **options):  # noqa: ARG002 - the client's signature
                raise ConfigurationError("the server's certificate is not trusted")

        unanswered(foreign, tmp_path, orders_of(5))
        with client_of(foreign, Untrusted) as client, pytest.raises(ConfigurationError, match="certificate"):
            pushed(client, orders_of(5), mode=Mode.ADD, ledger=Ledger(tmp_path))

        assert {row["outcome"] for row in newest_rows(tmp_path).values()} == {"unresolved"}

    def test_a_request_that_is_stored_after_its_client_has_given_up(self, foreign):
        read, stored = threading.Event(), threading.Event()
        answer = foreign.answer

        def late(method, path, body, key):
            if method == "GET":
                answered = answer(method, path, body, key)
                read.set()
                return answered
            first = not foreign.posts and not read.is_set()
            if first:
                cut(None)
            # the first waits until it was read back as absent, the second until the first is stored
            assert (read if first else stored).wait(60)
            answered = answer(method, path, body, key)
            stored.set()
            return answered

        foreign.answer = late
        with EcdpClient(KEY, ClientSettings(foreign.url), policy=RetryPolicy(base_delay=0)) as client:
            cut = cutting(client)
            report = pushed(client, orders_of(5), mode=Mode.ADD)

        assert counts(report) == {"accepted": 5}
        assert sum(foreign.writes.values()) == 5


def unanswered(foreign, folder, extract):
    """Leave orders that are stored and, to their sender, unresolved."""
    foreign.reset_after_every = 1
    with client_of(foreign, policy=RetryPolicy(max_attempts=1)) as client:
        report = pushed(client, extract, mode=Mode.ADD, ledger=Ledger(folder))
    foreign.reset_after_every = 0
    assert counts(report) == {"unresolved": len(foreign.stored)}


def first_only(foreign):
    """Let refusals name one order and no more."""
    answer = foreign._post

    def post(mode, orders):
        status, body, headers = answer(mode, orders)
        return status, body and body | {"errors": body["errors"][:1]}, headers

    foreign._post = post


class TestOrdersThatStandTwice:
    def test_a_crash_after_the_second_was_skipped_does_not_lose_the_first(self, foreign, client, tmp_path):
        extract = TableSource("twice", pa.concat_tables([orders_of(3).table, orders_of(2).table]))
        with pytest.raises(Crash):
            pushed(client, extract, ledger=Ledger(tmp_path, flush_seconds=0), progress=crash, batch_size=500)
        foreign.stored.clear()

        report = pushed(client, extract, ledger=Ledger(tmp_path))

        assert foreign.stored.keys() == {"ORD-000001", "ORD-000002", "ORD-000003"}
        assert report.summary["total"] == 5

    def test_the_ledger_has_the_outcome_of_the_change_that_was_sent(self, foreign, client, tmp_path):
        foreign.refuses = lambda order_id: order_id == "ORD-000001"
        extract = TableSource("twice", pa.concat_tables([orders_of(2).table, orders_of(1).table]))

        report = pushed(client, extract, ledger=Ledger(tmp_path, flush_seconds=0))

        assert counts(report) == {"accepted": 1, "rejected": 1, "skipped": 1}
        assert {i: row["outcome"] for i, row in newest_rows(tmp_path).items()} == {
            "ORD-000001": "rejected",
            "ORD-000002": "accepted",
        }


def test_a_refusal_for_load_after_a_lost_answer_leaves_orders_unresolved(foreign):
    answer = foreign._answer

    def throttled_after_the_first(method, path, body, key):
        first = foreign.requests == 1
        foreign.reset_after_every = int(first)
        return answer(method, path, body, key) if first else (429, {}, {})

    foreign._answer = throttled_after_the_first
    with client_of(foreign, policy=RetryPolicy(max_attempts=3)) as client:
        report = pushed(client, orders_of(4), batch_size=2)

    assert isinstance(report.stopped, ThrottledError)
    assert len(foreign.stored) == 2
    assert counts(report) == {"unresolved": 2, "not_attempted": 2}


class TestWhatIsInFlightWhenARunBreaks:
    def test_a_request_that_cannot_be_made_does_not_lose_the_others(self, foreign, tmp_path):
        together, ended = threading.Barrier(6, timeout=60), threading.Barrier(6, timeout=60)

        class Broken(EcdpClient):
            def post_orders(self, mode, orders, **options):
                first, broken = b"ORD-000001" in bytes(orders), b"ORD-000004" in bytes(orders)
                try:
                    if not first:
                        together.wait()
                    if broken:
                        # as a proxy without a name does
                        raise ConfigurationError("a proxy of the environment is malformed")
                    return super().post_orders(mode, orders, **options)
                finally:
                    # one is recorded when it has ended, the others have all ended when it has been recorded
                    if not first and b"ORD-000002" not in bytes(orders):
                        ended.wait()

        class Slow(Ledger):
            recorded = 0

            def add(self, settled, reasons):
                super().add(settled, reasons)
                Slow.recorded += 1
                if Slow.recorded == 2:
                    ended.wait()
                    time.sleep(0.1)

        with client_of(foreign, Broken, max_in_flight=6) as client, pytest.raises(ConfigurationError, match="proxy"):
            pushed(client, orders_of(7), batch_size=1, max_in_flight=6, ledger=Slow(tmp_path))

        assert {i for i, row in newest_rows(tmp_path).items() if row["outcome"] == "accepted"} == set(foreign.stored)
        assert len(foreign.stored) == 6

    def test_every_outcome_is_recorded_though_the_ledger_cannot_be_written_for_a_while(self, foreign, client, tmp_path):
        class Full(Ledger):
            begun = failed = False

            def begin(self):
                super().begin()
                self.begun = True

            def _put(self, name, data):
                if self.begun and not self.failed:
                    self.failed = True
                    raise OSError("no space left on device")
                super()._put(name, data)

        ledger = Full(tmp_path, flush_seconds=0)
        report = pushed(client, orders_of(10), batch_size=1, ledger=ledger)

        assert ledger.failed
        assert report.stopped is None
        assert counts(report) == {"accepted": 10}
        accepted = {i for i, row in newest_rows(tmp_path).items() if row["outcome"] == "accepted"}
        assert accepted == set(foreign.stored)

    @pytest.mark.parametrize("for_good", [True, False])
    def test_a_run_stops_whose_outcomes_cannot_be_recorded(self, foreign, client, tmp_path, for_good):
        failed = threading.Event()

        class Full(Ledger):
            full = ended = False

            def _put(self, name, data):
                if self.full and (for_good or not self.ended):
                    failed.set()
                    raise OSError(28, "No space left on device")
                super()._put(name, data)

            def flush(self):
                self.ended = True
                super().flush()

        ledger = Full(tmp_path, flush_seconds=0)

        def progress(now):
            ledger.full = now.done >= 10

        def wait_for_the_failure(orders, _):
            assert orders[0]["id"] < "ORD-000500" or failed.wait(60)

        foreign.refuse = wait_for_the_failure
        report = pushed(client, orders_of(1000), batch_size=1, ledger=ledger, progress=progress)

        assert isinstance(report.stopped, StorageError)
        assert "No space left on device" in str(report.stopped)
        with pytest.raises(PushStoppedError) as raised:
            report.raise_for_failures(MaxFailed())
        assert raised.value.transient
        assert counts(report)["accepted"] == len(foreign.stored) < 1000
        assert sum(counts(report).values()) == 1000
        if not for_good:
            accepted = {i for i, row in newest_rows(tmp_path).items() if row["outcome"] == "accepted"}
            assert accepted == set(foreign.stored)

    def test_what_has_ended_is_written_while_a_request_is_still_waiting(self, foreign, tmp_path):
        written = threading.Event()

        class Watched(Ledger):
            def _put(self, name, data):
                super()._put(name, data)
                written.set()

        answer = foreign.answer

        def slow(method, path, body, key):
            if body["data"][0]["id"] == "ORD-000003":
                assert written.wait(60)
            return answer(method, path, body, key)

        foreign.answer = slow
        with EcdpClient(KEY, ClientSettings(base_url=foreign.url)) as client:
            report = pushed(client, orders_of(3), batch_size=1, ledger=Watched(tmp_path, flush_seconds=0.2))

        assert counts(report) == {"accepted": 3}
        assert len([*tmp_path.glob("*.parquet")]) >= 2


class TestCounts:
    def test_what_the_first_try_found_unchanged_is_not_counted_as_sent_by_the_second(self, client, tmp_path):
        pushed(client, orders_of(5), ledger=Ledger(tmp_path / "1"), history=Ledger(tmp_path / "history"))
        run = {"history": Ledger(tmp_path / "history"), "count_resumed_as": Outcome.ACCEPTED}
        with pytest.raises(Crash):
            pushed(client, orders_of(8), ledger=Ledger(tmp_path / "2"), progress=crash, **run)

        report = pushed(client, orders_of(8), ledger=Ledger(tmp_path / "2"), **run)

        assert counts(report) == {"accepted": 3, "skipped": 5}

    def test_a_replay_of_a_run_that_left_nothing_follows_the_rule_of_empty_runs(self, foreign, client, tmp_path):
        pushed(client, orders_of(3), ledger=Ledger(tmp_path))

        with pytest.raises(EmptyExtractError, match="nothing to replay"):
            pushed(client, orders_of(3), replay=Ledger(tmp_path))
        report = pushed(client, orders_of(3), replay=Ledger(tmp_path), allow_empty=True)

        assert report.summary["total"] == 0
        assert len(foreign.posts) == 1


class TestLimits:
    def test_a_server_that_takes_one_order_at_a_time_leaves_none_unresolved(self, foreign, client):
        answer = foreign._post
        foreign._post = lambda mode, orders: answer(mode, orders) if len(orders) == 1 else (413, None, {})
        foreign.refuses = lambda order_id: order_id == "ORD-000007"

        report = pushed(client, orders_of(100), request_budget=20)

        assert counts(report) == {"accepted": 99, "rejected": 1}
        # what was too large once is cut before it is sent
        assert report.summary["requests"] < 2 * 100 - 1

    def test_results_that_cannot_be_written_stop_the_run_before_its_first_request(self, foreign, client, tmp_path):
        (tmp_path / "results").write_text("a file, not a folder")

        with pytest.raises(ConfigurationError, match="results is a file; name the folder"):
            pushed(client, orders_of(3), ledger=Ledger(tmp_path / "results"))

        assert foreign.requests == 0
