"""Servers that never come to an end: each exchange does, at its deadline or soon after an interruption."""

import threading

import pytest
from endless import DRIPS, Endless

from airflow_provider_ecdp.api import deadlines
from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.errors import ApiError, NoAnswerError, UnreachableError

#: seconds after which a server gives up; an exchange that ends before it was ended by its deadline
PATIENCE = 60.0


@pytest.fixture
def endless():
    servers = []

    def make(beginning=b"", piece=b"", **options):
        servers.append(Endless(beginning, piece, patience=PATIENCE, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.mark.parametrize("drip", DRIPS)
def test_an_answer_that_never_ends_is_ended(endless, make_client, drip):
    server = endless(*DRIPS[drip])
    client = make_client(server.url, connect_timeout=0.3, read_timeout=0.3, sleep=lambda _: True)
    with pytest.raises(ApiError):
        client.get_order("12")
    assert not server.gave_up.is_set()


@pytest.mark.parametrize("drip", ["silence", "status line", "100 Continue"])
def test_a_post_without_a_status_in_time_may_be_stored(endless, make_client, drip):
    client = make_client(endless(*DRIPS[drip]).url, connect_timeout=0.3, read_timeout=0.3)
    with pytest.raises(NoAnswerError) as caught:
        client.post_orders(Mode.ADD, b"{}")
    assert caught.value.timed_out
    assert caught.value.maybe_stored


def test_a_server_that_never_reads_is_left(endless, make_client):
    server = endless(reads=False)
    client = make_client(server.url, connect_timeout=0.3, read_timeout=0.3)
    with pytest.raises(NoAnswerError) as caught:
        client.post_orders(Mode.ADD, b" " * 50_000_000)
    assert caught.value.timed_out
    assert not server.gave_up.is_set()


@pytest.fixture
def short_grace(monkeypatch):
    monkeypatch.setattr(deadlines, "GRACE", 0.1)


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("drip", ["silence", "header", "100 Continue", "trailer"])
def test_an_interruption_ends_what_is_in_flight(endless, make_client, drip):
    server = endless(*DRIPS[drip])
    client = make_client(server.url, connect_timeout=600.0, read_timeout=600.0, sleep=lambda _: True)
    timer = threading.Thread(target=lambda: server.asked.wait(PATIENCE) and client.interrupt())
    timer.start()
    with pytest.raises(ApiError):
        client.get_order("12")
    timer.join(PATIENCE)
    assert not server.gave_up.is_set()


@pytest.mark.usefixtures("short_grace")
def test_what_an_interruption_cuts_off_may_be_stored_and_is_not_repeated(endless, make_client):
    server = endless()
    client = EcdpClient("key", make_client(server.url).settings)
    threading.Thread(target=lambda: server.asked.wait(PATIENCE) and client.interrupt()).start()
    with pytest.raises(NoAnswerError, match="cut off because the run is stopping") as caught:
        client.post_orders(Mode.REPLACE, b"{}")
    assert caught.value.maybe_stored
    assert caught.value.attempts == 1
    client.close()


def test_nothing_is_sent_after_an_interruption(server, make_client):
    client = make_client(server.url, sleep=lambda _: True)
    client.post_orders(Mode.ADD, b"{}")
    client.interrupt()
    with pytest.raises(UnreachableError, match="run is stopping"):
        client.post_orders(Mode.ADD, b"{}")
    assert len(server.requests) == 1


def test_an_answer_that_is_near_is_waited_for(server, make_client, answered):
    client = make_client(server.url)

    def answer(_):
        client.interrupt()
        return answered(201)

    server.otherwise = answer
    assert client.post_orders(Mode.ADD, b"{}").attempts == 1


def test_no_descriptor_is_left_open(server, make_client, answered, open_descriptors):
    client = make_client(server.url)
    server.otherwise = lambda _: answered(201, headers={"Connection": "close"})
    client.post_orders(Mode.ADD, b"{}")
    client.close()
    server.wait_until_all_are_closed()
    before = open_descriptors()
    for _ in range(20):
        client.post_orders(Mode.ADD, b"{}")
    client.close()
    server.wait_until_all_are_closed()
    assert open_descriptors() <= before + 2
