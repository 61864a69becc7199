import gzip
import json
import socket
import ssl
import threading
from urllib.parse import unquote_to_bytes

import pytest
from certificates import self_signed

from airflow_provider_ecdp.api.mode import Mode
from airflow_provider_ecdp.errors import (
    ConfigurationError,
    NoAnswerError,
    RequestRejectedError,
    ServerError,
    UnexpectedAnswerError,
    UnreachableError,
)

ORDER = {"status": 0, "data": {"id": "12"}}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The path of a key and a self-signed certificate for 127.0.0.1."""
    return str(self_signed(tmp_path_factory.mktemp("tls")))


@pytest.fixture
def tls_server(make_server, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return make_server(context)


def post(client, mode=Mode.ADD):
    return client.post_orders(mode, b"{}")


def test_a_connection_is_used_again_after_every_kind_of_answer(server, client):
    server.reply(201, b'{"status":0}')
    server.reply(201, b"x" * 300_000)
    server.reply(400, {"title": "no"})
    server.reply(302, b"moved", {"Location": "/login"})
    server.reply(201)
    for kind in (None, None, RequestRejectedError, UnexpectedAnswerError, None):
        if kind is None:
            post(client)
        else:
            with pytest.raises(kind):
                post(client)
    assert server.connections == 1


def test_a_connection_that_was_closed_while_idle_is_replaced_before_it_is_used(server, client):
    server.reply(201)
    post(client)
    server.raw(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
    post(client)
    server.wait_until_all_are_closed()
    assert post(client).attempts == 1
    assert server.connections == 2


def test_a_kept_connection_that_breaks_under_a_request_proves_nothing(server, client):
    post(client)
    server.close_without_answer()
    with pytest.raises(NoAnswerError, match="broke before a response"):
        post(client)
    assert [request.connection for request in server.requests] == [1, 1]


@pytest.mark.parametrize("trouble", ["close_without_answer", "reset", "hang"])
def test_trouble_after_sending_is_no_answer_and_add_is_not_repeated(server, make_client, trouble):
    client = make_client(server.url, **({"read_timeout": 0.15} if trouble == "hang" else {}))
    getattr(server, trouble)()
    with pytest.raises(NoAnswerError) as caught:
        post(client)
    assert caught.value.maybe_stored
    assert caught.value.status is None
    assert caught.value.attempts == 1
    server.wait_for_requests(1)


def test_a_timeout_says_how_long_it_waited(server, make_client):
    server.hang()
    with pytest.raises(NoAnswerError, match=r"within 0\.15 s"):
        post(make_client(server.url, read_timeout=0.15))


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"HTTP/1.1",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 20x OK\r\n\r\n",
        b"HTTP/1.1 201 OK\r\nContent-Length: 1, 2\r\n\r\nab",
        b"HTTP/1.1 201 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 201 " + b"x" * 100_000,
    ],
    ids=["nothing", "half", "nonsense", "status", "length", "headers", "line"],
)
def test_an_answer_that_is_not_http_is_no_answer(server, client, wire):
    server.raw(wire)
    with pytest.raises(NoAnswerError, match="not valid HTTP" if wire else "connection broke"):
        client.check_key()


def test_an_error_that_comes_while_another_is_handled_has_its_own_cause(server, client):
    server.raw(b"nonsense\r\n\r\n")
    server.close_without_answer()
    try:
        client.check_key()
    except NoAnswerError:
        with pytest.raises(NoAnswerError, match="RemoteDisconnected"):
            client.check_key()


def test_interim_responses_are_skipped(server, client):
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    server.raw(b"HTTP/1.1 100 Continue\r\n\r\n" + interim + b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
    assert post(client).attempts == 1


def test_a_header_that_cannot_be_parsed_is_not_logged(server, client, key, caplog):
    server.raw(b"HTTP/1.1 400 Bad\r\nX-Debug anna@example.com " + key.encode() + b"\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(RequestRejectedError):
        post(client)
    assert "anna" not in caplog.text
    assert key not in caplog.text


def test_a_refused_connection_is_unreachable_and_even_add_is_repeated(make_client, closed_port, waits):
    client = make_client(f"http://127.0.0.1:{closed_port}")
    with pytest.raises(UnreachableError, match="no connection") as caught:
        post(client)
    assert caught.value.attempts == 5
    assert waits == [0.5, 1.0, 2.0, 4.0]
    assert client.stats().bytes == 0


def test_a_host_that_has_no_address_is_unreachable(make_client):
    with pytest.raises(UnreachableError, match="host name"):
        make_client("https://ecdp.invalid").check_key()


def test_a_connection_that_is_not_taken_in_time_is_unreachable(make_client):
    # a full backlog: the kernel neither takes nor refuses further connections
    with socket.socket() as listener, socket.socket() as filler:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        filler.connect(listener.getsockname())
        client = make_client(f"http://127.0.0.1:{listener.getsockname()[1]}", connect_timeout=0.15)
        with pytest.raises(UnreachableError, match=r"within 0\.15 s"):
            client.check_key()


def test_a_201_whose_body_breaks_off_or_hangs_is_a_success(server, client, expire):
    server.cut_short(201, b'{"sta')
    server.hang(b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{", then=lambda: expire(client))
    for _ in range(3):
        assert post(client).attempts == 1
    assert server.connections == 3


def test_a_cut_off_order_is_requested_again(server, client):
    server.cut_short(200, json.dumps(ORDER).encode())
    server.raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"data"')
    server.reply(200, ORDER)
    assert client.get_order("12") == {"id": "12"}
    assert client.stats().retries == 2


def test_an_order_in_chunks_is_read(server, client):
    body = json.dumps(ORDER).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:])) + b"0\r\n\r\n"
    server.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert client.get_order("12") == {"id": "12"}


def test_an_order_that_comes_compressed_though_not_requested_is_read(server, client):
    server.reply(200, gzip.compress(json.dumps(ORDER).encode()), {"Content-Encoding": "gzip"})
    assert client.get_order("12") == {"id": "12"}
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_a_body_of_broken_compression_counts_as_broken_off(server, client):
    server.reply(200, b"no gzip", {"Content-Encoding": "gzip"}, times=5)
    with pytest.raises(NoAnswerError, match="ended early"):
        client.get_order("12")


def test_an_endless_error_body_is_read_only_so_far(server, client):
    sent = []

    def pour(conn, _):
        conn.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nfirst line\n")
        try:
            while len(sent) < 64:
                conn.sendall(b"x" * 1024 * 1024)
                sent.append(1)
        except OSError:
            return False
        return False

    server._script.append(pour)
    with pytest.raises(RequestRejectedError) as caught:
        post(client)
    assert caught.value.details == ("first line",)
    assert len(sent) < 64
    post(client)
    assert server.connections == 2


def test_a_body_that_only_trickles_ends_at_the_deadline(server, client, expire):
    trickled = threading.Event()

    def trickle(conn, _):
        conn.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n\r\n")
        expire(client)
        try:
            while not trickled.wait(0.02):
                conn.sendall(b"x")
        except OSError:
            trickled.set()
        return False

    server._script.append(trickle)
    with pytest.raises(ServerError):
        post(client)
    assert trickled.wait(60)


def test_a_redirect_is_never_followed_and_the_key_stays_here(server, make_server, client, key):
    elsewhere = make_server()
    for status in (301, 302, 303, 307, 308):
        server.reply(status, b"", {"Location": f"{elsewhere.url}/orders?token=s3cret"})
        with pytest.raises(UnexpectedAnswerError, match="redirect") as caught:
            post(client, Mode.REPLACE)
        assert "s3cret" not in str(caught.value)
    assert elsewhere.connections == 0
    assert [request.headers["x-api-key"] for request in server.requests] == [key] * 5


def test_cookies_are_not_kept(server, client):
    server.reply(201, b"", {"Set-Cookie": "session=1; Path=/"})
    post(client)
    post(client)
    assert "cookie" not in server.requests[1].headers
    assert not list(client._transport._session.cookies)


def test_a_netrc_file_is_not_read(server, make_client, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    post(make_client(server.url))
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("order_id", "segment"),
    [
        ("12", "12"),
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("%41", "%2541"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("ü", "%C3%BC"),
        ("?#&=", "%3F%23%26%3D"),
        ("...", "..."),
        ("../x", "..%2Fx"),
        ("a/./b", "a%2F.%2Fb"),
        ("%2e%2e", "%252e%252e"),
        ("~_-.", "~_-."),
        ("{12}", "%7B12%7D"),
        ("a\\b\r\nc", "a%5Cb%0D%0Ac"),
        ("//x", "%2F%2Fx"),
        ("\U0001f600", "%F0%9F%98%80"),
        ("status", "status"),
    ],
)
def test_an_order_id_arrives_exact_as_one_segment(server, client, order_id, segment):
    server.reply(200, ORDER, times=2)
    client.get_order(order_id)
    client.delete_order(order_id)
    assert [request.target for request in server.requests] == [f"/orders/{segment}"] * 2
    assert unquote_to_bytes(segment).decode() == order_id


@pytest.mark.parametrize("order_id", ["", ".", "..", "half \ud800"])
def test_an_order_id_that_no_path_can_carry_is_refused_before_sending(server, client, order_id):
    for call in (client.get_order, client.delete_order):
        with pytest.raises(ConfigurationError, match="order id"):
            call(order_id)
    assert server.connections == 0


def test_a_gateway_path_in_the_base_url_is_kept(server, make_client):
    post(make_client(f"{server.url}/gateway/ecdp/orders/"))
    assert server.requests[0].target == "/gateway/ecdp/orders"


def test_a_large_body_may_take_longer_than_the_connect_timeout(server, make_client):
    slow = make_client(server.url, connect_timeout=0.1)
    ready = threading.Event()
    read = server._read

    def read_late(stream, number):
        ready.wait(0.4)
        return read(stream, number)

    server._read = read_late
    assert slow.post_orders(Mode.ADD, b"x" * 16_000_000).attempts == 1
    assert len(server.requests[0].body) > 16_000_000


def test_a_certificate_that_nobody_vouches_for_is_a_setting_to_correct(tls_server, make_client):
    with pytest.raises(ConfigurationError, match=r"certificate is not trusted.*ca_bundle"):
        post(make_client(tls_server.url))
    assert tls_server.requests == []


def test_a_private_certificate_is_trusted_through_its_bundle(tls_server, make_client, certificate):
    client = make_client(tls_server.url, ca_bundle=certificate)
    post(client)
    post(client)
    assert tls_server.connections == 1


def test_tls_to_a_port_of_plain_http_is_a_setting_to_correct(make_client):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_in_plain_http():
            conn, _ = listener.accept()
            with conn:
                conn.recv(65536)
                conn.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer_in_plain_http)
        thread.start()
        with pytest.raises(ConfigurationError, match="speaks https"):
            post(make_client(f"https://127.0.0.1:{listener.getsockname()[1]}"))
        thread.join(60)


def test_a_certificate_that_changes_after_an_answer_is_no_connection(tls_server, make_client, certificate, tmp_path):
    client = make_client(tls_server.url, ca_bundle=certificate)
    tls_server.raw(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    post(client)
    trusted, other = tls_server._context, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(self_signed(tmp_path))
    tls_server._context = other
    with pytest.raises(UnreachableError, match=r"there was one before: .*certificate is not trusted") as caught:
        post(client)
    assert caught.value.attempts == 5
    tls_server._context = trusted
    assert post(client).attempts == 1


@pytest.mark.parametrize("content", [b"", b"no certificate"])
def test_a_bundle_that_is_none_is_a_setting_to_correct(tls_server, make_client, tmp_path, content):
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(content)
    with pytest.raises(ConfigurationError, match="CA bundle"):
        post(make_client(tls_server.url, ca_bundle=str(bundle)))


def test_a_bundle_of_the_environment_that_is_missing_is_a_setting_to_correct(tls_server, make_client, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with pytest.raises(ConfigurationError, match="CA bundle"):
        post(make_client(tls_server.url))


@pytest.mark.parametrize("linger", [True, False])
def test_a_handshake_that_breaks_proves_that_nothing_was_sent(make_client, linger):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drop():
            for _ in range(5):
                conn, _ = listener.accept()
                conn.recv(1)
                if not linger:
                    conn.recv(65536)
                conn.close()

        dropper = threading.Thread(target=drop)
        dropper.start()
        client = make_client(f"https://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(UnreachableError) as caught:
            post(client)
        dropper.join(60)
    assert caught.value.attempts == 5


def test_a_break_after_the_handshake_proves_nothing(tls_server, make_client, certificate):
    client = make_client(tls_server.url, ca_bundle=certificate)
    tls_server.close_without_answer()
    with pytest.raises(NoAnswerError):
        post(client)


def test_a_proxy_of_the_environment_is_used(server, make_client, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.url)
    client = make_client("http://ecdp.test", allow_http=True)
    server.reply(407)
    server.reply(201)
    with pytest.raises(UnexpectedAnswerError, match="proxy requires credentials"):
        post(client)
    post(client)
    assert [request.target for request in server.requests] == ["http://ecdp.test/orders"] * 2


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_loopback_address_is_never_asked_through_a_proxy(server, make_server, make_client, monkeypatch, variable):
    proxy = make_server()
    monkeypatch.setenv(variable, proxy.url)
    assert post(make_client(server.url)).attempts == 1
    assert proxy.connections == 0


def test_an_exception_from_the_proxy_is_honoured(server, make_client, monkeypatch, closed_port):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert post(make_client(server.url)).attempts == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_proves_that_nothing_was_sent(make_client, monkeypatch, closed_port, scheme):
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://somebody:s3cret@127.0.0.1:{closed_port}")
    with pytest.raises(UnreachableError) as caught:
        post(make_client(f"{scheme}://ecdp.test", allow_http=True))
    assert caught.value.attempts == 5
    assert "s3cret" not in str(caught.value)


def test_a_proxy_that_refuses_the_tunnel_proves_that_nothing_was_sent(server, make_client, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    server.reply(407, times=5)
    with pytest.raises(UnreachableError, match="407") as caught:
        post(make_client("https://ecdp.test"))
    assert caught.value.attempts == 5
    assert {request.method for request in server.requests} == {"CONNECT"}


@pytest.mark.parametrize("proxy", ["http://", "http://[s3cret", "socks5://127.0.0.1:1", "http://bad host:1"])
def test_a_proxy_that_cannot_be_used_is_a_setting_to_correct(make_client, monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises((ConfigurationError, UnreachableError)) as caught:
        post(make_client("https://ecdp.test"))
    assert "s3cret" not in str(caught.value)


def test_several_threads_share_one_client(server, make_client):
    client = make_client(server.url, max_in_flight=8)

    def work(number):
        for i in range(20):
            client.post_orders(Mode.REPLACE, json.dumps({"id": f"{number}-{i}"}).encode())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [json.loads(request.body)["data"][0]["id"] for request in server.requests]
    assert sorted(sent) == sorted(f"{number}-{i}" for number in range(8) for i in range(20))
    assert server.connections <= 8
    stats = client.stats()
    assert (stats.requests, stats.retries) == (160, 0)
    assert stats.bytes == sum(len(request.body) for request in server.requests)
