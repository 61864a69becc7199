"""Starting, stopping and keeping: the server around the sandbox."""

import signal
import sqlite3
import subprocess
import sys
import threading
import warnings

import pytest
import requests

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.sandbox.app import create_app
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.sandbox.server import SandboxServer
from airflow_provider_ecdp.sandbox.store import Store


def post(server, order, key="sandbox-key"):
    body = {"mode": "Add", "data": [order]}
    return requests.post(f"{server.url}/orders", json=body, headers={"x-api-key": key}, timeout=60)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "example.com", ""])  # noqa: S104 - refused
def test_only_loopback_addresses_are_listened_on(host):
    with pytest.raises(ConfigurationError, match="this machine only"):
        SandboxServer(host=host)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2"])
def test_a_loopback_address_is_listened_on(host, order):
    with SandboxServer(host=host) as server:
        assert post(server, order).status_code == 201


def test_a_port_that_is_taken_is_an_error_of_configuration(sandbox):
    port = int(sandbox.url.rsplit(":", 1)[1])

    with pytest.raises(ConfigurationError, match=f"port {port}"), SandboxServer(port=port):
        pass


def test_a_kept_database_holds_its_orders_over_a_restart_on_the_same_port(tmp_path, order):
    database = tmp_path / "orders.sqlite3"
    with SandboxServer(database=database) as server:
        port = int(server.url.rsplit(":", 1)[1])
        post(server, order)
    with SandboxServer(database=str(database), port=port) as server:
        assert server.store.get("A-1") == order
        assert post(server, order).status_code == 400


def test_a_file_that_is_not_a_database_of_the_sandbox_is_left_alone(tmp_path):
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite3"
    text.write_text("not a database " * 100)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE orders (id)")
    connection.close()
    before = other.read_bytes()

    for path in (text, other, tmp_path / "no folder" / "orders.sqlite3"):
        with pytest.raises(ConfigurationError, match=path.name), SandboxServer(database=path):
            pass
    assert other.read_bytes() == before


def test_several_keys_open_the_sandbox(order):
    with SandboxServer(api_key=["one", "two"]) as server:
        assert post(server, order, "one").status_code == 201
        assert post(server, order | {"id": "A-2"}, "two").status_code == 201
        assert post(server, order, "one,two").status_code == 401
        assert "two" not in repr(vars(server.store)) + repr(server)


@pytest.mark.parametrize("key", ["", [], ["a", ""], "zażółć"])
def test_a_key_that_no_header_can_carry_is_refused(key):
    with pytest.raises(ConfigurationError, match="API key"), SandboxServer(api_key=key):
        pass


def test_a_server_stops_while_a_request_hangs(order):
    outcome = []

    def wait_for_ever():
        try:
            post(server, order)
        except requests.ConnectionError as error:
            outcome.append(error)

    with SandboxServer(faults=Faults(hang_after=1)) as server:
        waiting = threading.Thread(target=wait_for_ever)
        waiting.start()
        while not server.store.requests:
            threading.Event().wait(0.01)
        assert server.store.count() == 1
    waiting.join(60)
    assert len(outcome) == 1


def test_a_stopped_server_leaves_nothing_open(order):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with SandboxServer() as server:
            post(server, order)
            url = server.url
    assert [each for each in caught if each.category is ResourceWarning] == []
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/_sandbox/counts", timeout=60)


def test_connection_faults_need_a_server_that_can_close_connections():
    store = Store()
    try:
        app = create_app(store, "key")
        (gate,) = app.user_middleware
        with pytest.raises(ConfigurationError, match="SandboxServer"):
            gate.kwargs["hangup"]({"client": ("127.0.0.1", 1)}, True)
    finally:
        store.close()


SERVE = """
import sys
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.sandbox.server import serve
serve("127.0.0.1", 0, "sandbox-key", None, Faults(hang_after=2), lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_in_the_foreground_ends_cleanly_on_a_signal(order, number):
    with subprocess.Popen([sys.executable, "-W", "error", "-c", SERVE], stdout=-1, stderr=-1, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            answer = requests.post(
                f"{url}/orders",
                json={"mode": "Add", "data": [order]},
                headers={"x-api-key": "sandbox-key"},
                timeout=60,
            )
            assert answer.status_code == 201
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "ended\n", "")


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_a_missing_dependency_is_named_with_the_way_to_get_it(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; import airflow_provider_ecdp.sandbox.server"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert run.returncode == 1
    assert f"The sandbox needs {missing}: pip install 'airflow-provider-ecdp[sandbox]'" in run.stderr
