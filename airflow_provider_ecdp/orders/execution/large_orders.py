"""The rows of some orders of an extract: halving finds an order that does not fit the engine's memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from airflow_provider_ecdp.orders.execution.partitions import Part
from airflow_provider_ecdp.orders.execution.spill import AS_TEXT, key_kind
from airflow_provider_ecdp.orders.sources.base import Source, SourceView


@dataclass(frozen=True, slots=True)
class FilteredSource(SourceView):
    """The rows of an extract that have one of `values` in the column `key`."""

    key: str
    values: frozenset[Any]

    @property
    def rows(self) -> int | None:
        """Unknown before they are read."""
        return None

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read `columns`, in the order given."""
        for batch in self.source.batches([*columns, *({self.key} - set(columns))]):
            keys = _encoded(batch.column(self.key))
            among = pa.array([value in self.values for value in keys.dictionary.to_pylist()], pa.bool_())
            yield batch.filter(among.take(keys.indices)).select(list(columns))


@dataclass(frozen=True, slots=True)
class KeyedPart:
    """A part of a run, which the values of key columns cut further.

    :param keys: by the name of an extract, its key column; an extract without one is whole in each piece
    :param values: those that the part has, None where they were not read
    """

    part: Part
    keys: Mapping[str, str]
    values: tuple[Any, ...] | None = None

    @property
    def is_one_value(self) -> bool:
        """Whether at most one value is left."""
        return self.values is not None and len(self.values) <= 1

    def halves(self) -> list[KeyedPart]:
        """Return the second and the first half; an empty list if there are none.

        Texts and whole numbers are equal in Python if they are equal in the engine. Parts by other keys are not cut,
        nor those with views, which Arrow does not filter.
        """
        keyed = {name: source for name, source in self.part.sources.items() if name in self.keys}
        kinds = {key_kind(source.schema.field(self.keys[name]).type) for name, source in keyed.items()}
        views = any("view" in str(type_) for source in keyed.values() for type_ in source.schema.types)
        if self.is_one_value or views or not kinds or not kinds <= set(AS_TEXT):
            return []
        values = self.values if self.values is not None else _values(keyed, self.keys)
        middle = len(values) // 2
        return [self._among(keyed, half) for half in (values[middle:], values[:middle]) if half]

    def _among(self, keyed: Mapping[str, Source], values: tuple[Any, ...]) -> KeyedPart:
        among = frozenset(values)
        # the source itself: filters do not pile up
        filtered = {
            name: FilteredSource(
                source.source if isinstance(source, FilteredSource) else source, self.keys[name], among
            )
            for name, source in keyed.items()
        }
        return replace(self, part=replace(self.part, sources={**self.part.sources, **filtered}), values=values)


def _values(sources: Mapping[str, Source], keys: Mapping[str, str]) -> tuple[Any, ...]:
    """Return each value of the key columns once, as they come."""
    values: dict[Any, None] = {}
    for name, source in sources.items():
        for batch in source.batches([keys[name]]):
            values.update(dict.fromkeys(_encoded(batch.column(0)).dictionary.to_pylist()))
    return tuple(values)


def _encoded(array: pa.Array) -> pa.DictionaryArray:
    if pa.types.is_dictionary(array.type):
        # its dictionary may have a value twice, or one that no row has
        array = array.dictionary_decode()
    return array.dictionary_encode("encode")
