"""The lowest versions of the page are those of pyproject.toml."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_lowest_versions_are_those_that_pip_enforces(page):
    floors = dict(re.split(">=", one) for one in PROJECT["dependencies"])
    floors["Python"] = PROJECT["requires-python"].removeprefix(">=")
    rows = page("installation").table("Versions", "package")
    assert {row["package"] for row in rows} >= {"apache-airflow", "duckdb", "pyarrow", "Python"}
    assert {row["package"]: row["lowest"] for row in rows} == {row["package"]: floors[row["package"]] for row in rows}
