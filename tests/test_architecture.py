"""What may know what: the core runs without Airflow, orders and api do not know each other."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "airflow_provider_ecdp"
MODULES = {path.relative_to(ROOT).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]


def drawn(heading):
    """Return what each folder may import, by the table of docs/architecture.md whose first column has this heading."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = re.search(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {name.strip("`"): set(re.findall(r"`(\w+)`", imported)) for name, _, imported in rows}


#: The parts of the package that may import only some of the others; `errors` is at the bottom of all.
MAY_IMPORT = {name: {*imported, name} for name, imported in drawn("folder").items()}
MAY_IMPORT["errors"] = set()

#: The folders of the package that may import Airflow.
ADAPTERS = {"assets", "hooks", "notifications", "observability", "operators", "plugin"}
ADAPTERS |= {"airflow_cli", "decorators", "sensors", "transfers", "triggers"}

#: The folders in `orders`, likewise.
ORDERS_MAY_IMPORT = drawn("folder of orders")

#: Modules of one folder.
MOST_MODULES = 12

#: Packages that do something when they are imported: a program, and what is one name to its users.
IMPORTED_WHOLE = {"cli", "sample"}

#: Libraries that a part must do without.
MUST_NOT_NEED = {
    "orders": {"requests", "urllib3", "http", "socket"},
    "api": {"pyarrow", "duckdb", "fsspec"},
    "errors": {"pyarrow", "duckdb", "requests"},
    "dry_run": {"requests", "rich"},
    "sandbox": {"pyarrow", "duckdb", "requests"},
}


def imports(path):
    """Return the full names of the modules that a module imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part(name):
    """Return the part of the package that a file or a module belongs to."""
    return re.split(r"[/.]", name)[1]


def own_parts(path):
    names = {name for name in imports(path) if name.startswith("airflow_provider_ecdp.")}
    return {part(name) for name in names} - {"__version__"}


def adapters():
    """Return the patterns of files that ruff lets import Airflow: the list is the statement of what an adapter is."""
    patterns = [pattern for pattern, rules in SETTINGS["per-file-ignores"].items() if "TID251" in rules]
    spread = []
    for pattern in patterns:
        options = re.search(r"\{(.*)\}", pattern)
        choices = options[1].split(",") if options else [""]
        spread += [pattern.replace(options[0], choice) if options else pattern for choice in choices]
    return spread


CORE = [name for name in MODULES if not any(fnmatch(name, pattern) for pattern in adapters())]


# Airflow


def test_airflow_is_banned_but_for_the_adapters():
    assert SETTINGS["select"] == ["ALL"]
    assert "airflow" in SETTINGS["flake8-tidy-imports"]["banned-api"]
    assert not {"TID251", "TID"} & set(SETTINGS["ignore"])
    assert {part(name) for name in set(MODULES) - set(CORE)} == ADAPTERS


def test_the_quick_tests_of_the_core_leave_out_those_of_the_adapters(request):
    """Their modules import Airflow, which is out of reach then."""
    tests = Path(__file__).parent
    conftest = request.config.pluginmanager.get_plugin(str(tests / "conftest.py"))
    assert {name for name in ADAPTERS if (tests / name).exists()} <= conftest.WITH_AIRFLOW
    assert all((tests / path).exists() for path in conftest.WHOLE_RUNS)


@pytest.mark.parametrize(
    ("statement", "module", "allowed"),
    [
        ("import airflow", "push/run.py", False),
        ("from airflow.sdk import BaseHook", "orders/reader.py", False),
        ("def f():\n    import airflow.models", "cli/commands/push.py", False),
        ("from airflow.sdk import BaseHook", "hooks/ecdp.py", True),
        ("from airflow_provider_ecdp import errors", "push/run.py", True),
    ],
)
def test_ruff_finds_an_import_of_airflow_in_the_core(statement, module, allowed):
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", "--output-format", "concise"]
    ruff = subprocess.run(
        [*command, "--stdin-filename", f"airflow_provider_ecdp/{module}", "-"],
        input=f"{statement}\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ruff.returncode == (0 if allowed else 1), ruff.stdout + ruff.stderr
    assert ("TID251" in ruff.stdout) is not allowed


def test_no_module_of_the_core_imports_airflow():
    found = {name: [i for i in imports(MODULES[name]) if i.split(".")[0] == "airflow"] for name in CORE}
    assert {name: names for name, names in found.items() if names} == {}


WITHOUT_AIRFLOW = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "airflow":
            raise ModuleNotFoundError(f"{name} is not installed here")

sys.meta_path.insert(0, Blocker())
for name in MODULES:
    importlib.import_module(name)

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.push.run import push
from airflow_provider_ecdp.sandbox.server import SandboxServer

extract, results = sys.argv[1:]
with (
    SandboxServer("sandbox-key") as sandbox,
    EcdpClient("sandbox-key", ClientSettings(base_url=sandbox.url)) as client,
    OrderReader(ParquetSource.open(extract)) as orders,
):
    report = push(orders, client, prior_runs=PriorRuns(Ledger(results)))
assert "airflow" not in sys.modules
print(report.summary["accepted"], report.summary["total"], report.failed)
"""


def test_the_core_pushes_an_extract_where_airflow_cannot_be_imported(tmp_path, order):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([order(f"A-{i}") for i in range(3)]), tmp_path / "orders.parquet")
    names = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in CORE]
    runnable = [name for name in names if not name.endswith("__main__")]
    program = WITHOUT_AIRFLOW.replace("MODULES", repr(runnable))
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "orders.parquet"), str(tmp_path / "results")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["3", "3", "0"], done.stderr
    assert len(runnable) > 40


# who knows whom


def test_orders_and_api_do_not_know_each_other():
    for name, path in MODULES.items():
        assert not (part(name) == "orders" and "api" in own_parts(path)), name
        assert not (part(name) == "api" and "orders" in own_parts(path)), name


def test_every_part_is_an_adapter_or_may_import_only_what_is_said_here():
    above = ADAPTERS | {"cli", "demo.py", "__main__.py", "__init__.py", "get_provider_info.py"}
    assert {name.split("/")[1] for name in MODULES} - above == {
        f"{p}.py" if (PACKAGE / f"{p}.py").exists() else p for p in MAY_IMPORT
    }


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_part_imports_what_is_drawn_below_it(name):
    of_part = {n: path for n, path in MODULES.items() if part(n) == name and n in CORE}
    assert of_part
    reached = {n: own_parts(path) - {name} for n, path in of_part.items()}
    assert {n: parts - MAY_IMPORT[name] for n, parts in reached.items() if parts - MAY_IMPORT[name]} == {}
    assert set().union(*reached.values()) == MAY_IMPORT[name] - {name}, "an arrow is drawn, and no module has it"


def test_a_dry_run_imports_no_module_that_sends():
    harmless = {
        "push": {"settings"},
        "by_id": {"settings", "queue"},
        "api": {"mode", "redaction"},
        "runs": {"progress"},
    }
    paths = [path for name, path in MODULES.items() if part(name) == "dry_run"]
    own = [i.split(".") for path in paths for i in imports(path) if i.startswith("airflow_provider_ecdp.")]
    assert {f"{names[1]}.{names[2]}" for names in own if names[2] not in harmless.get(names[1], {names[2]})} == set()


def test_the_folders_of_orders_are_those_that_are_drawn():
    assert {path.name for path in (PACKAGE / "orders").iterdir() if (path / "__init__.py").exists()} == set(
        ORDERS_MAY_IMPORT
    )


@pytest.mark.parametrize("name", ORDERS_MAY_IMPORT)
def test_a_folder_of_orders_imports_what_is_drawn(name):
    orders = "airflow_provider_ecdp.orders."
    reached = {
        i.removeprefix(orders).split(".")[0]
        for path in (PACKAGE / "orders" / name).glob("*.py")
        for i in imports(path)
        if i.startswith(orders)
    }
    assert reached - {name} == ORDERS_MAY_IMPORT[name]


def test_no_folder_has_more_than_a_dozen_modules():
    counts = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in MODULES.values() if path.name[:2] != "__")
    assert {name: count for name, count in counts.items() if count > MOST_MODULES} == {}


def test_hooks_do_not_know_operators_nor_operators_transfers():
    order = ["hooks", "operators", "transfers"]
    for lower, upper in itertools.combinations(order, 2):
        for path in (PACKAGE / lower).glob("*.py"):
            assert upper not in own_parts(path), path


@pytest.mark.parametrize("name", MUST_NOT_NEED)
def test_a_part_does_without_the_libraries_of_the_others(name):
    used = {n: {i.split(".")[0] for i in imports(path)} for n, path in MODULES.items() if part(n) == name}
    assert used
    assert {
        n: libraries & MUST_NOT_NEED[name] for n, libraries in used.items() if libraries & MUST_NOT_NEED[name]
    } == {}


def test_no_import_goes_in_a_circle():
    names = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for name, path in MODULES.items()
    }
    graph = {}
    for name, path in names.items():
        found = imports(path)
        graph[name] = {i for i in found if i in names} | {
            i.rpartition(".")[0] for i in found if i.rpartition(".")[0] in names
        }
        graph[name] -= {name, "airflow_provider_ecdp"}
    while free := {name for name, needed in graph.items() if not needed}:
        graph = {name: needed - free for name, needed in graph.items() if name not in free}
    assert graph == {}


# form


def test_the_package_imports_nothing_when_it_is_imported():
    """Airflow reads it while it discovers providers, before its configuration is ready."""
    assert imports(PACKAGE / "__init__.py") == set()


@pytest.mark.parametrize("name", sorted({part(name) for name in MODULES if name.count("/") > 1} - IMPORTED_WHOLE))
def test_a_folder_imports_nothing_when_it_is_imported(name):
    assert imports(PACKAGE / name / "__init__.py") == set()


def test_functions_are_limited_by_complexity_and_not_modules_by_length():
    assert SETTINGS["mccabe"]["max-complexity"] <= 10
    assert SETTINGS["pylint"]["max-statements"] <= 40


def test_every_module_says_what_it_is_for():
    undocumented = [name for name, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert undocumented == []


def test_every_module_is_in_the_table_of_the_page():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w/]+\.py)` \| \S.* \|$", page.partition("\n## Modules\n")[2], re.MULTILINE)
    modules = [path.relative_to(PACKAGE).as_posix() for path in MODULES.values() if not path.name.startswith("__")]
    assert sorted(listed) == sorted(modules), "add or remove rows in docs/architecture.md, section Modules"


def test_no_module_is_a_drawer_for_odds_and_ends():
    drawers = {"utils", "util", "common", "core", "helpers", "misc"}
    assert [name for name in MODULES if set(re.split(r"[/.]", name)) & drawers] == []
