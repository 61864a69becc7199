"""The meaning of names in a mapping: the columns of an extract, and the members of its structs.

A name is matched exactly; failing that, in any case, if only one column matches.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import folded_name, on_one_line
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier

#: Names of columns in a message.
_LISTED = 30


@dataclass(frozen=True, slots=True)
class Expression:
    """SQL of a value, and its Arrow type. `constant`: it is the same in every row."""

    sql: str
    type: pa.DataType
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Names that SQL can reach through `base`, such as the alias of a table, and their types.

    `spelled` maps columns to other names that SQL knows them by.
    """

    base: str
    types: Mapping[str, pa.DataType]
    spelled: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_struct(cls, base: str, type_: pa.DataType) -> Self:
        """Return the members of a struct."""
        return cls(base, {type_.field(i).name: type_.field(i).type for i in range(type_.num_fields)})

    def column(self, name: str) -> str | None:
        """Return the name as the extract spells it; None if no column matches, or more than one."""
        if name in self.types:
            return name
        matches = [spelling for spelling in self.types if spelling.lower() == name.lower()]
        return matches[0] if len(matches) == 1 else None

    def find(self, name: str) -> Expression | None:
        """Return the column `name`, or the member of a struct that `name` leads to by dots."""
        if column := self.column(name):
            return Expression(self._sql(column), self.types[column])
        head, _, rest = name.partition(".")
        column = self.column(head)
        if column is None or not rest or not pa.types.is_struct(self.types[column]):
            return None
        return Scope.of_struct(self._sql(column), self.types[column]).find(rest)

    def names(self) -> list[str]:
        """Return the names that `find` knows, those of members with their dots."""
        dotted = []
        for name, type_ in self.types.items():
            dotted.append(name)
            if pa.types.is_struct(type_):
                dotted += [f"{name}.{inner}" for inner in Scope.of_struct("", type_).names()]
        return dotted

    def _sql(self, column: str) -> str:
        return f"{self.base}.{quote_identifier(self.spelled.get(column, column))}"


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return the end of a sentence with up to three of the `candidates` that resemble `name`; empty if none do."""
    folded: dict[str, str] = {}
    for candidate in candidates:
        folded.setdefault(folded_name(candidate), candidate)
    close = difflib.get_close_matches(folded_name(name), folded, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(folded[f]) for f in close)}?" if close else ""


def likely(names: Sequence[str]) -> str:
    """Return the end of a sentence that suggests these columns, all of them; empty without any."""
    if not names:
        return ""
    *others, last = map(repr, names)
    return f"; did you mean {', '.join(others)}{' and ' if others else ''}{last}?"


def listed(names: Sequence[str]) -> str:
    """Return names for a message, the first of them if they are many: a warehouse's table can have thousands."""
    more = len(names) - _LISTED
    return ", ".join(map(on_one_line, names[:_LISTED])) + (f" and {more:,} more" if more > 0 else "")
