"""The dry run of orders: it says what a push would do, and leaves nothing behind."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter
from decimal import Decimal

import pyarrow as pa
import pytest

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.cli.tables import findings
from airflow_provider_ecdp.dry_run.findings import Findings
from airflow_provider_ecdp.dry_run.orders import check
from airflow_provider_ecdp.errors import ConfigurationError, EmptyExtractError
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.settings import OnDrift
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.operators.dry_run import as_text
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.orders.sources.table import TableSource
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.sandbox.faults import Faults

KEY = "sandbox-key"


@pytest.fixture(scope="module")
def server(running_sandbox):
    return running_sandbox


@pytest.fixture
def client(server):
    server.reset()
    with EcdpClient(KEY, ClientSettings(base_url=server.url)) as client:
        yield client


@pytest.fixture
def dry_run(order):
    """Check orders: an extract, or the changes of each order."""

    def run(changes, settings=None, prior=None, **order_settings):
        extract = changes
        if isinstance(changes, list):
            extract = source_from_records([order(f"O-{n}") | change for n, change in enumerate(changes, 1)])
        with OrderReader(extract, OrderSettings(**order_settings)) as orders:
            return check(orders, settings, prior)

    return run


def rules(found):
    return {(rule.field, rule.rule): (rule.count, rule.examples) for rule in found.most_common_problems}


# rules and warnings


def test_a_rule_is_reported_with_its_count_three_ids_and_what_was_there(dry_run):
    found = dry_run([{"status": status} for status in ["lost", "lost", "paid", "gone", "away"]])

    assert (found.total, found.valid, found.invalid, found.to_send) == (5, 1, 4, 1)
    [rule] = found.most_common_problems
    assert rule.as_json() == {
        "field": "status",
        "rule": "one of placed, paid, completed, canceled",
        "count": 4,
        "examples": ["O-1", "O-2", "O-4"],
        "got": [{"value": "lost", "count": 2}, {"value": "gone", "count": 1}, {"value": "away", "count": 1}],
    }


def test_an_order_that_breaks_a_rule_in_three_products_breaks_it_once(dry_run):
    product = {"id": "P", "name": None, "price": 1, "quantity": 1}
    found = dry_run([{"products": [product] * 3}, {}, {"products": [product], "currency": "ZLOTY"}])

    assert rules(found) == {
        ("products[].name", "required"): (2, ["O-1", "O-3"]),
        ("currency", "exactly 3 characters"): (1, ["O-3"]),
    }
    assert found.invalid == 2
    assert found.most_common_problems[0].got == {"missing": 4}


def test_rules_are_sorted_by_how_often_they_are_broken(dry_run):
    found = dry_run([{"currency": "ZLOTY"}, {"status": "lost"}, {"status": "lost"}])
    assert [rule.field for rule in found.most_common_problems] == ["status", "currency"]


def test_an_id_is_one_example_however_often_it_appears(dry_run):
    ids = ["A", "A", None, None, "B", "C"]
    found = dry_run([{"id": name, "status": "lost", "currency": f"EU{n}"} for n, name in enumerate(ids)])
    assert rules(found)["status", "one of placed, paid, completed, canceled"] == (6, ["A", None, "B"])


def test_a_warning_counts_orders_that_are_sent_and_apart_from_them_those_that_are_not(dry_run):
    product = {"id": "P", "name": "n", "price": -20.5, "quantity": -1}
    odd = {"products": [product], "totalValue": 20.5}
    found = dry_run([odd, odd | {"currency": "ZLOTY"}, {}])

    assert (found.with_warnings, found.invalid) == (1, 1)
    [warning] = [rule.as_json() for rule in found.most_common_warnings]
    assert (warning["count"], warning["in_invalid_orders"], warning["examples"]) == (1, 1, ["O-1"])
    assert warning["rule"].startswith("negative_quantity: ")


def test_names_of_attributes_are_counted_by_orders(dry_run):
    attributes = [{"name": name, "value": "x"} for name in ("Gift Wrap", "Source", "Source")]
    products = [{"id": "P", "name": "n", "price": 0, "quantity": 1, "productAttributes": attributes[1:]}] * 2
    wrong = [
        {"name": name, "value": "x"} for name in ("jane@example.com", "600100200", "600 100 200", "Size 40", "Źródło")
    ]
    found = dry_run(
        [{"orderAttributes": attributes}, {"orderAttributes": attributes[:1] + wrong}, {"products": products}, {}]
    )

    names = {kind: {n["value"]: n["count"] for n in of} for kind, of in found.as_json()["attributes"].items()}
    assert names == {
        "orderAttributes": {"(other text)": 3, "Gift Wrap": 2, "Source": 1, "Size 40": 1, "Źródło": 1},
        "productAttributes": {"Source": 1},
    }
    assert "  names of productAttributes (1; a business unit has at most 10): Source 1" in as_text(found)
    assert "Names of productAttributes (1; a business unit has at most 10): 1 Source" in list(
        findings(found, "it", PushSettings(), compared=False)
    )


def test_values_of_customers_are_in_nothing_that_is_said(dry_run):
    found = dry_run(
        [
            {"customer": {"email": "jane.doe" * 50, "phone": "600100200" * 4, "crmId": "jane-doe" * 30}},
            {"customer": {"email": "jane.doe.example.com"}},
            {"id": "O-3", "currency": "jane@example.com"},
        ]
    )
    assert found.invalid == 2
    json_text = found.json_text()
    assert "jane" not in json_text
    assert "600100200" not in json_text


# what would be sent


def test_what_the_orders_are_at_a_glance(dry_run):
    found = dry_run(
        [
            {"date": "2026-11-02T10:00:00+01:00", "currency": "EUR", "status": "PAID"},
            {"date": "2026-11-01T23:59:59Z", "currency": None, "status": "cancelled"},
            {"date": "2026-11-03T00:00:00Z", "currency": "Jane", "status": "lost"},
            {"date": "yesterday", "currency": "eur"},
        ]
    )
    assert found.dates == ("2026-11-01T23:59:59.000Z", "2026-11-03T00:00:00.000Z")
    assert found.statuses == {"Paid": 2, "Canceled": 1, None: 1}
    assert found.currencies == {"EUR": 1, None: 1, "(other text)": 1, "eur": 1}


def test_columns_that_a_sql_text_makes_and_that_are_no_fields_are_reported(dry_run):
    sql = "SELECT * EXCLUDE (status), status || 'x' AS extra FROM extract"
    found = dry_run([{}], sql=sql)
    assert found.not_fields == ["extra"]
    assert found.used == ["id", "date", "currency", "totalValue", "customer", "products"]
    assert found.ignored == ["status"]


def test_columns_of_several_extracts_are_distinguished(dry_run, order):
    ids = TableSource("ids", pa.table({"id": [1], "x": [1]}))
    found = dry_run(
        {"orders": source_from_records([order("O-1")]), "ids": ids},
        sql="SELECT o.* FROM orders AS o SEMI JOIN ids AS i ON o.id = 'O-' || i.id",
    )

    assert (found.rows, found.total) == (2, 1)
    assert "ids.id" in found.used
    assert found.ignored == ["ids.x"]


def test_ids_that_appear_twice_are_named(dry_run):
    same, other = {"id": "same"}, {"id": "other"}
    found = dry_run([same, same, same, other, other | {"currency": "EUR"}, {}])

    assert found.duplicate_ids == 2
    assert found.duplicates == [
        {"order_id": "other", "times": 2, "contents": 2},
        {"order_id": "same", "times": 3, "contents": 1},
    ]
    assert (found.to_send, found.repeated, found.invalid) == (2, 2, 2)
    assert rules(found) == {("id", "one content for one id"): (2, ["other"])}


def test_the_sample_is_the_first_order_that_is_sent(dry_run):
    found = dry_run([{"currency": "ZLOTY"}, {"totalValue": Decimal("20.500")}])
    sample = json.loads(found.sample)
    assert (sample["id"], sample["customer"]) == ("O-2", {"email": "***"})
    assert '"totalValue": 20.500' in found.sample
    assert dry_run([{"currency": "ZLOTY"}]).sample is None


def test_an_extract_without_orders_is_an_error_unless_it_is_allowed(dry_run):
    empty = pa.Table.from_pylist([{"id": "", "date": dt.datetime.now(dt.UTC), "totalValue": 1.5}]).slice(1)
    empty = empty.append_column("customer", pa.array([], pa.struct([("email", pa.string())])))
    product = pa.struct([("id", "string"), ("name", "string"), ("price", pa.float64()), ("quantity", "int32")])
    empty = TableSource("none.parquet", empty.append_column("products", pa.array([], pa.list_(product))))

    with pytest.raises(EmptyExtractError, match=r"^none\.parquet has no orders; .*\(on_empty, --allow-empty\)$"):
        dry_run(empty)
    found = dry_run(empty, PushSettings(allow_empty=True))
    assert (found.total, found.requests, found.bytes, found.dates, found.sample) == (0, 0, 0, None, None)


def test_progress_is_reported_up_to_the_last_order(order):
    reported = []
    with OrderReader(source_from_records([order(f"O-{n}") for n in range(5_000)])) as orders:
        check(orders, progress=lambda now: reported.append((now.done, now.failed, now.total)))
    assert reported == sorted(reported)
    assert (reported[-1], len(reported) > 1) == ((5_000, 0, 5_000), True)


# as JSON


def test_json_has_every_part_and_survives_a_round_trip(dry_run):
    found = dry_run([{}, {"currency": "ZLOTY"}])
    plain = found.as_json()

    assert set(plain) == {
        *("summary", "problems", "warnings", "duplicates", "dates", "statuses", "currencies", "sample"),
        *("columns", "not_fields", "fields", "drift", "attributes"),
    }
    assert plain["statuses"] == [{"value": "Paid", "count": 2}]
    assert json.loads(json.dumps(plain)) == plain == json.loads(found.json_text())
    assert "\n" not in found.json_text()


def test_the_text_of_json_keeps_the_digits_of_the_sample(dry_run):
    text = dry_run([{"totalValue": Decimal("12345678901234567.890")}]).json_text()
    assert '"totalValue": 12345678901234567.890,' in text


def test_nothing_found_is_json_too():
    assert json.loads(Findings().json_text()) == Findings().as_json()
    assert Findings().as_json()["sample"] is None


def test_a_name_that_looks_like_the_place_of_the_sample_is_a_name():
    name = '"sample":null'
    plain = json.loads(Findings(sample='{"id": "1"}', used=[name], fields={name: name}, drift=[name]).json_text())
    assert (plain["sample"], plain["columns"]["used"], plain["drift"]) == ({"id": "1"}, [name], [name])


# as a push


@pytest.mark.parametrize(
    ("how", "requests"),
    [
        ({}, 1),
        ({"batch_size": 10}, 3),
        ({"batch_size": 10, "canary": 2}, 4),
        ({"canary": 3}, 2),
        ({"canary": 30}, 1),
        ({"batch_size": 4, "canary": 10}, 8),
        ({"batch_bytes": 1_000, "mode": Mode.ADD, "match_by": MatchBy.PHONE}, 8),
        ({"batch_bytes": 1_000, "canary": 1}, 9),
    ],
)
def test_requests_and_bytes_are_those_of_a_push(dry_run, order, client, how, requests):
    how = PushSettings(**how)
    found = dry_run([{}] * 30, how)
    with OrderReader(source_from_records([order(f"O-{n}") for n in range(1, 31)])) as orders:
        summary = push(orders, client, how).summary

    assert (found.requests, found.bytes) == (summary["requests"], summary["bytes"])
    assert found.requests == requests


CHANGES = [{}] * 5 + [
    {"currency": "ZLOTY"},
    {"customer": {"email": ""}},
    {"products": [{"id": "P", "name": "n", "price": 20.5, "quantity": -1}]},
    {"products": [], "status": "cancelled"},
    {"totalValue": Decimal("20.500"), "customer": {"crmId": "é" * 30}},
]


@pytest.mark.parametrize("seed", range(4, 8))
@pytest.mark.slow
def test_law_a_push_does_what_the_check_said(client, order, tmp_path, seed):
    dice = random.Random(seed)
    records = [order(f"O-{dice.randint(1, 150)}") | dice.choice(CHANGES) for _ in range(80)]
    records += [order("twice")] * 2
    how = PushSettings(
        match_by=dice.choice([None, *MatchBy]),
        batch_size=dice.randint(3, 20),
        batch_bytes=dice.randint(800, 5_000),
        canary=dice.choice([0, dice.randint(1, 9)]),
    )
    prior_runs = PriorRuns(**{dice.choice(["history", "ledger"]): Ledger(tmp_path)})
    for several, settings in ((records[: dice.randint(20, 40)], PushSettings()), (records, how)):
        with OrderReader(source_from_records(several)) as orders:
            found = check(orders, settings, prior_runs)
        with OrderReader(source_from_records(several)) as orders:
            report = push(orders, client, settings, prior_runs=prior_runs)

        assert found.total == found.invalid + found.to_send + found.skip_reasons.total() == len(several)
        assert {
            "total": found.total,
            "accepted": found.to_send,
            "invalid": found.invalid,
            "skipped": found.skipped + found.repeated,
            "warnings": found.with_warnings,
            "requests": found.requests,
            "bytes": found.bytes,
        }.items() <= report.summary.items()
        named = Counter({w.rule.partition(":")[0]: 0 for w in found.warnings.values()})
        for warning in found.most_common_warnings:
            named[warning.rule.partition(":")[0]] += warning.count
        assert +named == {name: warning["count"] for name, warning in report.warnings.items()}
        reasons = {r["order_id"]: r["reason"] for r in report.results if r["outcome"] == "invalid"}
        assert all(example in reasons for rule in found.problems.values() for example in rule.examples)
    # nothing holds of nothing
    assert min(found.to_send, found.invalid, found.with_warnings, found.skipped, found.repeated) > 0


def test_what_earlier_runs_hold_is_not_to_be_sent(dry_run, order, client, tmp_path):
    with OrderReader(source_from_records([order("O-1"), order("O-2")])) as orders:
        push(orders, client, prior_runs=PriorRuns(Ledger(tmp_path)))
    kept = sorted(tmp_path.iterdir())

    for prior in (PriorRuns(ledger=Ledger(tmp_path)), PriorRuns(history=Ledger(tmp_path))):
        found = dry_run([{}, {"currency": "EUR"}, {}], prior=prior)
        assert (found.skipped, found.to_send, found.as_json()["summary"]["skipped"]) == (1, 2, 1)
        assert found.sample is not None
        assert json.loads(found.sample)["id"] == "O-2"
    assert sorted(tmp_path.iterdir()) == kept


def test_of_a_replay_only_what_was_left_is_looked_at(dry_run, server, client, order, tmp_path):
    server.faults = Faults(reject_every=3)
    with OrderReader(source_from_records([order(f"O-{n}") for n in range(1, 8)])) as orders:
        assert push(orders, client, prior_runs=PriorRuns(Ledger(tmp_path))).summary["rejected"] == 2

    found = dry_run([{}] * 9, prior=PriorRuns(replay=Ledger(tmp_path)))
    assert (found.total, found.to_send) == (2, 2)
    with pytest.raises(ConfigurationError, match="has no results of an earlier run to replay"):
        dry_run([{}], prior=PriorRuns(replay=Ledger(tmp_path / "nowhere")))


def test_a_replay_of_a_run_that_left_nothing_says_so(dry_run, order, client, tmp_path):
    with OrderReader(source_from_records([order("O-1")])) as orders:
        push(orders, client, prior_runs=PriorRuns(Ledger(tmp_path)))
    with pytest.raises(EmptyExtractError, match="nothing to replay: 0 of 1 orders of the earlier run failed"):
        dry_run([{}], prior=PriorRuns(replay=Ledger(tmp_path)))


@pytest.mark.parametrize("on_drift", OnDrift)
def test_columns_that_are_gone_are_found_and_nothing_is_kept(dry_run, order, client, tmp_path, on_drift):
    how, memory = PushSettings(on_drift=on_drift), PriorRuns(ledger=Ledger(tmp_path / "results"))
    assert dry_run([{}]).drift is None
    assert dry_run([{}], how, memory).drift is None
    assert list(tmp_path.iterdir()) == []

    with OrderReader(source_from_records([order("O-1")])) as orders:
        push(orders, client, prior_runs=PriorRuns(Ledger(tmp_path / "results")))
    kept = sorted((tmp_path / "results").iterdir())
    assert dry_run([{}], how, memory).drift == []
    narrow = source_from_records([{name: v for name, v in order("O-2").items() if name != "currency"}])
    assert dry_run(narrow, how, memory).drift == ["currency (string) is gone"]
    assert sorted((tmp_path / "results").iterdir()) == kept
