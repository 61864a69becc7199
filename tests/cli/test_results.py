"""`ecdp results`: lists, histories, exports, erasure and compaction of what runs have kept."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest

from airflow_provider_ecdp.cli import main
from airflow_provider_ecdp.sample import Sample
from airflow_provider_ecdp.sandbox.faults import Faults


@pytest.fixture(scope="module")
def two_runs(server, tmp_path_factory):
    """One run in which two orders of twenty are refused, and one in which none is."""
    folder = tmp_path_factory.mktemp("runs")
    extract, results = folder / "orders.parquet", folder / "all results"
    Sample(orders=20).write(extract)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECDP_API_KEY", "sandbox-key")
        for name, faults, code in (("first", Faults(reject_every=10), 1), ("second", Faults(), 0)):
            server.reset(faults)
            options = ["--base-url", server.url, "--results", str(results / name), "--quiet"]
            assert main(["push", str(extract), *options]) == code
    return results


@pytest.fixture
def root(two_runs, tmp_path):
    """The results of two runs, which a test may change."""
    return shutil.copytree(two_runs, tmp_path / two_runs.name)


def test_failed_orders_are_listed_with_counts_and_reasons(ecdp, root):
    run = ecdp("results", root / "first", "--failed")
    assert run.code == 0
    assert run.err == ""
    lines = run.out.splitlines()
    assert any(line.split()[:2] == ["18", "accepted"] for line in lines)
    assert [line.split()[0] for line in lines if line.lstrip().startswith("ORD-")] == ["ORD-00000010", "ORD-00000020"]


def test_of_many_runs_the_newest_row_counts(ecdp, root):
    run = ecdp("results", root, "--failed")
    assert "No order matches." in run.out
    assert "first" in run.out
    assert ecdp("results", root, "--json").json["counts"]["accepted"] == 20


@pytest.mark.parametrize(
    ("options", "matching"),
    [
        ([], 20),
        (["--outcome", "rejected"], 2),
        (["--outcome", "Accepted", "--outcome", "rejected"], 20),
        (["--reason", "NOBODY SAID THIS"], 0),
    ],
)
def test_orders_are_filtered(ecdp, root, options, matching):
    found = ecdp("results", root / "first", "--json", "--limit", "5", *options).json
    assert found["matching"] == matching
    assert len(found["results"]) == min(matching, 5)
    assert json.loads(json.dumps(found)) == found


def test_the_history_of_an_order_goes_over_all_runs(ecdp, root):
    found = ecdp("results", root, "--order", "ORD-00000010", "--json").json["results"]
    assert [(row["run"], row["outcome"]) for row in found] == [("first", "rejected"), ("second", "accepted")]
    assert "rejected" in ecdp("results", root, "--order", "ORD-00000010").out
    assert ecdp("results", root, "--order", "nobody").code == 1


def test_all_matching_orders_are_exported_as_csv(ecdp, root):
    rows = [*csv.DictReader(io.StringIO(ecdp("results", root / "first", "--csv", "--limit", "1").out))]
    assert len(rows) == 20
    assert {row["outcome"] for row in rows} == {"accepted", "rejected"}


def test_an_order_is_forgotten(ecdp, root):
    run = ecdp("results", root, "forget", "ORD-00000010")
    assert run.code == 0
    assert run.out.startswith("order ORD-00000010: 2 rows erased from ")
    assert ecdp("results", root, "--order", "ORD-00000010").code == 1
    assert ecdp("results", root, "forget", "ORD-00000010").code == 1
    assert ecdp("results", root, "--json").json["counts"]["accepted"] == 19


def test_files_are_merged(ecdp, root):
    before = ecdp("results", root, "--json").json
    run = ecdp("results", root, "compact")
    assert run.code == 0
    assert "merged into 2" in run.out
    assert len([*root.rglob("*.parquet")]) == 2
    assert ecdp("results", root, "--json").json == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forgot", "A"], "forget ORDER"),
        (["forget"], "forget ORDER"),
        (["compact", "now"], "compact"),
        (["--outcome", "Accepted", "--outcome", "lost"], "skipped, not lost"),
        (["--order", "A", "--failed"], "--order does not take --failed"),
        (["compact", "--outcome", "invalid"], "compact does not take --outcome"),
        (["forget", "A", "--order", "B", "--csv"], "forget does not take --order, --csv"),
        (["forget", "A", "--keep-days", "3"], "--keep-days is for compact or prune"),
        (["--csv", "--json"], "--csv and --json exclude each other"),
        (["--limit", "-1"], "--limit must be 0 or more, not -1"),
        (["--keep-days", "3"], "--keep-days is for compact or prune"),
    ],
)
def test_invalid_arguments_are_refused(ecdp, root, arguments, message):
    run = ecdp("results", root, *arguments)
    assert run.code == 2
    assert message in run.err


def test_a_folder_without_results_is_a_wrong_setting(ecdp, tmp_path):
    run = ecdp("results", tmp_path)
    assert run.code == 2
    assert "has no results of a run" in run.err


def test_old_runs_are_pruned(ecdp, tmp_path):
    folder = tmp_path / "dag" / "run" / "task" / "0"
    folder.mkdir(parents=True)
    (folder / "20200101T000000.000000-ab-000000.parquet").touch()
    run = ecdp("results", tmp_path, "prune", "--keep-days", "30", "--json")
    assert (run.code, run.json["runs_removed"]) == (0, 1)
    assert not folder.exists()
    run = ecdp("results", tmp_path, "prune")
    assert run.code == 2
    assert "prune needs --keep-days N" in run.err


@pytest.mark.parametrize("from_extract", [False, True])
def test_an_order_that_was_deleted_is_sent_again_by_only_changed(pointed, ecdp, sample, tmp_path, from_extract):
    extract, history = sample(orders=3), tmp_path / "history"

    def push():
        return ecdp("push", extract, "--only-changed", history, "--json").json["summary"]

    assert push()["accepted"] == 3
    assert push()["skipped"] == 3
    what = ["--from", extract] if from_extract else ["ORD-00000002"]
    assert ecdp("delete", *what, "--only-changed", history, "--quiet").code == 0
    again = push()
    assert (again["accepted"], again["skipped"]) == ((3, 0) if from_extract else (1, 2))
    assert pointed.store.count() == 3


def test_what_was_refused_is_pushed_again_with_the_next_extract(pointed, ecdp, sample, tmp_path, monkeypatch):
    def push(name, **of):
        return ecdp("push", sample(name, **of), "--retry-failed", tmp_path / "failed", "--max-failed", 2)

    monkeypatch.chdir(tmp_path)
    pointed.faults = Faults(reject_ids=frozenset({"ORD-00000003"}))
    assert push("first.parquet", orders=5).code == 0
    pointed.faults = Faults()
    monkeypatch.chdir("/")
    second = push("second.parquet", orders=2)
    assert "1 order of these had failed in earlier runs." in second.out
    assert "3 in this run" in " ".join(second.out.split())
    assert pointed.store.count() == 5
    assert "had failed" not in push("third.parquet", orders=1).out


def test_the_credentials_of_an_extract_are_kept_nowhere(ecdp, tmp_path):
    run = ecdp("push", "s3://key:secret@bucket/orders.parquet", "--retry-failed", tmp_path / "failed")
    assert run.code == 2
    assert "--retry-failed keeps the names of extracts" in run.err
    assert "secret" not in run.err
    assert not (tmp_path / "failed").exists()


def test_the_list_of_failed_orders_is_a_folder(pointed, ecdp, sample):
    extract = sample(orders=1)
    run = ecdp("push", extract, "--retry-failed", extract)
    assert (run.code, pointed.store.count()) == (2, 0)
    assert f"{extract} is a file; name the folder that holds the results" in run.err
