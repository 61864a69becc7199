"""What must hold after every run, however it ended: between the report, the ledger, the extract and the server."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.sandbox.faults import FaultKind

#: after these a POST is stored, and its sender does not know
_UNKNOWN = (FaultKind.ERROR_AFTER, FaultKind.RESET_AFTER, FaultKind.HANG_AFTER)


class Violation(AssertionError):  # noqa: N818  # a law's word
    """A law does not hold."""


def _hash(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def newest_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the newest row of each id; every file of a ledger must be readable, without the package's help."""
    rows: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("*.parquet")):
        for row in pq.read_table(file).to_pylist():
            held = rows.get(row["order_id"])
            if held is None or row["at"] >= held["at"]:
                rows[row["order_id"]] = row
    return rows


@dataclass(frozen=True, slots=True)
class Moment:
    """What the server and the ledger hold at one time."""

    writes: dict[str, int]
    contents: dict[str, str]
    rows: dict[str, dict[str, Any]]
    by_method: Counter[str]
    by_fault: Counter[str]

    @classmethod
    def of(cls, store: Any, folder: Path) -> Moment:
        ids = store.ids()
        return cls(
            {i: store.writes(i) for i in ids},
            {i: store.raw(i) for i in ids},
            newest_rows(folder),
            Counter(store.log.by_method),
            Counter(store.log.by_fault),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a scenario. `texts` are the JSON texts of the good orders, `report` is None after a crash."""

    scenario: Any
    never_sent: frozenset[str]
    texts: dict[str, str]
    rows: list[dict[str, Any]]
    before: Moment
    after: Moment
    report: Any
    blamed: set[str]
    budget: int
    #: whether an earlier run may have stored orders that it could not record
    resumed: bool
    #: whether the ledgers say that an earlier run has begun
    begun: bool

    def check(self) -> None:
        self.ledger_and_server_agree()
        self.known_orders_are_not_sent_again()
        self.repeats_are_bounded()
        if self.report is not None:
            self.counts_add_up()
            self.outcomes_are_true()

    def require(self, law: bool, text: str, *facts: Any) -> None:
        if not law:
            raise Violation(f"{text}: {', '.join(map(repr, facts))}")

    def stored_as_sent(self, order_id: str) -> bool:
        return self.after.contents.get(order_id) == self.texts.get(order_id, "")

    def may_be_refused(self, order_id: str) -> bool:
        """Whether the server has a reason to refuse the order in a request of its own."""
        scenario = self.scenario
        limit = scenario.rules.get("max_bytes")
        too_large = limit is not None and len(self.texts.get(order_id, "").encode()) + 60 > limit
        other = scenario.mode is Mode.ADD and (
            order_id in scenario.stored_before or self.before.writes.get(order_id, 0) > 0
        )
        absent = scenario.mode is Mode.REPLACE and order_id not in scenario.stored_before
        by_rule = scenario.fair.refuses(order_id)
        return by_rule or too_large or other or absent or order_id in self.blamed

    def ledger_and_server_agree(self) -> None:
        """Nothing accepted is absent; a run that crashed may have stored more than its ledger knows."""
        for order_id, row in self.after.rows.items():
            if row["outcome"] not in ("accepted", "skipped"):
                continue
            content = self.after.contents.get(order_id)
            self.require(content is not None, "accepted and absent", order_id, row)
            same = _hash(content) == row["content_hash"]
            unrecorded = self.report is None and self.stored_as_sent(order_id)
            self.require(same or unrecorded, "accepted and stored with other content", order_id, row)
        if self.scenario.mode is Mode.ADD:
            twice = [i for i, n in self.after.writes.items() if n != 1]
            self.require(not twice, "Add stored twice", twice)

    def known_orders_are_not_sent_again(self) -> None:
        for order_id, row in self.before.rows.items():
            if row["outcome"] in ("accepted", "skipped") and order_id in self.texts:
                same = row["content_hash"] == _hash(self.texts[order_id])
                sent = self.after.writes.get(order_id, 0) - self.before.writes.get(order_id, 0)
                self.require(not (same and sent), "known as accepted and sent again", order_id, sent)

    def counts_add_up(self) -> None:
        summary, results = self.report.summary, self.report.results
        found = Counter(r["outcome"] for r in results)
        counts = {o: summary[o] for o in ("accepted", "rejected", "invalid", "unresolved", "not_attempted", "skipped")}
        self.require(sum(counts.values()) == summary["total"] == len(self.rows), "counts do not add up", counts)
        self.require(found == Counter(counts) - Counter(), "results and counts differ", found, counts)
        ids = Counter(r["order_id"] for r in results)
        self.require(ids == Counter(r["id"] for r in self.rows), "an order is lost or counted twice", ids)
        absent = ids.keys() - self.after.rows.keys()
        self.require(not absent, "not in the ledger", absent)
        requests = (self.after.by_method - self.before.by_method).total()
        self.require(summary["requests"] == requests, "requests miscounted", summary["requests"], requests)

    def outcomes_are_true(self) -> None:
        by_order: dict[str, list[dict[str, Any]]] = {}
        for result in self.report.results:
            by_order.setdefault(result["order_id"], []).append(result)
        for order_id, results in by_order.items():
            # a repeated order is skipped; its outcome is that of the one that was sent
            told_once = next(
                (r for r in results if not str(r["reason"]).startswith("appears in the extract more than once")),
                results[0],
            )
            row = self.after.rows[order_id]
            self.require(row["outcome"] == told_once["outcome"], "ledger and report differ", row, results)
            self.outcome_is_true(order_id, told_once)

    def outcome_is_true(self, order_id: str, result: dict[str, Any]) -> None:
        sent = self.after.writes.get(order_id, 0) - self.before.writes.get(order_id, 0)
        stopped = self.report.stopped is not None or self.report.halted is not None
        facts = (order_id, result, f"written {sent} times")
        good = order_id not in self.never_sent and order_id in self.texts
        match result["outcome"]:
            case "accepted" | "skipped":
                self.require(good and self.stored_as_sent(order_id), "accepted and not stored as sent", *facts)
            case "rejected":
                self.require(good and self.may_be_refused(order_id), "a good order is rejected", *facts)
                self.require(sent == 0 or order_id in self.blamed, "rejected and stored", *facts)
                self.require(
                    not (self.resumed and self.scenario.mode is Mode.ADD and self.stored_as_sent(order_id)),
                    "rejected in a resumed run, and stored as sent",
                    *facts,
                )
            case "invalid":
                self.require(not good and not sent, "invalid without reason, or sent", *facts)
            case "not_attempted":
                # a small budget may run out before all parts of a batch that is too large are sent
                cut_short = stopped or (self.budget != 200 and result["attempts"] == 0)
                self.require(cut_short and good and not sent, "not attempted in a run that ended, or sent", *facts)
            case "unresolved":
                # what an earlier run left open stays so where a canary halts this one
                ended = not stopped and self.budget == 200
                self.require(not ended or self.may_stay_open(result), "unresolved in a run that ended", *facts)

    def may_stay_open(self, result: Mapping[str, Any]) -> bool:
        """Nobody is blamed on a guess: after an answer that Add lost, nor where faults have struck every attempt."""
        # one with the others, one to isolate it, and all of its last call
        attempts = 2 + self.scenario.policy.max_attempts
        faults = self.after.by_fault - self.before.by_fault
        if result["attempts"] >= attempts and faults.total() >= attempts:
            return True
        return self.scenario.mode is Mode.ADD and "may have stored it" in str(result["reason"])

    def repeats_are_bounded(self) -> None:
        settings, faults = self.scenario.settings, self.after.by_fault - self.before.by_fault
        size, orders = settings["batch_size"], len(self.texts)
        # the canary and the orders that appear more than once begin batches of their own
        batches = 4 + math.ceil(orders / size)
        batches += 2 * sum(len(t.encode()) + 1 for t in self.texts.values()) // settings["batch_bytes"]
        bad = sum(self.may_be_refused(i) or i in self.before.writes for i in self.texts)
        each = 2 * math.ceil(math.log2(size + 1)) + 2
        splits = 2 * orders if self.scenario.rules.keys() & {"max_orders", "max_bytes"} else 0
        posts = (self.after.by_method - self.before.by_method)["POST"]
        most = batches + faults.total() * (1 + each) + bad * each + splits
        self.require(posts <= most, "more POST requests than faults and refusals explain", posts, most)
        if not splits:
            # an order that gets its outcome renews the budget of its batch
            most = (batches + orders) * self.budget + faults.total()
            self.require(posts <= most, "more POST requests than the budget of each batch", posts, most)
        gets = (self.after.by_method - self.before.by_method)["GET"]
        unknown = self.scenario.mode is Mode.ADD and (self.begun or faults.total() > 0)
        # besides the read-back, a GET asks after failures whether the server answers at all
        self.require(unknown or gets <= faults.total(), "read back without need", gets)
        # what is read may lag: an order that is refused, or differs, is read up to six times more before it is blamed
        most = (posts + 1) * size + faults.total() + 6 * bad
        self.require(gets <= most, "read back without end", gets, most)
        written = sum(self.after.writes.values()) - sum(self.before.writes.values())
        lost = sum(faults[kind] for kind in _UNKNOWN)
        self.require(written <= orders + lost * size, "stored more often than faults explain", written, lost)
