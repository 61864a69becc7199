"""The pages of docs/warehouses: what a test runs is a block with a mark in the line before it."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs" / "warehouses"
MARK = "<!-- tests/warehouses: "


def blocks(page, language):
    """The marked blocks of a page, by what their marks say."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return dict(re.findall(rf"{MARK}([\w ]+) -->\n```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
