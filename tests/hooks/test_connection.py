import json
import logging

import pytest
from airflow.sdk import Connection

from airflow_provider_ecdp.api.mode import MatchBy
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.connection import api_key, read_settings


def connection(extra=None, **fields):
    fields = {"conn_type": "ecdp", "password": "key-of-the-test", **fields}
    return Connection(conn_id="shop", extra=json.dumps(extra or {}), **fields)


def from_uri(uri):
    return Connection.from_uri(uri, conn_id="shop")


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://api.ecdp.app"),
        ({"host": "  "}, "https://api.ecdp.app"),
        ({"host": "api.example.com"}, "https://api.example.com"),
        ({"host": "api.example.com/"}, "https://api.example.com"),
        ({"host": "https://api.example.com/orders"}, "https://api.example.com"),
        ({"host": "api.example.com:8443"}, "https://api.example.com:8443"),
        ({"host": "api.example.com", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "https://api.example.com/gateway", "port": 8443}, "https://api.example.com:8443/gateway"),
        ({"host": "https://api.example.com:8443", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "api.example.com", "schema": "HTTPS"}, "https://api.example.com"),
        # what the Test button of Airflow 3.3 needs
        ({"host": "https://api.example.com", "port": 443}, "https://api.example.com"),
        ({"port": 443}, "https://api.ecdp.app"),
        ({"host": "http://127.0.0.1", "port": 80}, "http://127.0.0.1"),
        ({"host": "http://127.0.0.1", "port": 443}, "http://127.0.0.1:443"),
        # what forms of Airflow store for an empty port
        ({"host": "api.example.com", "port": 0}, "https://api.example.com"),
        ({"host": "api.example.com:8443", "port": 0}, "https://api.example.com:8443"),
        # this machine, where the sandbox runs
        ({"host": "127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"host": "localhost", "port": 8080}, "http://localhost:8080"),
        ({"host": "::1", "port": 8080}, "http://[::1]:8080"),
        ({"host": "[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "http://::1", "port": 8080}, "http://[::1]:8080"),
        ({"host": "127.0.0.1", "schema": "https"}, "https://127.0.0.1"),
        ({"host": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
    ],
)
def test_host_port_and_schema_make_the_base_url(fields, url):
    assert read_settings(connection(**fields)).client.base_url == url


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("ecdp://:key-of-the-test@", "https://api.ecdp.app"),
        ("ecdp://:key-of-the-test@/", "https://api.ecdp.app"),
        ("ecdp://:key-of-the-test@127.0.0.1:8080?allow_http=true", "http://127.0.0.1:8080"),
        ("ecdp://:key-of-the-test@127.0.0.1:8080/?allow_http=true", "http://127.0.0.1:8080"),
        ("ecdp://:key-of-the-test@sandbox:8080/http?allow_http=true", "http://sandbox:8080"),
        ("ecdp://http://:key-of-the-test@sandbox:8080/?allow_http=true", "http://sandbox:8080"),
        ("ecdp://:key-of-the-test@[::1]:8080", "http://[::1]:8080"),
        ("ecdp://https://:key-of-the-test@api.example.com", "https://api.example.com"),
    ],
)
def test_a_connection_can_be_a_uri(uri, url):
    given = from_uri(uri)
    assert read_settings(given).client.base_url == url
    assert api_key(given) == "key-of-the-test"


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:8080", "https://api.example.com:8443/gateway", "api.example.com", ""]
)
def test_the_base_url_survives_the_way_that_airflow_sends_a_connection_to_a_worker(host):
    given = connection(host=host, extra={"read_timeout": 5, "allow_http": True})
    again = from_uri(given.get_uri())
    assert read_settings(again) == read_settings(given)


@pytest.mark.parametrize(
    ("fields", "extra", "message"),
    [
        ({"host": "http://api.example.com"}, {}, "plain http"),
        ({"host": "api.example.com", "schema": "http"}, {}, "plain http"),
        ({"host": "ftp://api.example.com"}, {}, "scheme https"),
        ({"host": "https://"}, {}, "scheme https"),
        ({"host": "api.example.com:port"}, {}, "not a valid URL"),
        ({"host": "api.example.com:1", "port": 2}, {}, "field port has 2"),
        ({"host": "api.example.com", "schema": "orders"}, {}, "field schema"),
        ({"host": "api.example.com?key=1"}, {}, "query"),
        (
            {},
            {"connect_timeout": "soon"},
            "field 'connect_timeout': it must be a number of seconds above 0, not 'soon'",
        ),
        ({}, {"connect_timeout": True}, "field 'connect_timeout': it must be a number"),
        ({}, {"read_timeout": 0}, "read_timeout"),
        ({}, {"read_timeout": "nan"}, "read_timeout"),
        ({}, {"requests_per_second": -1}, "requests_per_second"),
        ({}, {"max_in_flight": "2.5"}, "field 'max_in_flight': it must be a whole number"),
        ({}, {"max_in_flight": 0}, "field 'max_in_flight': it must be a whole number"),
        ({}, {"batch_size": [500]}, "field 'batch_size': it must be a whole number, 1 or more"),
        ({}, {"batch_bytes": "4 MB"}, "field 'batch_bytes': it must be a whole number"),
        ({}, {"allow_http": "maybe"}, "field 'allow_http': it must be true or false"),
        ({}, {"matching_mode": "name"}, "field 'matching_mode'"),
        ({}, {"send_match_by": True}, "field 'send_match_by'"),
        ({}, {"ca_bundle": "/no/such/bundle.pem"}, "CA bundle"),
        ({}, {"ca_bundle": False}, "field 'ca_bundle': it must be the path of a CA bundle, not False"),
    ],
)
def test_a_wrong_field_is_an_error_that_names_the_connection_and_the_field(fields, extra, message):
    with pytest.raises(ConfigurationError, match=message) as raised:
        read_settings(connection(extra, **fields))
    assert "connection 'shop'" in str(raised.value) or "field" in message
    assert "key-of-the-test" not in str(raised.value)


def test_the_form_and_a_uri_give_the_same_settings(tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    typed = {
        "connect_timeout": 1.5,
        "read_timeout": 20,
        "matching_mode": "PhoneNumber",
        "send_match_by": True,
        "requests_per_second": 2.5,
        "max_in_flight": 8,
        "batch_size": 100,
        "batch_bytes": 1_000_000,
        "ca_bundle": str(bundle),
        "allow_http": True,
    }
    settings = read_settings(connection(typed, host="http://gateway"))
    texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in typed.items()}
    assert read_settings(connection(texts, host="http://gateway")) == settings
    assert settings.client == ClientSettings(
        "http://gateway",
        connect_timeout=1.5,
        read_timeout=20.0,
        ca_bundle=str(bundle),
        allow_http=True,
        requests_per_second=2.5,
        max_in_flight=8,
    )
    assert settings.runs == {
        "batch_size": 100,
        "batch_bytes": 1_000_000,
        "max_in_flight": 8,
        "matching": "phone",
        "match_by": MatchBy.PHONE,
    }


def test_an_empty_form_gives_the_defaults():
    settings = read_settings(connection({"connect_timeout": None, "matching_mode": "", "allow_http": False}))
    assert settings.client == ClientSettings()
    assert settings.runs == {"max_in_flight": 4}


@pytest.mark.parametrize(
    ("mode", "field"), [("Email", "email"), ("phone_number", "phone"), ("CrmId", "crmId"), ("crm_id", "crmId")]
)
def test_the_matching_mode_requires_a_field_of_the_customer_and_is_not_sent_unless_requested(mode, field):
    settings = read_settings(connection({"matching_mode": mode}))
    assert (settings.runs["matching"], settings.runs.get("match_by")) == (field, None)


def test_the_operators_requests_in_flight_go_before_those_of_the_connection():
    assert read_settings(connection({"max_in_flight": 8}), max_in_flight=2).client.max_in_flight == 2


def test_a_field_that_is_not_known_is_warned_of_without_its_value(caplog):
    with caplog.at_level(logging.WARNING):
        read_settings(connection({"read_timout": "secret-value"}))
    (message,) = caplog.messages
    assert "unknown field read_timout" in message
    assert "read_timeout" in message
    assert "secret-value" not in message


def test_a_connection_without_a_key_says_where_it_belongs():
    with pytest.raises(ConfigurationError, match=r"'shop' has no API key: put it into the password"):
        api_key(connection(password=None))


def test_a_key_in_the_login_is_noticed_and_not_shown():
    with pytest.raises(ConfigurationError, match="login is not read") as raised:
        api_key(from_uri("ecdp://key-in-login@api.example.com"))
    assert "key-in-login" not in str(raised.value)
