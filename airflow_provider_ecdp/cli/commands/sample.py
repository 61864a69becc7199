"""`ecdp sample`: writes an extract of made-up orders."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.exit_codes import Exit
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.results.numbers import number_of
from airflow_provider_ecdp.sample import LINES_SQL, Sample

#: Endings of Parquet files; one without an ending is Parquet too.
_PARQUET = ("", ".parquet", ".pq")


def run(arguments: Namespace, _interruption: Interruption) -> int:
    """Write the sample, print the next command, and return the exit code."""
    sample = Sample(
        orders=arguments.orders,
        seed=arguments.seed,
        faulty=arguments.faulty,
        odd=arguments.odd,
        lines=arguments.lines,
        day=arguments.day,
    )
    _refuse_other_formats(arguments.file)
    sample.write(arguments.file)
    sql = arguments.file.with_suffix(".sql") if arguments.lines else None
    if sql is not None:
        try:
            sql.write_text(LINES_SQL, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{sql} cannot be written: {error.strerror}") from None
    if arguments.json:
        output.out_json({"file": str(arguments.file), "orders": sample.orders, "sql": sql and str(sql)})
    elif not arguments.quiet:
        sql_option = f" --sql {sql}" if sql else ""
        output.out(
            f"{number_of(sample.orders, 'order')} in {arguments.file}\n"
            f"  ecdp check {arguments.file}{sql_option}\n"
            f"  ecdp push {arguments.file}{sql_option}"
        )
    return Exit.DONE


def _refuse_other_formats(file: Path) -> None:
    if file.suffix.lower() not in _PARQUET:
        raise ConfigurationError(
            f"a sample is Parquet, and {file} would not be read as Parquet: name it {file.with_suffix('.parquet')}"
        )
