import json

import pytest

from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.by_id.from_ids import (
    Missing,
    delete_orders,
    get_orders,
    listed_status,
    update_order_statuses,
)
from airflow_provider_ecdp.by_id.settings import ChangeSettings
from airflow_provider_ecdp.by_id.validation import checked_website
from airflow_provider_ecdp.errors import ConfigurationError, KeyRefusedError, PushStoppedError, ServerError
from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.report import MaxFailed
from airflow_provider_ecdp.sandbox.faults import Faults


@pytest.fixture
def stored(store):
    """Three orders that ECDP has: 1, 2 and 3."""
    store("1", "2", "3")


def outcomes(report):
    return {result["order_id"]: result["outcome"] for result in report.results}


@pytest.mark.usefixtures("stored")
def test_orders_are_read_as_they_are_with_an_outcome_each(client):
    report = get_orders(client, ["1", "3"])
    assert [list(result) for result in report.results] == [
        ["order_id", "outcome", "reason", "http_status", "attempts", "order"]
    ] * 2
    first = report.results[0]
    assert (first["outcome"], first["reason"], first["http_status"], first["attempts"]) == ("accepted", None, 200, 1)
    assert first["order"]["customer"]["email"] == "customer@example.com"
    assert report.summary == {
        "operation": "get",
        "total": 2,
        "accepted": 2,
        "rejected": 0,
        "invalid": 0,
        "unresolved": 0,
        "not_attempted": 0,
        "skipped": 0,
        "missing": 0,
        "requests": 2,
        "retries": 0,
        "bytes": 0,
        "duration_seconds": report.summary["duration_seconds"],
    }
    json.dumps(report.as_json())


@pytest.mark.usefixtures("stored")
def test_the_customer_can_be_left_out_and_nothing_else_is(client):
    whole = get_orders(client, ["1"]).results[0]["order"]
    without = get_orders(client, ["1"], include_customer=False).results[0]["order"]
    assert without == {name: value for name, value in whole.items() if name != "customer"}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("missing", "outcome", "failed"), [(Missing.FAIL, "rejected", 1), (Missing.REPORT, "skipped", 0)]
)
def test_an_order_that_is_absent_fails_or_is_reported(client, missing, outcome, failed):
    for report in (
        get_orders(client, ["1", "9"], missing=missing),
        update_order_statuses(
            client, [{"order_id": "1", "status": "paid"}, {"order_id": "9", "status": "paid"}], missing=missing
        ),
    ):
        assert outcomes(report) == {"1": "accepted", "9": outcome}
        (absent,) = [result for result in report.results if result["order_id"] == "9"]
        assert (absent["reason"], absent["http_status"]) == ("ECDP has no such order", 404)
        assert absent.get("order") is None
        assert (report.failed, report.summary["missing"]) == (failed, 1)


@pytest.mark.usefixtures("stored")
def test_statuses_are_sent_in_the_apis_spelling(client, sandbox):
    report = update_order_statuses(
        client,
        [
            {"order_id": "1", "status": " PAID "},
            {"order_id": "2", "status": "cancelled"},
            {"order_id": "3", "status": "completed", "website_id": "7"},
        ],
    )
    assert (report.summary["operation"], report.summary["accepted"]) == ("update_status", 3)
    assert sandbox.store.status_change("1") == {"orderId": "1", "orderStatus": "Paid"}
    assert sandbox.store.status_change("2") == {"orderId": "2", "orderStatus": "Canceled"}
    assert sandbox.store.status_change("3") == {"orderId": "3", "orderStatus": "Completed", "websiteId": 7}


@pytest.mark.usefixtures("stored")
def test_a_status_that_is_not_listed_is_invalid_and_the_others_go_on(client, sandbox):
    updates = [{"order_id": "1", "status": "shipped"}, {"order_id": "2", "status": None}]
    report = update_order_statuses(client, [*updates, {"order_id": "3", "status": "paid"}])
    assert outcomes(report) == {"1": "invalid", "2": "invalid", "3": "accepted"}
    assert report.results[0]["reason"] == "status: one of Placed, Paid, Completed, Canceled, got 'shipped'"
    assert [request.method for request in sandbox.store.requests] == ["POST", "PUT"]


@pytest.mark.parametrize(
    ("status", "got"),
    [
        ("someone@example.com", "text of 19 characters"),
        ("Jan Kowalski", "text of 12 characters"),
        ("+48600700800", "text of 12 characters"),
        ("48600700800", "a number of 11 digits"),
    ],
)
def test_a_status_that_may_be_a_persons_is_not_repeated(status, got):
    with pytest.raises(ConfigurationError, match=f", got {got}$"):
        listed_status(status)


@pytest.mark.usefixtures("stored")
def test_changes_of_one_order_are_sent_in_their_order(client, sandbox):
    statuses = ["placed", "paid", "completed", "canceled"]
    update_order_statuses(client, [{"order_id": "1", "status": status} for status in statuses])
    assert sandbox.store.status_change("1")["orderStatus"] == "Canceled"


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        (["1"], r"updates\[0\]: must be a dict with order_id and status, got str"),
        ([{"order_id": "1"}], r"updates\[0\]: .* got the keys order_id"),
        ([{"order_id": "1", "status": "paid"}, {"id": "2", "status": "paid"}], r"updates\[1\]: .* got the keys id"),
    ],
)
def test_updates_without_id_or_status_are_refused_before_anything_is_sent(client, sandbox, updates, message):
    with pytest.raises(ConfigurationError, match=message):
        update_order_statuses(client, updates)
    assert not sandbox.store.requests


@pytest.mark.usefixtures("stored")
def test_a_website_that_is_no_number_is_invalid(client):
    report = update_order_statuses(client, [{"order_id": "1", "status": "paid", "website_id": "shop"}])
    assert outcomes(report) == {"1": "invalid"}


@pytest.mark.usefixtures("stored")
def test_orders_are_deleted_and_a_second_time_means_that_they_are_gone(client, sandbox):
    first = delete_orders(client, ["1", "2"])
    assert (first.summary["accepted"], first.summary["missing"]) == (2, 0)
    second = delete_orders(client, ["2", "3"])
    assert outcomes(second) == {"2": "accepted", "3": "accepted"}
    assert second.results[0]["reason"] == "ECDP has no such order: it was deleted before, or never there"
    assert (second.failed, second.summary["missing"]) == (0, 1)
    assert sandbox.store.count_deleted() == 3


def test_deleting_an_absent_order_fails_if_that_is_requested(client):
    assert outcomes(delete_orders(client, ["9"], missing=Missing.FAIL)) == {"9": "rejected"}


def test_ids_may_be_whole_numbers_and_hold_any_character(client, sandbox, order):
    odd = ["12", "a/b", "a b?c#d%2F", "żółw", "...", "+"]
    client.post_orders(Mode.ADD, ",".join(json.dumps(order(one)) for one in odd).encode())
    assert outcomes(get_orders(client, [12, *odd[1:]])) == dict.fromkeys(odd, "accepted")
    assert outcomes(delete_orders(client, odd)) == dict.fromkeys(odd, "accepted")
    assert sandbox.store.count() == 0


@pytest.mark.parametrize("order_id", [None, "", ".", "..", "x" * 129, 10**200, 12.0, True, "\ud800", ["1"]])
@pytest.mark.parametrize("ask", [get_orders, delete_orders])
def test_what_cannot_be_an_id_in_a_url_is_invalid_and_not_sent(client, sandbox, ask, order_id):
    report = ask(client, [order_id])
    assert [result["outcome"] for result in report.results] == ["invalid"]
    assert report.results[0]["reason"].startswith("order id: ")
    assert not sandbox.store.requests


@pytest.mark.parametrize("website_id", [1.5, "x", "", "1_0", "٣", 2**31, "9" * 5000, float("inf"), True, {"id": 1}])
def test_a_website_id_is_a_whole_number(client, sandbox, website_id):
    updates = [{"order_id": one, "status": "paid", "website_id": website_id} for one in ("1", "x" * 129)]
    report = update_order_statuses(client, updates)
    rule = "website id: a whole number from -2147483648 to 2147483647, got "
    reasons = [result["reason"] or "" for result in report.results if result["outcome"] == "invalid"]
    assert [reason.startswith(rule) for reason in reasons] == ([False] if website_id == "" else [True, False])
    assert reasons[-1] == "order id: at most 128 characters, got 129 characters"
    assert len(sandbox.store.requests) == (website_id == "")


@pytest.mark.parametrize("website_id", [2, "2", 2.0, "2.0", "+2"])
def test_a_whole_number_that_became_a_float_is_a_website_id(website_id):
    assert checked_website(website_id) == 2


def test_an_order_that_is_given_as_an_id_is_not_shown(client, order):
    report = delete_orders(client, [order("1")])
    assert report.results[0]["reason"] == "order id: must be text or a whole number, got dict"
    assert "customer@example.com" not in str(report.as_json())


def test_a_refused_key_stops_at_once_and_leaves_the_rest(make_client, sandbox):
    report = get_orders(make_client("wrong"), ["1", "2", "3"])
    assert set(outcomes(report).values()) == {"not_attempted"}
    assert isinstance(report.stopped, KeyRefusedError)
    assert len(sandbox.store.requests) == 2
    with pytest.raises(PushStoppedError) as raised:
        report.raise_for_failures(MaxFailed(count=3))
    assert raised.value.key_refused


@pytest.mark.usefixtures("stored")
def test_an_outage_stops_and_what_may_have_been_done_is_unresolved(client, sandbox):
    # counted from here: the third request and all later ones
    sandbox.faults = Faults(error_before=1, error_statuses=(500,), first_request=3)
    report = delete_orders(client, ["1", "2", "3", "4"])
    assert outcomes(report) == {"1": "accepted", "2": "accepted", "3": "unresolved", "4": "unresolved"}
    assert isinstance(report.stopped, ServerError)
    # the third once more, and two GETs that are not answered either
    assert [result["attempts"] for result in report.results] == [2, 1, 1, 1]
    assert report.summary["requests"] == 7
    assert sum(report.summary[outcome] for outcome in Outcome) == report.summary["total"] == 4


@pytest.mark.usefixtures("stored")
def test_a_server_that_asks_for_a_pause_has_done_nothing(client, sandbox):
    sandbox.faults = Faults(throttle=1, retry_after=30)
    report = delete_orders(client, ["1", "2"])
    assert outcomes(report) == {"1": "not_attempted", "2": "not_attempted"}
    with pytest.raises(PushStoppedError) as raised:
        report.raise_for_failures(MaxFailed())
    assert raised.value.retry_after == 30.0


@pytest.mark.usefixtures("stored")
def test_a_blip_is_repeated_and_counted(make_client, sandbox):
    sandbox.faults = Faults(error_before=1, error_statuses=(502,), last_request=2)
    report = get_orders(make_client(attempts=3), ["1", "2"])
    assert outcomes(report) == {"1": "accepted", "2": "accepted"}
    assert [result["attempts"] for result in report.results] == [3, 1]
    assert (report.summary["requests"], report.summary["retries"]) == (4, 2)


@pytest.mark.usefixtures("stored")
def test_failures_come_first_and_the_list_is_cut(client):
    report = get_orders(client, ["1", "8", "2", "9", "3"], results_limit=3)
    assert [result["order_id"] for result in report.results] == ["8", "9", "1"]
    assert report.summary["total"] == 5
    assert report.reasons == [{"reason": "rejected: ECDP has no such order", "count": 2, "example": "8"}]


@pytest.mark.usefixtures("stored")
def test_reasons_are_counted_without_what_differs_between_orders(make_client, sandbox):
    """The id 5 is not the 5 of HTTP 500."""
    sandbox.faults = Faults(error_before=1, error_statuses=(500,))
    report = get_orders(make_client(attempts=1), ["5", "6"])
    (reason,) = report.reasons
    assert reason["count"] == 2
    assert f"GET {sandbox.url}/orders/N: HTTP 500" in reason["reason"]


def test_a_limit_below_zero_is_refused(client):
    with pytest.raises(ConfigurationError, match="results_limit"):
        get_orders(client, [], results_limit=-1)


@pytest.mark.usefixtures("stored")
def test_progress_shows_what_is_done_and_what_failed(client):
    seen = []
    get_orders(client, ["1", "9", "2"], progress=seen.append)
    assert [(now.done, now.failed, now.total) for now in seen] == [(1, 0, 3), (2, 1, 3), (3, 1, 3)]


def test_no_ids_are_an_empty_report(client):
    report = delete_orders(client, [])
    assert (report.summary["total"], report.results, report.failed) == (0, [], 0)


@pytest.mark.parametrize(("text", "missing"), [("fail", Missing.FAIL), (" Report ", Missing.REPORT)])
def test_what_to_do_about_missing_orders_is_read(text, missing):
    assert ChangeSettings(missing=text).missing is missing


def test_what_to_do_about_missing_orders_is_one_of_two():
    with pytest.raises(ConfigurationError, match="fail or report"):
        ChangeSettings(missing="ignore")
