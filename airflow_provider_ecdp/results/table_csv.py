"""Results of orders as CSV, in parts, for a file of any size."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: The columns, in their order.
COLUMNS = ("order_id", "outcome", "reason", "http_status", "attempts", "run", "at")

#: Rows of one part.
_ROWS = 1000

#: Text that begins like this would be run by a spreadsheet; some read the wide forms of East Asian text too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_text(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line with the names of the columns, and a line for each row, many lines at a time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for i, row in enumerate(rows, 1):
        writer.writerow([_plain(row[column]) for column in COLUMNS])
        if i % _ROWS == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    if text.tell():
        yield text.getvalue()


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
