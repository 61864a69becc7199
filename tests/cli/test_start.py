"""How the command line starts: at once, without Airflow, and with every mistake as exit code 2."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from airflow_provider_ecdp import __version__
from airflow_provider_ecdp.cli import main, output
from airflow_provider_ecdp.cli.parser import parser

COMMANDS = ["check", "push", "get", "status", "delete", "results", "mapping", "sandbox", "sample"]

#: Runs commands where nothing can import Airflow, and says what was imported, and their exit codes.
WITHOUT_AIRFLOW = """
import json, sys
sys.modules["airflow"] = None
from airflow_provider_ecdp.cli import main
codes = [main(arguments) for arguments in json.loads(sys.argv[1])]
print([name for name in ("pyarrow", "duckdb", "requests", "rich", "fastapi") if name in sys.modules], file=sys.stderr)
print(*codes, file=sys.stderr)
"""


def without_airflow(*commands):
    """Return the lines of stderr; the last two are what was imported, and the exit codes."""
    arguments = json.dumps([[str(argument) for argument in command] for command in commands])
    command = [sys.executable, "-c", WITHOUT_AIRFLOW, arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()


def test_help_version_and_usage_import_nothing_heavy():
    lines = without_airflow(["--help"], ["--version"], ["push", "--help"], ["push"])

    assert lines[-2:] == ["[]", "0 0 0 2"]


@pytest.mark.slow
def test_every_command_runs_where_airflow_cannot_be_imported(pointed, tmp_path):
    path = tmp_path / "orders.parquet"
    lines = without_airflow(
        ["sample", path, "--orders", 3],
        ["check", path],
        ["push", path, "--results", tmp_path / "results"],
        ["get", "ORD-00000001"],
        ["status", "ORD-00000001", "paid"],
        ["delete", "ORD-00000001"],
        # the sandbox runs until it is told to stop; that it starts is enough
        ["sandbox", "--port", pointed.url.rpartition(":")[2]],
    )
    assert lines[-1] == "0 0 0 0 0 0 2", lines
    assert pointed.store.count() == 2
    assert pointed.store.count_deleted() == 1
    assert any("sandbox cannot listen" in line for line in lines)


def test_the_version_is_that_of_the_package(ecdp):
    assert ecdp("--version").out == f"ecdp {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["pull"], ["get"], ["push", "x", "--key", "k"]])
def test_wrong_usage_is_exit_code_2(ecdp, arguments):
    run = ecdp(*arguments)

    assert run.code == 2
    assert run.out == ""
    assert run.err.startswith("usage: ecdp")


def test_without_arguments_the_help_is_printed(ecdp):
    run = ecdp()

    assert run.code == 2
    assert run.err == ecdp("--help").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chek"], "ecdp: error: there is no command chek; did you mean check?"),
        (["--verbose", "Push", "x"], "ecdp: error: there is no command Push; did you mean push?"),
        (["zzz"], f"ecdp: error: there is no command zzz; there are {', '.join(COMMANDS)}"),
        (
            ["push", "x", "--max-faild", "3"],
            "ecdp push: error: there is no option --max-faild; did you mean --max-failed?",
        ),
        (
            ["push", "x", "--max_failed=3"],
            "ecdp push: error: there is no option --max_failed; did you mean --max-failed?",
        ),
        (["--quiet", "push", "x"], "ecdp push: error: options follow the command: ecdp push --quiet"),
        (
            ["check", "x", "--replay-from", "y"],
            "ecdp check: error: there is no option --replay-from; it is one of ecdp push",
        ),
        (["sample", "x", "--results", "y"], "; it is one of ecdp check, push, status, delete"),
        (["push", "x", "-z"], "ecdp push: error: there is no option -z"),
        (["sample", "x", "y"], "ecdp sample: error: it does not take y"),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(ecdp, arguments, message):
    run = ecdp(*arguments)

    assert run.code == 2
    assert run.err.rstrip("\n").endswith(message)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_that_names_its_options(ecdp, command):
    run = ecdp(command, "--help")

    assert run.code == 0
    assert "--json" in run.out
    assert "--api-key" not in run.out
    assert re.search(r"^usage: ecdp " + command, run.out)


def test_the_commands_are_those_that_the_help_names(ecdp):
    listed = re.findall(r"^    (\w+) +\S", ecdp("--help").out, re.MULTILINE)

    assert listed == COMMANDS


def test_no_option_takes_a_key_but_the_made_up_one_of_the_sandbox():
    commands = next(action for action in parser()._actions if action.dest == "command").choices
    taking = {
        name: [option for action in command._actions for option in action.option_strings if "key" in option]
        for name, command in commands.items()
    }

    assert {name: options for name, options in taking.items() if options} == {"sandbox": ["--key"]}


def test_the_module_of_the_command_line_runs_by_name():
    for module in ("airflow_provider_ecdp", "airflow_provider_ecdp.cli"):
        run = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
        assert run.stdout == f"ecdp {__version__}\n"


def test_a_fault_of_ecdp_itself_has_an_exit_code_of_its_own(pointed, sample, monkeypatch):
    def broken(_value):
        raise ZeroDivisionError

    extract = sample(orders=1)
    monkeypatch.setattr(output, "out_json", broken)

    assert main(["push", str(extract), "--json"]) == 70
    assert pointed.store.count() == 1


def test_a_package_that_is_missing_is_named_and_no_fault_of_ecdp():
    # as if duckdb were not installed
    code = (
        "import sys; sys.modules['duckdb'] = None; from airflow_provider_ecdp.cli import main; "
        "sys.exit(main(['check', 'orders.parquet']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert run.returncode == 2
    assert run.stderr == "ecdp: a package is missing: duckdb; install airflow-provider-ecdp with its dependencies\n"


def test_a_module_of_ecdp_that_is_missing_is_a_fault_of_ecdp(monkeypatch, capsys):
    def broken(_name):
        raise ModuleNotFoundError("No module named", name="airflow_provider_ecdp.cli.commands.push")

    monkeypatch.setattr("airflow_provider_ecdp.cli.importlib.import_module", broken)
    assert main(["push", "orders.parquet"]) == 70
    assert "internal error: this is a bug in ecdp" in capsys.readouterr().err
