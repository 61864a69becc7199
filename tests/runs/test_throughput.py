"""How fast a run is of late, in seconds that are made up."""

import pytest

from airflow_provider_ecdp.runs.throughput import Throughput


def noted(*samples):
    pace = Throughput(0.0)
    for moment, *counts in samples:
        pace.note(float(moment), *counts)
    return pace


def test_nothing_is_known_before_anything_is_done():
    assert (Throughput(0.0).rate, Throughput(0.0).left(100)) == (0.0, None)
    assert noted((12, 0)).left(100) is None


def test_a_run_that_was_always_as_fast_goes_on_like_that():
    pace = noted(*((second, 100 * second) for second in range(300)))
    assert pace.rate == pytest.approx(100)
    assert pace.left(59_900) == pytest.approx(300)


def test_it_follows_a_change_within_a_minute_or_so():
    pace = noted(*((s, 100 * s) for s in range(600)), *((s, 60_000 + 10 * (s - 600)) for s in range(600, 662)))
    assert pace.rate == pytest.approx(10, rel=0.2)


def test_waiting_for_the_first_answer_counts():
    assert noted((0, 0), (2.5, 0), (5, 0), (7.5, 0), (10, 500)).rate == 50


def test_the_time_before_a_run_begins_to_send_does_not_count():
    assert noted((60, 0), (62.5, 0), (70, 500)).rate == 50


def test_skipped_orders_before_the_first_request_are_no_measure():
    pace = noted(*((second / 10, 10_000 * second, 10_000 * second) for second in range(1, 31)))
    assert (pace.rate, pace.left(400_000)) == (0.0, None)
    for second in range(1, 11):
        pace.note(3.0 + second, 300_000 + 5_000 * second, 300_000)
    assert pace.rate == pytest.approx(5_000)
    assert pace.left(400_000) == pytest.approx(10)


def test_skipped_orders_between_sent_ones_count_as_done():
    # every tenth is sent: so it is with those to come
    pace = noted(*((second, 1_000 * second, 900 * second) for second in range(1, 30)))
    assert pace.left(58_000) == pytest.approx(29)


@pytest.mark.parametrize("total", [None, 0])
def test_without_a_total_there_is_no_end(total):
    assert noted((10, 500)).left(total) is None


def test_an_extract_that_turns_out_larger_ends_now():
    assert noted((10, 500)).left(400) == 0


def test_thousands_of_answers_a_second_are_kept_as_one():
    pace = Throughput(0.0)
    for number in range(200_000):
        pace.note(number / 1_000, number)
    assert len(pace._kept) <= 62
    assert pace.rate == pytest.approx(1_000, rel=0.01)
