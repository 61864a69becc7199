"""`make demo`: the nightly example DAG, run by Airflow against the sandbox, and the outcome of every order.

Airflow runs as a process of its own, in a folder of its own: this module imports none of it. The report is
read from the run: its XCom, the sandbox's own count, and the ids of the processes that were started.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

from airflow_provider_ecdp.cli import output
from airflow_provider_ecdp.cli.output import err, out
from airflow_provider_ecdp.cli.tables import cost, list_failed, outcomes, rows, warnings
from airflow_provider_ecdp.errors import EcdpError
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import Report
from airflow_provider_ecdp.sample import Sample
from airflow_provider_ecdp.sandbox.server import SandboxServer

DAG = "example_ecdp_nightly_push"
KEY = "sandbox-key"
ORDERS, FAULTY, ODD = 2_000, 12, 4

_ROOT = Path(__file__).resolve().parents[1]
_TAIL_LINES = 30
_GRACE_SECONDS = 5


def main(folder: Path = _ROOT / ".demo") -> int:
    """Run the demo in `folder`, which is created again, and return its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    demo = Demo(folder)
    try:
        return demo.run()
    except KeyboardInterrupt as signalled:
        number = signalled.args[0] if signalled.args else signal.SIGINT
        err(f"\ndemo: stopped by {signal.Signals(number).name}; {demo.remains()}")
        return 128 + int(number)
    except EcdpError as error:
        err(f"demo: {error}; {demo.remains()}")
        return 1


def _terminated(number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt(number)


class Demo:
    """One run of the demo, in `folder`, which it creates again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "airflow.log"
        self.database = folder / "sandbox.sqlite3"
        self.home = folder / "airflow"
        # a nightly DAG pushes the day that has ended
        self.day = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
        self.extract = folder / "extracts" / f"orders_{self.day}.parquet"
        self.started: list[int] = []

    def run(self) -> int:
        """Make an extract, run the DAG on it, and print the report."""
        if not (_ROOT / "dags" / f"{DAG}.py").exists():
            raise EcdpError(f"dags/{DAG}.py is not there: the demo runs in a clone of the repository")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.extract.parent.mkdir(parents=True)
        Sample(orders=ORDERS, faulty=FAULTY, odd=ODD, day=self.day).write(self.extract)
        out(f"1/4  An extract of {ORDERS:,} made-up orders of {self.day}: {_short(self.extract)}")
        with SandboxServer(KEY, self.database) as sandbox:
            out(f"2/4  The sandbox, which stands in for ECDP: {sandbox.url}")
            environment = self._environment(sandbox.url)
            out(f"3/4  Airflow's own database (Airflow's log: {_short(self.log)})")
            self._airflow(environment, "db", "migrate")
            out(f"4/4  Airflow runs the DAG {DAG} for {self.day}")
            began = time.monotonic()
            self._airflow(environment, "dags", "test", DAG, str(self.day + dt.timedelta(days=1)))
            seconds = time.monotonic() - began
            report = self._report()
            stored = sandbox.store.count()
        out(f"     done in {seconds:.0f} s\n")
        self._show(report)
        return self._conclude(report, stored)

    def remains(self) -> str:
        """Return the started processes that still run."""
        groups = ", ".join(str(group) for group in self.started if _alive(group))
        return f"process groups {groups} still run" if groups else "nothing is left running"

    def _environment(self, url: str) -> dict[str, str]:
        # a developer's own Airflow settings may name a database in production
        kept = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name and "ECDP" not in name}
        return kept | {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(_ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__ECDP__RESULTS_PATH": str(self.folder / "results"),
            "AIRFLOW_CONN_ECDP_DEFAULT": json.dumps({"conn_type": "ecdp", "host": url, "password": KEY}),
            "ECDP_EXTRACTS": str(self.extract.parent),
            "ECDP_RESULTS": str(self.folder / "results"),
            # a proxy has no way to this machine's loopback
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def _airflow(self, environment: Mapping[str, str], *arguments: str) -> None:
        """Run an Airflow command to its end, or raise with the end of its log."""
        with self.log.open("a", encoding="utf-8") as log, self._process(environment, arguments, log) as process:
            code = process.wait()
        if code:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
            err("\n".join(lines))
            raise EcdpError(
                f"airflow {' '.join(arguments)} ended with exit code {code}; all of its log: {_short(self.log)}"
            )

    @contextlib.contextmanager
    def _process(
        self, environment: Mapping[str, str], arguments: tuple[str, ...], log: IO[str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start Airflow in a process group of its own, which has ended at the end of the block in any case."""
        process = None
        try:
            # a signal between the start of the process and the assignment would leave it running
            with _signals_deferred():
                process = subprocess.Popen(  # noqa: S603 - this interpreter, with arguments of this module
                    [sys.executable, "-m", "airflow", *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=dict(environment),
                    start_new_session=True,
                )
                self.started.append(process.pid)
            yield process
        finally:
            if process is not None:
                _stop(process)

    def _report(self) -> Report:
        """Read the XCom of the DAG's task from Airflow's database: no command of Airflow prints it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True)) as airflow:
            rows = airflow.execute(
                "SELECT value FROM xcom WHERE dag_id = ? AND key = 'return_value'", (DAG,)
            ).fetchall()
            states = airflow.execute("SELECT state FROM dag_run WHERE dag_id = ?", (DAG,)).fetchall()
        if len(rows) != 1 or states != [("success",)]:
            raise EcdpError(f"the DAG run has the state {states} and {len(rows):,} results: see {_short(self.log)}")
        xcom: dict[str, Any] = json.loads(rows[0][0])
        parts = ("summary", "results", "results_path", "warnings", "reasons")
        return Report(**{part: xcom[part] for part in parts}, in_extract=xcom["summary"]["total"])

    def _show(self, report: Report) -> None:
        failed = [r for r in report.results if Outcome(r["outcome"]).failed]
        listed = ((r["outcome"], r["reason"] or "", r["order_id"]) for r in failed)
        failures = rows(listed, "outcome", "why", "order")
        output.report(outcomes(report), failures, warnings(report), cost(report))
        if len(failed) < report.failed:
            out(f"({report.failed - len(failed):,} more orders failed)")

    def _conclude(self, report: Report, stored: int) -> int:
        accepted = report.summary["accepted"]
        same = stored == accepted
        out(
            f"\nThe sandbox itself counts {stored:,} orders, the DAG's XCom says that {accepted:,} were accepted: "
            f"{'they agree.' if same else 'THEY DO NOT AGREE.'}"
        )
        out(f"The demo is over: {self.remains()}.")
        ecdp = _short(Path(sys.executable).with_name("ecdp"))
        results = _short(Path(report.results_path or ""))
        extract, database, order = (
            shlex.quote(t) for t in (_short(self.extract), _short(self.database), "ORD-00000001")
        )
        out(f"""
To look further:
  the outcome of every order, as Parquet, is in
    {results}
  those that failed
    {list_failed(results, ecdp)}
  the extract, checked without sending anything
    {ecdp} check {extract}
  an order as the sandbox has it
    {ecdp} sandbox --database {database} &
    ECDP_BASE_URL=http://127.0.0.1:8765 ECDP_API_KEY={KEY} {ecdp} get {order}
    kill $!
  the DAG
    dags/{DAG}.py
  what Airflow said
    {_short(self.log)}""")
        return 0 if same and not any(map(_alive, self.started)) else 1


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """Handle SIGINT and SIGTERM at the end of the block."""
    received: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for again in received:
            signal.raise_signal(again)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process group of `process`: SIGTERM first, then SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        # an ended process is listed until its exit code is read
        while process.poll() is None or _alive(process.pid):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)


def _alive(group: int) -> bool:
    """Whether any process of the group still runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _short(path: Path) -> str:
    """Return a path relative to the working directory."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
