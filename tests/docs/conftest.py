"""The pages of the documentation, as its tests read them."""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(r"(?:<!-- ([^\n]*) -->\n)?```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block, and the comment in the line before it."""

    comment: str
    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """One page."""

    path: Path

    def __str__(self):
        return str(self.path.relative_to(ROOT))

    @property
    def text(self):
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self):
        """The text without its code blocks."""
        return _FENCE.sub("", self.text)

    @property
    def links(self):
        """The targets of links and images."""
        return re.findall(r"\]\(([^)\s]+)\)", self.prose)

    @property
    def anchors(self):
        """The anchors that GitHub makes of the headings."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}

    def blocks(self, *languages):
        """The code blocks in these languages."""
        return [Block(*found) for found in _BLOCK.findall(self.text) if found[1] in languages]

    def section(self, title):
        """The prose under a heading, up to the next heading."""
        found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", self.prose, re.DOTALL | re.MULTILINE)
        assert found, f"{self} has no section {title!r}"
        return found[1]

    def table(self, title, column):
        """The rows of the tables in a section that have this column, each by the headings of the columns."""
        return [row for row in _rows(self.section(title)) if column in row]

    @property
    def rows(self):
        """The rows of all tables."""
        return _rows(self.prose)


def _rows(text):
    found = []
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines())
        assert all(len(row) == len(head) for row in rows), table
        found += [dict(zip(head, row, strict=True)) for row in rows]
    return found


@pytest.fixture(scope="session")
def pages():
    """All pages, the README first."""
    return [Page(path) for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))]


@pytest.fixture(scope="session")
def readme(pages):
    return pages[0]


@pytest.fixture(scope="session")
def page():
    """A page of docs/ by its name."""
    return lambda name: Page(ROOT / "docs" / f"{name}.md")


def literal(node):
    """The text of a string, an f-string or a format, with `…` for values; None for anything else."""
    if isinstance(node, ast.Constant):
        return re.sub(r"%(\.\d)?[dfrs]", "…", node.value) if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None


@dataclass(frozen=True)
class Source:
    """The package's code, parsed and not imported."""

    trees: dict[str, ast.Module]

    @functools.cached_property
    def nodes(self):
        return [node for tree in self.trees.values() for node in ast.walk(tree)]

    @functools.cached_property
    def texts(self):
        """All texts in it."""
        return [text for node in self.nodes if (text := literal(node))]

    @functools.cached_property
    def messages(self):
        """The messages of errors, of warnings in the log and of gathered problems, each after the name of its call.

        The value of a function or a constant in a message, such as why a column cannot serve, is a message too.
        """
        messages = []
        for tree in self.trees.values():
            own = [message for node in ast.walk(tree) for message in _messages_of(node)]
            names = {name for _, message in own for name in _names_in(message)}
            messages += own + [(name, value) for name, value in self._values(tree) if name in names]
        texts = [(called, text) for called, message in messages if (text := literal(message))]
        # the command line prints other things than errors too
        errors = [(called, text) for called, text in texts if called != "err" or text.startswith("ecdp: ")]
        return [(called, text.removeprefix("ecdp: ")) for called, text in errors]

    def _values(self, tree):
        """The return values of the functions that a module has or imports, and its constants, by their names."""
        imported = {
            (_file(node.module), alias.name)
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for file, other in self.trees.items():
            for node in other.body:
                if isinstance(node, ast.FunctionDef) and (other is tree or (file, node.name) in imported):
                    yield from ((node.name, inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Return))
        yield from ((_name(node.targets[0]), node.value) for node in tree.body if isinstance(node, ast.Assign))

    def says(self, message):
        """Whether a message that is documented is in the code."""
        # a page may leave out how a message ends
        return any(message.rstrip("… ") in text for text in self.texts)


#: Calls with a message for users, other than errors, and variables that hold such a message.
CALLED, KEPT = {"warning", "error", "err", "note", "failed", "Problem"}, {"message", "halted"}


@pytest.fixture(scope="session")
def names_of_messages():
    """The names by which messages are found; one without a message belongs to something that was renamed."""
    return CALLED | KEPT


def _file(module):
    """The file of a module, from the package's folder on."""
    return module.partition(".")[2].replace(".", "/") + ".py"


def _messages_of(node):
    """The messages for users in a node, each after the name of its call or variable."""
    if isinstance(node, ast.Call) and node.args:
        called = _name(node.func)
        gathers = called == "append" and _name(getattr(node.func, "value", None)) == "problems"
        if called.endswith(("Error", "Exception")) or called in CALLED or gathers:
            yield from ((called, argument) for argument in node.args)
    elif isinstance(node, ast.Assign):
        kept = _name(node.targets[0])
        if kept in KEPT:
            yield kept, node.value


def _names_in(message):
    """The names of the functions and variables whose value is a part of a message."""
    for part in message.values if isinstance(message, ast.JoinedStr) else []:
        if isinstance(part, ast.FormattedValue):
            yield _name(part.value.func if isinstance(part.value, ast.Call) else part.value)


def _name(node):
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


@pytest.fixture(scope="session")
def source():
    package = ROOT / "airflow_provider_ecdp"
    files = {str(path.relative_to(package)): path for path in sorted(package.rglob("*.py"))}
    return Source({name: ast.parse(path.read_text(encoding="utf-8")) for name, path in files.items()})
