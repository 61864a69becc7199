"""The tables of a report: every outcome has its row, whichever there are."""

from __future__ import annotations

import io

import pytest

from airflow_provider_ecdp.cli.output import rendered
from airflow_provider_ecdp.cli.tables import outcomes
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import Report


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("kind", [{"mode": "Add"}, {"operation": "delete"}])
def test_every_outcome_is_shown_with_its_meaning(outcome, kind):
    counts = dict.fromkeys([one.value for one in Outcome], 0) | {outcome.value: 1234}
    report = Report(summary={**kind, "total": 1234, **counts}, results=[], warnings={}, reasons=[])
    text = " ".join(rendered(io.StringIO(), outcomes(report)).split())
    meaning = outcome.meaning if "mode" in kind else outcome.meaning_of_change
    assert f"1,234 {outcome.value} {meaning}" in text


@pytest.mark.parametrize(
    ("in_extract", "header"),
    [
        (60_000, "18,432 read, of 60,000 in the extract"),
        (18_432, "18,432 in the extract"),
        # of a replay, or with orders of earlier extracts
        (None, "18,432 in this run"),
    ],
)
def test_an_interrupted_run_says_how_much_of_the_extract_it_has_read(in_extract, header):
    counts = dict.fromkeys([one.value for one in Outcome], 0) | {"accepted": 18_432}
    report = Report(
        summary={"mode": "Add", "total": 18_432, **counts}, results=[], warnings={}, reasons=[], in_extract=in_extract
    )
    assert " ".join(rendered(io.StringIO(), outcomes(report)).split()).endswith(header)
