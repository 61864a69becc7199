"""Orders of so many rows that the engine's memory has no room for them: which they are, and an extract without them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.orders.sources.base import Source, SourceView


@dataclass(frozen=True, slots=True)
class FilteredSource(SourceView):
    """The rows of an extract with one of `values` in the column `key`, or (not `among`) the other rows."""

    key: str
    values: Sequence[Any]
    among: bool

    @property
    def rows(self) -> int | None:
        """Unknown before they are read."""
        return None

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given."""
        for batch in self.source.batches([*columns, *({self.key} - set(columns))]):
            keys = _keys(batch.column(self.key))
            among = pc.is_in(keys, pa.array(self.values, keys.type))
            yield batch.filter(among if self.among else pc.invert(among)).select(list(columns))


def largest_order(source: Source, key: str) -> Any:
    """Return the value of the column `key` with the most rows; None if no value has two."""
    rows: Counter[Any] = Counter()
    for batch in source.batches([key]):
        rows.update(
            {pair["values"].as_py(): pair["counts"].as_py() for pair in pc.value_counts(_keys(batch.column(0)))}
        )
    del rows[None]
    return next((value for value, count in rows.most_common(1) if count > 1), None)


def _keys(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
