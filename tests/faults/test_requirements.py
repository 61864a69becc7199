"""What must be true, numbered as in the issue: against the sandbox, and against a server that is not the sandbox."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_clock import FakeClock
from faults_laws import newest_rows
from foreign_server import KEY as FOREIGN_KEY
from foreign_server import ForeignServer, serving

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.cli import main
from airflow_provider_ecdp.errors import NoAnswerError, UnreachableError
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.sandbox.server import SandboxServer

KEY = "sandbox-key"


def order_ids(count):
    return [f"ORD-{n:06d}" for n in range(1, count + 1)]


def refused(order_id):
    return int(order_id[4:]) % 997 == 0


@pytest.fixture
def extract(tmp_path):
    """Write orders as a Parquet file; those in `changed` have another total."""

    def write(count, changed=frozenset()):
        ids = order_ids(count)
        total = [Decimal("99.00") if i in changed else Decimal("12.50") for i in ids]
        product = pa.scalar([{"id": "P1", "name": "Cup", "price": Decimal("12.50"), "quantity": 1}])
        table = pa.table(
            {
                "id": ids,
                "date": pa.repeat(pa.scalar("2026-11-22T10:00:00Z"), count),
                "total_value": total,
                "customer": pa.StructArray.from_arrays([pa.array(ids)], ["crmId"]),
                "products": pa.repeat(product, count),
            }
        )
        path = tmp_path / f"orders-{len(changed)}.parquet"
        pq.write_table(table, path)
        return path

    return write


@pytest.fixture
def ecdp(monkeypatch, capsys):
    """Run `ecdp push … --json` in this process."""

    def run(server, path, *arguments, key=None):
        monkeypatch.setenv("ECDP_API_KEY", key or (FOREIGN_KEY if isinstance(server, ForeignServer) else KEY))
        monkeypatch.setenv("ECDP_BASE_URL", server.url)
        capsys.readouterr()
        code = main(["push", str(path), "--json", *map(str, arguments)])
        report = json.loads(capsys.readouterr().out)
        return SimpleNamespace(code=code, summary=report["summary"], results=report["results"])

    return run


@pytest.fixture
def foreign():
    state = ForeignServer()
    with serving(state):
        yield state


def pushed(server, path, clock, folder=None, **settings):
    """Push with a clock that only sleeping moves."""
    key = FOREIGN_KEY if isinstance(server, ForeignServer) else KEY
    ledger = None if folder is None else Ledger(folder, clock=clock)
    client = EcdpClient(key, ClientSettings(base_url=server.url), clock=clock, sleep=clock.sleep)
    with client, OrderReader(ParquetSource.open(path)) as orders:
        return push(orders, client, PushSettings(**settings), prior_runs=PriorRuns(ledger))


class TestRefusals:
    """1: 10,000 orders in batches of 500, each 997th refused."""

    @pytest.mark.parametrize(("vague", "requests"), [(False, 40), (True, 142)])
    def test_by_the_sandbox(self, sandbox, ecdp, extract, tmp_path, vague, requests):
        sandbox.faults = Faults(reject_every=997, vague=vague)

        run = ecdp(sandbox, extract(10_000), "--results", tmp_path / "results")

        reason = "One or more orders are invalid." if vague else "data[0]: is refused"
        self.check(run, newest_rows(tmp_path / "results"), reason, requests)
        assert set(sandbox.store.ids()) == {i for i in order_ids(10_000) if not refused(i)}

    @pytest.mark.parametrize(("named", "requests"), [(True, 40), (False, 142)])
    def test_by_another_server(self, foreign, ecdp, extract, tmp_path, named, requests):
        foreign.refuses = refused
        if not named:
            foreign.worded = lambda i, order_id: "an order breaks rule 17"

        run = ecdp(foreign, extract(10_000), "--results", tmp_path / "results")

        self.check(run, newest_rows(tmp_path / "results"), "breaks rule 17", requests)
        assert foreign.stored.keys() == {i for i in order_ids(10_000) if not refused(i)}

    def check(self, run, rows, reason, requests):
        assert run.code == 1
        assert (run.summary["accepted"], run.summary["rejected"], run.summary["total"]) == (9_990, 10, 10_000)
        assert run.summary["requests"] == requests
        rejected = [r for r in run.results if r["outcome"] == "rejected"]
        assert sorted(r["order_id"] for r in rejected) == [i for i in order_ids(10_000) if refused(i)]
        assert all(reason in r["reason"] and r["http_status"] == 400 for r in rejected)
        assert sorted(rows) == order_ids(10_000)
        assert {i for i, row in rows.items() if row["outcome"] == "rejected"} == {r["order_id"] for r in rejected}


class TestThrottlingAndLoss:
    """2: a limit, an unavailable server, and answers that are lost."""

    @pytest.mark.slow
    def test_a_limit_of_five_requests_a_second_by_the_sandbox(self, sandbox, ecdp, extract):
        sandbox.faults = Faults(requests_per_second=5, retry_after=1)

        run = ecdp(sandbox, extract(2_000), "--batch-size", 100)

        assert (run.code, run.summary["accepted"]) == (0, 2_000)
        assert sandbox.store.count() == sandbox.store.total_writes() == 2_000
        assert sandbox.store.log.by_status["429"] <= 20

    @pytest.mark.parametrize("in_flight", [1, 4, 16])
    def test_a_limit_of_five_requests_a_second_by_another_server(self, foreign, extract, in_flight):
        clock = FakeClock()
        foreign.limit, foreign.clock = 5, clock

        report = pushed(foreign, extract(2_000), clock, batch_size=100, max_in_flight=in_flight)

        assert report.summary["accepted"] == len(foreign.stored) == 2_000
        assert foreign.answers[429] <= 20
        assert foreign.writes.most_common(1)[0][1] == 1

    @pytest.mark.parametrize("mode", Mode)
    # one at a time, no request is the seventh five times over, at which the policy gives up
    @pytest.mark.parametrize(("count", "batch_size", "in_flight"), [(4_000, 500, 4), (500, 5, 1)])
    def test_every_seventh_request_unavailable(self, sandbox, foreign, extract, mode, count, batch_size, in_flight):
        path = extract(count)
        if mode is Mode.REPLACE:
            for server in (sandbox, foreign):
                pushed(server, path, FakeClock())
        sandbox.faults = Faults(error_before=7, error_statuses=(503,), retry_after=1)
        foreign.unavailable_every = 7

        for server in (sandbox, foreign):
            report = pushed(server, path, FakeClock(), mode=mode, batch_size=batch_size, max_in_flight=in_flight)
            assert report.summary["accepted"] == count

        assert sandbox.store.count() == len(foreign.stored) == count

    @pytest.mark.parametrize(("count", "batch_size", "in_flight"), [(4_000, 500, 4), (500, 5, 1)])
    def test_every_ninth_connection_reset_after_storing_in_mode_add(
        self, sandbox, foreign, extract, count, batch_size, in_flight
    ):
        path = extract(count)
        sandbox.faults = Faults(reset_after=9)
        foreign.reset_after_every = 9

        for server in (sandbox, foreign):
            report = pushed(server, path, FakeClock(), mode=Mode.ADD, batch_size=batch_size, max_in_flight=in_flight)
            assert (report.summary["accepted"], report.summary["rejected"]) == (count, 0)

        assert sandbox.store.count() == sandbox.store.total_writes() == count
        assert sum(foreign.writes.values()) == len(foreign.stored) == count


class TestAgain:
    """4: the same command again sends nothing, and after a change what has changed."""

    def test_sandbox(self, sandbox, ecdp, extract, tmp_path):
        def writes():
            return sandbox.store.total_writes(), sandbox.store.post_count

        self.check(sandbox, ecdp, extract, tmp_path, writes)

    def test_another_server(self, foreign, ecdp, extract, tmp_path):
        self.check(foreign, ecdp, extract, tmp_path, lambda: (sum(foreign.writes.values()), len(foreign.posts)))
        assert [len(ids) for ids in foreign.posts[-1:]] == [100]
        assert sorted(foreign.posts[-1]) == order_ids(10_000)[99::100]

    def check(self, server, ecdp, extract, tmp_path, writes):
        results = ("--results", tmp_path / "results")
        assert ecdp(server, extract(10_000), *results).code == 0
        before = writes()

        again = ecdp(server, extract(10_000), *results)
        assert (again.code, again.summary["skipped"], again.summary["requests"]) == (0, 10_000, 0)
        assert writes() == before

        changed = frozenset(order_ids(10_000)[99::100])
        last = ecdp(server, extract(10_000, changed), *results)
        assert (last.code, last.summary["accepted"], last.summary["skipped"]) == (0, 100, 9_900)
        assert writes() == (before[0] + 100, before[1] + 1)


class TestOutage:
    """5: the server goes away for good, or does not know the key."""

    @pytest.mark.slow
    def test_a_second_run_finishes_what_an_outage_has_left(self, ecdp, extract, tmp_path):
        foreign = ForeignServer(gone_after=7)
        path, results = extract(10_000), ("--results", tmp_path / "results")
        with serving(foreign):
            run = ecdp(foreign, path, *results)

        assert run.code == 3
        assert len(foreign.stored) == 3_500
        accepted, unresolved = run.summary["accepted"], run.summary["unresolved"]
        # the server may be gone before the last of its answers is
        assert accepted <= 3_500 <= accepted + unresolved
        assert run.summary["not_attempted"] + unresolved == 10_000 - accepted
        assert unresolved <= 4 * 500

        foreign.gone_after = None
        with serving(foreign):
            run = ecdp(foreign, path, *results)

        assert (run.code, run.summary["accepted"], run.summary["skipped"]) == (0, 10_000 - accepted, accepted)
        assert sorted(foreign.stored) == order_ids(10_000)
        assert foreign.writes.most_common(1)[0][1] == 1

    @pytest.mark.parametrize("mode", [Mode.ADD, Mode.ADD_OR_REPLACE])
    def test_in_every_mode(self, extract, tmp_path, mode):
        foreign, clock = ForeignServer(gone_after=7), FakeClock()
        with serving(foreign):
            report = pushed(foreign, extract(10_000), clock, tmp_path / "results", mode=mode)

        # nobody listens, or somebody does who is just leaving
        assert isinstance(report.stopped, UnreachableError | NoAnswerError)
        assert report.summary["accepted"] == len(foreign.stored) == 3_500
        assert report.summary["not_attempted"] >= 6_500 - 4 * 500

        foreign.gone_after = None
        with serving(foreign):
            report = pushed(foreign, extract(10_000), clock, tmp_path / "results", mode=mode)

        assert (report.summary["accepted"], report.summary["skipped"]) == (6_500, 3_500)
        assert foreign.writes.most_common(1)[0][1] == 1

    def test_the_sandbox_stops_and_comes_back(self, extract, tmp_path):
        clock, database = FakeClock(), tmp_path / "orders.sqlite3"
        with SandboxServer(KEY, database, Faults(reset_before=1, first_request=8)) as sandbox:
            report = pushed(sandbox, extract(10_000), clock, tmp_path / "results")
            assert report.summary["accepted"] == sandbox.store.count() == 3_500

        with SandboxServer(KEY, database, port=urlsplit(sandbox.url).port) as sandbox:
            report = pushed(sandbox, extract(10_000), clock, tmp_path / "results")
            assert (report.summary["accepted"], report.summary["skipped"]) == (6_500, 3_500)
            assert sandbox.store.count() == sandbox.store.total_writes() == 10_000

    def test_a_wrong_key_is_two_requests(self, sandbox, foreign, ecdp, extract):
        for server in (sandbox, foreign):
            run = ecdp(server, extract(5_000), key="wrong")

            assert (run.code, run.summary["requests"], run.summary["not_attempted"]) == (3, 2, 5_000)
        assert sandbox.store.log.by_status == {"401": 2}
        assert foreign.answers == {401: 2}
