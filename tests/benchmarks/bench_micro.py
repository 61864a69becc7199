"""Micro-benchmarks: the CPU of each part of a push, so that a regression shows where.

The engine reads, checks and encodes in one query; its parts are queries over the same columns that leave out the rest,
less the query that only hands over the columns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from bench_measure import Server

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.orders import batching
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sql.encoding import order_json
from airflow_provider_ecdp.push.run import PushSettings, push

IN_FLIGHT, BATCH, BYTES = 8, 500, 4_000_000


def parts(path, url):
    """Yield the name of each part of a push, and a function that does it over the whole extract."""
    extract = ParquetSource.open(path)
    columns = extract.schema.names
    with OrderReader(extract) as orders, _client(url) as client:
        query = orders._query

        def ask(expression, source):
            orders._sources.show(orders._all)
            orders._engine.execute(f"SELECT {expression} FROM ({source}) AS o").fetchall()

        names = ", ".join(f"count(o.{column})" for column in columns)
        texts = f"SELECT {order_json(query.fields)} AS text FROM ({query.prepared}) AS o"
        yield "read: Parquet to Arrow", lambda: [None for _ in extract.batches(columns)]
        yield "hand over: Arrow to the engine", lambda: ask(names, query.prepared)
        yield "check: errors and warnings", lambda: ask(f"count_if({query.checks.any_broken()})", query.prepared)
        yield "encode: JSON", lambda: ask("sum(strlen(text))", texts)
        yield "hash: MD5", lambda: ask("count(md5(text))", texts)
        yield "duplicate ids", orders.select
        yield "all of the reading: `OrderReader.read`", lambda: [None for _ in orders.read()]
        held = list(orders.read())
        cut = list(batching.cut(held, BATCH, BYTES))
        yield "cut: batches and bodies", lambda: [batching.body(batch) for batch in batching.cut(held, BATCH, BYTES)]
        with ThreadPoolExecutor(IN_FLIGHT) as pool:

            def send(batch):
                client.post_orders(Mode.ADD_OR_REPLACE, batching.body(batch))

            yield "send: `EcdpClient.post_orders`", lambda: list(pool.map(send, cut))
        yield "all of it: `push`", lambda: push(orders, client, PushSettings(max_in_flight=IN_FLIGHT))


#: Parts that hold another: what they take is shown without it.
WITHOUT = {
    "hand over: Arrow to the engine": "read: Parquet to Arrow",
    "check: errors and warnings": "hand over: Arrow to the engine",
    "encode: JSON": "hand over: Arrow to the engine",
    "hash: MD5": "encode: JSON",
}


def measured(path, url, orders, repeats):
    """Return the CPU seconds an order of each part: the median of the repetitions."""
    taken = {}
    for name, part in parts(path, url):
        seconds = []
        for _ in range(repeats):
            began = time.process_time()
            part()
            seconds.append(time.process_time() - began)
        taken[name] = median(seconds) / orders
    return {name: seconds - taken[WITHOUT[name]] if name in WITHOUT else seconds for name, seconds in taken.items()}


def _client(url):
    return EcdpClient("key", ClientSettings(base_url=url, max_in_flight=IN_FLIGHT))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("orders", type=int)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with Server() as server:
        json.dump(measured(given.path, server.url, given.orders, given.repeats), sys.stdout)


if __name__ == "__main__":
    main()
