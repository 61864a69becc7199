"""dlt with a custom destination; `parquet`: Arrow tables through parquet files of 10,000 orders and 8 workers.

`default`: as its page shows it, a resource of Python objects, and settings as they come.
"""

import os
import sys
import tempfile

import dlt
import orjson
import pyarrow.parquet as pq
import requests

BATCH = 500


def main(extract, url, way):
    session = requests.Session()
    session.headers.update({"x-api-key": "key", "Content-Type": "application/json"})

    def post(items, table):  # noqa: ARG001 - dlt's signature
        records = items.to_pylist() if way == "parquet" else items
        body = orjson.dumps({"mode": "AddOrReplace", "data": records}, default=float)
        session.post(f"{url}/orders", data=body).raise_for_status()

    if way == "parquet":
        os.environ |= {"DATA_WRITER__FILE_MAX_ITEMS": "10000", "LOAD__WORKERS": "8"}
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=8))
        data = (batch for batch in pq.ParquetFile(extract).iter_batches(10_000))
        file_format = "parquet"
    else:
        data = (batch.to_pylist() for batch in pq.ParquetFile(extract).iter_batches(BATCH))
        file_format = "typed-jsonl"
    destination = dlt.destination(post, batch_size=BATCH, loader_file_format=file_format, name="orders_api")
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("bench", destination=destination(), pipelines_dir=folder, dataset_name="bench")
        pipeline.run(dlt.resource(data, name="orders")).raise_on_failed_jobs()


os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
main(*sys.argv[1:])
