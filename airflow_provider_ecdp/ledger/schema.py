"""The columns of a ledger's files."""

from __future__ import annotations

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("order_id", pa.string()),
        ("content_hash", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("http_status", pa.int32()),
        ("attempts", pa.int32()),
        ("at", pa.timestamp("us", tz="UTC")),
    ]
)
