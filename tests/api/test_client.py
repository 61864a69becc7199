import contextlib
import json
import logging
import pickle
import threading
import traceback

import pytest
import requests

from airflow_provider_ecdp import __version__
from airflow_provider_ecdp.api.client import ClientStats, EcdpClient, PostResult
from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.errors import (
    ApiError,
    ConfigurationError,
    EcdpError,
    KeyRefusedError,
    NoAnswerError,
    NotFoundError,
    RequestRejectedError,
    ServerError,
    ThrottledError,
    TooLargeError,
    UnexpectedAnswerError,
    UnreachableError,
    WrongAddressError,
)

ORDER = {"status": 0, "data": {"id": "12", "customer": {"email": "jo@example.com"}}}
NOT_FOUND = {"title": "Not Found", "status": 404, "substatus": "NotFound"}


@pytest.fixture
def ecdp(make_client):
    """A client of ECDP's own address, for the tests that replace the network."""
    return make_client("https://api.ecdp.app")


def test_a_post_sends_mode_and_orders_as_the_page_shows(server, client, key):
    result = client.post_orders(Mode.ADD, b'{"id":"1"},{"id":"\xc3\xbc"}')
    assert result == PostResult(attempts=1, status=201)
    sent = server.requests[0]
    assert (sent.method, sent.target) == ("POST", "/orders")
    assert sent.body == b'{"mode":"Add","data":[{"id":"1"},{"id":"\xc3\xbc"}]}'
    assert sent.headers == {
        "host": f"127.0.0.1:{server.port}",
        "x-api-key": key,
        "content-type": "application/json",
        "content-length": str(len(sent.body)),
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"airflow-provider-ecdp/{__version__} python-requests/{requests.__version__}",
    }


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_orders_may_be_any_buffer(server, client, kind):
    client.post_orders(Mode.REPLACE, kind(b'{"id":"1"}'))
    assert json.loads(server.requests[0].body) == {"mode": "Replace", "data": [{"id": "1"}]}


def test_the_matching_mode_is_sent_only_when_requested(server, client):
    client.post_orders(Mode.ADD_OR_REPLACE, b"{}", match_by=MatchBy.CRM_ID)
    assert server.requests[0].body == b'{"mode":"AddOrReplace","matchBy":"CrmId","data":[{}]}'


def test_the_caller_of_the_client_is_named_in_the_user_agent(server, make_client):
    make_client(server.url, user_agent_suffix="apache-airflow/3.3.2").post_orders(Mode.ADD, b"{}")
    assert server.requests[0].headers["user-agent"].endswith(" apache-airflow/3.3.2")


def test_an_order_is_read(server, client):
    server.reply(200, ORDER)
    assert client.get_order("12") == ORDER["data"]
    assert (server.requests[0].method, server.requests[0].target) == ("GET", "/orders/12")
    assert "content-length" not in server.requests[0].headers


def test_an_order_is_deleted(server, client):
    server.reply(200, ORDER)
    assert client.delete_order("12") == ORDER["data"]
    assert (server.requests[0].method, server.requests[0].target) == ("DELETE", "/orders/12")


def test_a_status_is_changed(server, client):
    server.reply(200, times=2)
    client.update_order_status("ü/1", "Paid")
    client.update_order_status("2", "Completed", website_id=3)
    assert [(request.method, request.target) for request in server.requests] == [("PUT", "/orders/status")] * 2
    assert [json.loads(request.body) for request in server.requests] == [
        {"orderId": "ü/1", "orderStatus": "Paid"},
        {"orderId": "2", "orderStatus": "Completed", "websiteId": 3},
    ]


@pytest.mark.parametrize(("order_id", "status"), [("", "Paid"), ("1", "")])
def test_a_status_change_without_a_value_is_refused_before_sending(server, client, order_id, status):
    with pytest.raises(ConfigurationError):
        client.update_order_status(order_id, status)
    assert server.connections == 0


@pytest.mark.parametrize("call", ["get_order", "delete_order"])
def test_an_unknown_order_is_not_found(server, client, call):
    server.reply(404, NOT_FOUND)
    with pytest.raises(NotFoundError) as caught:
        getattr(client, call)("12")
    assert caught.value.attempts == 1


def test_a_framework_s_404_says_that_an_order_is_absent_only_after_a_success(server, client):
    server.reply(404, {"title": "Not Found", "status": 404})
    server.reply(200, ORDER)
    server.reply(404, {"title": "Not Found", "status": 404})
    with pytest.raises(WrongAddressError, match=server.url):
        client.delete_order("12")
    client.get_order("13")
    with pytest.raises(NotFoundError):
        client.delete_order("12")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, NOT_FOUND, None),
        (200, ORDER, None),
        (401, {"title": "Unauthorized"}, KeyRefusedError),
        (403, b"", KeyRefusedError),
        (404, b"<html>", WrongAddressError),
        (404, {"message": "no Route matched with those values"}, WrongAddressError),
        (404, {"title": "Not Found", "status": 404, "traceId": "00-1"}, WrongAddressError),
        (503, b"", ServerError),
        (429, b"", ThrottledError),
    ],
)
def test_the_check_of_the_key_reads_once_and_writes_nothing(server, client, status, body, error):
    server.reply(status, body, times=3)
    if error:
        with pytest.raises(error):
            client.check_key()
    else:
        client.check_key()
    assert [request.method for request in server.requests] == ["GET"]


def test_a_repeatable_post_is_sent_again_with_growing_delays(server, client, waits):
    server.reply(500)
    server.close_without_answer()
    server.reply(502, b"<html>", {"Content-Type": "text/html"})
    server.reply(201)
    assert client.post_orders(Mode.ADD_OR_REPLACE, b"{}").attempts == 4
    assert waits == [0.5, 1.0, 2.0]
    assert len({request.body for request in server.requests}) == 1
    assert client.stats() == ClientStats(requests=4, retries=3, bytes=4 * len(server.requests[0].body))


def test_a_request_is_given_up_after_the_attempts_of_the_policy(server, make_client, waits):
    client = make_client(server.url, policy=RetryPolicy(max_attempts=3))
    server.reply(500, {"title": "Oops"}, times=9)
    with pytest.raises(ServerError, match="Oops") as caught:
        client.get_order("12")
    assert caught.value.attempts == len(server.requests) == 3
    assert waits == [0.5, 1.0]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_add_is_not_repeated_when_it_may_be_stored(server, client, waits, status):
    server.reply(status, b"", {"Retry-After": "1"})
    with pytest.raises(ApiError) as caught:
        client.post_orders(Mode.ADD, b"{}")
    assert caught.value.maybe_stored
    assert caught.value.attempts == len(server.requests) == 1
    assert waits == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RequestRejectedError),
        (401, KeyRefusedError),
        (404, WrongAddressError),
        (413, TooLargeError),
        (302, UnexpectedAnswerError),
    ],
)
def test_what_time_does_not_mend_is_not_repeated(server, client, waits, status, error):
    server.reply(status)
    with pytest.raises(error):
        client.post_orders(Mode.ADD_OR_REPLACE, b"{}")
    assert len(server.requests) == 1
    assert waits == []


def test_a_200_to_a_post_is_no_success(server, client):
    server.reply(200, {"status": 0})
    with pytest.raises(UnexpectedAnswerError) as caught:
        client.post_orders(Mode.ADD_OR_REPLACE, b"{}")
    assert caught.value.maybe_stored
    assert len(server.requests) == 1


def test_throttling_waits_as_requested_even_for_add(server, make_client, virtual_time):
    time = virtual_time()
    client = make_client(server.url, clock=time.clock, sleep=time.sleep, random=lambda: 0.0)
    server.reply(429, b"", {"Retry-After": "7"})
    results = []
    time.run(lambda: results.append(client.post_orders(Mode.ADD, b"{}")))
    assert results == [PostResult(attempts=2)]
    assert time.now == 7.0
    assert client.stats().retries == 1


def test_a_retry_after_that_is_a_date_is_waited_for(server, virtual_time, key):
    time = virtual_time()
    wall_clock = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
    client = EcdpClient(
        key,
        ClientSettings(base_url=server.url),
        clock=time.clock,
        sleep=time.sleep,
        random=lambda: 0.0,
        wall_clock=lambda: wall_clock,
    )
    server.reply(429, b"", {"Retry-After": "Fri, 15 Jan 2027 08:00:09 GMT"})
    with client:
        time.run(lambda: client.post_orders(Mode.ADD, b"{}"))
    assert time.now == 9.0


def test_a_pause_holds_back_every_thread(server, make_client, virtual_time, answered):
    time = virtual_time()
    client = make_client(server.url, clock=time.clock, sleep=time.sleep, random=lambda: 0.0)
    seen = []

    def otherwise(_):
        seen.append(time.now)
        return answered(503, b"", {"Retry-After": "10"}) if len(seen) == 1 else answered(201)

    server.otherwise = otherwise

    def late():
        time.sleep(1.0)
        client.post_orders(Mode.REPLACE, b"{}")

    time.run(lambda: client.post_orders(Mode.REPLACE, b"{}"), late, late)
    assert seen[0] == 0.0
    assert min(seen[1:]) == 10.0
    assert len(seen) == 4


def test_behind_a_limit_of_5_a_second_20_batches_of_4_threads_are_stored(server, make_client, virtual_time, answered):
    time = virtual_time()
    client = make_client(server.url, clock=time.clock, sleep=time.sleep, random=lambda: 0.5)
    stored = []
    lock = threading.Lock()

    def limited(_):
        with lock:
            if sum(moment > time.now - 1.0 for moment in stored) >= 5:
                return answered(429, b"", {"Retry-After": "1"})
            stored.append(time.now)
            return answered(201)

    server.otherwise = limited
    batches = list(range(20))

    def work():
        while batches:
            try:
                batches.pop()
            except IndexError:
                return
            client.post_orders(Mode.ADD, b"{}")

    time.run(work, work, work, work)
    stats = client.stats()
    assert len(stored) == 20
    assert stats.requests == 20 + stats.retries
    assert 1 <= stats.retries <= 20
    assert 1 <= client.in_flight_limit <= 4


def test_the_requests_keep_to_the_rate_that_was_set(server, make_client, virtual_time, answered):
    time = virtual_time()
    client = make_client(server.url, clock=time.clock, sleep=time.sleep, requests_per_second=2.0)
    seen = []
    server.otherwise = lambda _: seen.append(time.now) or answered(201)
    time.run(*[lambda: client.post_orders(Mode.ADD, b"{}")] * 5)
    assert sorted(seen) == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_in_an_outage_the_retries_of_a_client_run_out(server, client, answered, caplog):
    server.otherwise = lambda _: answered(500)
    for _ in range(20):
        with pytest.raises(ServerError):
            client.get_order("12")
    # 500 tokens at 14 each are 35 retries, where 20 calls would make 80
    assert client.stats().retries == 35
    assert client.stats().requests == len(server.requests) == 55
    assert "exhausted" in caplog.text


@pytest.mark.parametrize(("status", "body", "error"), [(200, ORDER, None), (404, NOT_FOUND, NotFoundError)])
def test_answers_of_a_working_server_give_retries_back(server, client, answered, status, body, error):
    server.otherwise = lambda _: answered(500)
    while client.stats().retries < 35:
        with pytest.raises(ServerError):
            client.get_order("12")
    # 10 tokens are left, the next retry costs 14
    server.reply(status, body, times=4)
    for _ in range(4):
        with pytest.raises(error) if error else contextlib.nullcontext():
            client.get_order("12")
    with pytest.raises(ServerError) as caught:
        client.get_order("12")
    assert caught.value.attempts == 2


def test_a_retry_that_succeeds_gives_back_what_it_cost(server, client):
    for _ in range(50):
        server.reply(500)
        server.reply(200, ORDER)
        client.get_order("12")
    assert client.stats().retries == 50


def test_a_request_is_given_up_when_its_time_is_up(server, make_client, virtual_time, answered):
    time = virtual_time()
    client = make_client(server.url, clock=time.clock, sleep=time.sleep, random=lambda: 0.0)
    server.otherwise = lambda _: answered(500, b"", {"Retry-After": "3600"})

    def work():
        with pytest.raises(ServerError) as caught:
            client.get_order("12")
        # waits of 60 s, the cap, and a total of 120 s
        assert caught.value.attempts == 3
        assert caught.value.retry_after == 3600.0

    time.run(work)
    assert time.now == 120.0


def test_the_limit_of_requests_in_flight_falls_and_recovers(server, client):
    limits = [client.in_flight_limit]
    server.reply(429)
    for _ in range(6):
        client.post_orders(Mode.ADD, b"{}")
        limits.append(client.in_flight_limit)
    # and no higher: of three that are allowed, one at a time is less than half
    assert limits == [4, 2, 2, 3, 3, 3, 3]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_without_an_answer_lowers_the_limit_of_requests_in_flight(server, client, status):
    server.reply(status)
    client.post_orders(Mode.REPLACE, b"{}")
    assert client.in_flight_limit == 2


def test_a_fault_of_the_servers_program_leaves_the_limit_as_it_is(server, client):
    server.reply(500)
    client.post_orders(Mode.REPLACE, b"{}")
    assert client.in_flight_limit == 4


@pytest.mark.parametrize(("trouble", "left"), [("hang", 2), ("reset", 4)])
def test_an_answer_that_does_not_come_in_time_lowers_the_limit(server, make_client, trouble, left):
    client = make_client(server.url, **({"read_timeout": 0.15} if trouble == "hang" else {}))
    getattr(server, trouble)()
    with pytest.raises(NoAnswerError):
        client.post_orders(Mode.ADD, b"{}")
    assert client.in_flight_limit == left


def test_what_was_really_in_flight_at_once_is_reported(server, make_client, answered):
    client = make_client(server.url)
    assert client.in_flight_reached == 1
    together = threading.Barrier(3)

    def otherwise(_):
        together.wait(timeout=60)
        return answered(201)

    server.otherwise = otherwise
    threads = [threading.Thread(target=client.post_orders, args=(Mode.ADD, b"{}")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.in_flight_reached == 3
    server.otherwise = lambda _: answered(429)
    with pytest.raises(ThrottledError):
        client.post_orders(Mode.ADD, b"{}")
    assert client.in_flight_reached == 1
    client.recount_in_flight()
    assert client.in_flight_reached == 1


def test_a_caller_that_repeats_a_call_itself_waits_and_gives_up_like_the_client(client, waits):
    lost = NoAnswerError("x")
    assert [client.pause(lost, attempt) for attempt in range(1, 6)] == [True, True, True, True, False]
    assert waits == [0.5, 1.0, 2.0, 4.0]
    assert not client.pause(RequestRejectedError("x"), 1)
    assert client.stats().retries == 4
    while client.pause(lost, 1):
        pass
    # the quota of 500 tokens, at 14 each
    assert client.stats().retries == 35


def test_an_interrupted_wait_ends_in_the_error_that_caused_it(server, make_client, answered):
    server.otherwise = lambda _: answered(500)
    with pytest.raises(ServerError) as caught:
        make_client(server.url, sleep=lambda _: True).get_order("12")
    assert caught.value.attempts == 1
    server.otherwise = lambda _: answered(429)
    with pytest.raises(ThrottledError) as caught:
        make_client(server.url, sleep=lambda _: True).get_order("12")
    assert caught.value.attempts == 1


def test_a_wait_that_is_interrupted_before_the_first_request_sends_nothing(server, make_client):
    client = make_client(server.url, sleep=lambda _: True, requests_per_second=1.0)
    client.post_orders(Mode.ADD, b"{}")
    with pytest.raises(UnreachableError, match="run is stopping") as caught:
        client.post_orders(Mode.ADD, b"{}")
    assert caught.value.attempts == 0
    assert len(server.requests) == 1


def test_after_an_interrupted_wait_nothing_is_sent_until_the_client_resumes(server, make_client):
    server.reply(500)
    server.reply(404, NOT_FOUND)
    woken = iter([True])
    client = make_client(server.url, sleep=lambda _: next(woken, False))
    with pytest.raises(ServerError):
        client.get_order("12")
    assert client.interrupted
    with pytest.raises(UnreachableError, match="run is stopping"):
        client.get_order("12")
    assert len(server.requests) == 1
    client.resume()
    with pytest.raises(NotFoundError):
        client.get_order("12")


def test_retries_are_logged_without_payload_or_key(server, client, caplog, key):
    caplog.set_level(logging.DEBUG)
    server.reply(500, {"title": f"secret {key} of jo@example.com"})
    server.reply(429)
    client.post_orders(Mode.REPLACE, b'{"customer":{"email":"jo@example.com"}}')
    ours = [record for record in caplog.records if record.name.startswith("airflow_provider_ecdp")]
    assert [(record.levelname, record.getMessage()) for record in ours] == [
        ("WARNING", f"POST {server.url}/orders: HTTP 500; attempt 1 of 5, retrying in 0.5 s"),
        ("INFO", f"POST {server.url}/orders: HTTP 429; attempt 2 of 5, retrying in 2.0 s"),
    ]
    assert key not in caplog.text
    assert "jo@example.com" not in caplog.text


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (requests.exceptions.ConnectTimeout("x"), UnreachableError),
        (requests.exceptions.ReadTimeout("x"), NoAnswerError),
        (requests.exceptions.ConnectionError("x"), NoAnswerError),
        (requests.exceptions.ChunkedEncodingError("x"), NoAnswerError),
        (requests.exceptions.ContentDecodingError("x"), NoAnswerError),
        (requests.exceptions.RequestException("x"), NoAnswerError),
        (requests.exceptions.SSLError("x"), NoAnswerError),
        (requests.exceptions.InvalidURL("x"), ConfigurationError),
        (requests.exceptions.InvalidHeader("x"), NoAnswerError),
    ],
)
def test_every_exception_of_requests_is_one_of_ours(ecdp, requests_mock, raised, error):
    requests_mock.post("https://api.ecdp.app/orders", exc=raised)
    with pytest.raises(error):
        ecdp.post_orders(Mode.ADD, b"{}")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status_code": 400, "text": "<html><title>Bad jo@example.com</title>"}, UnexpectedAnswerError),
        ({"status_code": 400, "text": "Bad jo@example.com"}, RequestRejectedError),
        ({"status_code": 401, "json": {"title": "no key-5f3a9c"}}, KeyRefusedError),
        ({"status_code": 413, "text": ""}, TooLargeError),
        ({"status_code": 201, "text": "anything"}, None),
        ({"status_code": 202, "json": {}}, UnexpectedAnswerError),
        ({"status_code": 204}, UnexpectedAnswerError),
    ],
)
def test_odd_answers_to_a_post(ecdp, requests_mock, answer, error):
    requests_mock.post("https://api.ecdp.app/orders", **answer)
    if error is None:
        assert ecdp.post_orders(Mode.ADD, b"{}") == PostResult(attempts=1)
        return
    with pytest.raises(error) as caught:
        ecdp.post_orders(Mode.ADD, b"{}")
    assert "example.com" not in str(caught.value)
    assert "5f3a9c" not in repr(caught.value)


def failures(server, make_server, key):
    """Yield every way in which a call can fail, with a server that repeats the key wherever it can."""
    echo = {"title": key, "detail": f"key {key}", "errors": [key, f"x-api-key: {key}"]}
    for status in (200, 302, 400, 401, 404, 413, 429, 500, 503):
        server.reply(status, echo, {"Location": f"http://127.0.0.1/{key}", "X-Echo": key})
        yield server.url
    server.reset()
    yield server.url
    server.raw(key.encode())
    yield server.url
    gone = make_server()
    gone.close()
    yield gone.url
    yield f"https://127.0.0.1:{server.port}"


def test_the_key_shows_nowhere(server, make_client, make_server, key, caplog):
    caplog.set_level(logging.DEBUG)
    for url in failures(server, make_server, key):
        client = make_client(url, policy=RetryPolicy(max_attempts=1))
        with pytest.raises(EcdpError) as caught:
            client.post_orders(Mode.REPLACE, b"{}")
        error = caught.value
        shown = "".join(traceback.format_exception(error, chain=True))
        for text in (str(error), repr(error), repr(vars(error)), shown, repr(pickle.dumps(error)), repr(client)):
            assert key not in text
        # what is chained would bring the request along, and the key with it
        assert error.__context__ is None
        assert error.__cause__ is None
    assert key not in caplog.text


def test_errors_survive_pickling_with_all_their_facts(server, client):
    server.reply(429, {"title": "Slow down", "errors": ["one"]}, {"Retry-After": "3"}, times=5)
    with pytest.raises(ThrottledError) as caught:
        client.get_order("12")
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # made here
    assert type(copy) is ThrottledError
    assert str(copy) == str(caught.value)
    assert (copy.status, copy.details, copy.retry_after, copy.attempts) == (429, ("one", "Slow down"), 3.0, 5)


def test_a_client_closes_its_connections(server, make_client):
    with make_client(server.url) as client:
        client.post_orders(Mode.ADD, b"{}")
    server.wait_until_all_are_closed()
