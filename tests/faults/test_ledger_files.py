"""Files of a ledger: whole or absent, on any file system, for every type that an extract can have had."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import ClassVar

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults_laws import newest_rows
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.errors import StorageError
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.reader import COLUMNS, newest
from airflow_provider_ecdp.ledger.store import SCHEMA, Ledger
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.push.run import push
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome

ROWS = 6


def settled(*ids, outcome=Outcome.ACCEPTED):
    columns = {
        "order_id": pa.array(ids, pa.string()),
        "content_hash": pa.array([f"hash of {i}" for i in ids], pa.string()),
        "warnings": pa.nulls(len(ids), pa.list_(pa.struct({"field": pa.string()}))),
    }
    return BatchOutcome(pa.RecordBatch.from_pydict(columns), outcome)


def written(ledger, *ids, outcome=Outcome.ACCEPTED):
    ledger.add(settled(*ids, outcome=outcome), None)
    ledger.flush()


def accepted(ledger):
    held = ledger.rows(COLUMNS)
    return None if held is None else sorted(newest(held, "order_id", "outcome = 'accepted'")["order_id"].to_pylist())


class TestFolders:
    @pytest.mark.parametrize("name", ["plain", "with space", "run[1]", "what?*", "żółć"])
    def test_a_folder_may_have_any_name(self, tmp_path, name):
        written(Ledger(tmp_path / name), "A", "B")

        assert accepted(Ledger(tmp_path / name)) == ["A", "B"]

    def test_what_a_kill_left_half_written_is_not_read(self, tmp_path):
        written(Ledger(tmp_path), "A")
        whole = next(tmp_path.glob("*.parquet")).read_bytes()
        (tmp_path / ".20261122T100000.000000-ab-000000.parquet.part").write_bytes(whole[:100])

        assert accepted(Ledger(tmp_path)) == ["A"]

    def test_a_run_that_has_begun_is_known_though_it_recorded_nothing(self, tmp_path):
        Ledger(tmp_path).begin()

        assert Ledger(tmp_path).exists()
        assert accepted(Ledger(tmp_path)) == []
        assert accepted(Ledger(tmp_path / "none")) is None

    def test_two_runs_at_once_write_files_of_their_own(self, tmp_path):
        first, second = Ledger(tmp_path), Ledger(tmp_path)
        for n in range(3):
            written(first, f"A{n}")
            written(second, f"B{n}")

        assert accepted(Ledger(tmp_path)) == ["A0", "A1", "A2", "B0", "B1", "B2"]

    def test_the_newest_row_of_an_id_counts(self, tmp_path):
        ledger = Ledger(tmp_path)
        written(ledger, "A", "B")
        written(ledger, "B", outcome=Outcome.UNRESOLVED)

        assert accepted(ledger) == ["A"]
        assert Ledger(tmp_path).replayable_orders()[0]["order_id"].to_pylist() == ["B"]


class TestFileSystems:
    def test_an_object_store(self):
        filesystem = MemoryFileSystem()
        ledger = Ledger("/bucket/results", filesystem)
        try:
            written(ledger, "A")
            assert accepted(Ledger("memory://bucket/results")) == ["A"]
        finally:
            filesystem.rm("/bucket", recursive=True)

    def test_a_file_system_that_shows_a_file_from_its_first_byte(self, tmp_path):
        class Breaking(DirFileSystem):
            """As SFTP: what was sent before the connection broke is there."""

            broken = False

            def pipe_file(self, path, value, **options):
                super().pipe_file(path, value[: len(value) // 2] if self.broken else value, **options)
                if self.broken:
                    raise OSError("connection lost")

        filesystem = Breaking(path=str(tmp_path), fs=fsspec.filesystem("file"), skip_instance_cache=True)
        ledger = Ledger("results", filesystem)
        written(ledger, "A")
        filesystem.broken = True
        with pytest.raises(StorageError, match="connection lost"):
            written(ledger, "B")

        assert accepted(Ledger("results", filesystem)) == ["A"]

        filesystem.broken = False
        ledger.flush()
        assert accepted(Ledger("results", filesystem)) == ["A", "B"]
        assert sorted(newest_rows(tmp_path / "results")) == ["A", "B"]

    def test_a_listing_that_was_cached_hides_no_newer_file(self):
        class Caching(MemoryFileSystem):
            """As S3: a folder is listed once."""

            store: ClassVar = {}
            pseudo_dirs: ClassVar = [""]
            listings: ClassVar = {}

            def ls(self, path, detail=True, **options):
                if (path, detail) not in self.listings:
                    self.listings[path, detail] = super().ls(path, detail, **options)
                return self.listings[path, detail]

            def invalidate_cache(self, _path=None):
                self.listings.clear()

        reader, writer = Ledger("/results", Caching()), Ledger("/results", Caching())
        written(writer, "A")
        assert accepted(reader) == ["A"]
        written(writer, "B")
        assert accepted(reader) == ["A", "B"]


def any_type():
    """Columns of every type that pyarrow writes to Parquet, NULL in the first row of each."""
    moment = dt.datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=dt.UTC).replace(tzinfo=None)
    return {
        "a_bool": pa.array([None, *[True] * 5]),
        **{f"an_{t}": pa.array([None, 1, 2, 3, 4, 5], t) for t in map(str, (pa.int8(), pa.int64(), pa.uint64()))},
        "a_half": pa.array([None, 0.5, 1, 2, 3, 4], pa.float32()).cast(pa.float16()),
        "a_double": pa.array([None, 0.5, float("nan"), float("inf"), -0.0, 1e300]),
        "a_decimal": pa.array([None, *map(Decimal, ("0", "-1.50", "9.99", "1", "2"))], pa.decimal128(38, 10)),
        "a_wide_decimal": pa.array([None, *map(Decimal, ("0", "-1.50", "9.99", "1", "2"))], pa.decimal256(60, 20)),
        "a_date": pa.array([None, *[moment.date()] * 5]),
        "a_long_date": pa.array([None, *[moment.date()] * 5], pa.date64()),
        **{f"a_time_{u}": pa.array([None, *[moment.time()] * 5], pa.time64(u)) for u in ("us", "ns")},
        "a_short_time": pa.array([None, *[dt.time(10)] * 5], pa.time32("ms")),
        **{f"a_timestamp_{u}": pa.array([None, *[moment] * 5], pa.timestamp(u)) for u in ("ms", "us", "ns")},
        "a_zoned_timestamp": pa.array([None, *[moment] * 5], pa.timestamp("us", "Europe/Warsaw")),
        "a_duration": pa.array([None, *[dt.timedelta(days=1)] * 5], pa.duration("us")),
        "a_binary": pa.array([None, b"", b"\xff\x00", b"a", b"b", b"c"]),
        "a_large_binary": pa.array([None, b"", b"\xff\x00", b"a", b"b", b"c"], pa.large_binary()),
        "a_fixed_binary": pa.array([None, *[b"\xff\x00\x01"] * 5], pa.binary(3)),
        "a_large_text": pa.array([None, "", "a", "b", "c", "d"], pa.large_string()),
        "a_category": pa.array([None, "x", "y", "x", "y", "x"]).dictionary_encode(),
        "a_nothing": pa.nulls(ROWS),
        "a_list": pa.array([None, [], [None], [1.5, float("nan")], [2.0], [3.0]]),
        "a_struct": pa.array([None, *[{"x": Decimal("1.5"), "y": [{"z": b"\xff"}]}] * 5]),
        "a_map": pa.array([None, *[[("k", moment)]] * 5], pa.map_(pa.string(), pa.timestamp("us"))),
    }


def typed_orders():
    """Orders whose own columns have the types of warehouses; some of them are invalid."""
    product = pa.struct(
        {"id": pa.int64(), "name": pa.large_string(), "price": pa.decimal128(38, 2), "quantity": pa.int16()}
    )
    lines = [[{"id": 1, "name": "Cup", "price": Decimal("12.50"), "quantity": 1}]] * ROWS
    day = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
    return {
        "id": pa.array([101, 102, 103, 104, 105, None], pa.int64()),
        "date": pa.array([day, day, day, None, day, day], pa.timestamp("ns", "UTC")),
        "total_value": pa.array([12.5, float("nan"), float("inf"), 1.0, None, 2.0], pa.float64()),
        "returns_value": pa.array([None, *map(Decimal, ("0", "1.50", "2", "3", "4"))], pa.decimal128(38, 10)),
        "currency": pa.array(["EUR"] * ROWS).dictionary_encode(),
        "website_id": pa.array([1, None, 3, 4, 5, 6], pa.uint8()),
        "customer": pa.array([{"email": "a@example.com", "crmId": 7}] * ROWS),
        "products": pa.array(lines, pa.list_(product)),
        "order_attributes": pa.array(
            [None, [], [{"name": "n", "value": None}], None, None, None],
            pa.list_(pa.struct({"name": pa.string(), "value": pa.string()})),
        ),
    }


def pushed(sandbox, path, folder, sql=None):
    client = EcdpClient("sandbox-key", ClientSettings(base_url=sandbox.url))
    with client, OrderReader(ParquetSource.open(path), OrderSettings(sql=sql)) as orders:
        return push(orders, client, prior_runs=PriorRuns(Ledger(folder)))


@pytest.mark.parametrize("sql", [None, "SELECT * FROM extract"])
def test_no_type_of_an_extract_stops_the_ledger(sandbox, tmp_path, sql):
    pq.write_table(pa.table(typed_orders() | any_type()), tmp_path / "extract.parquet")

    report = pushed(sandbox, tmp_path / "extract.parquet", tmp_path / "results", sql)

    assert (report.summary["accepted"], report.summary["invalid"]) == (1, 5)
    assert sandbox.store.ids() == ["101"]
    table = pq.read_table(tmp_path / "results")
    assert table.schema.equals(SCHEMA)
    assert sorted(table["order_id"].to_pylist(), key=str) == ["101", "102", "103", "104", "105", None]
    rows = duckdb.sql(f"SELECT outcome, count(*) FROM '{tmp_path}/results/*.parquet' GROUP BY ALL ORDER BY ALL")
    assert rows.fetchall() == [("accepted", 1), ("invalid", 5)]
    assert pushed(sandbox, tmp_path / "extract.parquet", tmp_path / "results", sql).summary["skipped"] == 1


@pytest.mark.parametrize("name", sorted(any_type()))
@pytest.mark.parametrize("field", ["id", "total_value"])
def test_a_column_of_any_type_in_the_place_of_a_field(sandbox, tmp_path, field, name):
    """It may be refused as a column, or each order as invalid; what it may not do is break the ledger."""
    from airflow_provider_ecdp.errors import ColumnsError

    pq.write_table(pa.table(typed_orders() | {field: any_type()[name]}), tmp_path / "extract.parquet")
    try:
        report = pushed(sandbox, tmp_path / "extract.parquet", tmp_path / "results")
    except ColumnsError:
        return
    assert report.summary["total"] == ROWS
    assert sum(report.summary[o.value] for o in Outcome) == ROWS
    assert pq.read_table(tmp_path / "results").num_rows == ROWS
