"""Scenarios drawn from a seed: orders, what is stored before, the server's rules and faults, where a run crashes."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

import pyarrow as pa
from faults_crash import Kind

from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.sandbox.faults import FaultKind, Faults

#: typed columns: an engine that reads numbers from text takes twice as long to begin
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "date": pa.timestamp("ms", tz="UTC"),
        "totalValue": pa.decimal128(12, 3),
        "customer": pa.struct({"crmId": pa.string()}),
        "products": pa.list_(
            pa.struct({"id": pa.string(), "name": pa.string(), "price": pa.decimal128(12, 3), "quantity": pa.int32()})
        ),
    }
)

_NAMES = ("ORD-{:04d}", "{}", "żółć/{:03d}", "two words {}", "50%&#-{}", "a'b\"c-{:05d}", "D{}", "2026-11-{}")

#: the kinds of fault that a scenario mixes, and how often each may strike at most
_OFTEN = {
    FaultKind.THROTTLE: 0.2,
    FaultKind.ERROR_BEFORE: 0.15,
    FaultKind.ERROR_AFTER: 0.15,
    FaultKind.RESET_BEFORE: 0.15,
    FaultKind.RESET_AFTER: 0.15,
    FaultKind.HANG_BEFORE: 0.03,
    FaultKind.HANG_AFTER: 0.03,
    FaultKind.HTML_BEFORE: 0.1,
    FaultKind.HTML_AFTER: 0.05,
    FaultKind.CUT_SHORT: 0.05,
    FaultKind.CUT_JSON: 0.05,
    FaultKind.EMPTY: 0.05,
    FaultKind.BLAME_NOBODY: 0.25,
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything about one seed. `generations` are the extracts of runs that follow each other, as lists of dicts."""

    seed: int
    mode: Mode
    generations: tuple[list[dict[str, Any]], ...]
    #: id to whether the stored order has the content of the first generation
    stored_before: dict[str, bool]
    #: what the server refuses at all times
    rules: dict[str, Any]
    #: what goes wrong beside it while the runs crash
    faults: dict[str, Any]
    #: of each generation, the step at which a run crashes, and how
    crashes: tuple[tuple[tuple[int, Kind], ...], ...]
    settings: dict[str, Any]
    policy: RetryPolicy
    flush_seconds: float
    history: bool
    #: of each generation, the ids of orders that break the contract, or appear more than once with two contents
    never_sent: tuple[frozenset[str], ...]

    @property
    def summary(self) -> str:
        """The facts but for the orders themselves."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "generations"}
        return ", ".join(f"{name}={value}" for name, value in kept.items())

    @property
    def faulty(self) -> Faults:
        return Faults(seed=self.seed, **self.rules, **self.faults)

    @property
    def fair(self) -> Faults:
        return Faults(**self.rules)


def scenario(seed: int, most: int = 60) -> Scenario:
    """Draw the scenario of a seed, with `most` orders at most."""
    dice = random.Random(seed)
    mode = dice.choice((Mode.ADD, Mode.ADD, Mode.ADD_OR_REPLACE, Mode.REPLACE))
    count = dice.randint(1, most)
    name = dice.choice(_NAMES)
    ids = [(name if dice.random() < 0.8 else dice.choice(_NAMES)).format(n) for n in range(1, count + 1)]
    ids = list(dict.fromkeys(ids))
    orders = [_order(dice, order_id) for order_id in ids]
    first, never_sent = _spoilt(dice, orders)
    generations = [first]
    if dice.random() < 0.3:
        changed = [order | ({"totalValue": _money(dice)} if dice.random() < 0.2 else {}) for order in orders]
        generations.append(changed)
    share = {Mode.ADD: dice.choice((0, 0, 0.2)), Mode.ADD_OR_REPLACE: 0.3, Mode.REPLACE: dice.choice((1, 0.9))}[mode]
    stored = {i: dice.random() < 0.5 for i in ids if i not in never_sent and dice.random() < share}
    settings = {
        "batch_size": dice.choice((1, 2, 3, 5, 8, 13, 25, 60)),
        "max_in_flight": dice.randint(1, 4),
        "request_budget": dice.choice((200, 200, 200, dice.randint(1, 12))),
        "batch_bytes": dice.choice((4_000_000, 4_000_000, 1500)),
        "canary": dice.choice((0, 0, 0, 4)),
    }
    rules = _rules(dice)
    return Scenario(
        seed=seed,
        mode=mode,
        generations=tuple(generations),
        stored_before=stored,
        rules=rules,
        faults=_faults(dice, vague=rules.get("vague", False)),
        crashes=tuple(_crashes(dice, count // settings["batch_size"] + 1) for _ in generations),
        settings=settings,
        policy=RetryPolicy(max_attempts=dice.choice((2, 5, 8)), max_elapsed=1e9),
        flush_seconds=dice.choice((0.0, 0.5, 5.0, 1e9)),
        history=dice.random() < 0.3,
        never_sent=(frozenset(never_sent), frozenset()),
    )


def _money(dice: random.Random) -> Decimal:
    return Decimal(dice.randint(0, 10**7)).scaleb(-3)


def _order(dice: random.Random, order_id: str) -> dict[str, Any]:
    return {
        "id": order_id,
        "date": dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC) + dt.timedelta(milliseconds=dice.randint(0, 10**7)),
        "totalValue": _money(dice),
        "customer": {"crmId": f"C{dice.randint(1, 99)}"},
        "products": [
            {"id": f"P{n}", "name": "Cup  of żółć\n" * dice.randint(1, 3), "price": _money(dice), "quantity": 2**n}
            for n in range(dice.randint(1, 3))
        ],
    }


def _spoilt(dice: random.Random, orders: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the orders with invalid ones and repeated ones among them, and the ids that cannot be sent."""
    rows = list(orders)
    never_sent = set()
    if dice.random() < 0.4:
        for at in range(len(rows)):
            if dice.random() < 0.1:
                rows[at] = rows[at] | {"customer": {"crmId": None}}
                never_sent.add(rows[at]["id"])
    if dice.random() < 0.4:
        for row in dice.sample(rows, min(len(rows), dice.randint(1, 4))):
            again = dice.random() < 0.7
            rows.insert(dice.randint(0, len(rows)), row if again else row | {"totalValue": Decimal("-0.5")})
            if not again:
                never_sent.add(row["id"])
    return rows, never_sent


def _rules(dice: random.Random) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    if dice.random() < 0.5:
        rules["reject_every"] = dice.choice((2, 7, 13))
    if dice.random() < 0.3:
        rules["vague"] = True
    elif dice.random() < 0.3:
        rules["max_errors"] = dice.randint(1, 3)
    if dice.random() < 0.2:
        rules["max_orders"] = dice.randint(1, 20)
    if dice.random() < 0.2:
        rules["max_bytes"] = dice.choice((450, 2000))
    return rules


def _faults(dice: random.Random, *, vague: bool) -> dict[str, Any]:
    # a refusal that names nobody must be told from one by the rules
    kinds = [kind for kind in _OFTEN if not (vague and kind is FaultKind.BLAME_NOBODY)]
    chosen = dice.sample(kinds, dice.randint(0, 5))
    faults: dict[str, Any] = {kind.value: dice.random() * _OFTEN[kind] for kind in chosen}
    faults |= {
        "latency_ms": dice.choice((0, 0, 1)),
        "hang_seconds": 0.02,
        "error_statuses": dice.choice(((500, 502, 503), (503,), (504, 408))),
        "retry_after": dice.choice((None, 1, 30, "soon")),
        "retry_after_date": dice.random() < 0.3,
    }
    if dice.random() < 0.15:
        # an outage, after some requests have gone well
        faults |= {dice.choice(("reset_before", "error_before", "throttle")): 1}
        faults |= {"first_request": dice.randint(1, 12)}
    return faults


def _crashes(dice: random.Random, batches: int) -> tuple[tuple[int, Kind], ...]:
    kinds = (Kind.SOFT, Kind.HARD, Kind.HARD, Kind.INTERRUPT)
    return tuple((dice.randint(1, 6 + 4 * batches), dice.choice(kinds)) for _ in range(dice.choice((0, 1, 1, 2, 3))))
