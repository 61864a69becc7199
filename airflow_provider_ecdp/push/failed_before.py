"""Orders that earlier runs left rejected or unresolved, by their extract, so that the next run sends them.

A folder for each extract that still has such orders: a ledger of them, and a note that describes the extract.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.errors import EcdpError, MissingSourceError
from airflow_provider_ecdp.ledger.reader import folders_in, results_folder
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader, Selection
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.results.outcome import BatchOutcome, Outcome

log = logging.getLogger(__name__)

#: Outcomes that put an order on the list. Orders that are not attempted or invalid stay on it if they were on it.
_NOTED = {Outcome.REJECTED, Outcome.UNRESOLVED}

_NOTE = "extract"

_GONE = "no longer in the extract"
_SUPERSEDED = "a later extract has this order"


@dataclasses.dataclass(slots=True)
class FailedExtract:
    """The orders of one extract that earlier runs left.

    :param description: to open the extract again, plain JSON types
    :param pending: the ids that no batch of this run has had so far
    """

    name: str
    description: Mapping[str, Any]
    ledger: Ledger
    pending: set[str]


class FailedBefore:
    """Remembers which orders failed, over all runs. Not thread-safe.

    Takes the outcomes of a run as a ledger does, and keeps those that decide which orders are still to be sent.

    :param path: folder or URL; one subfolder for each extract that has such orders
    :param filesystem: fsspec file system of `path`; None finds it from the URL
    :param extract: describes the extract of this run, in plain JSON types
    :param reopen: opens the extract of a description
    :raises StorageError: the storage does not answer
    """

    def __init__(
        self,
        path: str,
        filesystem: Any,
        extract: Mapping[str, Any],
        reopen: Callable[[Mapping[str, Any]], OrderReader],
    ) -> None:
        self.path = path
        self._filesystem, folder = results_folder(path, filesystem)
        self._folder = folder.rstrip("/")
        self._reopen = reopen
        self._own = self._load(_name_of(extract), extract)
        names = folders_in(self._filesystem, self._folder, self.path)
        loaded = (self._load(name) for name in names if name != self._own.name)
        self._others = [extract for extract in loaded if extract.pending]
        self._current = self._own
        self._listed = pa.array(sorted({i for extract in self._all for i in extract.pending}), pa.string())
        #: orders of this run that had failed in earlier runs
        self.sent_again = 0

    def __len__(self) -> int:
        """Return how many orders of earlier runs no batch of this run has had."""
        return sum(len(extract.pending) for extract in self._all)

    @property
    def _all(self) -> list[FailedExtract]:
        return [self._own, *self._others]

    def _load(self, name: str, description: Mapping[str, Any] | None = None) -> FailedExtract:
        ledger = Ledger(f"{self._folder}/{name}", self._filesystem)
        if description is None:
            note = ledger.read_note(_NOTE)
            description = json.loads(note) if note else {}
        left = ledger.replayable_orders()
        return FailedExtract(name, description, ledger, set(left[0]["order_id"].to_pylist()) if left else set())

    def log_plan(self) -> None:
        """Log how many orders are sent again."""
        if len(self):
            log.info(
                "%s failed in earlier runs; those that their extracts still have are sent again (%s)",
                number_of(len(self), "order"),
                self.path,
            )

    def earlier(self, stopped: Callable[[], bool]) -> Iterator[tuple[FailedExtract, Selection]]:
        """Yield the extracts of earlier runs that have such orders, and a selection of those orders.

        The outcomes that follow are those of these orders.

        :param stopped: whether nothing more is to be sent
        :raises ExtractError: the ids of an extract cannot be read
        """
        for extract in self._others:
            if stopped():
                return
            if not extract.pending:
                continue
            count = number_of(len(extract.pending), "order")
            try:
                orders = self._reopen(extract.description)
            except MissingSourceError as error:
                log.warning("%s that failed in earlier runs cannot be sent again: %s", count, error)
                self.forget(extract)
                continue
            except EcdpError as error:
                log.warning("%s of earlier runs left for the next run: %s", count, error)
                continue
            with orders:
                log.info("Sending again %s of %s", count, orders.name)
                selection = orders.select(only=pa.table({"order_id": pa.array(sorted(extract.pending), pa.string())}))
                self._current = extract
                yield extract, selection

    def forget(self, extract: FailedExtract) -> None:
        """Remove orders that their extract no longer has from the list."""
        if extract.pending:
            ids = sorted(extract.pending)
            extract.ledger.add(_unsent(ids), [_GONE] * len(ids))
            extract.pending.clear()

    def close(self, *, complete: bool) -> None:
        """Remove the folders of extracts that no longer have such orders.

        :param complete: whether the run has read its extract to the end
        """
        try:
            if complete:
                self.forget(self._own)
            self.flush()
            for extract in self._all:
                left = extract.ledger.replayable_orders()
                if left is None or not len(left[0]):
                    self._remove(extract)
        except EcdpError as error:
            # the next run sends some orders once more
            log.warning("%s", error)

    def _remove(self, extract: FailedExtract) -> None:
        try:
            self._filesystem.rm(f"{self._folder}/{extract.name}", recursive=True)
        except FileNotFoundError:
            pass
        except OSError as error:
            # the next run finds nothing to send in it
            log.info("%s was not removed: %s", extract.ledger.path, error)

    # the interface of a ledger, for a run

    @property
    def failures(self) -> int:
        """Writes in a row that have failed."""
        return max(extract.ledger.failures for extract in self._all)

    def begin(self) -> None:
        """Describe this run's extract for the runs after it."""
        if self._own.ledger.read_note(_NOTE) is None:
            self._own.ledger.write_note(_NOTE, json.dumps(dict(self._own.description)).encode())

    def add(self, batch: BatchOutcome, reasons: Sequence[str | None] | None) -> None:
        """Note orders that failed, and the outcomes of those that had failed before."""
        ids = batch.orders.column("order_id")
        before = pc.fill_null(pc.is_in(ids, value_set=self._listed), fill_value=False)
        again = set(ids.filter(before).to_pylist())
        self.sent_again += len(again)
        for extract in self._all:
            superseded = extract.pending & again
            extract.pending -= again
            if superseded and extract is not self._current:
                extract.ledger.add(_unsent(sorted(superseded)), [_SUPERSEDED] * len(superseded))
        noted = pc.is_valid(ids) if batch.outcome in _NOTED else before
        rows = pc.indices_nonzero(noted)
        if len(rows):
            kept = dataclasses.replace(batch, orders=batch.orders.take(rows), reasons=None)
            self._current.ledger.add(kept, None if reasons is None else [reasons[i] for i in rows.to_pylist()])

    def flush_if_due(self) -> None:
        """Begin to write in the background, if the last time is long ago or much is pending."""
        for extract in self._all:
            extract.ledger.flush_if_due()

    def due_in(self) -> float | None:
        """Return the seconds until a flush is due; None if nothing is pending."""
        return min((due for extract in self._all if (due := extract.ledger.due_in()) is not None), default=None)

    def flush(self) -> None:
        """Write pending rows, and wait for it."""
        for extract in self._all:
            extract.ledger.flush()


def _name_of(description: Mapping[str, Any]) -> str:
    text = json.dumps(description, sort_keys=True).encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest()[:16]


def _unsent(ids: Sequence[str]) -> BatchOutcome:
    columns = {"order_id": pa.array(ids, pa.string()), "content_hash": pa.nulls(len(ids), pa.string())}
    return BatchOutcome(pa.RecordBatch.from_pydict(columns), Outcome.SKIPPED)
