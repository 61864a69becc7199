"""The documentation is held against the code: what a user can set, send or read has a place in it, and none is made up."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_ecdp.cli.arguments import FAULTS, parser
from airflow_provider_ecdp.cli.exits import Exit
from airflow_provider_ecdp.get_provider_info import get_provider_info
from airflow_provider_ecdp.orders.contract import ATTRIBUTE, CUSTOMER, ORDER, PRODUCT, WARNINGS, Kind
from airflow_provider_ecdp.outcomes import Outcome
from airflow_provider_ecdp.sandbox.faults import FaultKind, Faults

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "airflow_provider_ecdp"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def prose(page):
    """The text of a page without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def section(page, title):
    """The text under a heading, up to the next of its level or above."""
    text = _FENCE.sub(lambda found: found.group().replace("\n#", "\n "), page.read_text(encoding="utf-8"))
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,6}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"{page.name} has no section {title!r}"
    return found[2]


def tables(text):
    """The tables of a text: for each of its rows, the cells by the heading of their columns."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n?)+", _FENCE.sub("", text), re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines())
        assert all(len(row) == len(head) for row in rows), block
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def table(page, title, column):
    """The rows of the tables of a section that have a column of this name."""
    return [row for rows in tables(section(page, title)) for row in rows if column in row]


def named(cell):
    """The first name in code of a cell, without what stands for a value."""
    found = _CODE.search(cell)
    return found[1].split()[0] if found else ""


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
    def test_every_link_leads_somewhere(self, page):
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if re.match(r"https?://|mailto:", target):
                continue
            path, _, anchor = target.partition("#")
            to = (page.parent / path).resolve() if path else page
            assert to.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(to), f"{page.name}: {target}"

    def test_every_page_can_be_reached_from_the_readme(self):
        seen, pending = set(), [PAGES[0]]
        while pending:
            page = pending.pop()
            if page in seen or page.suffix != ".md":
                continue
            seen.add(page)
            targets = re.findall(r"\]\(([^)\s#]+)", prose(page))
            pending += [(page.parent / t).resolve() for t in targets if not t.startswith("http")]
        assert {p.resolve() for p in PAGES} <= {p.resolve() for p in seen}


def anchors(page):
    """The anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


class TestOrders:
    @pytest.mark.parametrize(
        ("title", "prefix", "fields"),
        [
            ("Order", "", ORDER),
            ("Customer", "customer.", CUSTOMER),
            ("Products", "products[].", PRODUCT),
            ("Attributes", "", ATTRIBUTE),
        ],
    )
    def test_every_cell_of_the_fields_is_that_of_the_contract(self, title, prefix, fields):
        expected = [
            {
                "field": f"`{prefix}{field.name}`",
                "type": field.kind.value,
                "required": "yes" if field.required else "",
                "limit": limit(field),
                "meaning": " ".join(f"{text[:1].upper()}{text[1:]}." for text in (field.description, field.note) if text),
            }
            for field in fields
        ]
        assert table(DOCS / "orders.md", title, "field") == expected

    def test_every_warning_is_explained(self):
        expected = [{"warning": f"`{name}`", "what is odd": text} for name, text in WARNINGS.items()]
        assert table(DOCS / "orders.md", "Warnings", "warning") == expected

    def test_every_rule_that_is_explained_exists(self):
        for row in table(DOCS / "orders.md", "Rules", "rule in the reason"):
            assert in_source(row["rule in the reason"].strip("`")), row


def limit(field):
    low, high = field.min_length, field.max_length
    if field.choices:
        return f"one of {', '.join(f'`{choice}`' for choice in field.choices)}"
    if high is not None and low == high:
        return f"exactly {high} characters"
    if high is not None:
        return f"{low} to {high:,} characters" if low else f"at most {high:,} characters"
    return {Kind.INTEGER: "-2,147,483,648 to 2,147,483,647", Kind.NUMBER: "finite"}.get(field.kind, "")


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "delivery.md"], ids=lambda page: page.name)
def test_every_outcome_is_explained(page):
    assert [named(row["outcome"]) for row in table(page, "Outcomes", "outcome")] == [o.value for o in Outcome]


class TestConnection:
    def test_every_field_of_the_form_is_documented_with_its_label(self):
        (kind,) = get_provider_info()["connection-types"]
        labels = kind["ui-field-behaviour"]["relabeling"]
        labels |= {name: field["label"] for name, field in kind["conn-fields"].items()}
        documented = {named(row["field"]): row["in the form"] for row in table(DOCS / "connection.md", "Fields", "field")}
        assert {name: label for name, label in documented.items() if label} == labels
        assert documented.keys() - labels.keys() == {"port", "schema"}

    def test_the_values_of_empty_fields_are_those_of_the_form(self):
        (kind,) = get_provider_info()["connection-types"]
        placeholders = kind["ui-field-behaviour"]["placeholders"]
        empty = {named(row["field"]): row["empty"].strip("`") for row in table(DOCS / "connection.md", "Fields", "field")}
        for name in ("host", "batch_size", "batch_bytes", "max_in_flight", "connect_timeout", "read_timeout"):
            assert empty[name] == placeholders[name]

    def test_every_option_of_airflows_configuration_is_documented(self):
        rows = table(DOCS / "connection.md", "Airflow's configuration", "option")
        assert {(named(row["section"]), named(row["option"])) for row in rows} == {
            (name, option) for name, part in get_provider_info()["config"].items() for option in part["options"]
        }


class TestCommandLine:
    PAGE = DOCS / "command-line.md"
    #: groups of options that several commands share are documented once
    SHARED = {"output": "Output", "options": "Output", "reading": "ecdp check", "connection": "ecdp push"}

    @pytest.mark.parametrize("command", ["check", "push", "get", "status", "delete", "sandbox", "sample"])
    def test_every_option_of_a_command_is_documented(self, command):
        own = {option for option, _ in self.documented(f"ecdp {command}")}
        for title, action in actions(command):
            option, metavar = action.option_strings[-1], action.metavar
            shared = title in self.SHARED and option not in own
            rows = dict(self.documented(self.SHARED[title] if shared else f"ecdp {command}"))
            assert option in rows, f"ecdp {command} {option}"
            cell, default = rows[option]
            assert metavar is None or metavar in cell, cell
            if action.default not in (None, False, argparse.SUPPRESS) and title != "output":
                assert default.strip("`") == str(action.default), f"ecdp {command} {option}"

    def test_no_option_is_made_up(self):
        existing = {option for name in commands() for _, action in actions(name) for option in action.option_strings}
        titles = re.findall(r"^## (ecdp \w+|Output)$", self.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        assert sorted(titles) == sorted(["Output", *(f"ecdp {name}" for name in commands())])
        for title in titles:
            assert {option for option, _ in self.documented(title)} <= existing

    def documented(self, title):
        for row in table(self.PAGE, title, "option"):
            yield named(row["option"]), (row["option"], row.get("default", ""))

    def test_every_exit_code_is_documented(self):
        codes = {int(row["code"]) for row in table(self.PAGE, "Exit codes", "code")}
        # 128 and the numbers of SIGINT and SIGTERM
        assert codes == {*Exit, 130, 143}

    def test_every_variable_of_the_environment_is_documented(self):
        read = {
            node.value
            for path in (PACKAGE / "cli").glob("*.py")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"ECDP_[A-Z_]+", node.value)
        }
        assert {named(row["variable"]) for row in table(self.PAGE, "Command line", "variable")} == read


def commands():
    (choices,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return choices.choices


def actions(command) -> Iterator[tuple[str, argparse.Action]]:
    """The options of a command, each with the title of its group."""
    for group in commands()[command]._action_groups:
        for action in group._group_actions:
            if action.option_strings:
                yield str(group.title), action


class TestSandbox:
    PAGE = DOCS / "sandbox.md"

    def test_every_fault_is_documented_with_its_default_and_in_the_order_in_which_one_wins(self):
        kinds = {row["fault"].strip("`"): row["default"] for row in table(self.PAGE, "Faults", "fault")}
        settings = {row["setting"].strip("`"): row["default"] for row in table(self.PAGE, "Faults", "setting")}
        assert list(kinds) == [kind.value for kind in FaultKind]
        assert kinds | settings == {field.name: written(field.default) for field in dataclasses.fields(Faults)}

    def test_every_fault_with_an_option_is_listed(self):
        (listed,) = re.findall(r"have an option of their own.*?\n\n(.*?)\n\n", section(self.PAGE, "Faults"), re.DOTALL)
        assert _CODE.findall(listed) == list(FAULTS)

    def test_every_inspection_is_documented(self):
        source = (PACKAGE / "sandbox" / "inspection.py").read_text(encoding="utf-8")
        routes = {f"{method.upper()} /_sandbox{path}" for method, path in re.findall(r'router\.(\w+)\("([^"]*)"', source)}
        rows = table(self.PAGE, "Looking into it", "request")
        assert {row["request"].strip("`") for row in rows} == routes


def written(default):
    """A default of `Faults` as the page writes it."""
    if default == Faults().methods:
        return "all four"
    if isinstance(default, tuple | frozenset):
        return ", ".join(map(str, default)) or "none"
    if isinstance(default, bool):
        return str(default).lower()
    return "null" if default is None else f"{default:g}"


def test_every_make_target_that_is_named_exists():
    existing = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        targets = re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)
        assert set(targets) <= existing, page.name
    assert {"demo", "test"} <= set(re.findall(r"^make ([a-z]+)", PAGES[0].read_text(encoding="utf-8"), re.MULTILINE))


class TestMessages:
    """`…` stands for what differs between two messages of one kind."""

    def test_every_error_that_can_be_raised_is_documented(self):
        patterns = [pattern(message) for message in documented_messages()]
        missing = [text for text in raised() if not any(p.search(text) for p in patterns)]
        assert not missing, "add these to docs/troubleshooting.md:\n" + "\n".join(missing)

    def test_every_message_that_is_documented_exists(self):
        # Airflow's own
        ours = [message for message in documented_messages() if "conn_id" not in message]
        assert len(ours) > 100
        assert [message for message in ours if not in_source(message)] == []


def documented_messages():
    """The messages in the column of this name, of all tables."""
    rows = [row for page in PAGES for rows in tables(page.read_text(encoding="utf-8")) for row in rows]
    # a code span that holds a backtick ends at the next one that a comma or the cell's end follows
    spans = re.compile(r"`(.+?)`(?=, `|$)")
    return [message for row in rows if "message" in row for message in spans.findall(row["message"])]


def pattern(message):
    """A pattern that finds a documented message in the text of a source, where values are `…` as well."""
    parts = [re.escape(part.strip()) for part in message.split("…")]
    return re.compile(r"[\s\S]*?".join(parts))


def in_source(message):
    return any(pattern(message).search(text) for text in source_texts())


@functools.cache
def source_texts():
    """The texts in the package's source, values as `…`."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    return [text for tree in trees for node in ast.walk(tree) if (text := literal(node))]


#: what is raised for other programs, or said again with a name in front of it
_INTERNAL = ("PydanticCustomError", "_NotConnectedError", "KeyError", "ModuleNotFoundError", "ValueError")


def raised():
    """The messages of the errors that the package makes, values as `…`."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                text = literal(node.args[0])
                if called.endswith("Error") and called not in _INTERNAL and text and re.search(r"\w{3}", text):
                    yield text


def literal(node):
    """The text of a string or an f-string, with `…` for values; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None
