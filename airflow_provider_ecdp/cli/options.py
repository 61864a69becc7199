"""Options that several commands share: those of the extract, and those of the connection."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.by_id.settings import ChangeRowSettings, ChangeSettings
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.runs.settings import RunSettings
from airflow_provider_ecdp.settings import Setting, settings_of

ENVIRONMENT = """\
environment:
  ECDP_API_KEY   the API key (in ECDP: Settings > API); it is never an argument
  ECDP_BASE_URL  used if --base-url is not given
"""

SELECTING = """\
An extract is a Parquet file, a folder, a glob or an fsspec URL (s3://...). Its columns are named like the API's
fields, in camelCase or snake_case. Otherwise --mapping says which column is which field, or --sql is one SELECT from
`extract` that returns such columns. `ecdp mapping suggest EXTRACT` prints a mapping to edit.

To join several extracts with --sql, name them: orders=PATH items=PATH. Repeat a name to add a path to it. An argument
is read as a path if that path exists, or if anything but letters, digits and _ precedes its first `=`:
./dt=2026-11-22.
"""


#: Options that take a text, or the name of a file that holds it.
_TEXTS = {"sql", "mapping"}


def add_settings(
    group: argparse._ArgumentGroup,
    table: type,
    *,
    names: Collection[str] | None = None,
    without: Collection[str] = (),
    **special: dict[str, Any],
) -> None:
    """Add an option for each setting of a class, which is None where it is not given.

    :param names: those to add; None for all
    :param without: those that have no option, or have it elsewhere
    :param special: by the name of a setting, further arguments of `add_argument`
    """
    for setting in settings_of(table):
        if setting.name not in without and (names is None or setting.name in names):
            flag: dict[str, Any] = {"action": "store_true"}
            # the settings parse it, and raise a message of one line
            value = {"metavar": setting.kind.metavar}
            arguments = (flag if setting.kind.metavar is None else value) | special.get(setting.name, {})
            group.add_argument(
                f"--{setting.name.replace('_', '-')}", dest=setting.name, default=None, help=_help(setting), **arguments
            )


def _help(setting: Setting) -> str:
    sentence = setting.help if setting.help[:2].isupper() else setting.help[0].lower() + setting.help[1:]
    silent = setting.default is None or isinstance(setting.default, bool | tuple)
    default = "" if silent else f" (default: {setting.default})"
    file = "; the text itself, or a file" if setting.name in _TEXTS else ""
    return f"{sentence}{file}{default}".replace("%", "%%")


def extract(command: argparse.ArgumentParser) -> None:
    """Add the options of reading."""
    command.add_argument(
        "extract",
        nargs="+",
        metavar="EXTRACT",
        help="file, folder, glob or URL; several form one run; NAME=PATH names it for --sql",
    )
    reading = command.add_argument_group("reading")
    reading.add_argument(
        "--partition",
        action="append",
        metavar="COLUMN=VALUE",
        help="read only folders of this name; repeatable for more values or columns; NAME.COLUMN=VALUE for one extract",
    )
    add_settings(
        reading,
        OrderSettings,
        partition_by={"action": "append"},
        matching={"metavar": "FIELD"},
    )
    add_settings(reading, RunSettings, names=["allow_empty"])


def connection(command: argparse.ArgumentParser, *, in_flight: bool = False) -> None:
    """Add the options of the connection."""
    group = command.add_argument_group("connection")
    add_settings(group, ClientSettings, without=() if in_flight else ["max_in_flight"])


def add_extract(command: argparse.ArgumentParser, columns: str, table: type[ChangeSettings]) -> None:
    """Add the options of an extract; the command has the names of these arguments in `of_extract`."""
    group = command.add_argument_group("from an extract")
    where = f"file, folder, glob or URL of an extract with the {columns}; several form one run"
    group.add_argument("--from", dest="extract", nargs="+", metavar="EXTRACT", help=where)
    folders = "read only folders of this name; repeatable for more values or columns"
    group.add_argument("--partition", action="append", metavar="COLUMN=VALUE", help=folders)
    help_text = "check the rows with these options, and send nothing"
    group.add_argument("--dry-run", action="store_true", default=None, help=help_text)
    results = "keep every row's outcome in this folder, as Parquet; run again to resume where it stopped"
    group.add_argument("--results", metavar="DIR", help=results)
    add_settings(group, ChangeRowSettings)
    # whether a missing order is a failure has an option for ids too
    add_settings(group, table, without=["missing"])
    command.set_defaults(of_extract=[action.dest for action in group._group_actions if action.dest != "extract"])  # noqa: SLF001  # argparse has no other list of them
