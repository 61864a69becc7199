"""A dry run of orders: everything that a push does, except sending.

Findings show ids, words and numbers of orders, and a sample without personal data.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.api.mode import envelope
from airflow_provider_ecdp.dry_run.findings import DISTINCT, EXAMPLES, Findings, Rule
from airflow_provider_ecdp.dry_run.sample_order import masked
from airflow_provider_ecdp.ledger.prior_runs import PriorRuns, carry_over, no_orders
from airflow_provider_ecdp.ledger.schema_drift import drifted
from airflow_provider_ecdp.ledger.settings import OnDrift
from airflow_provider_ecdp.orders import batching
from airflow_provider_ecdp.orders.engine.tables import PROBLEMS
from airflow_provider_ecdp.orders.reader import OrderReader, Selection
from airflow_provider_ecdp.push.settings import PushSettings
from airflow_provider_ecdp.runs.progress import OnProgress, Progress, no_progress

_POSITION = re.compile(r"\[\d+\]")
_CURRENCY = re.compile("[A-Za-z]{3}")

#: A name of words: no address, no number with more than three digits.
_ATTRIBUTE = re.compile(r"(?!.*[0-9]{4})(?!.*[0-9][ .-]+[0-9])[\w .,:/()&+%'#-]{1,64}")

#: Shown in place of texts that may be a person's data.
OTHER = "(other text)"


def check(
    orders: OrderReader,
    settings: PushSettings | None = None,
    prior_runs: PriorRuns | None = None,
    *,
    progress: OnProgress = no_progress,
) -> Findings:
    """Read all orders and return the findings. Nothing is sent, and nothing is written.

    :param prior_runs: where the outcomes of the run and of earlier ones are kept; None is a run that keeps none
    :param progress: called after each record batch, with invalid orders as failed ones
    :raises ConfigurationError: drift is a failure, and nothing keeps the columns of the previous run
    :raises EmptyExtractError: there are no orders, and `allow_empty` is not set
    :raises ExtractError: the extract cannot be read to its end
    """
    settings, prior_runs = settings or PushSettings(), prior_runs or PriorRuns()
    findings = Findings(rows=orders.rows, fields=orders.explained)
    several = len(orders.columns) > 1
    for name, (read, ignored) in orders.columns.items():
        prefix = f"{name}." if several else ""
        # that of records is not a column of the user
        findings.used += [prefix + column for column in read.names if column != PROBLEMS]
        findings.ignored += [prefix + column for column in ignored]
    if orders.settings.sql is not None:
        findings.not_fields = list(orders.fields.ignored)
    if kept := prior_runs.columns_ledger(settings.on_drift):
        changes = drifted(orders, kept)
        findings.drift = None if changes is None else [str(change) for change in changes]
    carried = carry_over(orders, prior_runs, OnDrift.IGNORE)
    selection = orders.select(sent=carried.sent, only=carried.only)
    findings.duplicate_ids = selection.repeated_ids
    findings.duplicates = selection.duplicates(EXAMPLES)
    before, after = envelope(settings.mode, settings.match_by)
    for batch in _batches(_sendable(selection, findings, progress), settings):
        findings.requests += 1
        findings.to_send += len(batch)
        findings.bytes += len(before) + batching.size(batch) + len(after)
    if not findings.total and not settings.allow_empty and not carried.nothing_left:
        raise no_orders(orders, carried)
    return findings


def _batches(sendable: Iterator[pa.RecordBatch], settings: PushSettings) -> Iterator[pa.RecordBatch]:
    """Yield the batches that a push would send, if nothing is refused."""
    if settings.canary:
        first, left = batching.first(sendable, settings.canary)
        yield from batching.cut(first, settings.batch_size, settings.batch_bytes)
        sendable = chain(left, sendable)
    yield from batching.cut(sendable, settings.batch_size, settings.batch_bytes)


def _sendable(selection: Selection, findings: Findings, progress: OnProgress) -> Iterator[pa.RecordBatch]:
    started = time.monotonic()
    for batch in selection.read(facts=True):
        findings.total += len(batch)
        _take_facts(batch.column("facts"), findings)
        good = batch.column("problems").is_null()
        _take_rules(batch, good, findings)
        skip_reason = batch.column("skip_reason")
        sendable = batch.filter(pc.and_(good, skip_reason.is_null()))
        for pair in pc.value_counts(skip_reason.filter(good).drop_null()):
            findings.skip_reasons[pair["values"].as_py()] += pair["counts"].as_py()
        if len(sendable):
            if findings.sample is None:
                findings.sample = masked(sendable.column("json")[0].as_py()[:-1])
            yield sendable
        progress(Progress(findings.total, findings.invalid, selection.count, time.monotonic() - started))


def _take_rules(batch: pa.RecordBatch, good: pa.Array, findings: Findings) -> None:
    ids = batch.column("order_id")
    for i, problems in _present(batch.column("problems")):
        findings.invalid += 1
        for rule in _rules(problems, findings.problems):
            _count(rule, ids[i].as_py())
    for i, warnings in _present(batch.column("warnings")):
        sent = good[i].as_py()
        # as in a push: orders that are not sent have no warnings
        findings.with_warnings += sent
        for rule in _rules(warnings, findings.warnings):
            if sent:
                _count(rule, ids[i].as_py())
            else:
                rule.invalid += 1


def _present(column: pa.Array) -> Iterator[tuple[int, list[dict[str, str]]]]:
    if column.null_count < len(column):
        places = pc.indices_nonzero(column.is_valid())
        yield from zip(places.to_pylist(), column.take(places).to_pylist(), strict=True)


def _rules(broken: list[dict[str, str]], rules_by_key: dict[tuple[str, str], Rule]) -> list[Rule]:
    """Return the rules that an order breaks, each once: one that it breaks in three products it breaks once."""
    rules = {}
    for problem in broken:
        key = (_POSITION.sub("[]", problem["field"]), problem["rule"])
        rule = rules[key] = rules_by_key.setdefault(key, Rule(*key))
        if problem["got"] in rule.got or len(rule.got) < DISTINCT:
            rule.got[problem["got"]] += 1
    return list(rules.values())


def _count(rule: Rule, order_id: str | None) -> None:
    rule.count += 1
    if len(rule.examples) < EXAMPLES and order_id not in rule.examples:
        rule.examples.append(order_id)


def _take_names(names: pa.Array, counter: Counter[str]) -> None:
    codes = pc.list_flatten(names).dictionary_encode()
    # a number for each pair of a name and an order: each name counts once for an order
    pairs = pc.add(pc.multiply(pc.cast(codes.indices, pa.int64()), len(names)), pc.list_parent_indices(names))
    for pair in pc.value_counts(pc.divide(pc.unique(pairs).drop_null(), len(names))):
        name = codes.dictionary[pair["values"].as_py()].as_py()
        # a wrong column can hold as many names as there are orders, and a person's data
        name = name if _ATTRIBUTE.fullmatch(name) else OTHER
        counter[name if name in counter or len(counter) < DISTINCT else OTHER] += pair["counts"].as_py()


def _take_facts(facts: pa.StructArray, findings: Findings) -> None:
    date, status, currency, *attributes = facts.flatten()
    for counter, names in zip(findings.attributes.values(), attributes, strict=True):
        _take_names(names, counter)
    ends = pc.min_max(date).as_py()
    if ends["min"] is not None:
        first, last = findings.dates or (ends["min"], ends["max"])
        findings.dates = min(first, ends["min"]), max(last, ends["max"])
    for pair in pc.value_counts(status):
        findings.statuses[pair["values"].as_py()] += pair["counts"].as_py()
    for pair in pc.value_counts(currency):
        value = pair["values"].as_py()
        # any other text may be a value of another column
        shown = value if value is None or _CURRENCY.fullmatch(value) else OTHER
        findings.currencies[shown] += pair["counts"].as_py()
