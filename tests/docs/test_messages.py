"""Every message that a user can meet is explained; in the documentation `…` stands for what differs."""

from __future__ import annotations

import re

import pytest

#: raised for other programs, or said again with a name in front
INTERNAL = {"PydanticCustomError", "_NotConnectedError", "KeyError", "ModuleNotFoundError", "ValueError"}

# a code span that holds a backtick ends where a comma or the end of the cell follows
SPAN = re.compile(r"`(.+?)`(?=, `|$)")


@pytest.fixture
def documented(pages):
    """The messages in the columns of this name."""
    found = [row["message"] for page in pages for row in page.rows if "message" in row]
    return [message for cell in found for message in SPAN.findall(cell)]


def test_every_error_and_every_warning_in_the_log_is_documented(documented, source, says):
    # what is nothing but values says what another message says
    raised = [text for name, text in source.messages if name not in INTERNAL and re.search(r"\w{3}", text)]
    assert len(raised) > 100
    missing = [text for text in raised if not any(says(text, message) for message in documented)]
    assert not missing, "explain these in docs/troubleshooting.md:\n" + "\n".join(missing)


def test_every_message_that_is_documented_exists(documented, source):
    airflows_own = "conn_id"
    assert [message for message in documented if airflows_own not in message and not source.says(message)] == []
