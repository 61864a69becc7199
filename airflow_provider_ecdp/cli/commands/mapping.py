"""`ecdp mapping suggest`: drafts a mapping from the columns of an extract."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.exit_codes import Exit
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.orders.mapping.suggestion import find_order_id, fits, suggest
from airflow_provider_ecdp.orders.names import nearest
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource

#: Rows whose ids are compared: enough to see order lines, few enough to answer at once.
_ROWS = 200_000


def run(arguments: Namespace, _interruption: Interruption) -> int:
    """Print the mapping, and return the exit code."""
    source = ParquetSource.open(*arguments.extract)
    if arguments.order_id is not None:
        _check_id(arguments.order_id, source)
    order_id = arguments.order_id or find_order_id(source.schema)
    repeats = order_id in source.schema.names and _repeats(source, str(order_id))
    suggestion = suggest(source.schema, order_id=arguments.order_id, repeats=repeats)
    if arguments.json:
        output.out_json(
            {
                "mapping": suggestion.mapping,
                "missing": suggestion.missing,
                "notes": suggestion.notes,
                "lines": suggestion.lines,
            }
        )
    else:
        heading = [
            f"A mapping suggested from the columns of {output.one_line(source.name)}. Edit it, save it,",
            "and check the result: ecdp check EXTRACT --mapping mapping.json",
        ]
        # escaped as in JSON, so that the name of a column stays itself
        output.out_json_text(suggestion.text(heading))
    return Exit.DONE


def _check_id(column: str, source: ParquetSource) -> None:
    """Refuse a column that the extract does not have, or whose values cannot be ids."""
    names = source.schema.names
    if column not in names:
        raise ConfigurationError(f"there is no column {column!r}{nearest(column, names)}")
    type_ = source.schema.field(column).type
    if not fits("id", type_):
        raise ConfigurationError(
            f"--order-id: the column {column!r} is {type_}, which an order's id cannot be; name a column of text or of "
            "whole numbers, or cast it where the extract is made"
        )


def _repeats(source: ParquetSource, column: str) -> bool:
    """Whether a value appears in more than one of the first rows."""
    seen: set[object] = set()
    rows = 0
    for batch in source.batches([column]):
        values = batch.column(0).drop_null().to_pylist()
        seen.update(values)
        rows += len(values)
        if len(seen) < rows or rows >= _ROWS:
            break
    return len(seen) < rows
