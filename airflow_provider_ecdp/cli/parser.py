"""The arguments of every command. Values are checked where they are used; here only their form is."""

from __future__ import annotations

import argparse
import datetime as dt
import difflib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_ecdp import __version__
from airflow_provider_ecdp.by_id.settings import ChangeSettings, DeletionSettings
from airflow_provider_ecdp.cli.exit_codes import EXPLAINED
from airflow_provider_ecdp.cli.options import ENVIRONMENT, SELECTING, add_extract, add_settings, connection, extract
from airflow_provider_ecdp.cli.output import one_line
from airflow_provider_ecdp.push.settings import PushSettings

#: Faults of the sandbox that have an option of their own; --faults knows all of them.
FAULTS: dict[str, tuple[type, str]] = {
    "seed": (int, "the same seed gives the same faults"),
    "latency_ms": (float, "mean time to answer, in milliseconds"),
    "requests_per_second": (float, "answer faster requests with 429"),
    "retry_after": (float, "seconds that a 429 or 503 asks to wait"),
    "throttle": (float, "how often to answer 429"),
    "error_before": (float, "how often to answer 5xx, not having processed the request"),
    "error_after": (float, "how often to answer 5xx, having processed it"),
    "reset_before": (float, "how often to reset the connection before processing"),
    "reset_after": (float, "how often to reset the connection after processing"),
    "reject_every": (int, "refuse orders whose trailing number is divisible by this"),
}


#: Minimum share of letters in common with another word for a suggestion.
_ALIKE = 0.6


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command; without any, print the help.

    :param argv: the arguments without the program's name
    :raises SystemExit: wrong usage (2), or a request for the help or the version (0)
    """
    root, commands = _parsers()
    if not argv:
        root.print_help(sys.stderr)
        raise SystemExit(2)
    name = next((word for word in argv if not word.startswith("-")), None)
    if name is not None and name not in commands:
        hint = _nearest(name, commands) or f"; there are {', '.join(commands)}"
        root.error(f"there is no command {one_line(name)}{hint}")
    arguments, unknown = root.parse_known_args(argv)
    if unknown:
        commands[arguments.command].error(_unknown(unknown, arguments.command, commands))
    return arguments


def _unknown(words: Sequence[str], name: str, commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """Return the error message for words that the command `name` does not take."""
    option = next((word.partition("=")[0] for word in words if word.startswith("-")), None)
    if option is None:
        return f"it does not take {one_line(' '.join(words))}"
    options = {command: _options(parser) for command, parser in commands.items()}
    if option in options[name]:
        return f"options follow the command: ecdp {name} {option}"
    others = ", ".join(command for command, listed in options.items() if option in listed)
    hint = f"; it is one of ecdp {others}" if others else _nearest(option, options[name])
    return f"there is no option {one_line(option)}{hint}"


def _options(command: argparse.ArgumentParser) -> list[str]:
    return [option for action in command._actions for option in action.option_strings]  # noqa: SLF001  # argparse has no other list of them


def _nearest(word: str, words: Iterable[str]) -> str:
    # that of orders.names needs Arrow, and help has to come at once
    similar = difflib.get_close_matches(word.lower().replace("_", "-"), list(words), n=1, cutoff=_ALIKE)
    return f"; did you mean {similar[0]}?" if similar else ""


def parser() -> argparse.ArgumentParser:
    """Return the parser; its result names the module of the command in `module`."""
    return _parsers()[0]


def _parsers() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Return the parser, and those of its commands."""
    root = argparse.ArgumentParser(
        prog="ecdp",
        description="Send orders from Parquet extracts to ExpertSender CDP, and read, change or delete them there.",
        epilog=f"{ENVIRONMENT}\n{EXPLAINED}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"ecdp {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _check(_command(commands, "check", "check", "read an extract and check every order; send nothing"))
    _push(_command(commands, "push", "push", "send the orders of an extract"))
    _get(_command(commands, "get", "by_id", "print orders as stored in ECDP"))
    _status(_command(commands, "status", "by_id", "change the status of orders"))
    _delete(_command(commands, "delete", "by_id", "mark orders as deleted"))
    _results(_command(commands, "results", "results", "list the orders of earlier runs, erase one, merge small files"))
    _mapping(_command(commands, "mapping", "mapping", "suggest a mapping from the columns of an extract"))
    _sandbox(_command(commands, "sandbox", "sandbox", "run a stand-in for ECDP on this machine"))
    _sample(_command(commands, "sample", "sample", "write an extract of made-up orders"))
    return root, commands.choices


def _command(commands: Any, name: str, module: str, summary: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(module=module)
    output = command.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print one JSON object on one line on stdout")
    output.add_argument("--quiet", action="store_true", help="print no report and no progress, only errors")
    output.add_argument("--verbose", action="store_true", help="print each step, and the traceback of an error")
    return command


def _check(command: argparse.ArgumentParser) -> None:
    command.epilog = f"{SELECTING}\n{EXPLAINED}"
    extract(command)
    command.add_argument_group("results").add_argument(
        "--results",
        metavar="DIR",
        help="results of earlier pushes: orders accepted there count as sent, and columns are compared",
    )


def _push(command: argparse.ArgumentParser) -> None:
    command.epilog = f"{SELECTING}\n{ENVIRONMENT}\n{EXPLAINED}"
    extract(command)
    sending = command.add_argument_group("sending")
    sending.add_argument(
        "--dry-run", action="store_true", help="check the extract with these options, and send nothing"
    )
    add_settings(sending, PushSettings, without=["allow_empty", "results_limit", "max_in_flight"])
    results = command.add_argument_group("results")
    results.add_argument(
        "--results",
        metavar="DIR",
        help="keep every order's outcome in this folder, as Parquet; run again to resume where it stopped",
    )
    results.add_argument(
        "--only-changed",
        metavar="DIR",
        help="send only new or changed orders; DIR records what was sent",
    )
    results.add_argument(
        "--full-resync",
        action="store_true",
        help="send all orders, changed or not, and record them in the folder of --only-changed",
    )
    results.add_argument(
        "--retry-failed",
        metavar="DIR",
        help="also send orders that were rejected or unresolved in earlier runs, if their extracts still have them; "
        "DIR records them",
    )
    results.add_argument("--replay-from", metavar="DIR", help="send only the orders that failed in these results")
    add_settings(results, PushSettings, names=["results_limit"])
    connection(command, in_flight=True)


def _get(command: argparse.ArgumentParser) -> None:
    _ids(command)
    connection(command)
    _missing_ok(command)


def _status(command: argparse.ArgumentParser) -> None:
    _ids(
        command,
        "order id; the last argument is the status: placed, paid, completed or canceled",
        usage="ID [ID ...] STATUS",
    )
    command.add_argument("--website-id", type=int, metavar="N", help="send this websiteId (default: none)")
    _missing_ok(command)
    add_extract(command, "columns `order_id`, `status` and optionally `website_id`", ChangeSettings)
    connection(command)


def _delete(command: argparse.ArgumentParser) -> None:
    _ids(command, usage="ID [ID ...]")
    command.add_argument(
        "--missing-fails", action="store_true", help="count an order that ECDP does not have as failed"
    )
    noted = "record the deletions in the history of push --only-changed, which then sends these orders again"
    command.add_argument("--only-changed", metavar="DIR", help=noted)
    add_extract(command, "column `order_id`", DeletionSettings)
    connection(command)


def _results(command: argparse.ArgumentParser) -> None:
    usages = ("DIR", "DIR forget ORDER [ORDER ...]", "DIR compact", "DIR prune --keep-days N")
    command.usage = "\n       ".join(f"%(prog)s [options] {usage}" for usage in usages)
    command.add_argument("dir", metavar="DIR", help="folder or URL with the results of one run or of many")
    command.add_argument(
        "action",
        nargs="*",
        metavar="ACTION",
        help="forget ORDER ...: erase all rows of these orders; compact: merge small files; prune: remove the results "
        "of old runs of Airflow tasks",
    )
    which = command.add_argument_group("which orders")
    which.add_argument("--failed", action="store_true", help="only orders that failed")
    which.add_argument("--outcome", action="append", metavar="OUTCOME", help="only this outcome; repeatable")
    which.add_argument("--reason", metavar="TEXT", help="only orders with this text in their reason")
    which.add_argument("--order", metavar="ID", help="the history of one order, over all runs")
    which.add_argument(
        "--limit", type=int, default=100, metavar="N", help="maximum orders to list (default: %(default)s)"
    )
    which.add_argument("--csv", action="store_true", help="print all matching orders as CSV")
    command.add_argument_group("compact and prune").add_argument(
        "--keep-days",
        type=float,
        metavar="N",
        help="compact: drop older rows, except the newest of each order; prune: remove older runs",
    )


def _mapping(command: argparse.ArgumentParser) -> None:
    command.usage = "%(prog)s [options] suggest EXTRACT [EXTRACT ...]"
    command.add_argument("action", choices=["suggest"], metavar="suggest", help="print a mapping to edit")
    command.add_argument("extract", nargs="+", metavar="EXTRACT", help="file, folder, glob or URL of one extract")
    command.add_argument("--order-id", metavar="COLUMN", help="column of the order id (default: found by its name)")


def _sandbox(command: argparse.ArgumentParser) -> None:
    command.epilog = "How often a fault occurs: a number below 1 is a probability; N ≥ 1 means every Nth request."
    command.add_argument(
        "--host", default="127.0.0.1", help="address to listen on, of this machine only (default: %(default)s)"
    )
    command.add_argument(
        "--port",
        type=int,
        default=8765,
        metavar="N",
        help="port to listen on; 0 picks a free one (default: %(default)s)",
    )
    command.add_argument("--key", default="sandbox-key", help="API key to require (default: %(default)s)")
    command.add_argument(
        "--database", type=Path, metavar="FILE", help="keep the orders in this SQLite file (default: a temporary one)"
    )
    faults = command.add_argument_group("faults")
    for name, (kind, meaning) in FAULTS.items():
        metavar = "N" if kind is int else "X"
        faults.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=meaning)
    faults.add_argument(
        "--faults", metavar="JSON", help="any faults as JSON, such as '{\"vague\": true}', or @FILE to read it from"
    )


def _sample(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="Parquet file to write")
    command.add_argument(
        "--orders", type=int, default=10_000, metavar="N", help="number of orders (default: %(default)s)"
    )
    command.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the same seed gives the same orders (default: %(default)s)"
    )
    command.add_argument(
        "--faulty",
        type=int,
        default=0,
        metavar="N",
        help="number of orders that break a rule of the API (default: %(default)s)",
    )
    command.add_argument(
        "--odd", type=int, default=0, metavar="N", help="number of orders that cause a warning (default: %(default)s)"
    )
    command.add_argument(
        "--lines",
        action="store_true",
        help="write one row per order line, and an .sql file beside FILE that turns the lines into orders",
    )
    command.add_argument(
        "--day",
        type=_day,
        metavar="YYYY-MM-DD",
        help="day of all orders (default: spread over 2025)",
    )


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a day such as 2026-11-01, not {text!r}") from None


def _ids(command: argparse.ArgumentParser, text: str = "order id", usage: str | None = None) -> None:
    command.epilog = f"{ENVIRONMENT}\n{EXPLAINED}"
    command.add_argument("id", nargs="*" if usage else "+", metavar="ID", help=text)
    if usage:
        command.usage = f"%(prog)s [options] {usage}\n       %(prog)s [options] --from EXTRACT [EXTRACT ...]"


def _missing_ok(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--missing-ok", action="store_true", help="do not count an order that ECDP does not have as failed"
    )
