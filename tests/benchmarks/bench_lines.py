"""`push` of order lines, which a mapping makes orders of, at the engine's memory limit of 256 MB."""

from __future__ import annotations

import sys

from bench_extract import MAPPING

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.orders.reader import OrderReader, OrderSettings
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.push.run import PushSettings, push

IN_FLIGHT = 8


def main(extract, url):
    settings = OrderSettings(mapping=MAPPING, memory_limit="256MB")
    with (
        EcdpClient("key", ClientSettings(base_url=url, max_in_flight=IN_FLIGHT)) as client,
        OrderReader(ParquetSource.open(extract), settings) as orders,
    ):
        report = push(orders, client, PushSettings(max_in_flight=IN_FLIGHT))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
