import weakref

import pytest

from airflow_provider_ecdp.results.merge import summarise
from airflow_provider_ecdp.results.outcome import Outcome

NAMES = [outcome.value for outcome in Outcome]


class Value(dict):
    """A dict that can be watched."""


def report(accepted=10, rejected=0, path="/r/dag/run/push/0/3", in_flight=1, **parts):
    counts = dict.fromkeys(NAMES, 0) | {"accepted": accepted, "rejected": rejected}
    others = {
        "warnings": 1,
        "requests": 2,
        "retries": 1,
        "bytes": 100,
        "in_flight": in_flight,
        "duration_seconds": 0.25,
    }
    failures = [{"order_id": f"{path}-{i}", "outcome": "rejected", "reason": "no"} for i in range(rejected)]
    return Value(
        summary={"mode": "Add", "total": accepted + rejected, **counts, **others},
        results=[*failures, {"order_id": "good", "outcome": "accepted", "reason": None}],
        results_path=path,
        warnings=parts.get("warnings", {}),
        reasons=[{"reason": "rejected: no", "count": rejected, "example": failures[0]["order_id"]}] if rejected else [],
    )


def test_counts_add_up_and_failures_come_first():
    second, third = report(8, 2, "/r/dag/run/push/1/3", in_flight=4), report(7, 3, "/r/dag/run/push/12/3", in_flight=2)
    total = summarise([report(), second, third], expected=3)
    assert total["summary"] == {
        "mode": "Add",
        "total": 30,
        **dict.fromkeys(NAMES, 0),
        "accepted": 25,
        "rejected": 5,
        "warnings": 3,
        "requests": 6,
        "retries": 3,
        "bytes": 300,
        "in_flight": 4,
        "duration_seconds": 0.75,
        "shards": 3,
        "shards_failed": 2,
        "longest_shard_seconds": 0.25,
        "shards_missing": 0,
    }
    assert [result["outcome"] for result in total["results"]] == ["rejected"] * 5
    assert total["reasons"] == [{"reason": "rejected: no", "count": 5, "example": "/r/dag/run/push/1/3-0"}]


def test_orders_that_a_dry_run_would_send_have_not_failed():
    valid, wrong = report(0), report(0)
    valid["summary"] |= {"not_attempted": 9, "dry_run": True}
    wrong["summary"] |= {"not_attempted": 8, "invalid": 1, "dry_run": True}
    summary = summarise([valid, wrong])["summary"]
    assert (summary["shards_failed"], summary["dry_run"], summary["not_attempted"]) == (1, True, 17)


def test_it_lists_as_many_failures_as_it_may_and_counts_all():
    total = summarise([report(0, 30), report(0, 30)], results_limit=7)
    assert (len(total["results"]), total["summary"]["rejected"]) == (7, 60)


def test_shards_without_a_result_are_missing():
    assert summarise([report(), None], expected=4)["summary"]["shards_missing"] == 3
    assert summarise([report()])["summary"]["shards_missing"] is None


def test_nothing_at_all_is_a_sum_too():
    total = summarise([], expected=2)
    assert (total["summary"]["total"], total["summary"]["shards"], total["summary"]["shards_missing"]) == (0, 0, 2)
    assert (total["results"], total["results_path"], total["summary"]["mode"]) == ([], None, None)


@pytest.mark.parametrize(
    ("paths", "common"),
    [
        (["/r/dag/run/push/0/3", "/r/dag/run/push/1/3", "/r/dag/run/push/10/5"], "/r/dag/run/push"),
        (["s3://c@bucket/r/push/1/3", "s3://c@bucket/r/push/11/3"], "s3://c@bucket/r/push"),
        (["/r/push/0/3"], "/r/push"),
        (["/r/push/0/3", "/r/push/0/3"], "/r/push"),
        (["s3://c@bucket/r/push/1/3"], "s3://c@bucket/r/push"),
        ([None, "/r/push/0/3"], "/r/push"),
        (["/r/push/0/3", None], "/r/push"),
        ([None, None], None),
    ],
)
def test_the_path_is_the_folder_that_holds_all_ledgers(paths, common):
    assert summarise([report(path=path) if path else report() | {"results_path": None} for path in paths])[
        "results_path"
    ] == (common)


def test_warnings_keep_an_example_and_add_up():
    odd = {"status_spelling": {"count": 2, "example": "A-1"}}
    again = {"status_spelling": {"count": 3, "example": "B-1"}, "negative_quantity": {"count": 1, "example": "B-2"}}
    assert summarise([report(warnings=odd), report(warnings=again)])["warnings"] == {
        "status_spelling": {"count": 5, "example": "A-1"},
        "negative_quantity": {"count": 1, "example": "B-2"},
    }
    assert odd["status_spelling"]["count"] == 2


def test_one_result_is_in_memory_at_a_time():
    alive = []

    def results():
        for _ in range(20):
            value = report(rejected=1)
            reference = weakref.ref(value)
            yield value
            del value
            alive.append(reference)

    assert summarise(results())["summary"]["shards"] == 20
    # the loop's own name holds the one before, until it takes the next
    assert sum(reference() is not None for reference in alive) <= 1


@pytest.mark.parametrize("operation", ["update_status", "delete", "get"])
def test_what_is_no_push_has_no_warnings_and_adds_up_too(operation):
    one = report()
    del one["summary"]["warnings"], one["summary"]["mode"], one["summary"]["in_flight"]
    one["summary"]["operation"] = operation
    total = summarise([one, one])
    assert (total["summary"]["mode"], total["summary"]["accepted"], total["summary"]["warnings"]) == (operation, 20, 0)
    assert total["summary"]["in_flight"] == 0
