"""From arguments to the orders of an extract, as `check` and `push` both read them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from airflow_provider_ecdp.api.mode import MatchBy
from airflow_provider_ecdp.cli.interruption import Interruption
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.orders.extract import ParquetExtract
from airflow_provider_ecdp.orders.stream import Orders, OrderSettings

_MATCHED = {MatchBy.EMAIL: "email", MatchBy.PHONE: "phone", MatchBy.CRM_ID: "crmId"}


class InterruptibleOrders(Orders):
    """Orders that end after a signal, between record batches: what was sent of them is still recorded."""

    interruption: Interruption

    def read(self) -> Iterator[pa.RecordBatch]:
        """Yield the orders as `Orders` does, until a signal comes."""
        self.interruption.patient = True
        for batch in super().read():
            if self.interruption.number is not None:
                return
            yield batch


def open_orders(arguments: Namespace, interruption: Interruption) -> Orders:
    """Open the extract that `arguments` name.

    :raises ConfigurationError: a setting cannot be meant, or the file of the SQL text cannot be read
    :raises ExtractError: the extract is not there, is no Parquet, or its columns make no orders
    """
    promoted = arguments.warnings_as_errors or ""
    settings = OrderSettings(
        sql=None if arguments.sql is None else _text(arguments.sql),
        timezone=arguments.timezone,
        matching=None if arguments.matching is None else _MATCHED[MatchBy.parse(arguments.matching)],
        warnings_as_errors=frozenset(name.strip() for name in promoted.split(",") if name.strip()),
        memory_limit=arguments.memory_limit,
    )
    orders = InterruptibleOrders(ParquetExtract.open(*arguments.extract), settings)
    orders.interruption = interruption
    return orders


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the SQL file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"the SQL file {path} is not text in UTF-8") from None
