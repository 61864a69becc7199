"""A source in ten lines does what Parquet does: it is pushed, checked and counted, with its rows unknown until read."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.dry_run.orders import check
from airflow_provider_ecdp.errors import ColumnsError
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.push.run import push
from airflow_provider_ecdp.sandbox.server import SandboxServer

LINES = [{"no": i // 2, "at": "2026-11-22T10:00:00Z", "crm": f"C-{i // 2}", "sku": f"S-{i}"} for i in range(20)]

MAPPING = {
    "id": "no",
    "date": "at",
    "totalValue": {"value": 1},
    "customer": {"crmId": "crm"},
    "products": {"id": "sku", "name": "sku", "price": {"value": 1}, "quantity": {"value": 1}},
}


@dataclass
class ListSource:
    name = "the list"
    rows = None
    records: list
    schema: pa.Schema = field(init=False)

    def __post_init__(self):
        self.schema = pa.Table.from_pylist(self.records).schema

    def batches(self, columns):
        for start in range(0, len(self.records), 3):
            yield pa.RecordBatch.from_pylist(self.records[start : start + 3], self.schema).select(columns)


@pytest.mark.parametrize("partition_by", [None, "no"])
def test_it_is_pushed_and_its_progress_is_known(partition_by):
    progress = []
    settings = OrderSettings(mapping=MAPPING, partition_by=partition_by)
    with (
        SandboxServer("key") as sandbox,
        EcdpClient("key", ClientSettings(base_url=sandbox.url)) as client,
        OrderReader(ListSource(LINES), settings) as orders,
    ):
        assert orders.rows is None
        report = push(orders, client, progress=progress.append)
    assert (report.summary["accepted"], report.summary["total"], report.failed) == (10, 10, 0)
    assert progress[-1].total == 10


def test_it_is_checked():
    with OrderReader(ListSource(LINES), OrderSettings(mapping=MAPPING)) as orders:
        found = check(orders)
    assert (found.rows, found.total, found.to_send, found.invalid) == (None, 10, 10, 0)


def test_it_is_joined_with_another():
    sources = {"orders": ListSource(LINES), "shops": ListSource([{"no": 3, "shop": "A"}])}
    sql = (
        "SELECT no AS id, any_value(\"at\") AS date, 1 AS totalValue, {'crmId': any_value(crm)} AS customer, "
        "list({'id': sku, 'name': sku, 'price': 1, 'quantity': 1}) AS products FROM orders "
        "JOIN shops USING (no) GROUP BY no"
    )
    with OrderReader(sources, OrderSettings(sql=sql)) as orders:
        assert [row["order_id"] for batch in orders.read() for row in batch.to_pylist()] == ["3"]


@pytest.mark.parametrize("settings", [{}, {"sql": "SELECT * FROM extract"}, {"mapping": MAPPING}], ids=str)
def test_a_file_without_columns_is_reported_as_such(tmp_path, settings):
    pq.write_table(pa.table({}), tmp_path / "o.parquet")
    with pytest.raises(ColumnsError, match=r"o\.parquet has no columns.*so nothing can be read from it"):
        OrderReader(ParquetSource.open(tmp_path / "o.parquet"), OrderSettings(**settings))
