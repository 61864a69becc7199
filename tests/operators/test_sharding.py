import datetime as dt
import json

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException
from airflow_provider_ecdp.ledger import store as ledger
from airflow_provider_ecdp.operators.sharding import shards, summarise
from airflow_provider_ecdp.sample import Sample
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

DAY = dt.date(2026, 11, 1)


@pytest.fixture(autouse=True)
def connection(sandbox, connect):
    connect(sandbox.url, extra={"max_in_flight": 1})


@pytest.fixture
def extract(tmp_path):
    """A folder of 60 good orders, in row groups of 10 in two files."""
    Sample(orders=60, day=DAY).write(tmp_path / "whole.parquet")
    table = pq.read_table(tmp_path / "whole.parquet")
    (tmp_path / "orders").mkdir()
    for number in range(2):
        part = table.slice(number * 30, 30)
        pq.write_table(part, tmp_path / "orders" / f"{number}.parquet", row_group_size=10)
    return tmp_path / "orders"


@pytest.fixture
def push(make_context):
    """Push one shard, as a mapped task does."""

    def run(shard, map_index, run_id="run-1", **arguments):
        # as it comes out of XCom
        operator = ParquetToEcdpOperator(task_id="push", path=json.loads(json.dumps(shard)), **arguments)
        return operator.execute(make_context(map_index=map_index, run_id=run_id))

    return run


@pytest.mark.parametrize("most", [1, 4])
def test_shards_of_a_folder_are_pushed_and_add_up(extract, push, sandbox, tmp_path, most):
    listed = shards(str(extract), most)
    results = [push(shard, i, results_path=str(tmp_path / "results")) for i, shard in enumerate(listed)]
    total = summarise(results, expected=len(listed))
    assert (len(listed), total["summary"]["accepted"], total["summary"]["shards_missing"]) == (most, 60, 0)
    assert sandbox.store.count() == sandbox.store.total_writes() == 60
    ledgers = duckdb.sql(f"SELECT count(DISTINCT order_id) FROM '{total['results_path']}/*/*/*.parquet'")
    assert ledgers.fetchall() == [(60,)]


@pytest.mark.parametrize(("wanted", "scattered"), [(DAY, False), (str(DAY), True), (["2026-11-01"], False)])
def test_shards_of_a_partition_are_pushed_and_no_other_partition_is(tmp_path, push, sandbox, scattered, wanted):
    for number, day in enumerate(("2026-10-30", "2026-11-01", "2026-11-02")):
        (tmp_path / "orders" / f"dt={day}").mkdir(parents=True)
        Sample(orders=20 + number, seed=number, day=DAY).write(tmp_path / "orders" / f"dt={day}" / "orders.parquet")
    listed = shards(str(tmp_path / "orders"), 3, order_id="id", scattered=scattered, partitions={"dt": wanted})
    total = summarise([push(shard, i) for i, shard in enumerate(listed)], expected=len(listed))["summary"]
    assert (len(listed), total["total"], total["accepted"]) == (3 if scattered else 1, 21, 21)
    assert sandbox.store.count() == 21


@pytest.mark.parametrize(
    "types",
    [
        # alone, 0.1 of 32 bits would be another number than among doubles
        (pa.int32(), pa.float64(), pa.float32()),
        (pa.int64(), pa.decimal128(12, 4), pa.decimal128(9, 2)),
    ],
    ids=["floats", "decimals"],
)
def test_a_price_is_sent_by_a_shard_as_by_the_whole_extract_whatever_types_its_files_have(
    tmp_path, push, sandbox, types
):
    Sample(orders=3, day=DAY).write(tmp_path / "whole.parquet")
    table = pq.read_table(tmp_path / "whole.parquet")
    place = table.schema.get_field_index("totalValue")
    (tmp_path / "orders").mkdir()
    for number, type_ in enumerate(types):
        total = pa.array([0.1 if number == 2 else 1.0]).cast(type_)
        part = table.slice(number, 1).set_column(place, "totalValue", total)
        pq.write_table(part, tmp_path / "orders" / f"{number}.parquet")

    def sent():
        return {no: sandbox.store.get(no) for no in sandbox.store.ids()}

    push(str(tmp_path / "orders"), 0)
    as_whole = sent()
    sandbox.store.reset()
    for i, shard in enumerate(shards(str(tmp_path / "orders"), 3)):
        push(shard, i)
    assert sent() == as_whole
    assert len(as_whole) == 3


def test_a_url_of_an_object_storage_is_cut_and_opened_with_its_connection(extract, push):
    listed = shards(ObjectStoragePath(f"file://{extract}"), 2)
    assert [shard["path"] for shard in listed] == [f"file://{extract}"] * 2
    assert sum(push(shard, i)["summary"]["accepted"] for i, shard in enumerate(listed)) == 60


@pytest.mark.parametrize("large", [0, 10**9], ids=["history-is-asked-by-id", "history-is-held"])
def test_only_changed_holds_for_another_number_of_shards(extract, push, sandbox, tmp_path, monkeypatch, large):
    monkeypatch.setattr(ledger, "LARGE", large)
    arguments = {"results_path": str(tmp_path / "results"), "only_changed": True}
    for i, shard in enumerate(shards(str(extract), 3)):
        push(shard, i, **arguments)
    again = [push(shard, i, "run-2", **arguments) for i, shard in enumerate(shards(str(extract), 2))]
    total = summarise(again)["summary"]
    assert (total["total"], total["skipped"], total["requests"]) == (60, 60, 0)
    assert sandbox.store.total_writes() == 60


def test_a_shard_that_is_listed_again_under_its_number_loses_nothing(extract, push, sandbox, tmp_path):
    results = str(tmp_path / "results")
    push(shards(str(extract), 6)[0], 0, results_path=results)
    # the same task instance, with other orders: a ledger knows orders, not positions
    again = push(shards(str(extract), 2)[0], 0, results_path=results)
    assert (again["summary"]["total"], again["summary"]["skipped"], again["summary"]["accepted"]) == (30, 10, 20)
    assert sandbox.store.count() == 30


@pytest.mark.parametrize(("most", "mapped"), [(4, False), (1, True)], ids=["by-one-task", "by-mapped-tasks"])
def test_what_shards_left_rejected_is_replayed(extract, push, sandbox, tmp_path, mapped, most):
    arguments = {"results_path": str(tmp_path / "results"), "max_failed": 2}
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000003", "ORD-00000020"}))
    total = summarise([push(shard, i, **arguments) for i, shard in enumerate(shards(str(extract), most))])
    assert (total["summary"]["accepted"], total["summary"]["rejected"]) == (58, 2)
    sandbox.faults = Faults()
    arguments["replay_from"] = total["results_path"]
    paths = shards(str(extract), 3) if mapped else [str(extract)]
    again = [push(path, i, "run-2", **arguments) for i, path in enumerate(paths)]
    assert [one["summary"]["accepted"] for one in again] == ([2, 0, 0] if mapped else [2])
    assert [one["summary"]["total"] for one in again] == ([2, 0, 0] if mapped else [2])
    assert sandbox.store.count() == 60


def test_a_replay_of_another_extract_holds_no_orders(extract, push, sandbox, tmp_path):
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000003"}))
    first = push(shards(str(extract), 1)[0], 0, results_path=str(tmp_path / "results"), max_failed=1)
    Sample(orders=2, day=DAY).write(tmp_path / "other.parquet")
    with pytest.raises(AirflowFailException, match="nothing to replay: 1 of 60 orders"):
        push(str(tmp_path / "other.parquet"), 0, "run-2", replay_from=first["results_path"])


def test_an_empty_extract_fails_its_one_task(tmp_path, push):
    pq.write_table(pq.read_table(_one(tmp_path)).slice(0, 0), tmp_path / "orders.parquet")
    (shard,) = shards(str(tmp_path / "orders.parquet"), 5)
    with pytest.raises(AirflowFailException, match=r"\(shard 1 of 1\) has no orders"):
        push(shard, 0)


LINES = {
    "id": "order_no",
    "date": "ordered_at",
    "totalValue": {"sum": "price"},
    "customer.email": "email",
    "products.id": "sku",
    "products.name": "sku",
    "products.price": "price",
    "products.quantity": {"value": 1},
}


@pytest.fixture
def lines(tmp_path):
    """20 orders of three lines, in row groups of 25 lines."""
    columns = {
        "order_no": [f"O-{i // 3}" for i in range(60)],
        "ordered_at": [dt.datetime(2026, 11, 1, tzinfo=dt.UTC)] * 60,
        "email": ["customer@example.com"] * 60,
        "sku": [f"S-{i}" for i in range(60)],
        "price": [1] * 60,
    }
    pq.write_table(pa.table(columns), tmp_path / "lines.parquet", row_group_size=25)
    return str(tmp_path / "lines.parquet")


def test_order_lines_that_were_cut_without_their_id_are_refused_before_anything_is_sent(lines, push, sandbox):
    for i, shard in enumerate(shards(lines, 3)):
        with pytest.raises(AirflowFailException, match=r"grouped by order_no: .*; pass order_id, .* to shards\(\)"):
            push(shard, i, mapping=LINES)
    assert not sandbox.store.requests


def test_no_line_is_lost_of_an_extract_that_was_cut_by_its_orders(lines, push, sandbox):
    listed = shards(lines, 3, order_id="order_no")
    total = summarise([push(shard, i, mapping=LINES) for i, shard in enumerate(listed)])
    assert (len(listed), total["summary"]["accepted"]) == (3, 20)
    assert [len(sandbox.store.get(f"O-{i}")["products"]) for i in range(20)] == [3] * 20


def _one(folder):
    Sample(orders=1, day=DAY).write(folder / "one.parquet")
    return folder / "one.parquet"


def test_an_object_that_is_no_shard_fails_for_good(push):
    with pytest.raises(AirflowFailException, match="a shard from shards"):
        push({"path": "/data/orders"}, 0)


def test_a_storage_that_airflow_does_not_know_is_refused():
    with pytest.raises(ConfigurationError, match="nowhere://x"):
        shards("nowhere://x", 2)
