"""The tutorial, as a reader follows it: its commands in their order, what they print, and the DAG as it is saved.

Commands of Airflow and of ecdp run in this process. What installs is not run, the sandbox is that of the test, and the
UI is not started.
"""

import datetime as dt
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from airflow_provider_ecdp.cli import main

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"

#: Commands that a test has no need of: what they make is there already.
PREPARED = {"python3", "pip", "cd"}
#: Programs that run until they are stopped; the sandbox of the test stands in for one of them.
SERVERS = (["ecdp", "sandbox"], ["airflow", "standalone"])

_BLOCK = re.compile(r"(?:<!-- (\S+\.(?:py|sh)) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Reader:
    """Somebody who types what the page says; `shown` is what the last commands have printed."""

    def __init__(self, folder, sandbox, capfd, monkeypatch, dags):
        self.folder, self.sandbox, self.capfd, self.monkeypatch, self.dags = folder, sandbox, capfd, monkeypatch, dags
        self.shown = ""
        self.states = []
        self.run = []

    def read(self, saved, language, text):
        if saved:
            self.save(saved, text)
        elif language == "sh":
            self.shown = ""
            for line in text.splitlines():
                self.type(line)
        elif language == "text":
            self.compare(text)

    def save(self, name, text):
        # Airflow of the tests has another home
        folder = self.dags if Path(name).parent.name == "dags" else self.folder
        (folder / Path(name).name).write_text(text, encoding="utf-8")

    def type(self, line):
        line = line.replace("http://127.0.0.1:8765", self.sandbox.url)
        if line.startswith("#"):
            return
        if re.match(r"(export )?[A-Z_]+=", line):
            self.set(line)
            return
        # the shell itself takes quotes and variables apart
        words = self.shell(f"printf '%s\\0' {line}", self.variables()).split("\0")[:-1]
        if words[0] in PREPARED or words in SERVERS or words[-1].endswith("bin/activate"):
            return
        if words[0] == ".":
            for one in (self.folder / words[1]).read_text().splitlines():
                self.type(one)
            return
        self.run.append(shlex.join(words[:3]))
        self.capfd.readouterr()
        if words[0] == "ecdp":
            assert main(words[1:]) == 0, line
        elif words[:3] == ["airflow", "dags", "test"]:
            self.test_dag(*words[3:])
        elif words != ["airflow", "db", "migrate"]:
            assert words[0] == "mkdir", f"the test does not know how to run: {line}"
            self.shell(line.replace("tutorial/", "./"), {})
        out, err = self.capfd.readouterr()
        self.shown += out + err

    def set(self, line):
        before = self.variables()
        names = re.findall(r"([A-Z_]+)=", line)
        values = self.shell(f"{line}; printf '%s\\0' " + " ".join(f'"${name}"' for name in names), before).split("\0")
        for name, value in zip(names, values, strict=False):
            assert value, line
            # the home of the tests is not the reader's
            if name != "AIRFLOW_HOME":
                self.monkeypatch.setenv(name, value)

    def variables(self):
        return dict(os.environ)

    def shell(self, command, variables):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def test_dag(self, dag_id, date, *conf):
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(str(self.dags / "shop_orders.py"))
        assert bag.import_errors == {}
        given = json.loads(conf[1]) if conf else None
        run = bag.dags[dag_id].test(logical_date=dt.datetime.fromisoformat(date), run_conf=given)
        self.states.append(str(run.state))

    def compare(self, text):
        for expected in text.splitlines():
            assert any(expected.strip() in line for line in self.shown.splitlines()), expected


@pytest.mark.usefixtures("airflow")
def test_the_tutorial_ends_in_a_sync_that_has_failed_once_and_was_replayed(sandbox, capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    # as wide as the terminal of the page
    monkeypatch.setenv("COLUMNS", "120")
    dags = Path(os.environ["AIRFLOW_HOME"]) / "dags"
    reader = Reader(tmp_path, sandbox, capfd, monkeypatch, dags)
    for block in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        reader.read(*block)
    assert reader.states == ["success", "failed", "success"]
    assert sandbox.store.count() == 500
    # the replay has sent the three orders that failed, once more than the nights
    assert max(sandbox.store.repeated_writes().values()) == 2
    assert [command for command in reader.run if command.startswith("airflow")] == [
        "airflow db migrate",
        *["airflow dags test"] * 3,
    ]
