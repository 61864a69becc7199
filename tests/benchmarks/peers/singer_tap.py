"""A tap: the orders as Singer messages on standard output."""

import json
import sys
from decimal import Decimal

import pyarrow.parquet as pq


def of(**properties):
    return {"type": "object", "properties": properties}


TEXT, NUMBER = {"type": "string"}, {"type": "number"}
SCHEMA = of(
    id=TEXT,
    date={"type": "string", "format": "date-time"},
    status=TEXT,
    currency=TEXT,
    totalValue=NUMBER,
    customer=of(email=TEXT, crmId=TEXT),
    products={"type": "array", "items": of(id=TEXT, name=TEXT, price=NUMBER, quantity={"type": "integer"})},
    orderAttributes={"type": "array", "items": of(name=TEXT, value=TEXT)},
)


def plain(value):
    return float(value) if isinstance(value, Decimal) else value.isoformat()


def main(extract):
    write = sys.stdout.write
    write(json.dumps({"type": "SCHEMA", "stream": "orders", "schema": SCHEMA, "key_properties": ["id"]}) + "\n")
    for batch in pq.ParquetFile(extract).iter_batches(500):
        for record in batch.to_pylist():
            message = {"type": "RECORD", "stream": "orders", "record": record}
            write(json.dumps(message, default=plain) + "\n")


main(*sys.argv[1:])
