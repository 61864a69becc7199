"""The customer values of a batch, which a server may repeat and a reason must not contain."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa

from airflow_provider_ecdp.api.redaction import SentValues
from airflow_provider_ecdp.orders import batching
from airflow_provider_ecdp.orders.contract import CUSTOMER, walk

#: The customer in the text of an order. A text of the user's cannot look like it: its quotes are escaped.
_CUSTOMER = re.compile(rb'"customer":(\{[^{}"]*(?:"(?:[^"\\]|\\.)*"[^{}"]*)*\})')

#: Minimum characters of the local part of an e-mail address that identifies a person.
_LOCAL_PART = 6

#: Words of the API's own messages.
_OWN_WORDS = {name.casefold() for path, _ in walk() for name in path.split(".")} | {"orders", "customers"}


def sent_values(orders: pa.RecordBatch) -> SentValues:
    """Return the values of the customers of a batch, and the ids of its orders."""
    personal: set[str] = set()
    for match in _CUSTOMER.finditer(batching.body(orders)):
        customer: dict[str, Any] = json.loads(match[1])
        personal.update(str(customer[field.name]) for field in CUSTOMER if field.personal and field.name in customer)
    words = {word for value in personal for word in _local_parts(value)}
    return SentValues(
        frozenset(personal), frozenset(words), frozenset(filter(None, orders.column("order_id").to_pylist()))
    )


def _local_parts(value: str) -> set[str]:
    """Return the part of an address before its @, with its tag and without, where it is long enough."""
    local, at, _ = value.rpartition("@")
    parts = {local, local.partition("+")[0]} if at else set()
    return {part for part in parts if len(part) >= _LOCAL_PART and part.casefold() not in _OWN_WORDS}
