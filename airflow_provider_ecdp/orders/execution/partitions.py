"""Reads extracts larger than memory part by part, because the engine's `list` cannot spill.

Each extract is read once, into hash partitions on the local disk by the values of a column; a part is as many of them
as fit the memory. If the memory still does not suffice, the remaining parts are halved.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.orders.engine.arrow_types import readable_schema
from airflow_provider_ecdp.orders.execution.spill import HashPartition, key_kind, store, stored
from airflow_provider_ecdp.orders.names import Scope, nearest
from airflow_provider_ecdp.orders.sources.base import Source

log = logging.getLogger(__name__)

#: A part's share of the engine's memory limit, in bytes of Arrow. `list(... ORDER BY ...)` of order lines takes six
#: times their size; joins and results need the rest.
_SHARE = 10

#: Extracts of less than this share of a part, estimated from their rows and types, are not cut.
_SMALL = 2

#: Hash partitions: few enough for files that are open at a time, many enough to even out parts.
_FEWEST, _MOST = 16, 256

#: Bytes of a value, and elements of a list, whose size is unknown before it is read.
_TEXT_BYTES, _ELEMENTS = 24, 3

_UNITS = {"KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4}


@dataclass(frozen=True, slots=True)
class Part:
    """The stand-ins for the extracts in one part of a run.

    :param number: the same for all readings of a part that is not halved
    :param divisible: whether there are halves
    """

    number: int
    divisible: bool
    sources: Mapping[str, Source]


class Partitions:
    """The extracts of a run, in parts.

    :param keys: by the name of an extract, the column by which it is cut; an extract without one is in every part
    :param columns: of each extract, those that are read
    """

    def __init__(
        self,
        extracts: Mapping[str, Source],
        columns: Mapping[str, list[str]],
        keys: Mapping[str, str],
        engine: duckdb.DuckDBPyConnection,
        folder: Path,
    ) -> None:
        self._extracts = extracts
        # a query need not read the column by which its rows are cut
        self._columns = {name: [*read, *({keys.get(name, read[0])} - set(read))] for name, read in columns.items()}
        self._keys = keys
        self._engine = engine
        self._folder = folder
        self._hash_partitions: dict[str, list[HashPartition]] = {}
        self._parts: list[range] = []

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Part]:
        """Yield one part after the other; one that was halved is followed by its first half."""
        if not self._parts:
            self._cut()
        place = 0
        while place < len(self._parts):
            part = self._parts[place]
            yield Part(part.start, len(part) > 1, self._stand_ins(part))
            if self._parts[place] == part:
                place += 1

    def halve(self, part: Part) -> None:
        """Halve a part that does not fit the memory, and those after it: they are as large, and would fail first."""
        place = next(i for i, other in enumerate(self._parts) if other.start == part.number)
        self._parts[place:] = [half for whole in self._parts[place:] for half in _halves(whole)]

    def _cut(self) -> None:
        budget = memory_limit(self._engine) // _SHARE
        sizes = [self._guess(name) for name in self._keys]
        # an extract of unknown size is cut as finely as possible
        guess = sum(size if size is not None else _MOST * budget for size in sizes)
        if guess <= budget // _SMALL:
            self._parts = [range(1)]
            return
        log.info("Cutting %s by %s, on the local disk", ", ".join(self._keys), ", ".join(self._keys.values()))
        count = _FEWEST
        while count < min(_MOST, 4 * guess // budget):
            count *= 2
        for i, (name, extract) in enumerate(self._extracts.items()):
            key = self._keys.get(name)
            files = [HashPartition(self._folder / f"{i}-{k}.arrow") for k in range(count if key else 1)]
            store(extract, self._columns[name], key, files, self._engine)
            self._hash_partitions[name] = files
        self._parts = list(
            _merged([sum(self._hash_partitions[n][k].size for n in self._keys) for k in range(count)], budget)
        )

    def _stand_ins(self, part: range) -> Mapping[str, Source]:
        if not self._hash_partitions:
            return self._extracts
        return {
            name: stored(extract, self._columns[name], self._hash_partitions[name][part.start : part.stop])
            if name in self._keys
            else stored(extract, self._columns[name], self._hash_partitions[name])
            for name, extract in self._extracts.items()
        }

    def _guess(self, name: str) -> int | None:
        source = self._extracts[name]
        if source.rows is None:
            return None
        return source.rows * sum(_width(source.schema.field(column).type) for column in self._columns[name])


def keys_of(partition_by: str | Mapping[str, str] | None, extracts: Mapping[str, Source]) -> dict[str, str]:
    """Return the column by which each extract is cut, from the user's setting.

    :param partition_by: the name of a column that all extracts that have it are cut by, or a column for each extract
    :raises ConfigurationError: no extract has it, or its type cannot identify an order's rows
    """
    if not partition_by:
        return {}
    keys = (
        _keys_by_name(partition_by, extracts)
        if isinstance(partition_by, str)
        else _keys_by_extract(partition_by, extracts)
    )
    types = {name: extracts[name].schema.field(column).type for name, column in keys.items()}
    if len({key_kind(type_) for type_ in types.values()}) > 1:
        shown = ", ".join(f"{name}.{keys[name]} is {type_}" for name, type_ in types.items())
        raise ConfigurationError(f"partition_by: the columns must be of one type, and {shown}; cast them in the export")
    return keys


def _keys_by_name(column: str, extracts: Mapping[str, Source]) -> dict[str, str]:
    """Return the column of this name in each extract that has one."""
    named = {name: _spelled(source, column) for name, source in extracts.items()}
    keys = {name: spelled for name, spelled in named.items() if spelled is not None}
    if not keys:
        names = [other for extract in extracts.values() for other in extract.schema.names]
        raise ConfigurationError(f"partition_by: there is no column {column!r}{nearest(column, names)}")
    if len(keys) > 1 and column.lower() == "id":
        raise ConfigurationError(
            f"partition_by: {' and '.join(keys)} have a column {column!r} each, and not every id is that of the "
            'order; name the column of each that holds it, for example {"orders": "id", "items": "order_id"}'
        )
    return keys


def _keys_by_extract(columns: Mapping[str, str], extracts: Mapping[str, Source]) -> dict[str, str]:
    """Return the named column of each named extract."""
    if unknown := [str(name) for name in columns if name not in extracts]:
        raise ConfigurationError(
            f"partition_by: there is no extract {', '.join(unknown)}; there are {', '.join(extracts)}"
        )
    keys: dict[str, str] = {}
    for name, column in columns.items():
        spelled = _spelled(extracts[name], column)
        if spelled is None:
            near = nearest(column, readable_schema(extracts[name].schema).names)
            raise ConfigurationError(f"partition_by: the extract {name} has no column {column!r}{near}")
        keys[name] = spelled
    return keys


def _spelled(source: Source, column: str) -> str | None:
    return Scope("", {f.name: f.type for f in readable_schema(source.schema)}).column(column)


def _halves(part: range) -> list[range]:
    middle = (part.start + part.stop) // 2
    return [half for half in (range(part.start, middle), range(middle, part.stop)) if half]


def _merged(sizes: list[int], budget: int) -> Iterator[range]:
    """Yield ranges of neighbouring partitions, each as large as `budget` allows, or one partition."""
    start, total = 0, 0
    for number, size in enumerate(sizes):
        if number > start and total + size > budget:
            yield range(start, number)
            start, total = number, 0
        total += size
    yield range(start, len(sizes))


def _width(type_: pa.DataType) -> int:
    if pa.types.is_dictionary(type_):
        return _width(type_.value_type)
    if pa.types.is_struct(type_):
        return sum(_width(field.type) for field in type_)
    if pa.types.is_map(type_):
        return _ELEMENTS * (_width(type_.key_type) + _width(type_.item_type))
    if pa.types.is_nested(type_):
        return _ELEMENTS * _width(type_.value_type)
    try:
        return int(type_.bit_width) // 8 + 1
    except ValueError:
        return _TEXT_BYTES


def memory_limit(engine: duckdb.DuckDBPyConnection) -> int:
    """Return the bytes of the engine's memory limit."""
    setting = str(engine.execute("SELECT current_setting('memory_limit')").fetchall()[0][0])
    number, _, unit = setting.partition(" ")
    return int(float(re.sub(r"[^0-9.]", "", number)) * 1024 ** _UNITS.get(unit, 0))
