"""From nothing to a replay in the browser: `make browser`.

It builds the wheel, installs it in an empty environment, and starts `airflow standalone` and the sandbox. Then Chromium
does what a user would: log in, make the connection by its form, press its Test button, trigger the example DAG of the
form, open the Sync report of the run that has failed, search an order, and press replay. At the end the replay must
have succeeded, and ECDP must have every order: exit code 0, or 1 and what was wrong. With `--results N`, a report of N
results is opened and timed at the end.

Pictures of each step, light and dark, wide and narrow, are in the folder `pictures`. For Airflow 3.1:
`--constraints tests/lowest/constraints.txt`.

It needs Chromium, which nothing here downloads: on Debian and Ubuntu `apt-get install chromium`; `--chromium` names
another place. Everything is in a temporary folder and ended by its process id. Pages, API and sandbox listen on
loopback; Airflow's two servers of logs have no such setting.
"""

# ruff: noqa: T201 - a script prints

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import expect

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "celery"))

from browser_visit import NARROW, WIDE, visit  # noqa: E402 - after the path
from celery_processes import AirflowRun, Failed, Processes, wait_for  # noqa: E402 - as above

from airflow_provider_ecdp.ledger.schema import SCHEMA  # noqa: E402 - as above

DAG, TASK = "example_ecdp_trigger_form", "push_orders"
KEY = "sandbox-key"
ORDERS, FAULTY = 500, 3

#: Ids that an attacker, or a broken export, might choose.
HOSTILE = [
    "<script>document.title='broken'</script>",
    "<img src=x onerror=alert(1)>",
    "'\"; DROP TABLE results; --",
    "=cmd|' /C calc'!A0",
    "a%00b%0d%0aSet-Cookie: x=1",
    "{{ 7 * 7 }}${7*7}",
    "../../../../etc/passwd",
    "abc\u202edcba\u2066\u05d0",
    "long-" + "x" * 10_000,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--environment", type=Path, help="that has the package already, in place of an empty one")
    parser.add_argument("--results", type=int, default=0, help="of the report that is timed at the end")
    parser.add_argument("--pictures", type=Path, default=ROOT / ".browser", help="where pictures are kept")
    options = parser.parse_args()
    if not options.chromium:
        print("Chromium is needed: apt-get install chromium, or --chromium PATH", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="ecdp-browser-"))
    options.pictures.mkdir(parents=True, exist_ok=True)
    try:
        with Processes(folder / "logs") as processes:
            Story(folder, processes, options).run()
    except (Failed, AssertionError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        shutil.copytree(folder / "logs", options.pictures / "logs", dirs_exist_ok=True)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def check(condition, text):
    if not condition:
        raise Failed(text)


class Story(AirflowRun):
    """Airflow on this machine, from its installation on, and somebody who uses it."""

    def __init__(self, folder, processes, options):
        super().__init__(folder, processes, options, ("api", "sandbox", "worker_log", "trigger_log"))
        self.bin = (options.environment or folder / "environment") / "bin"

    def run(self):
        if self.options.environment is None:
            self.install()
        self.start()
        password = json.loads((self.home / "simple_auth_manager_passwords.json.generated").read_text())["admin"]
        with visit(
            self.options.chromium, self.folder / "profile", self.url, password, self.options.pictures
        ) as visitor:
            self.session.headers["Authorization"] = f"Bearer {visitor.token()}"
            self.connect(visitor)
            failed = self.fail(visitor)
            self.replay(visitor, failed)
            self.choose_zone(visitor, failed)
            self.take_pictures(visitor, failed)
            if self.options.results:
                self.time_report(visitor, failed)
            check(not visitor.complaints, f"the page has complained: {visitor.complaints}")

    # before the visit

    def install(self):
        python = self.bin / "python"
        self.processes.run("wheel", sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", self.folder, ROOT)
        (wheel,) = self.folder.glob("*.whl")
        self.processes.run("venv", sys.executable, "-m", "venv", self.bin.parent)
        constraints = ("--constraint", self.options.constraints)
        self.processes.run("install", python, "-m", "pip", "install", "-q", *constraints, f"{wheel}[sandbox]")
        self.processes.run("check", python, "-m", "pip", "check")
        self.say(f"{wheel.name} is installed in an empty environment")

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name and "ECDP" not in name}
        kept.pop("PYTHONPATH", None)
        return kept | {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "ECDP_EXTRACTS": str(self.extract.parent),
            "ECDP_RESULTS": str(self.results),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.ports["api"]),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__ECDP__RESULTS_PATH": str(self.results),
            # a machine that is busy answers late
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.ports["trigger_log"]),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.ports["worker_log"]),
        }

    def start(self):
        environment = self.environment()
        package = self.package(environment)
        shutil.copy(package / "example_dags" / f"{DAG}.py", self.dags)
        self.write_extract("--faulty", FAULTY)
        sandbox = ("sandbox", "--port", self.ports["sandbox"])
        self.processes.start("sandbox", self.bin / "ecdp", *sandbox, env=environment)
        self.processes.start("standalone", self.bin / "airflow", "standalone", env=environment, cwd=self.folder)
        wait_for("the API server", self.healthy, 300, pause=2)
        self.say(f"airflow standalone answers at {self.url}")

    def package(self, environment):
        """Return the folder of the installed package; a clone has its example DAGs elsewhere."""
        code = "import airflow_provider_ecdp; print(airflow_provider_ecdp.__path__[0])"
        self.processes.run("where", self.bin / "python", "-c", code, env=environment, cwd=self.folder)
        package = Path((self.folder / "logs" / "where.log").read_text().strip().splitlines()[-1])
        if not (package / "example_dags").is_dir():
            (self.folder / "example_dags").symlink_to(ROOT / "dags")
            return self.folder
        return package

    def healthy(self):
        self.processes.check()
        health = self.session.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        return all(health[one]["status"] == "healthy" for one in ("metadatabase", "scheduler", "dag_processor"))

    def write_extract(self, *options):
        command = ("sample", self.extract, "--orders", ORDERS, "--quiet", *options)
        self.processes.run("sample", self.bin / "ecdp", *command, env=self.environment())

    # the visit

    def connect(self, visitor):
        visitor.add_connection("ecdp_default", "http://127.0.0.1", self.ports["sandbox"], KEY)
        green, message = visitor.test_connection("ecdp_default")
        check(green, f"the Test button says: {message}")
        self.say(f"the Test button is green: {message}")

    def fail(self, visitor):
        """Trigger the DAG by its form, and find an order that has failed; return the run."""
        wait_for("the DAG", lambda: self.get(f"dags/{DAG}").get("is_paused") is not None, 120)
        run_id = visitor.trigger(DAG, {"max_failed": "0"})
        check(self.ended(run_id) == "failed", "the run must fail")
        report = visitor.open_report(DAG, run_id, TASK)
        verdict = report.locator("h1").inner_text()
        check(verdict == f"{FAULTY} of {ORDERS} orders failed", verdict)
        example = report.locator("td.example").first.inner_text()
        (row,) = visitor.find_order(report, example)
        check(example in row and "invalid" in row, row)
        visitor.picture("sync-report-search")
        self.say(f"{verdict}; found by search: {' '.join(row.split())}")
        return run_id

    def replay(self, visitor, failed):
        self.write_extract()
        report = visitor.open_report(DAG, failed, TASK)
        run_id = visitor.replay(report)
        check(self.ended(run_id) == "success", "the replay must succeed")
        report = visitor.open_report(DAG, run_id, TASK)
        verdict = report.locator("h1").inner_text()
        check(verdict == f"None of {FAULTY} orders failed", verdict)
        visitor.picture("sync-report-replayed")
        report = visitor.open_report(DAG, failed, TASK)
        again = report.locator(".option .note").inner_text()
        check(f"{run_id}: success, {FAULTY} accepted" in again, again)
        # a second press on one page: no two runs of a DAG may have one date
        first = visitor.replay(report)
        report.get_by_role("button", name="Close").click()
        states = [self.ended(one) for one in (first, visitor.replay(report))]
        check(states == ["success", "success"], f"replays from one page: {states}")
        stored = self.session.get(f"http://127.0.0.1:{self.ports['sandbox']}/_sandbox/counts", timeout=30).json()[
            "stored"
        ]
        check(stored == ORDERS, f"ECDP has {stored} orders")
        self.say(f"replayed: {verdict}, and ECDP has all {ORDERS}")

    def choose_zone(self, visitor, run_id):
        """Choose time zones on Airflow's page: an open report follows, and keeps its search."""
        report = visitor.open_report(DAG, run_id, TASK)
        visitor.find_order(report, "ORD-00000084")
        utc = report.locator("table.orders time").get_attribute("datetime")
        for zone, hours in (("Asia/Tokyo", 9), ("America/Phoenix", -7)):
            visitor.choose_zone(zone)
            report.get_by_role("columnheader", name=f"Time ({zone})").wait_for()
            there = datetime.fromisoformat(utc) + timedelta(hours=hours)
            time_shown = report.locator("table.orders time")
            expect(time_shown).to_have_text(f"{there:%Y-%m-%d %H:%M:%S}")
            check(time_shown.get_attribute("title") == f"{utc[:19].replace('T', ' ')} UTC", "the tooltip has UTC")
        visitor.choose_zone("UTC")
        self.say("the report follows the time zone of Airflow's page")

    def take_pictures(self, visitor, run_id):
        """Take the report light and dark: on its tabs, and as a page of its own, which also a phone has room for."""
        tabs = {
            "task": f"dags/{DAG}/runs/{run_id}/tasks/{TASK}/plugin/ecdp-report",
            "run": f"dags/{DAG}/runs/{run_id}/plugin/ecdp-run-report",
        }
        own = f"ecdp/report/{DAG}/{quote(run_id)}/{TASK}/-1"
        for theme in ("light", "dark"):
            visitor.appearance(theme, WIDE)
            for name, path in tabs.items():
                visitor.go(path)
                visitor.report()
                visitor.picture(f"{name}-{theme}")
            for size, name in ((WIDE, "wide"), (NARROW, "narrow")):
                visitor.appearance(theme, size)
                visitor.go(own)
                visitor.report(framed=False)
                visitor.picture(f"page-{theme}-{name}", whole=True)
        visitor.appearance("light", WIDE)
        self.say(f"pictures are in {self.options.pictures}")

    # a large report

    def time_report(self, visitor, run_id):
        """Let a task have many results, and time the page until its table of orders is there, twice."""
        write_results(self.results_path(run_id).parent / "9", self.options.results)
        memory, cpu = self.costs()
        for name in ("first", "second"):
            began = time.monotonic()
            visitor.go(f"ecdp/report/{DAG}/{quote(run_id)}/{TASK}/-1")
            report = visitor.report(framed=False)
            report.locator("table.orders tbody tr").first.wait_for()
            seconds, before = time.monotonic() - began, cpu
            _, cpu = self.costs()
            self.say(
                f"{self.options.results:,} results, opened the {name} time: {seconds:.2f} s, of which the API server "
                f"needed {cpu - before:.2f} s of CPU; load of the machine {os.getloadavg()[0]:.1f}"
            )
        self.say(f"memory of the API server: {memory:,} MB before, {self.costs()[0]:,} MB after")
        visitor.picture("large", whole=True)
        for order_id in HOSTILE:
            (row,) = visitor.find_order(report, order_id[:400])
            check(" ".join(order_id.split()) in " ".join(row.split()), f"{order_id[:40]!r} is shown as {row[:80]!r}")
        visitor.picture("hostile")
        check(report.locator("script:not([src]), main img").count() == 0, "an id has become markup")
        self.say(f"{len(HOSTILE)} hostile ids are found by search, and shown as text")

    def costs(self):
        """Return the memory of the API server that it shares with nobody, in MB, and its CPU in seconds so far."""
        tree = self.processes.running["standalone"].children(recursive=True)
        servers = [one for one in tree if "api-server" in " ".join(one.cmdline()) or "api_server" in one.name()]
        times = [one.cpu_times() for one in servers]
        memory = sum(one.memory_full_info().uss for one in servers) // 1_000_000
        return memory, sum(one.user + one.system for one in times)

    def results_path(self, run_id):
        path = f"dags/{DAG}/dagRuns/{quote(run_id)}/taskInstances/{TASK}/xcomEntries/return_value"
        value = self.get(path)["value"]
        return Path((json.loads(value) if isinstance(value, str) else value)["results_path"])

    def memory(self):
        process = self.processes.running["standalone"]
        return sum(one.memory_info().rss for one in process.children(recursive=True)) // 1_000_000

    # Airflow's API

    def get(self, path):
        return self.session.get(f"{self.url}/api/v2/{path}", timeout=30).json()

    def ended(self, run_id):
        """Wait for the end of a run, and return its state."""

        def state():
            self.processes.check()
            one = self.get(f"dags/{DAG}/dagRuns/{quote(run_id)}").get("state")
            return one if one in {"success", "failed"} else None

        return wait_for(f"the end of {run_id}", state, 300, pause=1)


def write_results(folder, count):
    """Write results of batches of 500 orders, of which two in a hundred have failed; some batches were sent twice."""
    folder.mkdir(parents=True)
    began = time.time()
    for start in range(0, count, 100_000):
        numbers = range(start, min(start + 100_000, count))
        bad = [i % 50 == 0 for i in numbers]
        columns = {
            "order_id": [
                HOSTILE[i // 50] if i % 50 == 0 and i // 50 < len(HOSTILE) else f"ORD-{i:08d}" for i in numbers
            ],
            "content_hash": ["0" * 32] * len(numbers),
            "outcome": ["rejected" if one else "accepted" for one in bad],
            "reason": [f"order ORD-{i:08d}: unknown product {i % 7}" if i % 50 == 0 else None for i in numbers],
            "http_status": [400 if one else 201 for one in bad],
            "attempts": [1 + (i // 500 % 200 < 9) for i in numbers],
            "at": [int((began + i // 500 * 0.4) * 1e6) for i in numbers],
        }
        arrays = [pa.array(columns[field.name]).cast(field.type) for field in SCHEMA]
        pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), folder / f"{start:08d}.parquet")


if __name__ == "__main__":
    sys.exit(main())
