"""`ecdp sandbox` says how to reach it, and misbehaves as it is told; `ecdp sample` writes what it says."""

from __future__ import annotations

import json
import re
import shlex

import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.cli.parser import FAULTS


def test_the_sandbox_prints_what_the_command_line_and_airflow_need(started, ecdp, sample, monkeypatch, tmp_path):
    process = started("sandbox", "--port", 0, "--key", "it's a key", "--database", tmp_path / "orders.sqlite3")
    lines = [process.stdout.readline() for _ in range(8)]
    exported = next(line for line in lines if "ECDP_BASE_URL" in line)
    for assignment in shlex.split(exported)[1:]:
        name, _, value = assignment.partition("=")
        monkeypatch.setenv(name, value)

    run = ecdp("push", sample(orders=3), "--json")

    assert run.code == 0, run.err
    connection = json.loads(
        shlex.split(next(line for line in lines if "AIRFLOW_CONN_ECDP_DEFAULT" in line))[1].partition("=")[2]
    )
    assert connection == {"conn_type": "ecdp", "host": lines[0].split()[4].rstrip("."), "password": "it's a key"}
    added = shlex.split(next(line for line in lines if "connections add" in line))
    assert added[:4] == ["airflow", "connections", "add", "ecdp_default"]
    assert json.loads(added[-1]) == connection


def test_the_sandbox_shows_its_key_and_each_request_without_ids(started, ecdp, sample, monkeypatch):
    process = started("sandbox", "--port", 0, "--faults", '{"throttle": 4}', ECDP_API_KEY="sandbox-key")
    lines = [process.stdout.readline() for _ in range(8)]
    # the key of the environment is that of the sandbox: elsewhere it is cut out
    assert "ECDP_API_KEY=sandbox-key" in lines[3]
    monkeypatch.setenv("ECDP_BASE_URL", lines[0].split()[4].rstrip("."))
    monkeypatch.setenv("ECDP_API_KEY", "sandbox-key")

    ecdp("push", sample(orders=3))
    ecdp("get", "jane@example.com")
    ecdp("status", "ORD-00000001", "paid")
    ecdp("delete", "ORD-00000001")

    shown = [process.stderr.readline() for _ in range(4)]
    assert [re.sub(r"^\d\d:\d\d:\d\d |[\d.]+ kB", "", line) for line in shown] == [
        "POST /orders: 201, 3 orders, \n",
        "GET /orders/{id}: 404\n",
        "PUT /orders/status: 200, 50 bytes\n",
        "DELETE /orders/{id}: 429 (fault throttle)\n",
    ]


def test_a_port_that_is_taken_is_answered_with_a_free_one(pointed, ecdp):
    port = pointed.url.rpartition(":")[2]
    run = ecdp("sandbox", "--port", port)

    assert run.code == 2
    assert run.err == (
        f"ecdp: sandbox cannot listen on 127.0.0.1 port {port}: Address already in use; "
        "port 0 picks a free one (--port 0)\n"
    )


@pytest.mark.parametrize("value", ["-1", "65536", "99999", "1" + "0" * 30])
def test_a_port_that_cannot_be_one_is_refused(ecdp, value):
    run = ecdp("sandbox", f"--port={value}")

    assert (run.code, run.err) == (2, f"ecdp: sandbox port {value}: must be from 0 to 65535; 0 picks a free one\n")


@pytest.mark.usefixtures("pointed")
@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "1" + "0" * 30])
def test_no_number_of_an_option_is_an_internal_error(ecdp, sample, tmp_path, value):
    """The sandbox is not started: its host is refused, after its other options have been read."""
    extract, kept = sample(orders=2), tmp_path / "kept"
    assert ecdp("push", extract, "--results", kept).code == 0
    for command in (
        *(["sandbox", "--host", "192.0.2.1", f"--{name.replace('_', '-')}={value}"] for name in FAULTS),
        ["push", extract, "--dry-run", f"--canary={value}"],
        ["push", extract, "--dry-run", f"--batch-size={value}"],
        ["push", extract, "--dry-run", f"--max-duration={value}"],
        ["sample", tmp_path / "sample.parquet", f"--orders={value}"],
        ["sample", tmp_path / "sample.parquet", "--orders=2", f"--seed={value}"],
        ["results", kept, f"--limit={value}"],
        ["results", kept, "compact", f"--keep-days={value}"],
        ["results", kept, "prune", f"--keep-days={value}"],
        ["status", "ORD-00000001", "paid", f"--website-id={value}"],
    ):
        run = ecdp(*command)
        assert run.code in {0, 1, 2}, run.err
        assert "Traceback" not in run.err


def test_a_canary_of_more_orders_than_there_are_is_all_of_them(pointed, ecdp, sample):
    run = ecdp("push", sample(orders=3), "--canary", 10**30)

    assert (run.code, pointed.store.count()) == (0, 3)


def test_faults_come_from_options_and_json_and_the_option_wins(started, ecdp, sample, monkeypatch):
    process = started(
        "sandbox", "--port", 0, "--json", "--reject-every", 2, "--faults", '{"vague": true, "reject_every": 3}'
    )
    printed = json.loads(process.stdout.readline())
    monkeypatch.setenv("ECDP_BASE_URL", printed["url"])
    monkeypatch.setenv("ECDP_API_KEY", printed["key"])

    run = ecdp("push", sample(orders=4), "--json")

    rejected = [result for result in run.json["results"] if result["outcome"] == "rejected"]
    assert {result["order_id"] for result in rejected} == {"ORD-00000002", "ORD-00000004"}
    assert "ORD-" not in rejected[0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--faults", "{"], "--faults is not JSON"),
        (["--faults", "[]"], "must be a JSON object"),
        (["--faults", '{"nonsense": 1}'], "nonsense"),
        (["--faults", "@absent.json"], "absent.json cannot be read"),
        (["--throttle", "1.5"], "throttle"),
        (["--host", "192.0.2.1"], "this machine only"),
        (["--key", ""], "needs an API key"),
    ],
)
def test_a_sandbox_with_invalid_arguments_does_not_start(ecdp, arguments, expected):
    run = ecdp("sandbox", "--port", 0, *arguments)

    assert run.code == 2
    assert expected in run.err
    assert "Traceback" not in run.err


def test_a_sample_of_lines_comes_with_the_sql_that_makes_orders_of_them(ecdp, tmp_path):
    path = tmp_path / "lines.parquet"
    run = ecdp("sample", path, "--orders", 50, "--lines", "--faulty", 2, "--json")

    assert run.json == {"file": str(path), "orders": 50, "sql": str(tmp_path / "lines.sql")}
    checked = ecdp("check", path, "--sql", tmp_path / "lines.sql", "--json")
    assert checked.json["summary"]["total"] == 50
    assert checked.json["summary"]["invalid"] == 2


def test_a_sample_says_what_to_do_with_it(ecdp, tmp_path):
    path = tmp_path / "orders.parquet"
    run = ecdp("sample", path, "--orders", 10, "--day", "2026-02-03")

    assert run.code == 0
    assert run.err == ""
    assert run.out.startswith(f"10 orders in {path}\n")
    assert f"ecdp check {path}" in run.out
    assert {str(moment.date()) for moment in pq.read_table(path)["date"].to_pylist()} == {"2026-02-03"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--orders", "5", "--faulty", "6"], "5 orders cannot have 6 faulty"),
        (["--orders", "-1"], "-1 orders cannot have"),
        (["--day", "tomorrow"], "argument --day: must be a day such as 2026-11-01, not 'tomorrow'"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
    ],
)
def test_a_sample_that_cannot_be_made_is_wrong_usage(ecdp, tmp_path, arguments, message):
    path = tmp_path / "orders.parquet"
    run = ecdp("sample", path, *arguments)
    assert (run.code, message in run.err) == (2, True)
    assert not path.exists()


@pytest.mark.parametrize(("name", "code"), [("x.csv", 2), ("x.PARQUET", 0), ("x", 0), ("x.pq", 0)])
def test_a_sample_is_parquet_and_not_called_otherwise(ecdp, tmp_path, name, code):
    run = ecdp("sample", tmp_path / name, "--orders", 1, "--quiet")

    assert run.code == code
    assert (tmp_path / name).exists() == (code == 0)
    assert code == 0 or run.err.endswith("would not be read as Parquet: name it " + f"{tmp_path / 'x.parquet'}\n")


def test_a_sample_in_a_folder_that_is_not_there_is_an_error(ecdp, tmp_path):
    run = ecdp("sample", tmp_path / "absent" / "orders.parquet", "--orders", 1)

    assert run.code == 2
    assert "the sample cannot be written" in run.err
