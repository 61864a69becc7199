"""Every parameter of the functions for shards is documented, with its default."""

from __future__ import annotations

import ast

import pytest


@pytest.mark.parametrize(
    ("name", "module", "title"),
    [("shards", "operators/sharding.py", "In shards"), ("summarise", "results/merge.py", "The combined report")],
)
def test_every_parameter_is_documented_with_its_default(name, module, title, page, source):
    body = source.trees[module].body
    (function,) = (node for node in body if isinstance(node, ast.FunctionDef) and node.name == name)
    required = {argument.arg: "required" for argument in function.args.args}
    given = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    expected = required | {argument.arg: f"`{ast.unparse(default)}`" for argument, default in given}
    rows = page("scaling").table(title, f"parameter of {name}")
    assert {row[f"parameter of {name}"].strip("`"): row["default"] for row in rows} == expected


def test_every_part_of_the_sum_that_one_report_has_not_is_explained(page):
    from airflow_provider_ecdp.results.merge import summarise

    explained = {row["part"].strip("`") for row in page("scaling").table("The combined report", "part")}
    assert {f"summary.{name}" for name in summarise([])["summary"] if "shard" in name} <= explained
