"""What is shown of a value that breaks a rule: never what could be a person's address or telephone number."""

from __future__ import annotations

import re

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.orders.sql.disclosure import disclosed, disclosed_sql

SHOWN = [
    *("shipped", "in-transit", "NOT_SET", "złożone", "x" * 32, "-", "inf"),
    *("0", "-1", "1.5", "999999", "-999999.999999", "007"),
    *("2026-11-01", "2026-7-6", "2026-13-45", "2026-11-01T10:00", "2026-11-01 10:00:00.123456789"),
    *("2026-11-01T10:00:00Z", "2026-11-01 10:00:00+02", "2026-11-01T10:00:00.5 UTC", "2026-11-01T10:00:00 -0530"),
]
HIDDEN = {
    "+48600700800": "text of 12 characters",
    "48600700800": "a number of 11 digits",
    "48600700800.0": "a number of 12 digits",
    "-6007008": "a number of 7 digits",
    "0.1234567": "a number of 8 digits",
    "600 700 800": "text of 11 characters",
    "600-700-800": "text of 11 characters",
    "4.86007008e+10": "text of 14 characters",
    "+1": "text of 2 characters",
    "Jan Kowalski": "text of 12 characters",
    "jan.kowalski": "text of 12 characters",
    "jan@example.com": "text of 15 characters",
    "shipped2": "text of 8 characters",
    "n/a": "text of 3 characters",
    "": "text of 0 characters",
    " ": "text of 1 character",
    "paid\n": "text of 5 characters",
    "x" * 33: "text of 33 characters",
    "2026-11-01 600700800": "text of 20 characters",
    "2026-11-01T10:00:00.0123456789": "text of 30 characters",
    "01.11.2026": "text of 10 characters",
    "٣٤٥": "text of 3 characters",
}


@pytest.fixture(scope="module")
def by_engine():
    """What the SQL returns of a text."""
    sql = f"SELECT {disclosed_sql('v')} FROM (SELECT $v::VARCHAR AS v)"
    with duckdb.connect() as engine:
        yield lambda value: engine.execute(sql, {"v": value}).fetchone()[0]


@pytest.mark.parametrize("value", SHOWN)
def test_dates_small_numbers_and_words_are_shown(by_engine, value):
    assert disclosed(value) == by_engine(value) == value


@pytest.mark.parametrize("value", HIDDEN, ids=ascii)
def test_of_anything_else_the_length_is_shown(by_engine, value):
    assert disclosed(value) == by_engine(value) == HIDDEN[value]


NUMBERS = st.from_regex(r"[+-]?[0-9]{1,14}([.][0-9]{1,12})?(e[+-]?[0-9]{1,3})?", fullmatch=True)
NEARLY = st.from_regex(r"([0-9]{1,9}|[a-z]{1,9}|[-_ .:/+@TZ]){1,8}", fullmatch=True)
DATES = st.one_of(st.datetimes(), st.dates()).map(str)
# the engine has other tables of Unicode than Python: letters of alphabets that both know
TEXTS = st.text(st.characters(max_codepoint=0x24F, exclude_categories=["Cs", "Cc"]), max_size=40)


@settings(max_examples=examples(300))
@given(value=st.one_of(NUMBERS, NEARLY, DATES, TEXTS, st.emails()))
@example(value="2026-11-01 10:00:00.600700800")
def test_law_no_address_no_telephone_number_and_no_two_words_are_shown(by_engine, value):
    shown = disclosed(value)
    assert shown == by_engine(value)
    if shown != value:
        assert re.fullmatch(r"text of \d+ characters?|a number of \d+ digits", shown)
    elif not re.match(r"\d{4}-\d{1,2}-\d{1,2}", shown):
        assert "@" not in shown
        assert not re.search(r"\s", shown)
        assert not re.search(r"[0-9]{7}", shown)
        assert sum(c.isdigit() for c in shown) <= 12
    else:
        assert re.fullmatch(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([T ][0-9:.]+)?( ?Z| ?UTC| ?[+-][0-9:]+)?", shown)
