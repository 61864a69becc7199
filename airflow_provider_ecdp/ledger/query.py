"""Queries of the results of one run or of many: counts, reasons, pages of orders, one order's history, runs.

The rows are read once into an engine that spills beyond its memory limit. For people: the command line, and a page in
Airflow, ask the same questions.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import fsspec
import pyarrow as pa

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.reader import files_in, read_rows
from airflow_provider_ecdp.ledger.schema import SCHEMA
from airflow_provider_ecdp.orders.engine.connection import locked_engine, reading_from, running
from airflow_provider_ecdp.orders.sources.storage import display_path, without_credentials
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.reasons import folded

#: The columns of the answers: the ledger's, and the folder of the run, relative to the folder that was asked.
COLUMNS = (*SCHEMA.names, "run")

_SCHEMA = pa.schema([*SCHEMA, pa.field("run", pa.string())])

#: Folders of a results root whose rows are in the folders of the runs too.
_SHARED = ("/history/", "/deleted=")

#: `at` is a keyword of SQL.
_ALL = ", ".join(f'"{column}"' for column in COLUMNS)

_DISTINCT_REASONS = 1000


class Sort(enum.StrEnum):
    """Columns by which a page can be sorted."""

    ORDER_ID = "order_id"
    OUTCOME = "outcome"
    REASON = "reason"
    HTTP_STATUS = "http_status"
    ATTEMPTS = "attempts"
    AT = "at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which orders are wanted; what is not set does not count.

    :param failed: only outcomes that are failures
    :param outcomes: only these
    :param reason: a text in the reason, in any case
    :param order: a text in the order's id, in any case
    """

    failed: bool = False
    outcomes: Sequence[Outcome] = ()
    reason: str | None = None
    order: str | None = None

    def condition(self) -> tuple[str, list[Any]]:
        """Return a condition in SQL, and its parameters."""
        conditions, values = ["TRUE"], list[Any]()
        wanted = [o for o in self.outcomes or Outcome if o.failed or not self.failed]
        if len(wanted) < len(Outcome):
            conditions.append(f"outcome IN ({', '.join('?' * len(wanted)) or 'NULL'})")
            values += [outcome.value for outcome in wanted]
        for column, text in (("reason", self.reason), ("order_id", self.order)):
            if text:
                conditions.append(f"contains(lower({column}), lower(?))")
                values.append(text)
        return " AND ".join(conditions), values


@dataclass(frozen=True, slots=True)
class Row:
    """The outcome of one order in one run."""

    order_id: str | None
    content_hash: str | None
    outcome: Outcome
    reason: str | None
    http_status: int | None
    attempts: int | None
    at: dt.datetime
    run: str

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types, as a result in XCom, with time and run."""
        names = ("order_id", "reason", "http_status", "attempts", "run")
        return {
            **{name: getattr(self, name) for name in names[:1]},
            "outcome": self.outcome.value,
            **{name: getattr(self, name) for name in names[1:]},
            "at": self.at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the rows that meet a filter, and how many do."""

    rows: list[Row]
    total: int


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many orders failed for one reason, and one of them."""

    reason: str
    count: int
    example: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the shape that it has in XCom."""
        return {"reason": self.reason, "count": self.count, "example": self.example}


@dataclass(frozen=True, slots=True)
class Run:
    """The orders of one run by outcome, and when it wrote its first and last of them."""

    path: str
    first: dt.datetime
    last: dt.datetime
    counts: Mapping[Outcome, int]

    @property
    def total(self) -> int:
        """How many orders."""
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        """How many orders failed."""
        return sum(count for outcome, count in self.counts.items() if outcome.failed)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        counts = {outcome.value: self.counts.get(outcome, 0) for outcome in Outcome}
        times = {"first": self.first.isoformat(), "last": self.last.isoformat()}
        return {"run": self.path, **times, "total": self.total, **counts}


class Results:
    """The results in a folder: of one run, or of all runs in folders inside it. A context manager: it holds an engine.

    Of an order that several rows are about, the newest counts, but for `history` and `runs`.

    :param path: folder, or fsspec URL of one
    :param filesystem: fsspec file system of `path`; None finds it from the URL
    :param memory_limit: of the engine; beyond it, it spills to disk
    :raises ConfigurationError: there are no results
    :raises StorageError: the storage does not answer
    """

    def __init__(
        self, path: str | os.PathLike[str], filesystem: Any = None, *, memory_limit: str = "256MB", threads: int = 2
    ) -> None:
        self._folder = os.fspath(path)
        if filesystem is None:
            try:
                filesystem, self._folder = fsspec.url_to_fs(self._folder)
            except (ImportError, ValueError) as error:
                raise ConfigurationError(without_credentials(f"results path {path}: {error}")) from None
        self._filesystem = filesystem
        self.path = display_path(filesystem, os.fspath(path))
        self._stack = contextlib.ExitStack()
        try:
            self._engine = self._stack.enter_context(locked_engine(memory_limit=memory_limit, threads=threads))
            self._load()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        """Return the results themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the engine and remove what it has spilled."""
        self._stack.close()

    def counts(self, wanted: Filter = Filter()) -> dict[Outcome, int]:
        """Return how many orders have each outcome."""
        condition, values = wanted.condition()
        rows = self._fetch(f"SELECT outcome, count(*) FROM newest WHERE {condition} GROUP BY outcome", values)
        counts = dict(rows)
        return {outcome: counts.get(outcome.value, 0) for outcome in Outcome}

    def reasons(self, wanted: Filter = Filter(failed=True), most: int = 10) -> list[ReasonCount]:
        """Return why orders failed, the commonest reasons first; ids, positions and amounts in them are folded."""
        condition, values = wanted.condition()
        counts: Counter[str] = Counter()
        examples: dict[str, str | None] = {}
        sql = f"SELECT outcome, reason, min(order_id), count(*) FROM newest WHERE {condition} GROUP BY ALL ORDER BY ALL"
        for outcome, reason, order_id, count in self._fetch(sql, values):
            text = folded(Outcome(outcome), reason, order_id)
            if text in examples or len(examples) < _DISTINCT_REASONS:
                counts[text] += count
                examples.setdefault(text, order_id)
        return [ReasonCount(text, count, examples[text]) for text, count in counts.most_common(most)]

    def page(
        self,
        wanted: Filter = Filter(),
        *,
        sort: Sort = Sort.AT,
        descending: bool = False,
        offset: int = 0,
        limit: int = 100,
    ) -> Page:
        """Return the orders that meet a filter, from `offset` on, at most `limit` of them."""
        condition, values = wanted.condition()
        (total,) = next(self._fetch(f"SELECT count(*) FROM newest WHERE {condition}", values))
        direction = "DESC" if descending else "ASC"
        sql = (
            f"SELECT {_ALL} FROM newest WHERE {condition} "
            f'ORDER BY "{sort.value}" {direction} NULLS LAST, order_id, "at" LIMIT {int(limit)} OFFSET {int(offset)}'
        )
        return Page([_row(row) for row in self._fetch(sql, values)], total)

    def each(self, wanted: Filter = Filter()) -> Iterator[Row]:
        """Yield all orders that meet a filter, in the order of writing."""
        condition, values = wanted.condition()
        sql = f'SELECT {_ALL} FROM newest WHERE {condition} ORDER BY "at", order_id'
        yield from map(_row, self._fetch(sql, values))

    def history(self, order_id: str) -> list[Row]:
        """Return all rows of one order, in all runs, in the order of writing."""
        sql = f'SELECT DISTINCT {_ALL} FROM results WHERE order_id = ? ORDER BY "at", run'
        return [_row(row) for row in self._fetch(sql, [order_id])]

    def runs(self) -> list[Run]:
        """Return the runs, the newest first."""
        of_orders = (
            'SELECT run, order_id, arg_max(outcome, "at") AS outcome, min("at") AS first, max("at") AS last, 1 AS n '
            "FROM results WHERE order_id IS NOT NULL GROUP BY run, order_id"
        )
        others = 'SELECT run, NULL, outcome, "at", "at", 1 FROM results WHERE order_id IS NULL'
        sql = (
            f"SELECT run, outcome, sum(n), min(first), max(last) FROM ({of_orders} UNION ALL {others}) "
            "GROUP BY run, outcome ORDER BY run, outcome"
        )
        found: dict[str, Run] = {}
        for run, outcome, count, first, last in self._fetch(sql, []):
            known = found.get(run, Run(run, first, last, {}))
            counts = {**known.counts, Outcome(outcome): int(count)}
            found[run] = Run(run, min(known.first, first), max(known.last, last), counts)
        return sorted(found.values(), key=lambda run: run.last, reverse=True)

    def _fetch(self, sql: str, values: list[Any]) -> Iterator[tuple[Any, ...]]:
        with running("asking the results"):
            cursor = self._engine.cursor()
            cursor.execute(sql, values)
        with contextlib.closing(cursor):
            while rows := cursor.fetchmany(10_000):
                yield from rows

    def _load(self) -> None:
        files = files_in(self._filesystem, self._folder, self.path, deep=True)
        folders = list(dict.fromkeys(file.rpartition("/")[0] for file in files))
        if not folders:
            raise ConfigurationError(f"{self.path} holds no results of a run")
        rows = pa.RecordBatchReader.from_batches(_SCHEMA, self._batches(folders))
        with reading_from(self._engine, "incoming", rows, "reading results"):
            self._engine.execute(f"CREATE TABLE results AS SELECT {_ALL} FROM incoming")
        with running("looking for the newest rows"):
            self._engine.execute(
                "CREATE TABLE repeated AS SELECT order_id FROM results WHERE order_id IS NOT NULL "
                "GROUP BY order_id HAVING count(*) > 1"
            )
            packed = ", ".join(f'"{column}" := "{column}"' for column in COLUMNS)
            self._engine.execute(
                "CREATE VIEW newest AS SELECT * FROM results ANTI JOIN repeated USING (order_id) UNION ALL "
                f'SELECT unnest(row) FROM (SELECT arg_max(struct_pack({packed}), "at") AS row '
                "FROM results SEMI JOIN repeated USING (order_id) GROUP BY order_id)"
            )

    def _batches(self, folders: list[str]) -> Iterator[pa.RecordBatch]:
        above = self._filesystem._strip_protocol(self._folder).rstrip("/") + "/"  # noqa: SLF001 - fsspec has no public name for it
        for folder in folders:
            inner = self._filesystem._strip_protocol(folder).rstrip("/") + "/"  # noqa: SLF001 - as above
            run = inner.removeprefix(above).rstrip("/")
            if any(shared in f"/{run}" for shared in _SHARED):
                continue

            def listed(folder: str = folder) -> list[str]:
                return list(files_in(self._filesystem, folder, self.path))

            for batch in read_rows(self._filesystem, self.path, listed, SCHEMA.names):
                named = pa.repeat(pa.scalar(run or "."), len(batch))
                yield pa.RecordBatch.from_arrays([*batch.columns, named], schema=_SCHEMA)


def _row(values: tuple[Any, ...]) -> Row:
    facts = dict(zip(COLUMNS, values, strict=True))
    return Row(**{**facts, "outcome": Outcome(facts["outcome"]), "at": facts["at"].astimezone(dt.UTC)})
