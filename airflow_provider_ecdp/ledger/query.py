"""Queries of the results of one run or of many: counts, reasons, pages of orders, one order's history, runs.

The rows are read once into an engine that spills beyond its memory limit. The command line and the page in Airflow use
the same queries.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.reader import MEMORY_LIMIT, files_in, read_file, read_rows, results_folder
from airflow_provider_ecdp.ledger.schema import SCHEMA
from airflow_provider_ecdp.orders.engine.connection import locked_engine, reading_from, running
from airflow_provider_ecdp.orders.sources.storage import below, display_path
from airflow_provider_ecdp.results.folders import is_shared
from airflow_provider_ecdp.results.outcome import Outcome, count_failed
from airflow_provider_ecdp.results.reasons import folded

#: The ledger's columns that are read. A content hash takes more time than all others, and people do not need it.
_READ = tuple(name for name in SCHEMA.names if name != "content_hash")

#: The columns of the answers: the ledger's, and the folder of the run, relative to the folder of the query.
COLUMNS = (*_READ, "run")

_SCHEMA = pa.schema([*(SCHEMA.field(name) for name in _READ), pa.field("run", pa.string())])

#: Rows that are folded at a time.
_ROWS = 10_000

_FOLDS = pa.schema([(name, pa.string()) for name in ("outcome", "fold_key", "fold")])

#: Lengths of an interval in seconds. The shortest that gives few enough intervals is used; a month is the longest.
_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400)

_OUTCOMES = pa.array([outcome.value for outcome in Outcome])

#: Orders that were in a request, and those that failed, in SQL.
_SENT = "attempts > 0"
_FAILED = f"outcome IN ({', '.join(repr(outcome.value) for outcome in Outcome if outcome.failed)})"

#: `at` is a keyword of SQL.
_ALL = ", ".join(f'"{column}"' for column in COLUMNS)

#: Key of reasons that differ only in the id of their order: one of them is folded for all.
_FOLD_KEY = "coalesce(replace(reason, order_id, '…'), reason, '')"


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
    """A filter of orders; parts that are not set have no effect.

    :param failed: only outcomes that are failures
    :param outcomes: only these
    :param reason: a text in the reason, in any case
    :param order: a text in the order's id, in any case
    :param text: a text in the order's id or in the reason, in any case
    :param fold: a reason as `Results.reasons` lists it
    """

    failed: bool = False
    outcomes: Sequence[Outcome] = ()
    reason: str | None = None
    order: str | None = None
    text: str | None = None
    fold: str | None = None

    def condition(self) -> tuple[str, list[Any]]:
        """Return a condition in SQL, and its parameters."""
        conditions, values = ["TRUE"], list[Any]()
        outcomes = [o for o in self.outcomes or Outcome if o.failed or not self.failed]
        if len(outcomes) < len(Outcome):
            conditions.append(f"outcome IN ({', '.join('?' * len(outcomes)) or 'NULL'})")
            values += [outcome.value for outcome in outcomes]
        for column, text in (("reason", self.reason), ("order_id", self.order)):
            if text:
                conditions.append(f"contains(lower({column}), lower(?))")
                values.append(text)
        if self.text:
            conditions.append("(contains(lower(order_id), lower(?)) OR contains(lower(reason), lower(?)))")
            values += [self.text, self.text]
        if self.fold is not None:
            conditions.append(f"(outcome, {_FOLD_KEY}) IN (SELECT (outcome, fold_key) FROM folds WHERE fold = ?)")
            values.append(self.fold)
        return " AND ".join(conditions), values


@dataclass(frozen=True, slots=True)
class Row:
    """The outcome of one order in one run."""

    order_id: str | None
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
class Interval:
    """The orders that got their outcome in a part of a run.

    :param start: when it began
    :param seconds: how long it was
    :param requests: requests whose answers gave orders their outcome; the ledger has no others, such as one that was
        answered with 503 and sent again
    :param sent: orders that were in a request
    :param failed: orders that failed, sent or not
    :param repeated: orders that were in more than one request
    """

    start: dt.datetime
    seconds: float
    requests: int
    sent: int
    failed: int
    repeated: int

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        counts = {"requests": self.requests, "sent": self.sent, "failed": self.failed, "repeated": self.repeated}
        return {"start": self.start.isoformat(), "seconds": self.seconds, **counts}


@dataclass(frozen=True, slots=True)
class RunCounts:
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
        return count_failed(self.counts)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        counts = {outcome.value: self.counts.get(outcome, 0) for outcome in Outcome}
        times = {"first": self.first.isoformat(), "last": self.last.isoformat()}
        return {"run": self.path, **times, "total": self.total, **counts}


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders of results inside one folder.

    :param path: folder, or fsspec URL of one
    :param filesystem: fsspec file system of `path`; None finds it from the URL
    :param inside: those that count, by their paths relative to it; None for all
    """

    path: str | os.PathLike[str]
    filesystem: Any = None
    inside: Sequence[str] | None = None


class Results:
    """The results in a folder: of one run, or of all runs in folders inside it. A context manager: it holds an engine.

    Where several rows are about an order, the newest counts, except for `history` and `runs`.

    :param path: folder, or fsspec URL of one; or folders of several tasks, whose results are added up: the newest row
        of an order counts in each of them. No two of them have the same path inside
    :param filesystem: fsspec file system of a `path`; None finds it from the URL
    :param memory_limit: of the engine; beyond it, it spills to disk
    :raises ConfigurationError: there are no results
    :raises StorageError: the storage does not answer
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[Folders],
        filesystem: Any = None,
        *,
        memory_limit: str = MEMORY_LIMIT,
        threads: int = 2,
    ) -> None:
        self._folding = threading.Lock()
        self._folded = False
        if isinstance(path, str | os.PathLike):
            key, places = "order_id", [Folders(path, filesystem)]
        else:
            key, places = "run, order_id", list(path)
        trees = [_Tree.of(place) for place in places]
        self.path = ", ".join(tree.name for tree in trees)
        self._stack = contextlib.ExitStack()
        try:
            self._engine = self._stack.enter_context(locked_engine(memory_limit=memory_limit, threads=threads))
            self._load(trees, key)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        """Return the results themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the engine."""
        self.close()

    def close(self) -> None:
        """Close the engine and remove its temporary files."""
        self._stack.close()

    def counts(self, criteria: Filter = Filter()) -> dict[Outcome, int]:
        """Return how many orders have each outcome."""
        condition, values = self._condition(criteria)
        rows = self._fetch(f"SELECT outcome, count(*) FROM newest WHERE {condition} GROUP BY outcome", values)
        counts = dict(rows)
        return {outcome: counts.get(outcome.value, 0) for outcome in Outcome}

    def reasons(self, criteria: Filter = Filter(failed=True), most: int = 10) -> list[ReasonCount]:
        """Return why orders failed, most common reasons first; ids, positions and amounts in them are folded."""
        self._fold()
        condition, values = self._condition(criteria)
        sql = (
            "SELECT fold, sum(n)::BIGINT AS count, min(id) FROM (SELECT outcome, "
            f"{_FOLD_KEY} AS fold_key, count(*) AS n, min(order_id) AS id FROM newest WHERE {condition} GROUP BY ALL) "
            f"JOIN folds USING (outcome, fold_key) GROUP BY fold ORDER BY count DESC, fold LIMIT {int(most)}"
        )
        return [ReasonCount(fold, int(count), example) for fold, count, example in self._fetch(sql, values)]

    def timeline(self, most: int = 60) -> list[Interval]:
        """Return how the orders got their outcomes over time, in at most `most` intervals of one length."""
        timed = f"{_SENT} OR {_FAILED}"
        ((first, last),) = self._fetch(f'SELECT epoch_us(min("at")), epoch_us(max("at")) FROM newest WHERE {timed}', [])
        if first is None:
            return []
        width = next((width for width in _WIDTHS if last - first < most * width * 1_000_000), _WIDTHS[-1])
        sql = (
            # the orders of one answer have one time, and no other has the same
            f'SELECT (epoch_us("at") - {first}) // {width * 1_000_000} AS i, count(DISTINCT "at") FILTER ({_SENT}), '
            f"count(*) FILTER ({_SENT}), count(*) FILTER ({_FAILED}), count(*) FILTER (attempts > 1) "
            f"FROM newest WHERE {timed} GROUP BY i"
        )
        counts = {i: rest for i, *rest in self._fetch(sql, [])}
        began = dt.datetime.fromtimestamp(first / 1_000_000, dt.UTC)
        return [
            Interval(began + dt.timedelta(seconds=i * width), width, *counts.get(i, (0, 0, 0, 0)))
            for i in range(max(counts) + 1)
        ]

    def page(
        self,
        criteria: Filter = Filter(),
        *,
        sort: Sort = Sort.AT,
        descending: bool = False,
        offset: int = 0,
        limit: int = 100,
    ) -> Page:
        """Return the orders that meet a filter, from `offset` on, at most `limit` of them."""
        condition, values = self._condition(criteria)
        (total,) = next(self._fetch(f"SELECT count(*) FROM newest WHERE {condition}", values))
        direction = "DESC" if descending else "ASC"
        sql = (
            f"SELECT {_ALL} FROM newest WHERE {condition} "
            f'ORDER BY "{sort.value}" {direction} NULLS LAST, order_id, "at" LIMIT {int(limit)} OFFSET {int(offset)}'
        )
        return Page([_row(row) for row in self._fetch(sql, values)], total)

    def each(self, criteria: Filter = Filter()) -> Iterator[Row]:
        """Yield all orders that meet a filter, in the order of writing."""
        condition, values = self._condition(criteria)
        sql = f'SELECT {_ALL} FROM newest WHERE {condition} ORDER BY "at", order_id'
        yield from map(_row, self._fetch(sql, values))

    def history(self, order_id: str) -> list[Row]:
        """Return all rows of one order, in all runs, in the order of writing."""
        sql = f'SELECT DISTINCT {_ALL} FROM results WHERE order_id = ? ORDER BY "at", run'
        return [_row(row) for row in self._fetch(sql, [order_id])]

    def runs(self) -> list[RunCounts]:
        """Return the runs, the newest first."""
        of_orders = (
            'SELECT run, order_id, arg_max(outcome, "at") AS outcome, min("at") AS first, max("at") AS last, 1 AS n '
            "FROM results WHERE order_id IS NOT NULL GROUP BY run, order_id"
        )
        others = 'SELECT run, NULL, outcome, "at", "at", 1 FROM results WHERE order_id IS NULL'
        sql = (
            f"SELECT run, outcome, sum(n)::BIGINT, min(first), max(last) FROM ({of_orders} UNION ALL {others}) "
            "GROUP BY run, outcome ORDER BY run, outcome"
        )
        by_name: dict[str, RunCounts] = {}
        for run, outcome, count, first, last in self._fetch(sql, []):
            earlier = by_name.get(run, RunCounts(run, first, last, {}))
            counts = {**earlier.counts, Outcome(outcome): int(count)}
            by_name[run] = RunCounts(run, min(earlier.first, first), max(earlier.last, last), counts)
        return sorted(by_name.values(), key=lambda run: run.last, reverse=True)

    def _condition(self, criteria: Filter) -> tuple[str, list[Any]]:
        if criteria.fold is not None:
            self._fold()
        return criteria.condition()

    def _fold(self) -> None:
        """Fold the reasons of failures, once."""
        with self._folding:
            if self._folded:
                return
            sql = (
                "SELECT outcome, fold_key, one.reason, one.id FROM (SELECT outcome, "
                f"{_FOLD_KEY} AS fold_key, min(struct_pack(id := order_id, reason := reason)) AS one FROM newest "
                f"WHERE {_FAILED} GROUP BY ALL)"
            )
            rows = self._fetch(sql, [])
            parts = iter(lambda: list(islice(rows, _ROWS)), [])
            batches = (pa.RecordBatch.from_arrays(_folds(part), schema=_FOLDS) for part in parts)
            folds = pa.RecordBatchReader.from_batches(_FOLDS, batches)
            with reading_from(self._engine, "incoming", folds, "folding reasons"):
                self._engine.execute("CREATE TABLE folds AS SELECT * FROM incoming")
            self._folded = True

    def _fetch(self, sql: str, values: list[Any]) -> Iterator[tuple[Any, ...]]:
        with running("asking the results"):
            cursor = self._engine.cursor()
            # by way of Arrow: for Python's times DuckDB itself needs pytz, which may be absent
            reader = cursor.sql(sql, params=values).to_arrow_reader(10_000)
        with contextlib.closing(cursor):
            for batch in reader:
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def _load(self, trees: Sequence[_Tree], key: str) -> None:
        """Read the rows; of those with one `key`, the newest counts."""
        if not any(tree.folders for tree in trees):
            raise ConfigurationError(f"{self.path} has no results of a run")
        read: set[str] = set()
        foreign: set[str] = set()
        batches = (batch for tree in trees for batch in tree.batches(read, foreign))
        rows = pa.RecordBatchReader.from_batches(_SCHEMA, batches)
        with reading_from(self._engine, "incoming", rows, "reading results"):
            self._engine.execute(f"CREATE TABLE results AS SELECT {_ALL} FROM incoming")
        if read and read == foreign:
            raise ConfigurationError(f"{self.path} has no results of a run")
        with running("looking for the newest rows"):
            self._engine.execute(
                f"CREATE TABLE repeated AS SELECT {key} FROM results WHERE order_id IS NOT NULL "
                f"GROUP BY {key} HAVING count(*) > 1"
            )
            ((repeated,),) = self._engine.execute("SELECT count(*) FROM repeated").fetchall()
            packed = ", ".join(f'"{column}" := "{column}"' for column in COLUMNS)
            of_repeated = (
                f"ANTI JOIN repeated USING ({key}) UNION ALL "
                f'SELECT unnest(row) FROM (SELECT arg_max(struct_pack({packed}), "at") AS row '
                f"FROM results SEMI JOIN repeated USING ({key}) GROUP BY {key})"
            )
            self._engine.execute(f"CREATE VIEW newest AS SELECT {_ALL} FROM results {of_repeated if repeated else ''}")


@dataclass(frozen=True, slots=True)
class _Tree:
    """A folder whose folders inside hold results."""

    filesystem: Any
    above: str
    name: str
    folders: Sequence[str]

    @classmethod
    def of(cls, folders: Folders) -> _Tree:
        filesystem, path = results_folder(folders.path, folders.filesystem)
        name = display_path(filesystem, os.fspath(folders.path))
        if folders.inside is not None:
            return cls(filesystem, path, name, [f"{path.rstrip('/')}/{inside}" for inside in folders.inside])
        files = files_in(filesystem, path, name, deep=True)
        return cls(filesystem, path, name, list(dict.fromkeys(file.rpartition("/")[0] for file in files)))

    def batches(self, read: set[str], foreign: set[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows with the folder that each is in.

        :param read: gets the files that are read
        :param foreign: gets those of them that do not hold outcomes
        """
        for folder in self.folders:
            run = below(self.filesystem, self.above, folder)
            if is_shared(run):
                continue

            def listed(folder: str = folder) -> list[str]:
                files = list(files_in(self.filesystem, folder, self.name))
                read.update(files)
                return files

            for batch in read_rows(self.filesystem, self.name, listed, _READ, foreign):
                _refuse_unknown(batch, self.name)
                named = pa.repeat(pa.scalar(run or "."), len(batch))
                yield pa.RecordBatch.from_arrays([*batch.columns, named], schema=_SCHEMA)


def rows_of(filesystem: Any, folder: str, name: str, order_id: str) -> list[Row]:
    """Return all rows of one order in a folder and those inside it, without reading all columns of the others.

    :param name: the user's name for the folder, for messages
    :raises ConfigurationError: a file is damaged
    :raises StorageError: the storage does not answer
    """
    rows = []
    for file in files_in(filesystem, folder, name, deep=True):
        # a file that a compaction has removed meanwhile: its rows are in another
        with contextlib.suppress(FileNotFoundError):
            ids = read_file(filesystem, name, file, ["order_id", "outcome"])
            if any(pc.any(pc.equal(batch.column("order_id"), order_id)).as_py() for batch in ids):
                run = file.rpartition("/")[0]
                for batch in read_file(filesystem, name, file, _READ):
                    of_order = batch.filter(pc.equal(batch.column("order_id"), order_id))
                    _refuse_unknown(of_order, name)
                    rows += [_row((*values.values(), run)) for values in of_order.to_pylist()]
    return rows


def _refuse_unknown(rows: pa.RecordBatch, name: str) -> None:
    """Refuse rows whose outcome this version does not know, and rows without a time: neither can be counted.

    :param name: the user's name for the folder, for the message
    """
    outcomes = rows.column("outcome")
    expected = pc.is_in(outcomes, _OUTCOMES)
    if not pc.all(expected, min_count=0).as_py():
        example = f"the outcome {outcomes.filter(pc.invert(expected))[0].as_py()!r}"
    elif rows.column("at").null_count:
        example = "rows without a time"
    else:
        return
    raise ConfigurationError(
        f"{name} holds {example}, which this version of airflow-provider-ecdp does not know: install the version "
        "that wrote it, or move these files to another folder"
    )


def _folds(rows: Iterable[tuple[str, str, str | None, str | None]]) -> list[pa.Array]:
    """Return the columns of `_FOLDS` for outcomes, keys, and the reason and the id of one order of each."""
    values = ((outcome, key, folded(Outcome(outcome), reason, order_id)) for outcome, key, reason, order_id in rows)
    return [pa.array(column, pa.string()) for column in zip(*values, strict=True)]


def _row(values: tuple[Any, ...]) -> Row:
    facts = dict(zip(COLUMNS, values, strict=True))
    return Row(**{**facts, "outcome": Outcome(facts["outcome"]), "at": facts["at"].astimezone(dt.UTC)})
