"""The arguments of `status` and `delete` that go with an extract of changes."""

from __future__ import annotations

import argparse
from pathlib import Path

from airflow_provider_ecdp.by_id.settings import ChangeRowSettings, ChangeSettings
from airflow_provider_ecdp.cli.options import add_settings


def add_extract(command: argparse.ArgumentParser, columns: str, table: type[ChangeSettings]) -> None:
    """Add what goes with an extract; the command has the names of these arguments in `of_extract`."""
    group = command.add_argument_group("from an extract")
    where = f"file, folder, glob or URL of an extract with the columns {columns}; several are one run"
    group.add_argument("--from", dest="extract", nargs="+", metavar="EXTRACT", help=where)
    folders = "read only the folders of this name; repeat for more values or columns"
    group.add_argument("--partition", action="append", metavar="COLUMN=VALUE", help=folders)
    look = "check the rows as this run would, and send nothing"
    group.add_argument("--dry-run", action="store_true", default=None, help=look)
    results = "keep every row's outcome in this folder, as Parquet; run again to resume where it stopped"
    group.add_argument("--results", metavar="DIR", help=results)
    add_settings(group, ChangeRowSettings, sql={"type": Path}, mapping={"type": Path})
    # whether a missing order is a failure has an option for ids too
    add_settings(group, table, without=["missing"])
    command.set_defaults(of_extract=[action.dest for action in group._group_actions if action.dest != "extract"])  # noqa: SLF001  # argparse has no other list of them
