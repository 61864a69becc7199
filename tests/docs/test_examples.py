"""The examples are real: snippets are those of dags/, commands print what is shown, JSON is what comes out."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import requests

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.by_id.from_ids import Missing, get_orders
from airflow_provider_ecdp.cli import main
from airflow_provider_ecdp.cli.parser import parser
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.records import source_from_records
from airflow_provider_ecdp.orders.sources.shard import open_shard
from airflow_provider_ecdp.orders.sources.sharding import cut
from airflow_provider_ecdp.push.run import PushSettings, push
from airflow_provider_ecdp.results.merge import summarise
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.sample import Sample

ROOT = Path(__file__).parents[2]
KEY = "sandbox-key"


class TestSnippets:
    def test_those_of_dags_are_the_lines_between_the_marks(self, pages):
        for page in pages:
            for block in page.blocks("python", "sql"):
                file, _, name = block.comment.partition(": ")
                if file.startswith("dags/"):
                    text = (ROOT / file).read_text(encoding="utf-8")
                    assert block.text == (marked(text, name) if name else text), f"{page}: {block.comment}"

    def test_every_marked_part_is_in_the_documentation(self, pages):
        comments = {block.comment for page in pages for block in page.blocks("python")}
        for file in (ROOT / "dags").glob("*.py"):
            names = re.findall(r"# \[START (\w+)\]", file.read_text(encoding="utf-8"))
            assert {f"dags/{file.name}: {name}" for name in names} <= comments

    def test_python_compiles(self, pages):
        for page in pages:
            for block in page.blocks("python"):
                compile(block.text, str(page), "exec")

    def test_the_python_of_the_sandboxs_page_runs(self, page, capsys):
        (block,) = page("sandbox").blocks("python")
        exec(compile(block.text, "sandbox.md", "exec"), {})  # noqa: S102 - a page of ours
        assert capsys.readouterr().out.startswith("http://127.0.0.1:")

    @pytest.mark.slow
    def test_the_smallest_dag_runs(self, readme, tmp_path, sandbox, connect, context):
        connect(sandbox.url)
        (block,) = readme.blocks("python")
        defined = {}
        exec(compile(block.text, "README.md", "exec"), defined)  # noqa: S102 - a page of ours
        task = defined["dag"].task_dict["push_orders"]
        # the storage of the README is not of this machine
        assert (task.path[:5], task.results_path[:5]) == ("s3://", "s3://")
        Sample(orders=100).write(tmp_path / "orders.parquet")
        task.path, task.results_path = str(tmp_path / "orders.parquet"), str(tmp_path / "results")

        assert task.execute(context)["summary"]["accepted"] == sandbox.store.count() == 100


def marked(text, name):
    found = re.search(rf"# \[START {name}\]\n(.*?)\n *# \[END {name}\]", text, re.DOTALL)
    assert found, name
    return textwrap.dedent(found[1]).strip("\n") + "\n"


class TestCommands:
    @pytest.mark.slow
    def test_they_print_what_the_pages_show(self, pages, sandbox, tmp_path, monkeypatch):
        monkeypatch.setenv("ECDP_BASE_URL", sandbox.url)
        monkeypatch.setenv("ECDP_API_KEY", KEY)
        for number, page in enumerate(pages):
            # the commands of a page follow each other
            sandbox.reset()
            (tmp_path / str(number)).mkdir()
            monkeypatch.chdir(tmp_path / str(number))
            for block in page.blocks("json"):
                if block.comment.startswith("file: "):
                    Path(block.comment.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
            for block in page.blocks("console"):
                for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
                    printed = run(command)
                    # a line of three dots stands for any lines
                    parts = re.split(r"^\.\.\.\n?", plain(shown), flags=re.MULTILINE)
                    same = re.fullmatch(r"(?:.*\n)*?".join(map(re.escape, parts)), plain(printed))
                    assert same, f"{page}: {command}\n{printed}"

    def test_the_parser_takes_them(self, pages):
        for page in pages:
            for block in page.blocks("sh", "console"):
                for line in block.text.replace("$ ", "").splitlines():
                    words = shlex.split(line.removesuffix("&"), comments=True) if "ecdp " in line else []
                    while words and re.match(r"[A-Z_]+=", words[0]):
                        words.pop(0)
                    # the parser itself answers --version, and exits
                    if words[:1] == ["ecdp"] and words[1:] != ["--version"]:
                        parser().parse_args(words[1:])


def run(command):
    """Run a command of a shell; ours in this process, which saves its start."""
    name, *arguments = shlex.split(command)
    if name == "python":
        return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout
    assert name == "ecdp"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        main(arguments)
    return printed.getvalue()


def plain(text):
    """The text without what differs from run to run: times, and the size of a file."""
    text = re.sub(r"[\d.,]+ s, [\d,]+ orders/s", "TIME", text)
    text = re.sub(r'"duration_seconds": ?[\d.]+', "TIME", text)
    return re.sub(r"\([\d.]+ MB\)", "SIZE", text)


def pushed(sandbox, _order, folder):
    Sample(orders=500, faulty=2, odd=1, day=dt.date(2026, 11, 1)).write(folder / "orders.parquet")
    with client_of(sandbox) as client, OrderReader(ParquetSource.open(folder / "orders.parquet")) as orders:
        return push(
            orders, client, PushSettings(results_limit=3), prior_runs=PriorRuns(Ledger(folder / "results"))
        ).as_json()


def summed(sandbox, _order, folder):
    Sample(orders=500, faulty=2, odd=1, day=dt.date(2026, 11, 1)).write(folder / "whole.parquet")
    pq.write_table(pq.read_table(folder / "whole.parquet"), folder / "orders.parquet", row_group_size=100)
    extract = ParquetSource.open(folder / "orders.parquet")
    results = []
    for i, shard in enumerate(cut(extract, 3, path="orders.parquet")):
        opened = open_shard(shard, str(folder / "orders.parquet"), extract.filesystem)
        with client_of(sandbox) as client, OrderReader(opened) as orders:
            results.append(
                push(orders, client, prior_runs=PriorRuns(Ledger(folder / "push_orders" / str(i) / "3"))).as_json()
            )
    return summarise(results, expected=3)


def read(sandbox, order, _folder):
    mugs = [{"id": "MUG-1", "name": "Mug", "price": "29.90", "quantity": 2}]
    extract = source_from_records([order("O-1", currency="EUR", totalValue="59.80", products=mugs)])
    with client_of(sandbox) as client, OrderReader(extract) as orders:
        push(orders, client)
        return get_orders(client, ["O-1", "O-2"], include_customer=False, missing=Missing.REPORT).as_json()


def counted(sandbox, order, folder):
    pushed(sandbox, order, folder)
    return requests.get(f"{sandbox.url}/_sandbox/counts", timeout=60).json()


def client_of(sandbox):
    return EcdpClient(KEY, ClientSettings(base_url=sandbox.url))


#: By the comment before a JSON block: what makes it.
MAKERS = {"xcom: push": pushed, "xcom: sum": summed, "xcom: get": read, "sandbox: counts": counted}


@pytest.mark.slow
def test_json_is_what_comes_out(pages, sandbox, order, tmp_path):
    for page in pages:
        made_here = [block for block in page.blocks("json") if not block.comment.startswith("file: ")]
        for number, block in enumerate(made_here):
            folder = tmp_path / f"{page.path.stem}-{number}"
            folder.mkdir()
            sandbox.reset()
            made, shown = MAKERS[block.comment](sandbox, order, folder), json.loads(block.text)
            if "summary" in made:
                # a time and a place differ; of what kind they are does not
                timed = [name for name in made["summary"] if name.endswith("_seconds")]
                for of, name in (*((shown["summary"], name) for name in timed), (shown, "results_path")):
                    real = made["summary"] if name in made["summary"] else made
                    assert type(of[name]) is type(real[name])
                    of[name] = real[name]
            assert shown == made, f"{page}: {block.comment}"


def test_every_part_of_xcom_is_explained(page, sandbox, order, tmp_path):
    explained = {
        part for row in page("operators").table("XCom", "part") for part in re.findall(r"`([^`]+)`", row["part"])
    }
    for make in (pushed, read):
        made = make(sandbox, order, tmp_path)
        parts = {f"summary.{name}" for name in made["summary"]} - {f"summary.{o}" for o in Outcome}
        parts |= {f"results[].{name}" for name in made["results"][0]} - {"results[].order_id", "results[].outcome"}
        assert parts | made.keys() - {"summary"} <= explained
