"""What is printed: in any encoding, without control characters, in columns that leave the reasons their room."""

from __future__ import annotations

import datetime as dt
import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from airflow_provider_ecdp.cli import main, output
from airflow_provider_ecdp.cli.progress import described
from airflow_provider_ecdp.cli.tables import rows
from airflow_provider_ecdp.orders.mapping.spec import from_json
from airflow_provider_ecdp.runs.progress import Progress
from airflow_provider_ecdp.runs.throughput import Throughput

ORDER = {
    "date": dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    "totalValue": 10,
    "customer": {"crmId": "c-1"},
    "products": [{"id": "p", "name": "n", "price": 10, "quantity": 1}],
}
ENCODINGS = ["ascii", "cp1252", "latin-1", "utf-8"]


def printed_in(monkeypatch, encoding, *arguments):
    """Run a command with a stdout and a stderr of an encoding; return its code and what it printed."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}
    with monkeypatch.context() as patched:
        for name, stream in streams.items():
            patched.setattr(sys, name, stream)
        code = main([str(argument) for argument in arguments])
    return code, *(stream.buffer.getvalue().decode(encoding) for stream in streams.values())


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("options", [[], ["--json"], ["--dry-run"], ["--dry-run", "--json"]])
def test_the_exit_code_is_that_of_the_outcome_whatever_the_encoding(pointed, table, monkeypatch, encoding, options):
    good, bad = ORDER | {"id": "Ł-1 \U0001f4e6"}, ORDER | {"id": "Ł-2 é", "status": "wysłane"}
    extract = table([good | {"status": "paid"}, bad])
    code, out, err = printed_in(monkeypatch, encoding, "push", extract, *options)

    assert code == 1, err
    if "--json" in options:
        found = json.loads(out)
        assert "Ł-2 é" in json.dumps(found, ensure_ascii=False)
    else:
        assert ("Ł-2" if encoding == "utf-8" else "\\u0141-2") in out
    assert pointed.store.count() == ("--dry-run" not in options)


@pytest.mark.usefixtures("pointed")
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_orders_and_csv_are_printed_in_any_encoding(table, tmp_path, monkeypatch, encoding):
    extract = table([ORDER | {"id": "Ł-1", "status": "paid"}])
    assert printed_in(monkeypatch, encoding, "push", extract, "--results", tmp_path / "kept", "--quiet")[0] == 0

    code, out, _ = printed_in(monkeypatch, encoding, "get", "Ł-1")
    assert (code, json.loads(out)["id"]) == (0, "Ł-1")
    code, out, _ = printed_in(monkeypatch, encoding, "results", tmp_path / "kept", "--csv")
    assert code == 0
    assert "accepted" in out
    code, _, err = printed_in(monkeypatch, encoding, "get", "Ł-2")
    assert code == 1
    assert "ECDP has no such order" in err


STEERING = "\x1b[2J\x07\x9b31m\u202e"


@pytest.mark.usefixtures("pointed")
def test_control_characters_of_the_users_do_not_reach_the_terminal(ecdp, table, tmp_path):
    extract = table([ORDER | {"id": f"A{STEERING}\r\n1", "status": "sent"}], name=f"o{STEERING}.parquet")
    for arguments in (
        ["check", extract],
        ["push", extract, "--results", tmp_path / "kept"],
        ["results", tmp_path / "kept"],
        ["results", tmp_path / "kept", "--order", f"A{STEERING}\r\n1"],
        ["push", extract, "--json"],
        ["get", STEERING],
        ["delete", STEERING],
        ["check", tmp_path / STEERING],
        ["push", extract, "--quiet"],
        ["mapping", "suggest", extract],
        [STEERING],
        ["push", extract, f"--{STEERING}"],
        ["sample", tmp_path / "x", STEERING],
    ):
        run = ecdp(*arguments)
        for character in STEERING.replace("[2J", "").replace("31m", "") + "\r":
            assert character not in run.out + run.err, arguments
        named = "--order" not in arguments and "--quiet" not in arguments
        assert not named or "\\x1b[2J" in run.out + run.err or "\\u001b[2J" in run.out


@pytest.mark.usefixtures("pointed")
def test_an_id_of_several_lines_stays_in_its_line(ecdp, table):
    run = ecdp("push", table([ORDER | {"id": "A\necdp: all is well", "status": "sent"}]), "--quiet")

    assert run.code == 1
    assert run.err.count("\n") == 1
    assert "(for example order A\\necdp: all is well)" in run.err


@pytest.mark.usefixtures("pointed")
def test_an_order_without_an_id_is_called_so_and_one_byte_is_one_byte(ecdp, table):
    without_id = ecdp("push", table([ORDER | {"id": None, "status": "paid"}, ORDER | {"id": "A-1"}]), "--quiet")
    assert "id: required, got missing (for example an order without an id)" in without_id.err
    # reasons of several orders are folded; that of one has its figures
    wrong = ORDER | {"id": "A-1", "status": b"\xff", "currency": "X"}
    reason = ecdp("push", table([wrong]), "--json").json["results"][0]["reason"]
    assert "got 1 byte; " in reason + "; "
    assert "got 1 character; " in reason + "; "


def test_names_of_columns_are_themselves_in_a_suggested_mapping(ecdp, table):
    name = f"price {STEERING}"
    run = ecdp("mapping", "suggest", table([{"order_id": "A-1", "sku": "p", name: "x"}]))

    assert from_json(run.out)["id"] == "order_id"
    assert f'// "orderAttributes": {{{json.dumps(name)}: {json.dumps(name)}}}' in run.out


@pytest.mark.usefixtures("pointed")
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_columns_stay_aligned_where_characters_are_escaped(table, tmp_path, monkeypatch, encoding):
    extract = table([ORDER | {"id": one, "status": "wrong"} for one in ("ŁŁŁ-1", "A-2")])
    printed_in(monkeypatch, encoding, "push", extract, "--results", tmp_path / "kept", "--quiet")
    _, out, _ = printed_in(monkeypatch, encoding, "results", tmp_path / "kept", "--failed")
    rows = [line for line in out.splitlines() if " status: one of" in line and "-" in line.split()[0]]

    assert len(rows) == 2
    assert len({line.index(" invalid") for line in rows}) == 1


@given(st.text(), st.sampled_from(ENCODINGS))
def test_any_text_can_be_printed_and_json_stays_json(text, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    before, sys.stdout = sys.stdout, stream
    try:
        output.out_json({"text": text})
        output.out(text)
        output.report(rows([("1", text, text)], "orders", "why", "id"))
    finally:
        sys.stdout = before
    shown = stream.buffer.getvalue().decode(encoding)
    assert json.loads(shown.split("\n", 1)[0]) == {"text": text}
    assert all(character.isprintable() or character in "\n\t" or character > "\x9f" for character in shown)


def test_a_long_id_leaves_the_reason_its_room_at_80_columns():
    target = io.StringIO()
    reason = "customer: needs email, phone or crmId, got none"
    Console(file=target, width=80).print(rows([("1", reason, "ID-" * 40)], "orders", "why they failed", "for example"))
    lines = target.getvalue().splitlines()

    assert max(map(len, lines)) <= 80
    shown = [line[8:52].strip() for line in lines if line.strip()]
    assert " ".join(shown[2:4]) == reason


def test_progress_shows_the_total_the_failures_the_pace_and_the_end():
    pace = Throughput(0.0)
    pace.note(0, 0)
    moment = dt.datetime(2026, 11, 1, 14, 39, tzinfo=dt.UTC)
    assert described(Progress(0, 0, 60_000, 0), pace, moment, failures=True) == "0 of 60,000 orders, 0 failed"
    for second in range(1, 31):
        pace.note(second, 500 * second)
    now = Progress(15_000, 2, 60_000, 30)
    assert described(now, pace, moment, failures=True) == (
        "15,000 of 60,000 orders, 2 failed, 500/s, ETA 14:40 UTC (2 min)"
    )
    assert described(Progress(1, 0, None, 30), Throughput(0.0), moment, failures=False) == "1 order"
