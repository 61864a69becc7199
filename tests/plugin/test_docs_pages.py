"""The documentation on the API server."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from airflow_provider_ecdp.plugin import docs_pages

DOCS = Path(__file__).parents[2] / "docs"
NAMES = sorted(path.stem for path in DOCS.glob("*.md"))


class Checked(HTMLParser):
    """Collects what a page links to, its anchors, and elements that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors, self.open, self.text = [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        given = dict(attributes)
        self.links += [given["href"]] if tag == "a" else []
        self.anchors |= {given["id"]} if "id" in given else set()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def pages():
    return {name: Checked(docs_pages.page(name)[1]) for name in NAMES}


def test_every_page_is_well_formed_and_every_link_leads_somewhere(pages):
    for name, page in pages.items():
        assert page.open == [], name
        for link in page.links:
            target, _, anchor = link.partition("#")
            if not link.startswith("https://"):
                assert target in {"", *pages}, (name, link)
                assert not anchor or anchor in pages[target or name].anchors, (name, link)


def test_all_words_of_a_page_are_there(pages):
    for name, page in pages.items():
        source = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        source = re.sub(r"^<.*$", "", source, flags=re.MULTILINE)
        words = set(re.findall(r"[A-Za-z]{4,}", re.sub(r"\]\([^)]*\)|```\w*", "", source)))
        assert words - set(re.findall(r"[A-Za-z]{4,}", " ".join(page.text))) == set(), name
        assert not re.search(r"\]\(|^\|", "".join(page.text)), name


def test_a_page_is_served_to_everybody_and_no_other_file(server):
    answer = server.client.get("/ecdp/docs/troubleshooting")
    assert answer.status_code == 200
    assert '<h2 id="orders-failed">Orders failed</h2>' in answer.text
    for name in re.findall(r'(?:href|src)="(\.\./static[^"]+)"', answer.text):
        assert server.client.get(str(answer.url.join(name))).status_code == 200, name
    for name in ("nothing", "troubleshooting.md", "..%2F..%2FREADME", "decisions%2F001-one-query", "<script>"):
        assert server.client.get(f"/ecdp/docs/{name}").status_code == 404, name


def test_what_looks_like_markup_is_text():
    head = '<thead><tr><th scope="col">a</th></tr></thead>'
    body = "<tbody><tr><td><code>x|y</code></td></tr></tbody>"
    blocks = docs_pages._blocks(["a <b> & `<i>` [x](javascript:alert) **`c`**", "", "| a |", "|---|", "| `x\\|y` |"])
    assert list(blocks) == [
        "<p>a &lt;b&gt; &amp; <code>&lt;i&gt;</code> x <strong><code>c</code></strong></p>",
        f'<div class="scroll" tabindex="0"><table>{head}{body}</table></div>',
    ]
