"""Every parameter of every operator, and every method of the hook, is documented."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from airflow_provider_ecdp.hooks.ecdp import EcdpHook, HookOptions
from airflow_provider_ecdp.operators import ecdp
from airflow_provider_ecdp.operators.parameters import attribute
from airflow_provider_ecdp.transfers import parquet_to_ecdp, parquet_to_ecdp_changes

MODULES = (ecdp, parquet_to_ecdp, parquet_to_ecdp_changes)

OPERATORS = {
    name: found
    for module in MODULES
    for name, found in vars(module).items()
    if name.endswith("Operator") and not name.startswith("_") and found.__module__ == module.__name__
}

#: Parameters of ParquetToEcdpOperator that say where the extract is, and how it becomes orders.
OF_FILES = {"on_missing", "path", "extracts", "partitions", "mapping", "sql", "partition_by", "object_storage_conn_id"}
OF_FILES |= {"retry_failed"}


def parameters(operator):
    """Default and whether it is templated, by parameter."""
    found = [one for one in inspect.signature(operator).parameters.values() if one.kind is one.KEYWORD_ONLY]
    return {one.name: (written(one.default), attribute(one.name) in operator.template_fields) for one in found}


def written(default):
    """Return a default as the page writes it."""
    if default is inspect.Parameter.empty:
        return "required"
    return f"`{json.dumps(default) if isinstance(default, str) else repr(default)}`"


@pytest.fixture
def documented(page):
    """Default and whether it is templated, by the parameters in the section of an operator."""

    def find(title):
        rows = page("operators").table(title, "parameter")
        return {row["parameter"].strip("`"): (row["default"], row["templated"] == "yes") for row in rows}

    return find


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - {"EcdpPushOrdersOperator"}))
def test_every_parameter_of_an_operator_is_documented(name, documented):
    assert documented(name) == parameters(OPERATORS[name])


def test_the_operator_for_lists_has_the_parameters_of_the_one_for_files_and_its_own(documented):
    shared = {name: row for name, row in documented("ParquetToEcdpOperator").items() if name not in OF_FILES}
    assert documented("EcdpPushOrdersOperator") | shared == parameters(OPERATORS["EcdpPushOrdersOperator"])


@pytest.mark.parametrize("name", OPERATORS)
def test_what_a_parameter_means_begins_with_the_words_of_its_help(name, page):
    helps = {one.name: plain(one.help) for one in OPERATORS[name].parameters.values()}
    rows = {row["parameter"].strip("`"): plain(row["meaning"]) for row in page("operators").table(name, "parameter")}
    wrong = {
        parameter: (meaning, helps[parameter])
        for parameter, meaning in rows.items()
        if parameter in helps and meaning and not meaning.startswith(helps[parameter])
    }
    assert wrong == {}


def plain(text):
    """Return a text without the marks of Markdown."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text).replace("`", "")


def test_every_operator_is_listed(page):
    listed = {row["operator"].strip("[").partition("]")[0] for row in page("operators").table("Operators", "operator")}
    assert listed == OPERATORS.keys() | {"EcdpHook", "EcdpOrderSensor", "@task.ecdp_push"}


def test_every_method_of_the_hook_is_documented(page):
    methods = {name for name in vars(EcdpHook) if not name.startswith("_")} - {"get_ui_field_behaviour"}
    methods -= {"get_connection_form_widgets"}
    methods -= {"conn_name_attr", "default_conn_name", "conn_type", "hook_name"}
    cells = [row["method"] for row in page("operators").table("EcdpHook", "method")]
    assert {part.strip("` ").partition("(")[0] for cell in cells for part in cell.split("`, `")} == methods


def test_every_option_of_a_push_is_documented(page):
    cells = [row["option"] for row in page("operators").table("EcdpHook", "option")]
    assert {part.strip("` ") for cell in cells for part in cell.split(",")} == HookOptions.__annotations__.keys()
