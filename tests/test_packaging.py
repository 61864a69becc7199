"""What an installation brings: each dependency has its reason, and one version that is tried."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIRED = [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]


def pins(path):
    return [line for line in (ROOT / path).read_text(encoding="utf-8").splitlines() if line[:1] != "#"]


PINS = pins("constraints.txt")


def canonical(requirement):
    """Return the name that a requirement has in an index (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def test_every_dependency_has_its_reason():
    table = (ROOT / "docs" / "decisions" / "002-dependencies.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")][1:]
    explained = {name for row in rows for name in re.findall(r"[a-z][\w-]+", row)}
    assert {canonical(one) for one in REQUIRED} - {PROJECT["name"]} - explained == set()


def test_every_dependency_is_pinned_once():
    names = [canonical(pin) for pin in PINS]
    assert names == sorted(set(names))
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in PINS)
    assert {canonical(one) for one in REQUIRED} - {PROJECT["name"]} - set(names) == set()


def test_the_lowest_version_of_every_dependency_is_the_one_that_is_tested():
    lowest = {canonical(pin): pin.partition("==")[2] for pin in pins("tests/lowest/constraints.txt")}
    floors = {canonical(one): one.partition(">=")[2] for one in REQUIRED}
    del floors[PROJECT["name"]]
    # a floor of 3.1 is tested with one of its patches
    untested = {name for name, floor in floors.items() if not f"{lowest.get(name)}.".startswith(f"{floor}.")}
    assert untested == set()
