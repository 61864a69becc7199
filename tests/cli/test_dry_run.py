"""`ecdp push --dry-run`: what this very push would do, without a key and without a request. Canary and drift."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.sandbox.faults import Faults


@pytest.fixture
def without_key(monkeypatch):
    for name in ("ECDP_API_KEY", "ECDP_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def narrowed():
    """Take a column out of a file."""

    def without(path, column):
        pq.write_table(pq.read_table(path).drop_columns(column), path)
        return path

    return without


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--mode", "add", "--match-by", "phone", "--batch-size", 30],
        ["--batch-bytes", 20_000, "--canary", 7, "--max-failed", "1%"],
        ["--warnings-as-errors", "all", "--max-failed", 9],
    ],
)
def test_a_dry_run_says_what_the_push_then_does(pointed, ecdp, sample, monkeypatch, options):
    arguments = ["push", sample(orders=200, faulty=2, odd=3), *options, "--json"]
    with monkeypatch.context() as bare:
        bare.delenv("ECDP_API_KEY")
        dry = ecdp(*arguments, "--dry-run")
    assert pointed.store.requests == []
    found = dry.json["summary"]
    run = ecdp(*arguments)
    summary = run.json["summary"]

    assert dry.code == run.code
    assert [found[name] for name in ("total", "to_send", "invalid", "warnings", "requests", "bytes")] == [
        summary[name] for name in ("total", "accepted", "invalid", "warnings", "requests", "bytes")
    ]


def test_a_dry_run_takes_results_and_memory_into_account_and_writes_nothing(pointed, ecdp, sample, tmp_path):
    first, memory = tmp_path / "first", tmp_path / "memory"
    pointed.faults = Faults(reject_every=50)
    assert ecdp("push", sample(orders=100), "--results", first, "--only-changed", memory, "--quiet").code == 1
    sent, files = pointed.store.post_count, sorted(tmp_path.rglob("*"))

    def dry(*options):
        run = ecdp("push", sample(orders=100), *options, "--dry-run", "--json")
        assert run.code == 0, run.err
        return {name: run.json["summary"][name] for name in ("total", "to_send", "skipped")}

    assert dry() == {"total": 100, "to_send": 100, "skipped": 0}
    everything = {"total": 100, "to_send": 2, "skipped": 98}
    assert dry("--results", first) == dry("--only-changed", memory) == everything
    assert dry("--results", tmp_path / "new", "--only-changed", memory) == everything
    assert dry("--replay-from", first) == {"total": 2, "to_send": 2, "skipped": 0}
    assert sorted(tmp_path.rglob("*")) == files
    assert pointed.store.post_count == sent


@pytest.mark.usefixtures("without_key")
def test_the_screen_of_a_dry_run_is_that_of_a_check_with_the_mode_of_the_push(ecdp, sample):
    extract = sample(orders=20, odd=1)
    dry, check = ecdp("push", extract, "--dry-run", "--mode", "add"), ecdp("check", extract)

    assert dry.code == 0
    assert dry.err == ""
    assert dry.out == check.out.replace("mode AddOrReplace", "mode Add")
    quiet = ecdp("push", extract, "--dry-run", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


@pytest.mark.usefixtures("without_key")
def test_a_dry_run_refuses_what_the_push_would_refuse(ecdp, sample, tmp_path):
    extract = sample(orders=5)
    for options, message in (
        (["--batch-size", 0], "batch_size must be a whole number, 1 or more"),
        (["--canary", -1], "canary must be a whole number, 0 or more"),
        (["--on-drift", "maybe"], "on_drift must be ignore, warn or fail, not 'maybe'"),
        (
            ["--on-drift", "fail"],
            "on_drift is fail, but no folder keeps the columns of the previous run: set results_path",
        ),
        (["--mode", "upsert"], "'upsert' is not a mode"),
        (["--max-failed", "some"], "max_failed 'some'"),
        (["--results", tmp_path, "--only-changed", tmp_path], "--results and --only-changed name the same folder"),
        (["--replay-from", tmp_path / "nowhere"], "has no results of an earlier run to replay"),
    ):
        run = ecdp("push", extract, "--dry-run", *options)
        assert run.code == 2
        assert message in run.err


# drift


@pytest.mark.parametrize(("on_drift", "code"), [("ignore", 0), ("warn", 0), ("FAIL", 2), (None, 0)])
def test_columns_that_are_gone_are_what_the_option_says(pointed, ecdp, sample, narrowed, tmp_path, on_drift, code):
    results = tmp_path / "results"
    options = ["--results", results] + (["--on-drift", on_drift] if on_drift else [])
    assert ecdp("push", sample(orders=5), "--results", results, "--quiet").code == 0
    extract = narrowed(sample(orders=5), "currency")
    posts, drift_message = (
        pointed.store.post_count,
        "has different columns than in the previous run:\n  - currency (string) is gone",
    )

    dry = ecdp("push", extract, *options, "--dry-run", "--json")
    assert (dry.code, dry.json["drift"]) == (code, ["currency (string) is gone"])
    assert ("with --on-drift fail nothing is sent" in dry.err) is (code == 2)
    run = ecdp("push", extract, *options, "--json")
    assert run.code == code
    assert (drift_message in run.err) is (on_drift != "ignore")
    assert pointed.store.post_count == posts + (code == 0)


def test_drift_that_is_a_failure_needs_something_to_compare_with(pointed, ecdp, sample, tmp_path):
    run = ecdp("push", sample(orders=5), "--on-drift", "fail")

    assert run.code == 2
    assert "(--results, --only-changed)" in run.err
    assert not pointed.store.requests
    assert ecdp("push", sample(orders=5), "--on-drift", "fail", "--only-changed", tmp_path / "memory").code == 0


# canary


def test_a_canary_that_is_refused_keeps_the_others_back(pointed, ecdp, sample):
    pointed.faults = Faults(reject_every=3)
    run = ecdp("push", sample(orders=50), "--canary", 5, "--json")

    assert run.code == 1
    assert run.err.startswith(
        "ecdp: canary: 1 of the first 5 orders failed, no others are sent; 46 of 50 orders failed "
        "(1 rejected, 45 not_attempted, 4 accepted): "
    )
    assert pointed.store.count() == 4
    assert ecdp("push", sample(orders=50), "--canary", 5, "--max-failed", "100%", "--quiet").code == 1


def test_a_canary_that_arrives_is_followed_by_the_others(pointed, ecdp, sample):
    run = ecdp("push", sample(orders=50), "--canary", 5, "--json")

    assert run.code == 0
    assert [record.orders for record in pointed.store.requests] == [5, 45]
    assert run.json["summary"]["accepted"] == pointed.store.count() == 50
