"""The arguments of `status` and `delete` that go with an extract of changes."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_extract(command: argparse.ArgumentParser, columns: str) -> argparse._ArgumentGroup:
    """Add what goes with an extract; None is what tells that an option was not given."""
    group = command.add_argument_group("from an extract")
    where = f"file, folder, glob or URL of an extract with the columns {columns}; several are one run"
    group.add_argument("--from", dest="extract", nargs="+", metavar="EXTRACT", help=where)
    group.add_argument("--sql", type=Path, metavar="FILE", help="the SQL text that makes these columns of the extract")
    mapping = "JSON that says which column is which, and what to send for other statuses"
    group.add_argument("--mapping", type=Path, metavar="FILE", help=mapping)
    folders = "read only the folders of this name; repeat for more values or columns"
    group.add_argument("--partition", action="append", metavar="COLUMN=VALUE", help=folders)
    look = "check the rows as this run would, and send nothing"
    group.add_argument("--dry-run", action="store_true", default=None, help=look)
    failed = "how many rows may fail: a count (10) or a share (1%%), default: 0"
    group.add_argument("--max-failed", metavar="N", help=failed)
    results = "keep every row's outcome in this folder, as Parquet; run again to resume where it stopped"
    group.add_argument("--results", metavar="DIR", help=results)
    limit = "maximum results in --json, failures first (default: 1000)"
    group.add_argument("--results-limit", type=int, metavar="N", help=limit)
    group.add_argument("--max-in-flight", type=int, metavar="N", help="maximum requests in flight (default: 4)")
    group.add_argument("--allow-empty", action="store_true", default=None, help="an extract without rows is fine")
    return group
