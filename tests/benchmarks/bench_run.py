"""`make bench`: every client on the same extracts against the same server, and docs/performance.md from what came out.

ECDP_BENCH=quick measures this provider alone with small numbers, and prints instead of writing. `--render` makes the
page anew from the figures of the last run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import bench_report
from bench_clients import CLIENTS, HERE, OURS, ROOT, Place
from bench_measure import Server, run

#: seconds before an answer, by the name of its figures
LATENCIES = {"0": 0.0, "100": 0.1}

FAULTS = {"bad": ("--bad",), "limit": ("--limit", "5", "--unique")}

IN_FLIGHT, BATCH = 8, 500

PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "images" / "performance.svg"


@dataclass(frozen=True)
class Plan:
    """What is measured. Sizes are numbers of orders, a smaller and a larger one; None keeps those of each client."""

    clients: tuple = CLIENTS
    sizes: tuple | None = None
    #: of ours alone, for CPU and orders a second; for memory; for memory of lines
    large: tuple = (100_000, 400_000)
    memory: tuple = (400_000, 2_000_000)
    lines: tuple = (400_000, 2_000_000)
    fault_orders: int = 10_000
    warm_up: int = 1_000
    micro: int = 100_000
    repeats: int = 3
    #: starts of the command line, of which the quickest counts
    helps: int = 5


QUICK = Plan(
    clients=(OURS,),
    sizes=(1_000, 3_000),
    large=(1_000, 3_000),
    memory=(1_000, 3_000),
    lines=(500, 1_000),
    fault_orders=2_500,
    warm_up=500,
    micro=1_000,
    repeats=1,
    helps=1,
)


class Benchmark:
    """One run of all measurements; `say` is told what happens."""

    def __init__(self, place, plan, say=lambda _: None):
        self.place = place
        self.plan = plan
        self.say = say

    def figures(self):
        """Measure everything, and return plain figures that JSON can hold."""
        plan, found = self.plan, {"machine": machine(), "repeats": self.plan.repeats}
        clients = found["clients"] = {client.key: {"title": client.title} for client in plan.clients}
        able = []
        for client in plan.clients:
            if self.place.prepare(client) and self._warm(client):
                able.append(client)
                clients[client.key] |= {"latency": {}, "faults": {}}
        for name, latency in LATENCIES.items():
            for client, pair in self._rounds(able, latency):
                clients[client.key]["latency"][name] = pair
        for client, pair in self._rounds([client for client in able if client.floats], 0.0, "floats"):
            clients[client.key]["floats"] = pair
        for client in able:
            for name, arguments in FAULTS.items():
                clients[client.key]["faults"][name] = self._fault(client, name, arguments)
        for key, why in self.place.missing.items():
            clients[key]["missing"] = why
        return found | {"ours": self._ours(), "micro": self._micro()}

    def _rounds(self, clients, latency, kind="orders"):
        """Return each client and its runs, made round by round: what strikes a machine for a minute strikes all."""
        pairs = {client.key: self._empty(self.plan.sizes or client.sizes) for client in clients}
        for repeat in range(self.plan.repeats):
            for client in clients:
                if client.key in self.place.missing or (repeat and latency and client.sequential):
                    continue
                try:
                    self._round(client, pairs[client.key], latency, repeat, kind)
                except RuntimeError as error:
                    self.say(str(error))
                    self.place.missing[client.key] = "failed in a run"
        return [(client, pairs[client.key]) for client in clients if client.key not in self.place.missing]

    def _ours(self):
        ideal = IN_FLIGHT * BATCH / LATENCIES["100"]
        found = {"ideal": round(ideal), **{name: self._empty(self.plan.large) for name in LATENCIES}}
        for repeat in range(self.plan.repeats):
            for name, latency in LATENCIES.items():
                self._round(OURS, found[name], latency, repeat)
        found["memory"] = [self._memory(orders) for orders in self.plan.memory]
        found["lines"] = [self._memory(orders, "lines") for orders in self.plan.lines]
        python, environment = self.place.python(OURS), self.place.environment(OURS, "")
        helps = [
            run([python, "-m", "airflow_provider_ecdp", "--help"], None, environment) for _ in range(self.plan.helps)
        ]
        found["help"] = min(one.wall for one in helps)
        found["first"] = min(one["first"] for runs in found["0"]["runs"] for one in runs)
        return found

    def _round(self, client, pair, latency, repeat, kind="orders"):
        for orders, runs in zip(pair["orders"], pair["runs"], strict=True):
            done = self._run(client, self.place.extract(orders, kind), "--latency", latency)
            stored = done.stats["stored"]
            if done.code or stored != orders:
                raise RuntimeError(
                    f"{client.key} ended with {done.code}, {stored} of {orders} orders stored:\n{done.output[-2000:]}"
                )
            self.say(
                f"{client.key}, {orders:,} {kind} at {1000 * latency:.0f} ms, {repeat + 1}: "
                f"{done.wall:.1f} s, {done.cpu:.2f} s CPU, {done.memory:.0f} MB"
            )
            runs.append({key: value for key, value in asdict(done).items() if key != "output"})

    def _fault(self, client, name, arguments):
        done = self._run(client, self.place.extract(self.plan.fault_orders), *arguments, timeout=180)
        answers = done.stats["answers"]
        self.say(f"{client.key}, {name}: {done.stats['unique']:,} stored, exit code {done.code}, answers {answers}")
        return {"stored": done.stats["unique"], "code": done.code, "answers": answers, "wall": done.wall}

    def _warm(self, client):
        """Send a few orders: what does not run at all is a row that says so, and caches are filled."""
        done = self._run(client, self.place.extract(self.plan.warm_up), "--unique", timeout=180)
        fine = done.stats["unique"] == self.plan.warm_up and not done.code
        if not fine:
            self.say(f"{client.key} does not run here:\n{done.output[-2000:]}")
            self.place.missing[client.key] = "does not run here"
        return fine

    def _memory(self, orders, kind="orders"):
        extract = self.place.extract(orders, kind)
        with Server() as server:
            environment = self.place.environment(OURS, server.url)
            command = OURS.command(self.place.python(OURS), extract, server.url)
            if kind == "lines":
                command = [self.place.python(OURS), HERE / "bench_lines.py", extract, server.url]
            done = run(command, server, environment)
        if done.code or done.stats["stored"] != orders:
            raise RuntimeError(f"{done.stats['stored']} of {orders} orders stored:\n{done.output[-2000:]}")
        self.say(f"ours, {orders:,} orders as {kind}: {done.memory:.0f} MB, {done.wall:.1f} s")
        return {"orders": orders, "memory": done.memory, "wall": done.wall, "cpu": done.cpu}

    def _run(self, client, extract, *arguments, timeout=900):
        with Server(*arguments) as server:
            environment = self.place.environment(client, server.url)
            command = client.command(self.place.python(client), extract, server.url)
            return run(command, server, environment, timeout)

    def _micro(self):
        extract = self.place.extract(self.plan.micro)
        command = [self.place.python(OURS), HERE / "bench_micro.py", extract, str(self.plan.micro)]
        environment = self.place.environment(OURS, "") | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    @staticmethod
    def _empty(sizes):
        return {"orders": list(sizes), "runs": [[], []]}


def machine():
    """Return what the figures depend on."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("duckdb", "pyarrow", "requests", "urllib3")},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="for extracts, environments and figures")
    parser.add_argument("--render", action="store_true", help="make the page from the figures of the last run")
    parser.add_argument("--repeats", type=int, default=Plan.repeats)
    given = parser.parse_args()
    quick = os.environ.get("ECDP_BENCH") == "quick"
    kept = given.folder / "figures.json"
    if given.render:
        figures = json.loads(kept.read_text())
    else:
        plan = QUICK if quick else Plan(repeats=given.repeats)
        figures = Benchmark(Place(given.folder, install=not quick), plan, _say).figures()
        if not quick:
            kept.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    for table in (bench_report.comparison, bench_report.targets, bench_report.micro):
        _say(f"\n{table(figures)}")
    if not quick:
        PAGE.write_text(bench_report.fill(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
        PLOT.write_text(bench_report.plot(figures), encoding="utf-8")


def _say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
