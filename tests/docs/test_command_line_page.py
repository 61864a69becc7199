"""Every command, option, exit code and variable of the environment is documented, and none is made up."""

from __future__ import annotations

import argparse
import ast
import re

import pytest

from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.by_id.settings import DeletionSettings
from airflow_provider_ecdp.cli.exit_codes import Exit
from airflow_provider_ecdp.cli.parser import FAULTS, parser
from airflow_provider_ecdp.orders.settings import OrderSettings
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.settings import settings_of

SETTINGS = {
    one.name for table in (ClientSettings, OrderSettings, PushSettings, DeletionSettings) for one in settings_of(table)
}

#: Groups of options that several commands share are documented once, in these sections.
SHARED = {"output": "Output", "options": "Output", "reading": "ecdp check", "connection": "ecdp push"}


def commands():
    (found,) = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return found.choices


def options(command):
    """The options of a command, each with the title of its group."""
    return [
        (str(group.title), action)
        for group in commands()[command]._action_groups
        for action in group._group_actions
        if action.option_strings
    ]


@pytest.fixture
def documented(page):
    """The options in a section: cell and default by the option."""

    def find(title):
        rows = page("command-line").table(title, "option")
        return {row["option"].strip("`").split()[0]: (row["option"], row.get("default", "")) for row in rows}

    return find


@pytest.mark.parametrize("command", commands())
def test_every_option_of_a_command_is_documented_with_its_default(command, documented):
    own = documented(f"ecdp {command}")
    for title, action in options(command):
        option = action.option_strings[-1]
        rows = documented(SHARED[title]) if title in SHARED and option not in own else own
        assert option in rows, f"ecdp {command} {option}"
        cell, default = rows[option]
        assert action.metavar is None or cell == f"`{option} {action.metavar}`"
        # settings have their defaults in their table, and say them in the help
        shown = re.search(r"\(default: (.*)\)", action.help or "")
        if action.default not in (None, False, argparse.SUPPRESS) or (shown and action.dest in SETTINGS):
            value = shown[1] if action.dest in SETTINGS else action.default
            assert default == f"`{value}`", f"ecdp {command} {option}"


def test_no_command_and_no_option_is_made_up(page, documented):
    titles = re.findall(r"^## (ecdp \w+|Output)$", page("command-line").text, re.MULTILINE)
    assert sorted(titles) == sorted(["Output", *(f"ecdp {name}" for name in commands())])
    for title in titles:
        of = commands() if title == "Output" else [title.removeprefix("ecdp ")]
        assert documented(title).keys() <= {
            o for name in of for _, action in options(name) for o in action.option_strings
        }


def test_every_exit_code_is_documented(page):
    codes = {int(row["code"]) for row in page("command-line").table("Exit codes", "code")}
    # a shell adds 128 to the numbers of SIGINT and SIGTERM
    assert codes == {*Exit, 130, 143}


def test_every_variable_of_the_environment_is_documented(page, source):
    trees = [tree for name, tree in source.trees.items() if name.startswith("cli/")]
    texts = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    read = {text for text in texts if re.fullmatch(r"ECDP_[A-Z_]+", str(text))}
    assert {row["variable"].strip("`") for row in page("command-line").table("Command line", "variable")} == read


def test_every_fault_with_an_option_of_its_own_is_listed(page):
    (listed,) = re.findall(r"have an option of their own.*?\n\n(.*?)\n\n", page("sandbox").text, re.DOTALL)
    assert re.findall(r"`(\w+)`", listed) == list(FAULTS)
