"""Counts, samples and reasons of outcomes, the report, and how many orders may fail."""

from __future__ import annotations

import json
import pickle

import pyarrow as pa
import pytest

from airflow_provider_ecdp.errors import (
    ConfigurationError,
    KeyRefusedError,
    OrdersFailedError,
    PushStoppedError,
    ThrottledError,
)
from airflow_provider_ecdp.results.outcome import REASON_CHARACTERS, BatchOutcome, Outcome, reason
from airflow_provider_ecdp.results.outcome_counts import OutcomeCounts
from airflow_provider_ecdp.results.report import MaxFailed, Report

WARNING = pa.list_(pa.struct([("field", pa.string()), ("rule", pa.string()), ("got", pa.string())]))
NEGATIVE = {"field": "products[0].quantity", "rule": "negative_quantity: below zero", "got": "-1"}
MISMATCH = {"field": "totalValue", "rule": "total_mismatch: another total", "got": "another total than its products"}


def of_batch(outcome, ids, reasons=None, *, warnings=None, **facts):
    """Orders that came to one outcome, as the push hands them over."""
    orders = pa.RecordBatch.from_arrays(
        [
            pa.array(ids, pa.string()),
            pa.array([f"hash of {order_id}" for order_id in ids], pa.string()),
            pa.array(warnings or [None] * len(ids), WARNING),
        ],
        ["order_id", "content_hash", "warnings"],
    )
    return BatchOutcome(orders, outcome, reasons, **facts)


def ids(results):
    return [result["order_id"] for result in results]


# outcomes


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        ("accepted", False),
        ("skipped", False),
        ("rejected", True),
        ("invalid", True),
        ("unresolved", True),
        ("not_attempted", True),
    ],
)
def test_an_order_has_failed_unless_ecdp_has_it(outcome, failed):
    assert Outcome(outcome).failed is failed


@pytest.mark.parametrize("outcome", Outcome)
def test_the_facts_of_an_outcome_agree(outcome):
    assert outcome.failed is not outcome.counts_as_sent
    assert outcome.failed or not outcome.replayable
    assert outcome.may_have_arrived or not outcome.counts_as_sent


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_its_text_wherever_it_is_written(outcome):
    assert pickle.loads(pickle.dumps(outcome)) is outcome  # noqa: S301 - its own bytes
    assert Outcome(str(outcome)) is outcome
    assert json.loads(json.dumps([outcome])) == [outcome.value]


# counting


def test_every_order_is_counted_under_its_outcome():
    counts = OutcomeCounts(limit=10)
    sizes = {"accepted": 1, "rejected": 2, "invalid": 4, "unresolved": 8, "not_attempted": 16, "skipped": 32}
    for outcome, size in sizes.items():
        counts.add(of_batch(Outcome(outcome), [f"{outcome}-{n}" for n in range(size)]))
        counts.add(of_batch(Outcome(outcome), ["again"]))

    assert counts.counts == {outcome: size + 1 for outcome, size in sizes.items()}
    assert counts.failed == 2 + 4 + 8 + 16 + 4


def test_a_result_says_what_is_known_of_an_order():
    counts = OutcomeCounts(limit=10)
    counts.add(of_batch(Outcome.REJECTED, ["A"], "no such product", http_status=400, attempts=3))
    counts.add(of_batch(Outcome.ACCEPTED, ["B"], http_status=201, attempts=1))

    assert counts.results == [
        {"order_id": "A", "outcome": "rejected", "reason": "no such product", "http_status": 400, "attempts": 3},
        {"order_id": "B", "outcome": "accepted", "reason": None, "http_status": 201, "attempts": 1},
    ]


def test_an_order_without_an_id_has_a_result():
    counts = OutcomeCounts(limit=10)
    counts.add(of_batch(Outcome.INVALID, [None, None], ["id: required, got missing"] * 2))
    assert ids(counts.results) == [None, None]
    assert counts.failed == 2


def test_results_are_plain_json():
    counts = OutcomeCounts(limit=10)
    counts.add(of_batch(Outcome.REJECTED, ["ż", None], ["a", None], http_status=400))
    assert json.loads(json.dumps(counts.results)) == counts.results


@pytest.mark.parametrize("limit", [0, 1, 3, 5, 100])
def test_results_are_kept_up_to_the_limit_failures_first(limit):
    counts = OutcomeCounts(limit)
    counts.add(of_batch(Outcome.ACCEPTED, ["a1", "a2", "a3"]))
    counts.add(of_batch(Outcome.REJECTED, ["r1", "r2"], "refused"))
    counts.add(of_batch(Outcome.SKIPPED, ["s1"]))
    counts.add(of_batch(Outcome.NOT_ATTEMPTED, ["n1", "n2"], "stopped"))

    assert ids(counts.results) == ["r1", "r2", "n1", "n2", "a1", "a2", "a3", "s1"][:limit]
    assert sum(counts.counts.values()) == 8


def test_counts_and_reasons_go_on_beyond_the_limit():
    counts = OutcomeCounts(limit=1)
    counts.add(of_batch(Outcome.REJECTED, [f"r{i}" for i in range(50)], "refused"))
    assert len(counts.results) == 1
    assert counts.counts[Outcome.REJECTED] == 50
    assert [(text, r.count, r.example) for text, r in counts.reasons.by_reason.items()] == [
        ("rejected: refused", 50, "r0")
    ]


def test_memory_does_not_grow_with_orders_that_succeed():
    counts = OutcomeCounts(limit=2)
    for i in range(100):
        assert counts.add(of_batch(Outcome.ACCEPTED, [f"{i}-{n}" for n in range(100)])) is None
    assert ids(counts.results) == ["0-0", "0-1"]


def test_reasons_come_back_for_the_ledger_as_they_were_given():
    counts = OutcomeCounts(limit=0)
    assert counts.add(of_batch(Outcome.ACCEPTED, ["a", "b"])) is None
    assert counts.add(of_batch(Outcome.REJECTED, ["a", "b"], "one for all")) == ["one for all"] * 2
    assert counts.add(of_batch(Outcome.REJECTED, ["a", "b"], ["x", None])) == ["x", None]


# reasons


def test_orders_with_one_fault_have_one_reason_whatever_their_positions_amounts_and_ids():
    counts = OutcomeCounts(limit=0)
    counts.add(
        of_batch(
            Outcome.INVALID,
            ["ORD-7", "ORD-8", "2048"],
            [f"products[{i}].name: at most 2048 characters, got {2049 + i} characters; id: x" for i in range(3)],
        )
    )
    counts.add(of_batch(Outcome.REJECTED, ["ORD-7", "ORD-8"], ["order ORD-7 exists", "order ORD-8 exists"]))
    counts.add(of_batch(Outcome.REJECTED, ["ORD-9"]))

    assert {text: (r.count, r.example) for text, r in counts.reasons.by_reason.items()} == {
        "invalid: products[N].name: at most 2048 characters, got N characters": (3, "ORD-7"),
        "rejected: order … exists": (2, "ORD-7"),
        "rejected: no reason given": (1, "ORD-9"),
    }


@pytest.mark.parametrize("order_id", ["1", "12", "a", "at", "char"])
def test_a_short_id_does_not_cut_the_words_of_a_reason(order_id):
    counts = OutcomeCounts(limit=0)
    counts.add(of_batch(Outcome.INVALID, [order_id], "currency: exactly 3 characters, got 12 characters"))
    assert list(counts.reasons.by_reason) == ["invalid: currency: exactly 3 characters, got N characters"]


def test_the_lengths_of_what_is_not_shown_do_not_split_reasons():
    counts = OutcomeCounts(limit=0)
    got_texts = ["text of 12 characters", "text of 1 character", "a number of 11 digits", "a number of 9 digits"]
    got_texts += ["7", "-7", "2.50"]
    counts.add(of_batch(Outcome.INVALID, ["A-1"] * len(got_texts), [f"date: a date, got {got}" for got in got_texts]))
    assert {text: r.count for text, r in counts.reasons.by_reason.items()} == {
        "invalid: date: a date, got text of N characters": 2,
        "invalid: date: a date, got a number of N digits": 2,
        "invalid: date: a date, got N": 3,
    }


def test_numbers_in_the_apis_own_words_do_not_split_reasons():
    counts = OutcomeCounts(limit=0)
    counts.add(of_batch(Outcome.REJECTED, ["a1", "a2"], ["line 7: unknown product 4711", "line 8: unknown product 5"]))
    assert list(counts.reasons.by_reason) == ["rejected: line N: unknown product N"]


def test_an_id_that_is_no_plain_text_is_no_pattern():
    counts = OutcomeCounts(limit=0)
    counts.add(of_batch(Outcome.REJECTED, ["a.*(b"], "order a.*(b exists"))
    assert list(counts.reasons.by_reason) == ["rejected: order … exists"]


def test_reasons_that_all_differ_do_not_fill_the_memory():
    counts = OutcomeCounts(limit=0)
    words = ["".join(chr(97 + int(digit)) for digit in str(i)) for i in range(3000)]
    counts.add(of_batch(Outcome.REJECTED, words, [f"no {word} word" for word in reversed(words)]))
    assert len(counts.reasons.by_reason) == 1000
    assert counts.counts[Outcome.REJECTED] == 3000


def test_what_succeeded_has_no_reason_to_count():
    counts = OutcomeCounts(limit=0)
    counts.add(of_batch(Outcome.SKIPPED, ["a"], "accepted before with this content"))
    assert counts.reasons.by_reason == {}


def test_problems_are_reported_with_field_rule_and_what_was_there():
    assert reason([NEGATIVE, {"field": "id", "rule": "required", "got": "missing"}]) == (
        "products[0].quantity: negative_quantity: below zero, got -1; id: required, got missing"
    )


def test_more_problems_than_a_reason_may_hold_are_counted():
    problem = {"field": "products[12].name", "rule": "at most 2048 characters", "got": "3000 characters"}
    text = reason([problem] * 1000)
    one = reason([problem])

    assert len(text) <= REASON_CHARACTERS + len("; and 1000 more")
    kept = text.count(one)
    assert text.endswith(f"; and {1000 - kept} more")
    assert kept > 40


def test_as_many_problems_as_a_reason_can_hold_are_all_listed():
    fitting = [{"field": "f", "rule": "x" * 90, "got": "y"}] * 39
    assert "more" not in reason(fitting)
    assert len(reason(fitting)) <= REASON_CHARACTERS


def test_a_problem_that_alone_is_longer_than_a_reason_is_counted():
    assert reason([{"field": "f", "rule": "x" * REASON_CHARACTERS, "got": "y"}]) == "and 1 more"


# warnings


def test_warnings_are_counted_by_name_and_orders_once():
    counts = OutcomeCounts(limit=10)
    found = counts.add(
        of_batch(
            Outcome.ACCEPTED,
            ["a", "b", "c"],
            warnings=[[NEGATIVE, NEGATIVE, MISMATCH], None, [NEGATIVE]],
        )
    )

    assert counts.with_warnings == 2
    assert {name: (w.count, w.example) for name, w in counts.warnings.items()} == {
        "negative_quantity": (2, "a"),
        "total_mismatch": (1, "a"),
    }
    assert found[0].startswith("warning: products[0].quantity: negative_quantity: below zero, got -1; ")
    assert found[1] is None


def test_a_refused_order_is_reported_with_its_warnings_after_the_reason():
    counts = OutcomeCounts(limit=10)
    (text,) = counts.add(of_batch(Outcome.REJECTED, ["a"], "refused", warnings=[[NEGATIVE]]))
    assert text == "refused; warning: products[0].quantity: negative_quantity: below zero, got -1"
    assert list(counts.reasons.by_reason) == ["rejected: refused"]


def test_what_was_never_sent_for_its_faults_has_no_warnings_to_count():
    counts = OutcomeCounts(limit=10)
    assert counts.add(of_batch(Outcome.INVALID, ["a"], ["bad"], warnings=[[NEGATIVE]])) == ["bad"]
    assert (counts.with_warnings, counts.warnings) == (0, {})


# the report


def report(*, stopped=None, results_path=None, reasons=None, **counts):
    summary = {"mode": "AddOrReplace"} | {outcome.value: counts.get(outcome.value, 0) for outcome in Outcome}
    summary["total"] = sum(counts.values())
    return Report(
        summary=summary,
        results=[{"order_id": "A"}],
        results_path=results_path,
        warnings={},
        reasons=reasons or [],
        stopped=stopped,
    )


def test_the_report_has_the_shape_of_xcom():
    found = report(accepted=2, results_path="/results")
    assert found.as_json() == {
        "summary": found.summary,
        "results": [{"order_id": "A"}],
        "results_path": "/results",
        "warnings": {},
        "reasons": [],
    }
    assert json.loads(json.dumps(found.as_json())) == found.as_json()


def test_the_message_shows_counts_the_most_common_reasons_and_where_the_rest_is():
    reasons = [{"reason": f"rejected: fault {i}", "count": 9 - i, "example": f"ORD-{i}"} for i in range(5)]
    found = report(accepted=10, rejected=4, unresolved=1, results_path="/results", reasons=reasons)

    assert found.failed == 5
    assert found.message().splitlines() == [
        "5 of 15 orders failed (10 accepted, 4 rejected, 1 unresolved)",
        "  9 x rejected: fault 0 (for example order ORD-0)",
        "  8 x rejected: fault 1 (for example order ORD-1)",
        "  7 x rejected: fault 2 (for example order ORD-2)",
        "Every order's outcome: /results",
        "To list the failed orders: ecdp results /results --failed",
    ]


def test_a_report_without_a_ledger_says_where_results_are():
    last = report(accepted=1).message().splitlines()[-1]
    assert "XCom" in last
    assert "results_path" in last


def test_nothing_is_raised_where_nothing_failed():
    report(accepted=5, skipped=3).raise_for_failures(MaxFailed())


@pytest.mark.parametrize("outcome", ["rejected", "invalid", "unresolved", "not_attempted"])
def test_one_order_that_failed_fails_the_run(outcome):
    found = report(accepted=99, **{outcome: 1})
    with pytest.raises(OrdersFailedError) as raised:
        found.raise_for_failures(MaxFailed())

    assert raised.value.summary == found.summary
    assert not raised.value.transient
    assert str(raised.value).startswith(f"1 of 100 orders failed (99 accepted, 1 {outcome})")
    assert str(raised.value).endswith("Tolerated: 0")


@pytest.mark.parametrize(
    ("tolerated", "failed", "raises"),
    [(5, 5, False), (5, 6, True), ("5%", 5, False), ("5%", 6, True), (0.05, 5, False), ("100%", 100, False)],
)
def test_as_many_may_fail_as_are_tolerated(tolerated, failed, raises):
    found = report(accepted=100 - failed, rejected=failed)
    limit = MaxFailed.parse(tolerated)
    if raises:
        with pytest.raises(OrdersFailedError, match="Tolerated: "):
            found.raise_for_failures(limit)
    else:
        found.raise_for_failures(limit)


def test_a_run_that_was_stopped_is_raised_whatever_is_tolerated():
    found = report(accepted=1, not_attempted=9, stopped=ThrottledError("too many requests", status=429, retry_after=30))
    with pytest.raises(PushStoppedError) as raised:
        found.raise_for_failures(MaxFailed.parse("100%"))

    assert raised.value.transient
    assert (raised.value.retry_after, raised.value.key_refused) == (30, False)
    assert raised.value.summary == found.summary
    assert str(raised.value).startswith("stopped: too many requests\n9 of 10 orders failed")


def test_a_key_that_was_refused_is_distinguished():
    found = report(not_attempted=1, stopped=KeyRefusedError("the key is wrong", status=401))
    with pytest.raises(PushStoppedError) as raised:
        found.raise_for_failures(MaxFailed())
    assert raised.value.key_refused


# how many may fail


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0, MaxFailed(count=0)),
        (10, MaxFailed(count=10)),
        ("10", MaxFailed(count=10)),
        (" 10 ", MaxFailed(count=10)),
        (0.0, MaxFailed(share=0.0)),
        (0.01, MaxFailed(share=0.01)),
        ("0.01", MaxFailed(share=0.01)),
        ("1%", MaxFailed(share=0.01)),
        ("0.5%", MaxFailed(share=0.005)),
        ("1 %", MaxFailed(share=0.01)),
        ("100%", MaxFailed(share=1.0)),
        (1.0, MaxFailed(share=1.0)),
    ],
)
def test_a_count_or_a_share_is_read(given, expected):
    assert MaxFailed.parse(given) == expected


@pytest.mark.parametrize(
    "given",
    [-1, "-1", 1.5, "1.5", "101%", "-1%", "", "%", "ten", "nan", "inf", float("nan"), True, False, None, "1_0%x"],
)
def test_anything_else_is_refused(given):
    with pytest.raises(ConfigurationError, match="is neither a count"):
        MaxFailed.parse(given)


@pytest.mark.parametrize("percent", range(101))
def test_a_share_of_a_hundred_orders_is_as_many_orders(percent):
    assert MaxFailed.parse(f"{percent}%").of(100) == percent


def test_a_share_is_of_all_orders():
    assert MaxFailed.parse("1%").of(250) == 2.5
    assert MaxFailed.parse(3).of(250) == 3


def test_a_tolerance_is_shown_as_it_was_set():
    assert [str(MaxFailed.parse(given)) for given in (3, "1%", "20%", "100%", "29%", 0.125, "12.345%", "0%")] == [
        "3",
        "1 % of the orders",
        "20 % of the orders",
        "100 % of the orders",
        "29 % of the orders",
        "12.5 % of the orders",
        "12.345 % of the orders",
        "0 % of the orders",
    ]
