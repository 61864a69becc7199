"""Defines the command `airflow ecdp`; Airflow reads it at each start, so it imports nothing else."""

from __future__ import annotations

import argparse

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, lazy_load_command

_CONNECTION = Arg(  # type: ignore[no-untyped-call]  # Airflow's
    ("--conn-id",), help="Airflow connection of type ecdp (default: %(default)s)", default="ecdp_default", metavar="ID"
)
_COMMAND = Arg(  # type: ignore[no-untyped-call]  # as above
    ("arguments",),
    help="a command of ecdp and its arguments, such as push orders.parquet --dry-run; ecdp --help lists them",
    nargs=argparse.REMAINDER,
    metavar="COMMAND",
)


def get_ecdp_cli_commands() -> list[CLICommand]:
    """Return the commands of this provider."""
    return [
        ActionCommand(
            name="ecdp",
            help="Run ecdp with a connection of Airflow",
            description="Run a command of ecdp with the key, the base URL and the settings of a connection of Airflow.",
            func=lazy_load_command("airflow_provider_ecdp.airflow_cli.command.run"),
            args=(_CONNECTION, _COMMAND),
        )
    ]
