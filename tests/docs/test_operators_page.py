"""Every parameter of every operator, and every method of the hook, is documented. The code is read, not imported."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass

import pytest

#: Defaults that the code takes from elsewhere.
NAMED = {"Mode.ADD_OR_REPLACE.value": "AddOrReplace", "Mode.ADD_OR_REPLACE": "AddOrReplace"}
NAMED |= {"EcdpHook.default_conn_name": "ecdp_default", "default_conn_name": "ecdp_default"}

#: Parameters of ParquetToEcdpOperator that say where the extract is.
OF_FILES = {"path", "extracts", "partitions", "mapping", "sql", "partition_by", "object_storage_conn_id"}


@dataclass(frozen=True)
class Class:
    """A class as its code has it: defaults by parameter (`required` for none), and the fields that are templated."""

    parameters: dict[str, str]
    templated: set[str]
    methods: dict[str, dict[str, str]]
    fields: set[str]


@pytest.fixture(scope="session")
def classes(source):
    """The classes of the adapters by name, with what they inherit from each other."""
    files = ("hooks/ecdp.py", "hooks/run_settings.py", "operators/base.py", "operators/push.py", "operators/ecdp.py")
    files += ("transfers/parquet_to_ecdp.py", "transfers/parquet_to_ecdp_changes.py")
    found = {}
    for node in (node for file in files for node in source.trees[file].body if isinstance(node, ast.ClassDef)):
        bases = [found[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in found]
        methods = {m.name: parameters(m) for m in node.body if isinstance(m, ast.FunctionDef)}
        inherited = {name: default for base in bases for name, default in base.parameters.items()}
        templated = {name for base in bases for name in base.templated} | template_fields(node)
        fields = {f.target.id for f in node.body if isinstance(f, ast.AnnAssign)}
        found[node.name] = Class(inherited | methods.get("__init__", {}), templated, methods, fields)
    return found


def parameters(method):
    defaults = [None] * (len(method.args.args) - len(method.args.defaults)) + method.args.defaults
    pairs = [*zip(method.args.args, defaults, strict=True)][1:]
    pairs += zip(method.args.kwonlyargs, method.args.kw_defaults, strict=True)
    return {argument.arg: "required" if default is None else written(default) for argument, default in pairs}


def written(default):
    """Return a default as the page writes it; a name of the code's own is not for pages."""
    try:
        value = NAMED.get(ast.unparse(default)) or ast.literal_eval(default)
    except ValueError:
        return ""
    shown = json.dumps(value) if isinstance(value, str) else repr(value)
    return f"`{shown}`"


def template_fields(node):
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "template_fields":
            return {part.value for part in statement.value.elts if isinstance(part, ast.Constant)}
    return set()


@pytest.fixture
def documented(page):
    """Default and whether it is templated, by the parameters in the section of an operator."""

    def find(title):
        rows = page("operators").table(title, "parameter")
        return {row["parameter"].strip("`"): (row["default"], row["templated"] == "yes") for row in rows}

    return find


@pytest.mark.parametrize(
    "name",
    [
        "ParquetToEcdpOperator",
        "ParquetToEcdpStatusesOperator",
        "ParquetToEcdpDeletionsOperator",
        "EcdpUpdateOrderStatusOperator",
        "EcdpDeleteOrderOperator",
        "EcdpGetOrderOperator",
    ],
)
def test_every_parameter_of_an_operator_is_documented(name, classes, documented):
    assert documented(name) == expected(classes[name])


def test_the_operator_for_lists_has_the_parameters_of_the_one_for_files_and_its_own(classes, documented):
    shared = {name: row for name, row in documented("ParquetToEcdpOperator").items() if name not in OF_FILES}
    assert documented("EcdpPushOrdersOperator") | shared == expected(classes["EcdpPushOrdersOperator"])


def expected(operator):
    return {name: (default, name in operator.templated) for name, default in operator.parameters.items()}


def test_every_operator_is_listed(page, classes):
    operators = {name for name in classes if name.endswith("Operator") and not name.startswith("_")}
    listed = {row["operator"].strip("[").partition("]")[0] for row in page("operators").table("Operators", "operator")}
    # these two are what the others are made of
    assert listed == operators - {"EcdpOperator", "PushOperator"} | {"EcdpHook"}


def test_every_method_of_the_hook_is_documented(page, classes):
    methods = {name for name in classes["EcdpHook"].methods if not name.startswith("_")} - {"get_ui_field_behaviour"}
    cells = [row["method"] for row in page("operators").table("EcdpHook", "method")]
    assert {part.strip("` ").partition("(")[0] for cell in cells for part in cell.split("`, `")} == methods


def test_every_setting_of_a_push_is_documented(page, classes):
    settings = classes["RunSettings"].fields
    cells = [row["setting"] for row in page("operators").table("EcdpHook", "setting")]
    assert {part.strip("` ") for cell in cells for part in cell.split(",")} == settings


@pytest.mark.slow
def test_what_is_read_of_the_code_is_what_airflow_sees(classes):
    from airflow_provider_ecdp.operators import ecdp
    from airflow_provider_ecdp.transfers import parquet_to_ecdp, parquet_to_ecdp_changes

    for name, read in classes.items():
        found = (getattr(module, name, None) for module in (ecdp, parquet_to_ecdp, parquet_to_ecdp_changes))
        operator = next(filter(None, found), None)
        if operator is not None and name.endswith("Operator") and not name.startswith("_"):
            assert set(operator.template_fields) == read.templated
