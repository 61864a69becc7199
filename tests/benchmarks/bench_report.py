"""From figures to the tables and the chart of docs/performance.md."""

from __future__ import annotations

import re

from bench_clients import CLIENTS
from bench_plot import chart

#: What must hold, by the name of a figure in `ours`.
CPU_LIMIT, RATE_SHARE, MEMORY_LIMIT, GROWTH_LIMIT, HELP_LIMIT, FIRST_LIMIT = 12, 0.9, 400, 1.15, 0.3, 1.5

#: Of the difference of two runs, how much those of the smaller one may differ among themselves.
_CLEAR = 0.5


def between(pair, what):
    """Return what an order costs apart from the start: the difference of the larger and the smaller run, an order.

    :param pair: runs of two sizes: {"orders": [small, large], "runs": [[run, ...], [run, ...]]}
    :param what: `cpu` or `wall`, in seconds; the least of the repetitions counts: what else a machine does only adds
    """
    small, large = (min(run[what] for run in runs) for runs in pair["runs"])
    return (large - small) / (pair["orders"][1] - pair["orders"][0])


def spread(pair, what):
    """Return the least and the most that `between` would be, of the repetitions taken one by one."""
    orders = pair["orders"][1] - pair["orders"][0]
    each = [(large[what] - small[what]) / orders for small, large in zip(*pair["runs"], strict=True)]
    return min(each), max(each)


def clear(pair, what):
    """Return whether the difference stands out from how much the repetitions of the smaller run differ."""
    small, large = ([run[what] for run in runs] for runs in pair["runs"])
    return max(small) - min(small) < _CLEAR * (min(large) - min(small))


def rate(pair):
    """Return orders a second apart from the start; 0 where that cannot be told."""
    return 1 / between(pair, "wall") if clear(pair, "wall") else 0.0


def memory(pair):
    """Return the most MB that a process held."""
    return max(run["memory"] for runs in pair["runs"] for run in runs)


def comparison(figures):
    """Return the rows of the comparison: cells of text, ours first."""
    head = ["", "orders/s, 0 ms", "orders/s, 100 ms", "CPU µs an order", "peak MB", "ten bad orders", "5 requests/s"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for client in CLIENTS:
        found = figures["clients"].get(client.key)
        if found is None:
            continue
        if found.get("missing"):
            lines.append([client.title, found["missing"], *[""] * (len(head) - 2)])
            continue
        at = found["latency"]
        cells = [f"{rate(at[ms]):,.0f}" if ms in at and rate(at[ms]) else "" for ms in ("0", "100")]
        cells += [f"{1e6 * between(at['0'], 'cpu'):,.1f}" if clear(at["0"], "cpu") else "", f"{memory(at['0']):,.0f}"]
        cells += [_stored(found["faults"].get(name)) for name in ("bad", "limit")]
        lines.append([client.title, *cells])
    return _table(lines)


def floats(figures):
    """Return the table of CPU with amounts as decimals and as floating-point numbers."""
    lines = [["CPU µs an order", "decimals", "floating-point"], ["---", "---:", "---:"]]
    for client in CLIENTS:
        found = figures["clients"].get(client.key, {})
        if "floats" in found:
            pairs = found["latency"]["0"], found["floats"]
            lines.append([client.title, *(f"{1e6 * between(pair, 'cpu'):,.1f}" for pair in pairs)])
    return _table(lines)


def targets(figures):
    """Return the table of what is promised of ours, and what was measured."""
    ours = figures["ours"]
    ideal = ours["ideal"]
    quick, slow = ours["0"], ours["100"]
    (small, large), (lines_small, lines_large) = ours["memory"], ours["lines"]
    cpu = [1e6 * value for value in (between(quick, "cpu"), *spread(quick, "cpu"))]
    rows = [
        ["what", "limit", "measured"],
        ["---", "---:", "---:"],
        [
            f"CPU, {_span(quick)}",
            f"{CPU_LIMIT} µs an order",
            f"{cpu[0]:.1f} µs ({cpu[1]:.1f} to {cpu[2]:.1f})",
        ],
        [
            f"orders a second at 100 ms a request, {_span(slow)}",
            f"{RATE_SHARE * ideal:,.0f}",
            f"{rate(slow):,.0f} ({rate(slow) / ideal:.0%} of {ideal:,})",
        ],
        [f"peak memory, {large['orders']:,} orders", f"{MEMORY_LIMIT} MB", f"{large['memory']:.0f} MB"],
        [
            f"peak memory, {large['orders']:,} orders against {small['orders']:,}",
            f"{GROWTH_LIMIT - 1:+.0%}",
            f"{large['memory'] / small['memory'] - 1:+.0%}",
        ],
        [
            f"peak memory, {lines_large['orders']:,} orders as unsorted lines",
            f"{MEMORY_LIMIT} MB",
            f"{lines_large['memory']:.0f} MB",
        ],
        [
            f"peak memory, unsorted lines, {lines_large['orders']:,} orders against {lines_small['orders']:,}",
            f"{GROWTH_LIMIT - 1:+.0%}",
            f"{lines_large['memory'] / lines_small['memory'] - 1:+.0%}",
        ],
        ["`ecdp --help`", f"{HELP_LIMIT} s", f"{ours['help']:.2f} s"],
        ["first request of a push after its start", f"{FIRST_LIMIT} s", f"{ours['first']:.2f} s"],
    ]
    return _table(rows)


def micro(figures):
    """Return the table of the micro-benchmarks."""
    rows = [["part", "CPU µs an order"], ["---", "---:"]]
    rows += [[name, f"{1e6 * seconds:.2f}"] for name, seconds in figures["micro"].items()]
    return _table(rows)


def machine(figures):
    """Return a sentence about where and when this was measured."""
    m = figures["machine"]
    return (
        f"{m['date']}, {m['cores']} cores ({m['processor']}), {m['memory']:.0f} GB, {m['system']}, "
        f"Python {m['python']}, "
        f"{', '.join(f'{name} {version}' for name, version in m['versions'].items())}. "
        f"The best of {figures['repeats']} repetitions.\n"
    )


def plot(figures):
    """Return the SVG of CPU and orders a second."""
    cost, speed = [], []
    for client in CLIENTS:
        found = figures["clients"].get(client.key)
        if found is None or found.get("missing"):
            continue
        label = re.sub(r"[*`]", "", client.title)
        ours = not client.packages
        value = 1e6 * between(found["latency"]["0"], "cpu")
        if clear(found["latency"]["0"], "cpu"):
            cost.append((label, value, f"{value:,.1f} µs" if value < 100 else f"{value:,.0f} µs", ours))
        if "100" in found["latency"] and (value := rate(found["latency"]["100"])):
            speed.append((label, value, f"{value:,.0f}", ours))
    panels = [("CPU an order, start-up apart (less is better)", cost)]
    if speed:
        panels.append(("Orders a second at 100 ms a request, start-up apart (more is better)", speed))
    m = figures["machine"]
    return chart(panels, f"orders of 525 bytes in batches of 500; {m['date']}, {m['cores']} cores, {m['processor']}")


def filled(page, name, text):
    """Return `page` with `text` between the markers `<!-- bench:name -->` and `<!-- /bench:name -->`."""
    start, end = f"<!-- bench:{name} -->\n", f"<!-- /bench:{name} -->"
    before, found, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page has no place for {name}")
    return f"{before}{start}{text}{end}{after}"


def fill(page, figures):
    """Return the page with all tables of `figures`."""
    tables = {"machine": machine, "comparison": comparison, "floats": floats, "targets": targets, "micro": micro}
    for name, made in tables.items():
        page = filled(page, name, made(figures))
    return page


def _stored(fault):
    return "" if fault is None else f"{fault['stored']:,}"


def _span(pair):
    return f"{pair['orders'][1]:,} minus {pair['orders'][0]:,} orders"


def _table(rows):
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
