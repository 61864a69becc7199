"""Options that several commands share: what is read, and where it is sent."""

from __future__ import annotations

import argparse
from pathlib import Path

ENVIRONMENT = """\
environment:
  ECDP_API_KEY   the API key (in ECDP: Settings > API); it is never an argument
  ECDP_BASE_URL  stands in for --base-url
"""

SELECTING = """\
An extract is a Parquet file, a folder, a glob or an fsspec URL (s3://...). Columns are named as the API's fields, in
camelCase or snake_case; for others, --mapping names a file that says which column is which field, or --sql one with one
SELECT from `extract` that returns such columns.

Extracts of several kinds have names, by which --sql finds them: orders=PATH items=PATH; a name given again adds a path.
What exists as it is written is a path without a name, and so is what has other characters than letters, digits and _
before its first `=`: ./dt=2026-11-22.
"""


def extract(command: argparse.ArgumentParser) -> None:
    """Add what says which orders are read, and how."""
    command.add_argument(
        "extract",
        nargs="+",
        metavar="EXTRACT",
        help="file, folder, glob or URL; several are one run; NAME=PATH gives it a name",
    )
    reading = command.add_argument_group("reading")
    reading.add_argument("--sql", type=Path, metavar="FILE", help="the SQL text that shapes the extract into orders")
    reading.add_argument("--mapping", type=Path, metavar="FILE", help="JSON that says which column is which field")
    reading.add_argument(
        "--partition",
        action="append",
        metavar="COLUMN=VALUE",
        help="read only the folders of this name; again for more values or columns; NAME.COLUMN=VALUE for one extract",
    )
    reading.add_argument(
        "--partition-by",
        action="append",
        metavar="COLUMN",
        help="where an extract is larger than memory: the column that tells which rows are one order's; NAME=COLUMN "
        "for each extract that has a name",
    )
    reading.add_argument(
        "--timezone", metavar="ZONE", help="IANA time zone of timestamps that have none; without it they are refused"
    )
    reading.add_argument(
        "--matching",
        metavar="FIELD",
        help="what the business unit matches customers by: email, phone or crmId is then required",
    )
    reading.add_argument(
        "--warnings-as-errors",
        metavar="NAMES",
        help="warnings that make an order invalid: names with commas between them, or all",
    )
    reading.add_argument(
        "--memory-limit", default="256MB", metavar="SIZE", help="of the SQL engine (default: %(default)s)"
    )
    reading.add_argument("--allow-empty", action="store_true", help="an extract without orders is fine")


def connection(command: argparse.ArgumentParser, in_flight: int | None = None) -> None:
    """Add what says where ECDP is, and how it is talked to."""
    group = command.add_argument_group("connection")
    group.add_argument("--base-url", metavar="URL", help="where ECDP is (default: https://api.ecdp.app)")
    group.add_argument("--ca-bundle", metavar="FILE", help="certificates to trust (default: those of the system)")
    group.add_argument("--allow-http", action="store_true", help="plain http beyond this machine; the key is readable")
    group.add_argument(
        "--connect-timeout", type=float, default=10.0, metavar="S", help="seconds (default: %(default)s)"
    )
    group.add_argument("--read-timeout", type=float, default=60.0, metavar="S", help="seconds (default: %(default)s)")
    group.add_argument(
        "--requests-per-second", type=float, metavar="X", help="maximum requests per second (default: no limit)"
    )
    if in_flight is not None:
        group.add_argument(
            "--max-in-flight",
            type=int,
            default=in_flight,
            metavar="N",
            help="maximum requests in flight (default: %(default)s)",
        )
