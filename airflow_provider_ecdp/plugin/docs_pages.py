"""The documentation of the installed version as pages of the API server, for a link from a failure to its section.

It renders the Markdown of this package's own `docs` alone: headings, paragraphs, lists, tables, code and links.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

#: In an installed package they are beside this module, in a clone at the top.
_PLACES = (Path(__file__).parent / "docs", Path(__file__).parents[2] / "docs")

_HEADING = re.compile(r"(#{1,4}) (.+)")
_ITEM = re.compile(r"(?:-|\d+\.) +(.*)")
_RULE = re.compile(r"\|[-|: ]+\|")
_CELL = re.compile(r"(?<!\\)\|")
_CODE = re.compile(r"`([^`]+)`")
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_PAGE = re.compile(r"([\w-]+)\.md(#[\w-]+)?")


@cache
def page(name: str) -> tuple[str, str] | None:
    """Return the title of a page and its HTML, None if there is no such page."""
    pages = {path.stem: path for place in _PLACES for path in place.glob("*.md")}
    if name not in pages:
        return None
    lines = pages[name].read_text(encoding="utf-8").splitlines()
    return lines[0].removeprefix("# "), "\n".join(_blocks(lines))


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and GitLab make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    i = 0
    while i < len(lines):
        end = _end_of_block(lines, i)
        yield from _block(lines[i:end])
        i = end


def _end_of_block(lines: Sequence[str], start: int) -> int:
    """Return where the block ends that begins in a line: code at its fence, all others before a blank line."""
    first = lines[start]
    if first.startswith("```"):
        return next((i + 1 for i in range(start + 1, len(lines)) if lines[i].startswith("```")), len(lines))
    if not first.strip() or first.startswith("<") or _HEADING.match(first):
        return start + 1
    rest = range(start + 1, len(lines))
    return next((i for i in rest if not lines[i].strip() or lines[i].startswith("```")), len(lines))


def _block(lines: Sequence[str]) -> Iterator[str]:
    first = lines[0]
    if not first.strip() or first.startswith("<"):
        return
    if first.startswith("```"):
        code = "\n".join(line for line in lines[1:] if not line.startswith("```"))
        yield f'<pre tabindex="0">{html.escape(code)}</pre>'
    elif heading := _HEADING.match(first):
        level = len(heading[1])
        yield f'<h{level} id="{slug(heading[2])}">{_inline(heading[2])}</h{level}>'
    elif len(lines) > 1 and _RULE.fullmatch(lines[1]):
        yield _table(lines)
    elif _ITEM.match(first):
        yield _list(lines)
    else:
        yield f"<p>{_inline(' '.join(lines))}</p>"


def _table(lines: Sequence[str]) -> str:
    head, *body = ([cell.strip() for cell in _CELL.split(line)[1:-1]] for line in (lines[0], *lines[2:]))
    heads = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in head)
    rows = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _list(lines: Sequence[str]) -> str:
    items: list[str] = []
    for line in lines:
        item = _ITEM.match(line)
        if item:
            items.append(item[1])
        else:
            items[-1] += f" {line.strip()}"
    kind = "ol" if lines[0][:1].isdigit() else "ul"
    return f"<{kind}>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + f"</{kind}>"


def _inline(text: str) -> str:
    codes: list[str] = []

    def put_aside(code: re.Match[str]) -> str:
        codes.append(f"<code>{html.escape(code[1])}</code>".replace("\\|", "|"))
        return f"\x00{len(codes) - 1}\x00"

    text = _CODE.sub(put_aside, text)
    text = html.escape(_IMAGE.sub(r"\1", text), quote=False)
    text = _BOLD.sub(r"<strong>\1</strong>", _LINK.sub(_link, text))
    return re.sub("\x00(\\d+)\x00", lambda place: codes[int(place[1])], text)


def _link(link: re.Match[str]) -> str:
    text, target = link.groups()
    inner = _PAGE.fullmatch(target)
    if inner:
        return f'<a href="{inner[1]}{inner[2] or ""}">{text}</a>'
    if target.startswith(("#", "https://")):
        return f'<a href="{html.escape(target)}">{text}</a>'
    return text
