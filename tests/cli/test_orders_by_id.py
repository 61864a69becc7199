"""`ecdp get`, `ecdp status` and `ecdp delete` against the sandbox."""

from __future__ import annotations

import json

import pytest

from airflow_provider_ecdp.api.settings import ID_OF_NO_ORDER
from airflow_provider_ecdp.sandbox.faults import Faults


@pytest.fixture
def filled(pointed, store_in):
    """The sandbox with the orders ORD-00000001 to ORD-00000005."""
    store_in(pointed, *(f"ORD-0000000{number}" for number in range(1, 6)))
    return pointed


def test_get_prints_the_order_as_json(filled, ecdp):
    run = ecdp("get", "ORD-00000002")

    assert run.code == 0
    assert run.err == ""
    order = json.loads(run.out)
    assert order["id"] == "ORD-00000002"
    assert order["products"]
    assert order["totalValue"] == float(filled.store.get("ORD-00000002")["totalValue"])


def test_get_of_several_orders_keeps_their_order_and_shows_which_is_missing(filled, ecdp):
    run = ecdp("get", "ORD-00000003", "nobody", "ORD-00000001")

    assert run.code == 1
    assert run.out.index("ORD-00000003") < run.out.index("ORD-00000001")
    assert run.err.splitlines() == [
        "ecdp: order nobody: rejected, ECDP has no such order",
        "ecdp: 1 of 3 orders failed (1 rejected, 2 accepted)",
    ]
    assert ecdp("get", "ORD-00000003", "nobody", "--missing-ok").code == 0
    assert len([r for r in filled.store.requests if r.method == "GET"]) == 5


def test_get_as_json_is_one_line_with_an_outcome_each(filled, ecdp):
    run = ecdp("get", "ORD-00000001", "nobody", "--json")

    assert run.code == 1
    results = {result["order_id"]: result for result in run.json["results"]}
    assert results["ORD-00000001"]["order"]["customer"] == {
        **filled.store.get("ORD-00000001")["customer"],
        "id": results["ORD-00000001"]["order"]["customer"]["id"],
    }
    assert results["nobody"]["outcome"] == "rejected"
    assert run.json["summary"]["total"] == 2


def test_status_changes_the_status_of_each_order(filled, ecdp):
    run = ecdp("status", "ORD-00000001", "ORD-00000002", "cancelled", "--website-id", 7)

    assert run.code == 0
    assert run.err == ""
    assert run.out.splitlines() == ["order ORD-00000001: accepted", "order ORD-00000002: accepted"]
    assert filled.store.get("ORD-00000001")["status"] == filled.store.get("ORD-00000002")["status"] == "Canceled"
    assert filled.store.status_change("ORD-00000001")["websiteId"] == 7
    assert filled.store.status_change("ORD-00000003") is None


def test_a_status_that_does_not_exist_is_wrong_usage(filled, ecdp):
    before = len(filled.store.requests)
    run = ecdp("status", "ORD-00000001", "shipped")

    assert run.code == 2
    assert run.err == "ecdp: status: one of Placed, Paid, Completed, Canceled, got 'shipped'\n"
    assert len(filled.store.requests) == before


def test_status_of_an_unknown_order_fails(filled, ecdp):
    run = ecdp("status", "nobody", "paid", "--json")

    assert run.code == 1
    assert run.json["summary"]["missing"] == 1
    assert "1 of 1 order failed" in run.err
    assert filled.store.count() == 5


def test_delete_marks_orders_as_deleted_and_may_be_repeated(filled, ecdp):
    assert ecdp("delete", "ORD-00000001", "ORD-00000002").code == 0
    assert filled.store.count() == 3
    again = ecdp("delete", "ORD-00000001")
    assert again.code == 0
    assert "deleted before, or never there" in again.out
    assert ecdp("delete", "ORD-00000001", "--missing-fails").code == 1


def test_ids_with_every_kind_of_character_are_one_segment_of_a_path(filled, ecdp):
    run = ecdp("get", "a/b?c=d%20é", "--json")

    assert run.json["results"][0]["reason"] == "ECDP has no such order"
    assert filled.store.requests[-1].path == "/orders/a%2Fb%3Fc%3Dd%2520%C3%A9"


@pytest.mark.parametrize("command", [["get", "1", "2"], ["status", "1", "2", "paid"], ["delete", "1", "2"]])
def test_a_refused_key_stops_every_command(pointed, ecdp, monkeypatch, command):
    monkeypatch.setenv("ECDP_API_KEY", "another-key-entirely")
    run = ecdp(*command, "--json")

    assert run.code == 3
    assert run.json["summary"]["not_attempted"] == 2
    assert "the API key was refused" in run.err
    assert pointed.url in run.err
    assert "another-key-entirely" not in run.err + run.out
    assert len(pointed.store.requests) == 2


def test_an_answer_that_the_api_does_not_give_stops_a_command(filled, ecdp):
    filled.faults = Faults(error_before=1, error_statuses=(302,))
    run = ecdp("get", "ORD-00000001", "ORD-00000002", "ORD-00000003")

    assert run.code == 3
    assert run.out == ""
    assert "302" in run.err
    # one may be the order's; two of two are not, where the probe of the server fails as well
    assert [r.path.rpartition("/")[2] for r in filled.store.requests if r.method == "GET"] == [
        "ORD-00000001",
        "ORD-00000002",
        ID_OF_NO_ORDER,
    ]
