"""That the benchmark counts, compares and renders right. How fast anything is, no test says."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from dataclasses import replace
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import bench_measure
import bench_report
import pytest
from bench_clients import CLIENTS, OURS, Place
from bench_measure import Server, run
from bench_run import PAGE, PLOT, QUICK, Benchmark
from bench_server import State


def body(*numbers):
    orders = [{"id": f"ORD-{number:09d}", "products": [{"id": "P"}]} for number in numbers]
    return json.dumps({"mode": "AddOrReplace", "data": orders}).encode()


def post(url, data):
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    try:
        connection.request("POST", "/orders", data)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# the server


def test_the_server_counts_the_orders_of_each_batch_and_each_id_once():
    with Server("--unique") as server:
        assert post(server.url, body(1, 2, 3)) == (201, b"")
        assert post(server.url, body(3, 4)) == (201, b"")
        stats = server.stats()
    assert (stats["stored"], stats["unique"], stats["requests"], stats["connections"]) == (5, 4, 2, 2)


def test_a_batch_with_a_bad_order_is_refused_and_nothing_of_it_is_stored():
    with Server("--bad") as server:
        status, output = post(server.url, body(996, 997, 998))
        post(server.url, body(996, 998))
        stats = server.stats()
    assert status == 400
    assert json.loads(output)["errors"] == ["Order 'ORD-000000997' breaks a rule."]
    assert stats["unique"] == stats["stored"] == 2


def test_requests_above_the_limit_of_a_second_are_answered_429():
    now = [10.2]
    state = State(limit=2, clock=lambda: now[0])
    answers = [state.post(body(number))[0] for number in range(3)]
    now[0] = 11.0
    answers.append(state.post(body(3))[0])
    assert answers == [201, 201, 429, 201]
    assert state.stored == 3


def test_a_request_in_pieces_and_a_long_one_are_read_whole():
    data = body(1, 2)
    head = f"POST /orders HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    with Server() as server:
        assert post(server.url, body(*range(20_000)))[0] == 201
        with socket.create_connection(urlsplit(server.url).netloc.split(":")) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in (head[:20], head[20:] + data[:5], data[5:]):
                connection.sendall(piece)
                time.sleep(0.01)
            assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")
        assert server.stats()["stored"] == 20_002


# measuring


def test_a_process_is_measured_with_what_it_starts():
    burn = "x = b'1' * 60_000_000\nfor i in range(3_000_000): pass"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    done = run([sys.executable, "-c", nested], None)
    assert done.code == 0
    assert done.memory > 60
    assert done.cpu > 0


def test_a_process_that_hangs_is_ended(tmp_path, monkeypatch):
    started = tmp_path / "started"

    class Timer(threading.Timer):
        """Its time is over when the process has begun."""

        def run(self):
            while not self.finished.wait(0.01):
                if started.exists():
                    self.function(*self.args)
                    return

    monkeypatch.setattr(bench_measure.threading, "Timer", Timer)
    program = f"import time; print('here', flush=True); open({str(started)!r}, 'w').close(); time.sleep(3600)"
    done = run([sys.executable, "-c", program], None, timeout=1800)
    assert done.code < 0
    assert "here" in done.output


# all of it


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("bench"), install=False)


@pytest.fixture(scope="module")
def figures(place):
    """Figures of this provider, and of a peer that is not installed."""
    absent = next(client for client in CLIENTS if client.packages)
    # through JSON, as they are kept
    return json.loads(json.dumps(Benchmark(place, replace(QUICK, clients=(OURS, absent))).figures()))


@pytest.mark.slow
def test_ours_stores_all_and_all_but_the_bad_orders(figures):
    ours = figures["clients"]["ours"]
    assert QUICK.fault_orders // 997 == 2
    assert ours["faults"]["bad"]["stored"] == QUICK.fault_orders - 2
    assert ours["faults"]["bad"]["answers"]["400"] > 0
    assert ours["faults"]["limit"]["stored"] == QUICK.fault_orders
    for pair in (*ours["latency"].values(), ours["floats"]):
        assert [run["stats"]["stored"] for runs in pair["runs"] for run in runs] == list(QUICK.sizes)


@pytest.mark.slow
def test_lines_and_large_extracts_are_measured_and_so_is_each_part(figures):
    assert [each["orders"] for each in figures["ours"]["lines"]] == list(QUICK.lines)
    assert all(each["memory"] > 0 for each in figures["ours"]["memory"])
    assert len(figures["micro"]) == 10


@pytest.mark.slow
def test_a_peer_that_is_not_there_has_a_row_that_says_so(figures):
    assert "| not installed |" in bench_report.comparison(figures)


@pytest.mark.slow
def test_the_page_has_a_place_for_every_table(figures):
    page = bench_report.fill(PAGE.read_text(encoding="utf-8"), figures)
    assert bench_report.fill(page, figures) == page
    assert bench_report.comparison(figures) in page


def pair(small, large, *, orders=(100, 1100)):
    runs = [[{"cpu": cpu, "wall": wall, "memory": 50.4} for cpu, wall in each] for each in (small, large)]
    return {"orders": list(orders), "runs": runs}


def made_up():
    fault = {"stored": 9990, "code": 1, "answers": {"201": 9}}
    quick, slow = pair([(1.0, 2.0), (1.004, 2.4)], [(1.009, 3.0), (1.104, 3.5)]), pair([(1.0, 2.0)], [(1.1, 12.0)])
    clients = {
        "ours": {"latency": {"0": quick, "100": slow}, "floats": quick, "faults": {"bad": fault, "limit": fault}},
        "dlt": {"latency": {"0": pair([(1.0, 2.0)], [(1.1, 4.0)])}, "faults": {}},
        "drt": {"missing": "cannot be installed here"},
    }
    memory = [{"orders": 400, "memory": 100.0}, {"orders": 2000, "memory": 110.0}]
    return {
        "machine": {
            "date": "2026-11-24",
            "processor": "A & B",
            "cores": 2,
            "memory": 8.0,
            "system": "Linux 6.1",
            "python": "3.11.7",
            "versions": {"duckdb": "2.0.0"},
        },
        "repeats": 2,
        "clients": clients,
        "ours": {"ideal": 1000, "0": quick, "100": slow, "memory": memory, "lines": memory, "help": 0.2, "first": 1.0},
        "micro": {"read": 1.5e-6},
    }


def test_what_an_order_costs_is_the_difference_of_the_least_of_two_sizes():
    quick = made_up()["clients"]["ours"]["latency"]["0"]
    assert bench_report.between(quick, "cpu") == pytest.approx(9e-6)
    assert bench_report.spread(quick, "cpu") == pytest.approx((9e-6, 1e-4))
    assert bench_report.rate(quick) == pytest.approx(1000)
    assert bench_report.rate(pair([(1, 2)], [(1, 2)])) == 0


def test_a_difference_that_does_not_stand_out_from_the_start_is_not_shown():
    noisy = pair([(9.0, 9.0), (9.2, 9.2)], [(9.1, 9.1), (9.4, 9.4)])
    assert not bench_report.clear(noisy, "cpu")
    assert bench_report.rate(noisy) == 0
    figures = made_up()
    figures["clients"]["ours"]["latency"]["0"] = noisy
    assert "| **`ecdp push`**, 8 in flight |  | 100 |  | 9 |" in bench_report.comparison(figures).replace(
        "| 50 |", "| 9 |"
    )


def test_the_tables_show_what_was_measured():
    figures = made_up()
    assert bench_report.comparison(figures).splitlines()[2:] == [
        "| **`ecdp push`**, 8 in flight | 1,000 | 100 | 9.0 | 50 | 9,990 | 9,990 |",
        "| dlt 1.31.0 with its defaults | 500 |  | 100.0 | 50 |  |  |",
        "| drt-core 1.2.1, DuckDB to `rest_api` | cannot be installed here |  |  |  |  |  |",
    ]
    assert bench_report.floats(figures).splitlines()[2:] == ["| **`ecdp push`**, 8 in flight | 9.0 | 9.0 |"]
    targets = bench_report.targets(figures)
    assert "| 12 µs an order | 9.0 µs (9.0 to 100.0) |" in targets
    assert "| 900 | 100 (10% of 1,000) |" in targets
    assert "| peak memory, 2,000 orders against 400 | +15% | +10% |" in targets
    assert "| read | 1.50 |" in bench_report.micro(figures)
    assert "2 cores (A & B), 8 GB" in bench_report.machine(figures)


def test_the_plot_is_a_drawing_with_a_bar_and_a_figure_for_each_client():
    root = ET.fromstring(bench_report.plot(made_up()))  # noqa: S314 - made in the line itself
    svg = "{http://www.w3.org/2000/svg}"
    texts = [text.text for text in root.iter(f"{svg}text")]
    assert {"ecdp push, 8 in flight", "9.0 µs", "dlt 1.31.0 with its defaults", "100 µs"} <= set(texts)
    assert not any("drt" in text for text in texts)
    assert any("A & B" in text for text in texts)
    # the ground, two bars of CPU, one of orders a second
    assert len(list(root.iter(f"{svg}rect"))) == 4
    assert PLOT.parent == PAGE.parent / "images"


def test_a_page_without_markers_is_refused():
    with pytest.raises(ValueError, match="no place for micro"):
        bench_report.filled("# Performance\n", "micro", "text")
