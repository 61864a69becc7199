"""Columns that are gone or have changed since the previous run: said before anything is sent."""

from __future__ import annotations

import datetime as dt
import json
import logging
from decimal import Decimal

import pyarrow as pa
import pytest

from airflow_provider_ecdp.errors import ColumnsError, ConfigurationError
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.schema_drift import Change, changed, columns_of, detect_drift
from airflow_provider_ecdp.ledger.settings import OnDrift
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.table import TableSource
from airflow_provider_ecdp.push.run import PushSettings, push

ORDER = {
    "id": "A-1",
    "date": dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC),
    "total_value": Decimal("12.50"),
    "currency": "PLN",
    "note": "not a field",
    "customer": {"email": "a@example.com", "crm_id": 17},
    "products": [{"id": "P-1", "name": "Cup", "price": Decimal("12.50"), "quantity": 1}],
}


def table(**changes):
    row = {name: value for name, value in (ORDER | changes).items() if value is not None}
    return pa.Table.from_pylist([row])


def columns(source, **settings):
    with OrderReader(TableSource("t", source), OrderSettings(**settings)) as orders:
        return columns_of(orders)


@pytest.fixture
def ledger(tmp_path):
    return lambda: Ledger(tmp_path / "results")


@pytest.fixture
def run(ledger):
    """Look at an extract, as a run does before it sends."""

    def compare(source, on_drift=OnDrift.WARN, **settings):
        with OrderReader(TableSource("t.parquet", source), OrderSettings(**settings)) as orders:
            return [str(change) for change in detect_drift(orders, ledger(), on_drift)]

    return compare


def test_members_of_objects_and_lists_are_columns_and_what_is_not_read_is_none():
    assert columns(table()) == {
        "extract": {
            "id": "string",
            "date": "timestamp[us, tz=UTC]",
            "total_value": "decimal128(4, 2)",
            "currency": "string",
            "customer.email": "string",
            "customer.crm_id": "int64",
            "products[].id": "string",
            "products[].name": "string",
            "products[].price": "decimal128(4, 2)",
            "products[].quantity": "int64",
        }
    }


def test_kinds_of_text_and_dictionaries_are_the_same_column():
    plain = table()
    for column in (pa.array(["PLN"], pa.large_string()), pa.array(["PLN"]).dictionary_encode()):
        assert columns(plain.set_column(3, "currency", column)) == columns(plain)


def test_a_column_that_is_gone_or_has_changed_is_reported(run):
    assert run(table()) == []
    changes = run(
        table(
            currency=None,
            total_value=12.5,
            customer={"email": "a@example.com"},
            products=[{"id": 1, "name": "Cup", "price": Decimal("12.50"), "quantity": 1}],
        )
    )
    assert changes == [
        "total_value was decimal128(4, 2) and is double",
        "currency (string) is gone",
        "customer.crm_id (int64) is gone",
        "products[].id was string and is int64",
    ]


def test_what_nobody_reads_and_what_is_new_is_no_drift(run):
    assert run(table()) == []
    assert run(table(note=None, further=1, status="paid")) == []


def test_a_text_or_a_mapping_that_reads_less_is_no_drift(run):
    assert run(table()) == []
    assert run(table(), OnDrift.FAIL, sql="SELECT * EXCLUDE (currency), 'EUR' AS currency FROM extract") == []
    assert run(table(currency=None), OnDrift.FAIL, sql="SELECT *, 'EUR' AS currency FROM extract") == []
    assert run(table(), OnDrift.FAIL, mapping={"currency": {"value": "EUR"}}) == []


def test_what_is_read_no_longer_is_reported_if_it_is_gone_or_has_changed_with_it(run):
    assert run(table()) == []
    sql = "SELECT * EXCLUDE (total_value), 1 AS total_value, 'EUR' AS currency FROM extract"
    assert run(table(currency=None, total_value=12.5), sql=sql) == [
        "total_value was decimal128(4, 2) and is double",
        "currency (string) is gone",
    ]


def test_a_column_without_a_value_on_one_day_is_as_it_was(run, tmp_path):
    names = ("note", "status", "returns_value", "order_attributes")
    attributes = [{"name": "a", "value": "b"}]
    whole = table(status="paid", returns_value=1, order_attributes=attributes)
    empty = whole
    for name in names:
        empty = empty.set_column(empty.schema.get_field_index(name), name, pa.nulls(1))
    notes = tmp_path / "results"
    for source in (empty, whole, empty, whole, empty):
        assert run(source, OnDrift.FAIL) == []
        kept = json.loads(max(notes.iterdir()).read_text())["columns"]["extract"]
    assert (kept["status"], kept["returns_value"]) == ("string", "int64")
    assert kept["order_attributes[].name"] == "string"
    assert "order_attributes" not in kept
    assert run(table(returns_value="1", order_attributes=[{"name": "a"}])) == [
        "status (string) is gone",
        "returns_value was int64 and is string",
        "order_attributes[].value (string) is gone",
    ]


def test_a_list_without_elements_and_a_struct_without_a_value_are_as_they_were():
    before = {"extract": {"products[].id": "string", "customer.name.first": "string", "a": "null", "b[]": "null"}}
    now = {"extract": {"products[]": "null", "customer.name": "null", "a.b": "int64", "b[].c": "string"}}
    assert list(changed(before, now)) == []
    assert list(changed({"extract": {"a": "null"}}, {"extract": {"ab": "int64"}})) == [
        Change("extract", "a", "null", None)
    ]


def test_it_is_said_once(run):
    run(table())
    assert run(table(currency=None)) == ["currency (string) is gone"]
    assert run(table(currency=None)) == []
    assert run(table()) == []
    assert run(table(currency=None)) == ["currency (string) is gone"]


def test_the_first_run_has_nothing_to_compare_with(run, tmp_path):
    assert run(table()) == []
    [note] = (tmp_path / "results").iterdir()
    assert note.name.startswith("_schema-")
    assert json.loads(note.read_text())["columns"]["extract"]["currency"] == "string"


def test_the_same_columns_are_kept_once(run, tmp_path):
    for _ in range(3):
        run(table())
    assert len(list((tmp_path / "results").iterdir())) == 1


def test_several_extracts_are_distinguished(ledger):
    sql = "SELECT o.* FROM orders AS o SEMI JOIN ids USING (id)"

    def compare(**tables):
        extracts = {name: TableSource(name, source) for name, source in tables.items()}
        with OrderReader(extracts, OrderSettings(sql=sql)) as orders:
            return [str(change) for change in detect_drift(orders, ledger(), OnDrift.WARN)]

    ids = pa.table({"id": ["A-1"]})
    assert compare(orders=table(), ids=ids) == []
    assert compare(orders=table(currency=None), ids=pa.table({"id": pa.array(["A-1"]).dictionary_encode()})) == [
        "orders: currency (string) is gone"
    ]


def test_an_extract_that_is_no_longer_there_has_lost_its_columns():
    before = {"orders": {"id": "string"}, "ids": {"id": "int64"}}
    assert list(changed(before, {"orders": {"id": "string"}})) == [Change("ids", "id", "int64", None)]


def test_a_warning_is_in_the_log(run, caplog):
    run(table())
    with caplog.at_level(logging.WARNING):
        run(table(currency=None))
    assert caplog.messages == [
        "t.parquet has different columns than in the previous run:\n  - currency (string) is gone"
    ]


def test_many_changes_are_not_all_listed(ledger, caplog):
    wide = {f"c{i}": i for i in range(50)}
    sql = "SELECT * REPLACE (currency || {} AS currency) FROM extract"
    used = " || ".join(f"{name}::VARCHAR" for name in wide)
    with OrderReader(TableSource("t", table(**wide)), OrderSettings(sql=sql.format(used))) as orders:
        detect_drift(orders, ledger(), OnDrift.WARN)
    with OrderReader(TableSource("t", table()), OrderSettings()) as orders, caplog.at_level(logging.WARNING):
        detect_drift(orders, ledger(), OnDrift.WARN)
    [message] = caplog.messages
    assert message.count("\n") == 21
    assert message.endswith("  - and 30 more")


def test_a_failure_sends_nothing_and_keeps_what_was(run, tmp_path):
    run(table())
    for _ in range(2):
        with pytest.raises(ColumnsError) as failed:
            run(table(currency=None), OnDrift.FAIL)
    assert str(failed.value) == (
        "t.parquet has different columns than in the previous run:\n  - currency (string) is gone\n"
        "Nothing was sent. If the change is intended, run once with on_drift (--on-drift) set to warn; "
        f"the previous run's columns are in {tmp_path / 'results'}"
    )
    assert run(table(), OnDrift.FAIL) == []


def test_with_ignore_nothing_is_reported_and_nothing_is_kept(run, tmp_path):
    assert run(table(), OnDrift.IGNORE) == []
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"columns": '])
def test_a_note_that_cannot_be_read_is_skipped(run, tmp_path, caplog, text):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "_schema-0.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert run(table()) == []
    assert caplog.messages == [
        f"the columns recorded by an earlier run in {tmp_path / 'results'} cannot be read and are not compared"
    ]
    assert run(table(currency=None)) == ["currency (string) is gone"]


@pytest.mark.parametrize(
    ("text", "found"), [("warn", OnDrift.WARN), (" FAIL ", OnDrift.FAIL), ("ignore", OnDrift.IGNORE)]
)
def test_a_setting_is_read(text, found):
    assert PushSettings(on_drift=text).on_drift is found


def test_an_invalid_setting_is_refused():
    with pytest.raises(ConfigurationError, match="on_drift must be ignore, warn or fail, not 'maybe'"):
        PushSettings(on_drift="maybe")


# in a push


def pushed(source, client, ledger, **more):
    with OrderReader(TableSource("t", source)) as orders:
        return push(orders, client, PushSettings(on_drift=OnDrift.FAIL), prior_runs=PriorRuns(ledger, **more))


def test_a_push_fails_before_the_first_request(foreign, client, ledger):
    assert pushed(table(), client, ledger()).summary["accepted"] == 1
    with pytest.raises(ColumnsError, match="currency"):
        pushed(table(currency=None), client, ledger())
    assert len(foreign.posts) == 1


def test_a_failure_without_a_memory_is_refused(foreign, client):
    with pytest.raises(
        ConfigurationError, match="on_drift is fail, but no folder keeps the columns of the previous run"
    ):
        pushed(table(), client, None)
    assert not foreign.posts


def test_notes_are_no_outcomes(client, ledger, tmp_path):
    pushed(table(), client, ledger())
    assert list((tmp_path / "results").glob("_schema-*.json"))
    assert ledger().rows(["order_id"]).read_all().num_rows == 1
    assert pushed(table(), client, ledger()).summary["skipped"] == 1


def test_the_columns_are_kept_with_the_history_or_where_it_is_said(client, tmp_path):
    def at(name):
        return Ledger(tmp_path / name)

    pushed(table(), client, at("own"), history=at("history"))
    pushed(table(), client, at("own"), history=at("history"), columns=at("columns"))
    kept = {path.parent.name for path in tmp_path.glob("*/_schema-*.json")}
    assert kept == {"history", "columns"}
