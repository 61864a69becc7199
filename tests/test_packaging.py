"""What an installation brings: each dependency has its reason, and one version that is tried."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
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


def test_every_dependency_and_every_folder_with_airflow_is_tried_at_its_lowest_version():
    lines = [
        line.partition("#") for line in (ROOT / "tests/lowest/selection.txt").read_text(encoding="utf-8").splitlines()
    ]
    tests = {path.strip(): reason for path, _, reason in lines if path.strip()}
    assert [test for test in tests if not _exists(test)] == []

    needed = {canonical(one) for one in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["sandbox"]}
    assert needed - {name for reason in tests.values() for name in re.findall(r"[a-z][\w-]+", reason)} == set()

    [folders] = [
        key
        for key in PYPROJECT["tool"]["ruff"]["lint"]["per-file-ignores"]
        if key.startswith(PROJECT["name"].replace("-", "_"))
    ]
    names = re.search(r"\{(.+)\}", folders)[1].split(",")
    adapters = {f"tests/{name}" for name in names if (ROOT / "tests" / name).exists()}
    assert {folder for folder in adapters if not any(path.startswith(folder) for path in tests)} == set()


def _exists(test):
    path, _, name = test.partition("::")
    source = ROOT / path
    return source.exists() and (not name or f"\ndef {name}(" in source.read_text(encoding="utf-8"))


def test_what_a_package_index_shows_leads_nowhere_that_it_cannot_reach():
    page = (ROOT / PROJECT["readme"]).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", page)
    assert all(re.match(r"https://", link or source) for link, source in targets)


def test_what_a_package_index_shows_is_in_the_package():
    page = (ROOT / PROJECT["readme"]).read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```(?:python|sh)\n.*?^```$", page, re.DOTALL | re.MULTILINE):
        assert block in readme or block == "```sh\npip install airflow-provider-ecdp\n```"
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "airflow_provider_ecdp").rglob("*.py"))
    for name in re.findall(r"`(\w+(?:Operator|Sensor|Notifier|Hook))`", page):
        assert f"class {name}(" in code


def test_the_example_dags_are_in_the_wheel():
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"]["dags"] == "airflow_provider_ecdp/example_dags"
    page = (ROOT / PROJECT["readme"]).read_text(encoding="utf-8")
    assert "`airflow_provider_ecdp/example_dags`" in page
    # a module of the package by that name would be hidden by them
    assert not (ROOT / "airflow_provider_ecdp" / "example_dags").exists()


def test_the_package_is_found_as_a_provider_of_airflow():
    assert "Framework :: Apache Airflow :: Provider" in PROJECT["classifiers"]
    assert {"apache_airflow_provider", "airflow.plugins"} <= PROJECT["entry-points"].keys()
    assert PROJECT["authors"]
    assert all(url.startswith("https://") for url in PROJECT["urls"].values())
