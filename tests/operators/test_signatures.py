"""The signatures that type checkers and editors see: made of the table of settings, compared with what is written."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import typing

import pytest

from airflow_provider_ecdp.operators.ecdp import (
    EcdpDeleteOrderOperator,
    EcdpGetOrderOperator,
    EcdpPushOrdersOperator,
    EcdpUpdateOrderStatusOperator,
)
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator
from airflow_provider_ecdp.transfers.parquet_to_ecdp_changes import (
    ParquetToEcdpDeletionsOperator,
    ParquetToEcdpStatusesOperator,
)

#: By the type that a setting has when it is read, what a DAG may give for it, templates aside.
ARGUMENTS = {
    "bool": "bool | Templated",
    "int": "int | Templated",
    "int | None": "int | Templated | None",
    "float | None": "float | timedelta | Templated | None",
    "str": "Templated",
    "str | None": "Templated | None",
    "frozenset[str]": "Iterable[str] | Templated",
    "Mapping[str, Any] | None": "Mapping[str, Any] | Templated | None",
    "Mapping[str, Any] | str | None": "Mapping[str, Any] | Templated | None",
    "str | Mapping[str, str] | None": "Mapping[str, str] | Templated | None",
    "Any": "Any",
}


def argument(table, name):
    written = {field.name: field.type for field in dataclasses.fields(table)}[name]
    if written not in ARGUMENTS and issubclass(typing.get_type_hints(table)[name], enum.StrEnum):
        return "Templated"
    return ARGUMENTS[written]


def signature(operator, own=()):
    """Return the lines of the `__init__` of an operator; `own` are those of parameters that are no settings."""
    tables = {field.name: table for table in operator.tables for field in dataclasses.fields(table)}
    lines = [
        f"{name}: {argument(tables[name], name)}{'' if setting.required else ' = ...'},"
        for name, setting in operator.parameters.items()
    ]
    return ["def __init__(", "self,", "*,", "task_id: str,", *own, *lines, "**kwargs: Any,", ") -> None: ..."]


@pytest.mark.parametrize(
    ("operator", "own"),
    [
        (ParquetToEcdpOperator, []),
        (ParquetToEcdpStatusesOperator, []),
        (ParquetToEcdpDeletionsOperator, []),
        (EcdpPushOrdersOperator, ["orders: _Orders | XComArg | Callable[..., _Orders],"]),
        (EcdpGetOrderOperator, ["order_id: _OrderIds,", "include_customer: bool = ...,"]),
        (
            EcdpUpdateOrderStatusOperator,
            [
                "order_id: _OrderIds | None = ...,",
                "status: Templated | None = ...,",
                "website_id: int | Templated | None = ...,",
                "updates: Sequence[Mapping[str, Any]] | XComArg | None = ...,",
            ],
        ),
        (EcdpDeleteOrderOperator, ["order_id: _OrderIds,"]),
    ],
)
def test_the_signature_for_type_checkers_is_that_of_the_table(operator, own):
    lines = [line.strip() for line in inspect.getsource(operator).splitlines() if line.strip()]
    expected = signature(operator, own)
    start = lines.index("if TYPE_CHECKING:") + 1
    assert lines[start : start + len(expected)] == expected, "write instead:\n" + "\n".join(expected)
