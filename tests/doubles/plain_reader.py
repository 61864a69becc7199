"""A reader of made-up orders without the engine: what a push asks a reader for, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from airflow_provider_ecdp.orders.reader import SentOrders

_ROWS = 2048
_WARNINGS = pa.list_(pa.struct({"field": pa.string(), "rule": pa.string(), "got": pa.string()}))


def ids_of(count: int) -> list[str]:
    return [f"ORD-{n:06d}" for n in range(1, count + 1)]


def text_of(order_id: str, word: str = "Cup") -> str:
    return (
        f'{{"id":"{order_id}","date":"2026-11-22T10:00:00.000Z","totalValue":12.50,"customer":{{"crmId":"C"}},'
        f'"products":[{{"id":"P1","name":"{word}","price":12.50,"quantity":1}},'
        '{"id":"P2","name":"Pot","price":0,"quantity":2}]}'
    )


class PlainReader:
    """Stands for an OrderReader; it is its own selection."""

    name = "made-up orders"
    sharded = False
    columns: Mapping[str, Any] = {}
    schemas: Mapping[str, Any] = {}

    def __init__(self, ids: list[str], words: Mapping[str, str] | None = None) -> None:
        """Take the ids, and words that some orders hold."""
        self.ids = ids
        self._words = words or {}
        self.count = self.rows = len(ids)
        self.repeated_ids = 0
        self._sent: dict[str, str | None] = {}

    def select(self, *, sent: Iterable[SentOrders], only: None) -> PlainReader:
        assert only is None
        for orders in sent:
            self._exclude(orders)
        return self

    def _exclude(self, orders: SentOrders) -> None:
        newest: dict[str, tuple[Any, str, str]] = {}
        for row in orders.rows.read_all().to_pylist():
            if row["order_id"] not in newest or row["at"] >= newest[row["order_id"]][0]:
                newest[row["order_id"]] = (row["at"], row["outcome"], row["content_hash"])
        for order_id, (_, outcome, content) in newest.items():
            if outcome in orders.skip_reasons and content == _hash(self._text(order_id)):
                self._sent.setdefault(order_id, orders.skip_reasons[outcome])

    def _text(self, order_id: str) -> str:
        return text_of(order_id, self._words.get(order_id, "Cup"))

    def read(self) -> Iterator[pa.RecordBatch]:
        for start in range(0, len(self.ids), _ROWS):
            ids = self.ids[start : start + _ROWS]
            reasons = [self._sent.get(i) for i in ids]
            texts = [self._text(i) + "," if reason is None else "" for i, reason in zip(ids, reasons, strict=True)]
            yield pa.record_batch(
                {
                    "order_id": pa.array(ids),
                    "content_hash": pa.array([_hash(self._text(i)) for i in ids]),
                    "json": pa.array(texts),
                    "problems": pa.nulls(len(ids), _WARNINGS),
                    "warnings": pa.nulls(len(ids), _WARNINGS),
                    "skip_reason": pa.array(reasons, pa.string()),
                    "send_last": pa.array([i in self._sent and self._sent[i] is None for i in ids]),
                }
            )


def _hash(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
