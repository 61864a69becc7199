"""No link leads nowhere, and no page is out of reach."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_link_leads_to_a_file_and_to_a_heading_in_it(pages):
    anchors = {page.path.resolve(): page.anchors for page in pages}
    broken = []
    for page in pages:
        for target in page.links:
            if re.match(r"https?://|mailto:", target):
                continue
            path, _, anchor = target.partition("#")
            to = (page.path.parent / path).resolve() if path else page.path.resolve()
            if not to.exists() or (anchor and anchor not in anchors.get(to, ())):
                broken.append(f"{page}: {target}")
    assert broken == []


def test_every_page_can_be_reached_from_the_readme(pages, readme):
    by_path = {page.path.resolve(): page for page in pages}
    reached, pending = set(), [readme.path.resolve()]
    while pending:
        path = pending.pop()
        # a link to a folder shows its files
        pending += [file for file in by_path if file.parent == path]
        if path in by_path and path not in reached:
            reached.add(path)
            pending += [(path.parent / target.partition("#")[0]).resolve() for target in by_path[path].links]
    assert sorted(str(by_path[path]) for path in by_path.keys() - reached) == []


def test_every_make_target_that_is_named_exists(pages, readme):
    existing = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in pages:
        assert set(re.findall(r"(?:^|`)make ([a-z]+)", page.text, re.MULTILINE)) <= existing, str(page)
    assert {"demo", "test"} <= set(re.findall(r"^make ([a-z]+)$", readme.text, re.MULTILINE))


def test_every_test_and_file_that_is_named_exists(pages):
    for page in pages:
        # in comments that the reader does not see, too
        for path in re.findall(r"(?<![\w/])((?:tests|dags|airflow_provider_ecdp)/[\w/.]*\w)", page.text):
            # the wheel has the one as the other
            existing = path.replace("airflow_provider_ecdp/example_dags", "dags")
            assert (ROOT / existing).exists(), f"{page}: {path}"
