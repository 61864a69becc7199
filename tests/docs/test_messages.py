"""Every message that a user can meet is explained; in the documentation `…` stands for what differs."""

from __future__ import annotations

import ast
import itertools
import re

import pytest

#: raised for other programs, said again with a name in front, or what a message calls a value that it does not show
INTERNAL = {"PydanticCustomError", "_NotConnectedError", "KeyError", "ModuleNotFoundError", "ValueError"}

# a code span that holds a backtick ends where a comma or the end of the cell follows
SPAN = re.compile(r"`(.+?)`(?=, `|$)")

#: A message that a page cuts short begins with as many words that are always the same: `mapping: …` would explain all.
WORDS = 3

#: Variables before such a word that are text.
TEXTS = {"_ALL", "ecdp", "key", "ledger.path", "of"}


@pytest.fixture
def documented(pages):
    """The messages in the columns of this name."""
    found = [row["message"] for page in pages for row in page.rows if "message" in row]
    return [message for cell in found for message in SPAN.findall(cell)]


def test_every_error_warning_and_problem_has_a_row_of_its_own(documented, source):
    # what is nothing but values says what another message says
    texts = {text for name, text in source.messages if name not in INTERNAL and " " in text and words(text)}
    assert len(texts) > 170
    missing = [text for text in sorted(texts) if not any(explains(message, text) for message in documented)]
    assert not missing, "explain these in docs/troubleshooting.md:\n" + "\n".join(missing)


def test_each_name_by_which_messages_are_found_finds_some(source, names_of_messages):
    names = [name for name, _ in source.messages]
    assert names_of_messages - set(names) == set()
    assert sum(name.endswith(("Error", "Exception")) for name in names) > 150
    assert names.count("note") >= 5
    assert names.count("failed") >= 10
    assert names.count("warning") >= 8


def test_every_message_that_is_documented_exists(documented, source):
    airflows_own = "conn_id"
    assert [message for message in documented if airflows_own not in message and not source.says(message)] == []


@pytest.mark.parametrize(
    ("message", "text", "explained"),
    [
        ("…: no file matches", "…: no file matches", True),
        ("no file matches", "…: no file matches", True),
        ("results path …: …", "results path …: …", True),
        ("the run of … was stopped", "the run of … was stopped\n…", True),
        ("the run of … was stopped; …", "the run of … was stopped; run it again", True),
        ("the run was …", "the run was stopped", True),
        ("mapping: …", "mapping: …: … is not an option here", False),
        ("results path …", "results path … cannot be written: …", False),
        ("the run was", "the run was stopped", False),
        ("file matches", "…: no file matches", False),
    ],
)
def test_a_row_explains_its_own_message_and_not_all_that_begin_like_it(message, text, explained):
    assert explains(message, text) is explained


def explains(message, text):
    """Whether the message that a page has is this text of the code, whole or up to a `…` behind enough words."""
    # what follows in the lines below is a list, or the columns that there are
    text = next(line for line in text.split("\n") if words(line))
    text, message = (re.sub("…+", "…", one).removeprefix("…: ").rstrip() for one in (text, message))
    start = message.removesuffix("…").rstrip()
    return message == text or (message.endswith("…") and words(start) >= WORDS and text.startswith(start))


def words(text):
    """How many words of a message are always the same."""
    return len(re.findall(r"[^\W\d_]{2,}", text))


COUNTED = r"^ (accepted |order |other )?(orders|requests|rows|files|ids|results|changes|columns|bytes|runs|times)\b"


def test_counts_in_texts_have_separators(source):
    """6432 beside 6,423 is two styles; `number_of` writes both the separator and the plural."""
    plain = [
        f"{ast.unparse(value)}{following.value}"
        for node in source.nodes
        if isinstance(node, ast.JoinedStr)
        for value, following in itertools.pairwise(node.values)
        if isinstance(value, ast.FormattedValue) and isinstance(following, ast.Constant)
        if re.match(COUNTED, following.value) and value.format_spec is None
        if ast.unparse(value.value) not in TEXTS
    ]
    assert plain == []
