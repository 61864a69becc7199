"""Schema drift: columns that are missing, or have another type, compared with the previous run.

The columns that a run reads are kept beside its ledger, and the next run compares them with all columns that it finds,
read or not: another SQL text or mapping does not make another extract. Columns that no run reads change nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_ecdp.errors import ColumnsError
from airflow_provider_ecdp.ledger.settings import OnDrift
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.engine.arrow_types import is_text
from airflow_provider_ecdp.orders.reader import OrderReader

log = logging.getLogger(__name__)

#: Name of the note that holds the columns.
_NOTE = "schema"

#: The type of a column without a value: a day without a value is no evidence of its type.
_NULL = str(pa.null())

#: Changes that a message names.
_LISTED = 20

#: The separator between the path of a column and that of its member.
_MEMBER = re.compile(r"\.|\[\]")

#: Types of columns by their paths, such as `customer.email` or `products[].price`, by the name of the extract.
Columns = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Change:
    """One column that has changed; `now` is its type, None if it is gone."""

    extract: str
    column: str
    was: str
    now: str | None

    def __str__(self) -> str:
        where = f"{self.extract}: {self.column}" if self.extract != "extract" else self.column
        return f"{where} ({self.was}) is gone" if self.now is None else f"{where} was {self.was} and is {self.now}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The columns that a run read; `at` is the time of the record, in ISO format."""

    at: str
    columns: Columns


def detect_drift(orders: OrderReader, ledger: Ledger, on_drift: OnDrift) -> list[Change]:
    """Compare the columns of `orders` with those that the previous run read, and keep those that this one reads.

    If it raises, the record stays unchanged, and the next run compares with it again.

    :param ledger: where the previous run kept its columns
    :raises ColumnsError: columns are gone or have changed, and `on_drift` is FAIL
    """
    if on_drift is OnDrift.IGNORE:
        return []
    before = _before(ledger)
    changes = list(changed(before, all_columns_of(orders)))
    if changes:
        lines = "".join(f"\n  - {change}" for change in changes[:_LISTED])
        if len(changes) > _LISTED:
            lines += f"\n  - and {len(changes) - _LISTED} more"
        message = f"{orders.name} has different columns than in the previous run:{lines}"
        if on_drift is OnDrift.FAIL:
            raise ColumnsError(
                f"{message}\nNothing was sent. If the change is intended, run once with on_drift (--on-drift) set to "
                f"warn; the previous run's columns are in {ledger.path}"
            )
        log.warning("%s", message)
    now = _informative(columns_of(orders), before)
    if now != before:
        kept = {"at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "columns": now}
        ledger.write_note(_NOTE, json.dumps(kept, ensure_ascii=False, indent=1).encode())
    return changes


def drifted(orders: OrderReader, ledger: Ledger) -> list[Change] | None:
    """Return what `detect_drift` would find, None without a previous run; nothing is kept."""
    before = _before(ledger)
    return list(changed(before, all_columns_of(orders))) if before else None


def columns_of(orders: OrderReader) -> Columns:
    """Return the columns that `orders` reads, with their types; members of structs and lists are columns too."""
    return {name: _by_path(read) for name, (read, _) in orders.columns.items()}


def all_columns_of(orders: OrderReader) -> Columns:
    """Return all columns of the extracts of `orders`, read or not, in the same form."""
    return {name: _by_path(schema) for name, schema in orders.schemas.items()}


def changed(before: Columns, now: Columns) -> Iterator[Change]:
    """Yield the columns of `before` that are gone or have another type, in their order."""
    for extract, columns in before.items():
        types = now.get(extract, {})
        for column, was in columns.items():
            type_ = _type(column, was, types)
            if type_ not in (was, _NULL):
                yield Change(extract, column, was, type_)


def recorded(ledger: Ledger) -> Recorded | None:
    """Return the columns that the previous run read, None without a record that can be read.

    :raises StorageError: the storage does not answer
    """
    text = ledger.read_note(_NOTE)
    if text is None:
        return None
    try:
        record = json.loads(text)
        return Recorded(record["at"], record["columns"])
    except (ValueError, KeyError, TypeError):
        log.warning("the columns recorded by an earlier run in %s cannot be read and are not compared", ledger.path)
        return None


def _before(ledger: Ledger) -> Columns:
    record = recorded(ledger)
    return {} if record is None else record.columns


def _type(column: str, was: str, types: Mapping[str, str]) -> str | None:
    """Return the type of a column among `types`: the previous one where the values allow it, None if it is gone."""
    if was == _NULL and _below(column, types):
        return was
    outer = (column[: end.start()] for end in _MEMBER.finditer(column))
    return types.get(column) or next((_NULL for path in outer if types.get(path) == _NULL), None)


def _informative(now: Columns, before: Columns) -> Columns:
    """Return `now`, with the types that columns had before where they have no values now."""
    kept: dict[str, dict[str, str]] = {}
    for extract, columns in now.items():
        kept[extract] = {}
        for column, type_ in columns.items():
            members = _below(column, before.get(extract, {})) if type_ == _NULL else {}
            kept[extract] |= members or {column: type_}
    return kept


def _below(column: str, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the column itself and its members."""
    inner = (f"{column}.", f"{column}[")
    return {path: type_ for path, type_ in columns.items() if path == column or path.startswith(inner)}


def _by_path(schema: pa.Schema) -> dict[str, str]:
    return dict(path for column in schema for path in _leaves(column.name, column.type))


def _leaves(path: str, type_: pa.DataType) -> Iterator[tuple[str, str]]:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_struct(type_):
        for field in type_:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        yield from _leaves(f"{path}[]", type_.value_type)
    else:
        # writers choose freely among the types of text, and the values are the same
        yield path, "string" if is_text(type_) else str(type_)
