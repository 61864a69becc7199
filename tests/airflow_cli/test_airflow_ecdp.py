"""`airflow ecdp`: commands of ecdp with a connection of Airflow, by Airflow's own parser."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.sandbox.faults import Faults


@pytest.fixture(scope="module")
def parser():
    from airflow.providers_manager import ProvidersManager

    if not hasattr(ProvidersManager, "cli_command_functions"):
        pytest.skip("Airflow 3.1 takes no commands from providers")
    from airflow.cli.cli_parser import get_parser

    return get_parser()


@pytest.fixture
def airflow_ecdp(parser, capsys, monkeypatch):
    """Run `airflow ecdp` in this process; what it sets in the environment ends with the test."""
    for name in ("ECDP_API_KEY", "_AIRFLOW_PROCESS_CONTEXT"):
        monkeypatch.setenv(name, "")

    def run(*arguments):
        capsys.readouterr()
        parsed = parser.parse_args(["ecdp", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            parsed.func(parsed)
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


@pytest.fixture
def extract(tmp_path, order):
    pq.write_table(pa.Table.from_pylist([order("A-1"), order("A-2")]), tmp_path / "orders.parquet")
    return tmp_path / "orders.parquet"


def test_orders_are_pushed_with_the_key_and_the_settings_of_a_connection(airflow_ecdp, connect, sandbox, extract):
    connect(sandbox.url, conn_id="ecdp_shop", extra={"batch_size": 1, "max_in_flight": 1})
    code, out, _ = airflow_ecdp("--conn-id", "ecdp_shop", "push", extract, "--json")
    assert code == 0
    assert (json.loads(out)["summary"]["accepted"], json.loads(out)["summary"]["requests"]) == (2, 2)
    # an option is stronger than the connection
    code, out, _ = airflow_ecdp("--conn-id", "ecdp_shop", "push", extract, "--json", "--batch-size", 2)
    assert json.loads(out)["summary"]["requests"] == 1
    # also after the command, as with Airflow's own commands
    code, out, _ = airflow_ecdp("get", "--conn-id", "ecdp_shop", "--json", "--", "A-1")
    assert json.loads(out)["results"][0]["order"]["id"] == "A-1"


def test_the_exit_code_is_that_of_ecdp(airflow_ecdp, connect, sandbox, extract):
    connect(sandbox.url)
    sandbox.faults = Faults(reject_ids=frozenset({"A-1"}))
    assert airflow_ecdp("push", extract)[0] == 1
    connect(sandbox.url, password="wrong-key")
    code, out, err = airflow_ecdp("push", extract)
    assert code == 3
    assert "wrong-key" not in out + err


def test_a_command_that_sends_nothing_needs_no_connection(airflow_ecdp, extract):
    assert airflow_ecdp("--conn-id", "ecdp_none", "--", "check", extract)[0] == 0
    code, out, _ = airflow_ecdp("push", "--help")
    assert code == 0
    assert "--only-changed" in out
    assert "usage: ecdp" in airflow_ecdp()[1]


def test_a_connection_that_is_wrong_is_named(airflow_ecdp, connect, extract):
    connect("https://api.example.com", conn_id="ecdp_odd", extra={"max_in_flight": 0})
    code, _, err = airflow_ecdp("--conn-id", "ecdp_odd", "push", extract)
    assert code == 2
    assert "max_in_flight" in err
