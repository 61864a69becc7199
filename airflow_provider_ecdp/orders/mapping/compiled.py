"""A field of an order, compiled: SQL of its value, and its contributions to the query as a whole. Immutable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from airflow_provider_ecdp.orders.mapping.sums import Sum
from airflow_provider_ecdp.orders.names import Expression


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a mapping cannot be compiled.

    :param path: of the field, empty without a field
    :param consequence: whether this may be only the consequence of another problem of the field, or of its members
    """

    path: str
    text: str
    consequence: bool = False


@dataclass(frozen=True, slots=True)
class ParsedText:
    """JSON text that is parsed once for each row, in a column in addition to those of the extract.

    :param name: of the column with the parsed value
    :param problem_name: of the column with a problem of the row, NULL where there is none
    """

    name: str
    sql: str
    problem_name: str
    problem_sql: str


@dataclass(frozen=True, slots=True)
class CompiledField:
    """A field, or several.

    :param value: None if nothing gives it, or if there are problems
    :param origins: paths, and where each field comes from, in words
    :param sums: paths of sums that are added up after they are gathered
    :param differing: paths, and SQL that is true if the value differs between the lines of an order
    """

    value: Expression | None = None
    problems: tuple[Problem, ...] = ()
    origins: tuple[tuple[str, str], ...] = ()
    parsed: tuple[ParsedText, ...] = ()
    sums: tuple[tuple[str, Sum], ...] = ()
    differing: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, value: Expression | None, parts: Iterable[CompiledField]) -> CompiledField:
        """Return a value that is made of parts."""
        parts = tuple(parts)
        return cls(
            value,
            tuple(chain.from_iterable(part.problems for part in parts)),
            tuple(chain.from_iterable(part.origins for part in parts)),
            tuple(chain.from_iterable(part.parsed for part in parts)),
            tuple(chain.from_iterable(part.sums for part in parts)),
            tuple(chain.from_iterable(part.differing for part in parts)),
        )

    @classmethod
    def failed(cls, path: str, text: str, *, consequence: bool = False) -> CompiledField:
        """Return a field with a problem."""
        return cls(problems=(Problem(path, text, consequence),))

    def with_value(self, value: Expression) -> CompiledField:
        """Return the field with another value."""
        return replace(self, value=value)

    def from_origin(self, path: str, origin: str) -> CompiledField:
        """Return the field with its origin in words, before those of its parts."""
        return replace(self, origins=((path, origin), *self.origins))


def texts(problems: Iterable[Problem]) -> list[str]:
    """Return the texts of problems, each once, without those that may be a consequence of an earlier one."""
    return list(dict.fromkeys(problem.text for problem in _causes(problems)))


def _causes(problems: Iterable[Problem]) -> Iterator[Problem]:
    paths: set[str] = set()
    for problem in problems:
        if not (problem.consequence and any(f"{path}.".startswith(f"{problem.path}.") for path in paths)):
            paths.add(problem.path)
            yield problem
