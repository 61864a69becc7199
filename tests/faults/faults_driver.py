"""A push in a process of its own, for those who kill it: the command line's way, with a flush interval to choose."""

from __future__ import annotations

import json
import os
import sys

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.push.run import PushSettings, push


def main(url: str, path: str, folder: str, mode: str, batch_size: str, flush_seconds: str) -> int:
    settings = PushSettings(mode=Mode(mode), batch_size=int(batch_size))
    ledger = Ledger(folder, flush_seconds=float(flush_seconds))
    client = EcdpClient(os.environ["ECDP_API_KEY"], ClientSettings(base_url=url))
    with client, OrderReader(ParquetSource.open(path)) as orders:
        report = push(orders, client, settings, prior_runs=PriorRuns(ledger))
    sys.stdout.write(json.dumps(report.as_json()))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
