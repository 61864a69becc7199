"""The dry run of changes: what a run would do with each row."""

from __future__ import annotations

import pyarrow as pa
import pytest

from airflow_provider_ecdp.by_id.queue import ChangeQueue
from airflow_provider_ecdp.by_id.settings import ChangeSettings, Missing, Operation
from airflow_provider_ecdp.dry_run.changes import check_changes
from airflow_provider_ecdp.errors import EmptyExtractError, ExtractError
from airflow_provider_ecdp.orders.sources.table import TableSource


@pytest.fixture
def dry_run():
    def run(operation=Operation.UPDATE_STATUS, *, columns, **settings):
        with ChangeQueue(TableSource("the changes", pa.table(columns)), operation) as queue:
            return check_changes(queue, ChangeSettings(missing=Missing.FAIL, **settings))

    return run


def test_every_row_is_counted_once(dry_run):
    found = dry_run(columns={"order_id": ["1", "1", "2", None], "status": ["paid", "paid", "sold", "paid"]})
    assert (found.total, found.to_send, found.invalid, found.repeated, found.done) == (4, 1, 2, 1, 0)


def test_a_rule_has_its_most_common_values_and_some_ids(dry_run):
    ids = [str(i) for i in range(2000)]
    words = ["".join("abcdefghij"[int(digit)] for digit in i) for i in ids]
    found = dry_run(columns={"order_id": ids, "status": ["x"] * 3 + words[3:]})
    [rule] = found.most_common_problems
    assert (rule.field, rule.rule) == ("status", "one of Placed, Paid, Completed, Canceled")
    assert (rule.count, rule.examples) == (2000, ["0", "1", "2"])
    assert rule.got.most_common(1) == [("'x'", 3)]
    assert len(rule.got) == 1000
    assert len(rule.as_json()["got"]) == 3


def test_a_rule_whose_text_has_no_value_has_none(dry_run):
    [rule] = dry_run(Operation.DELETE, columns={"order_id": [".", "2"]}).most_common_problems
    assert rule.as_json() == {
        "field": "order id",
        "rule": "'.' cannot be part of a URL, because clients and proxies remove it",
        "count": 1,
        "examples": ["."],
        "got": [],
    }


def test_what_the_run_would_refuse_is_refused(dry_run):
    with pytest.raises(EmptyExtractError, match="the changes has no changes"):
        dry_run(columns={"order_id": pa.array([], pa.string()), "status": pa.array([], pa.string())})
    with pytest.raises(ExtractError, match=r"has 2 rows, more than max_deletions \(1\)"):
        dry_run(Operation.DELETE, columns={"order_id": ["1", "2"]}, max_deletions=1)
