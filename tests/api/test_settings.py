import pytest

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "base_url"),
    [
        ("https://api.ecdp.app", "https://api.ecdp.app"),
        ("https://api.ecdp.app/", "https://api.ecdp.app"),
        ("https://api.ecdp.app/orders", "https://api.ecdp.app"),
        ("https://api.ecdp.app/orders//", "https://api.ecdp.app"),
        (" HTTPS://api.ecdp.app:8443/gateway/orders/ ", "https://api.ecdp.app:8443/gateway"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("api.ecdp.app", "https://api.ecdp.app"),
        ("api.ecdp.app:8443/gateway", "https://api.ecdp.app:8443/gateway"),
        ("127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("localhost:8765", "http://localhost:8765"),
        ("::1", "http://[::1]"),
    ],
)
def test_a_base_url_is_normalised(text, base_url):
    assert ClientSettings(base_url=text).base_url == base_url


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "scheme https"),
        ("ftp://api.ecdp.app", "the scheme https"),
        ("https://", "scheme https"),
        ("https://user:s3cret@api.ecdp.app", "user name or password"),
        ("https://api.ecdp.app/?token=s3cret", "query or a fragment"),
        ("https://api.ecdp.app/#s3cret", "query or a fragment"),
        ("https://api.ecdp.app:s3cret", "not a valid URL"),
        ("https://[s3cret", "not a valid URL"),
        ("https://api.ecdp.app/s3cret\nx", "white space, a control"),
        ("https://ecdp.bücher/s3cret", "non-ASCII"),
        ("http://api.ecdp.app", "plain http"),
        ("http://10.0.0.1", "plain http"),
        ("http://localhost.example.com", "plain http"),
    ],
)
def test_a_base_url_that_cannot_be_right_is_refused_without_showing_it(text, rule):
    with pytest.raises(ConfigurationError, match=rule) as caught:
        ClientSettings(base_url=text)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_plain_http_beyond_loopback_must_be_allowed():
    assert ClientSettings(base_url="http://sandbox:8000", allow_http=True).base_url == "http://sandbox:8000"


@pytest.mark.parametrize(
    "setting",
    [
        {"connect_timeout": 0},
        {"read_timeout": -1},
        {"read_timeout": float("inf")},
        {"connect_timeout": float("nan")},
        {"requests_per_second": 0},
        {"max_in_flight": 0},
        {"ca_bundle": "/no/such/bundle.pem"},
        {"ca_bundle": False},
        {"user_agent_suffix": "a\r\nx-injected: 1"},
    ],
)
def test_a_setting_beyond_its_range_is_refused_by_name(setting):
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        ClientSettings(**setting)


@pytest.mark.parametrize("api_key", ["", "s3cret\n", "s3\rcret", " s3cret", "s3cret\u20ac", "s3\x00cret", "s3cret\x7f"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(api_key):
    with pytest.raises(ConfigurationError, match="API key") as caught:
        EcdpClient(api_key)
    assert "s3" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "host",
    [
        "[::1].example.com",
        "127.0.0.1.example.com",
        "localhost.example.com",
        "2130706433",
        "0x7f000001",
        "127.1",
        "[::1",
        "[127.0.0.1]x",
        "localhost@example.com",
        "example.com#localhost",
    ],
)
def test_what_only_looks_like_loopback_gets_no_key_in_plain_http(host):
    with pytest.raises(ConfigurationError):
        ClientSettings(base_url=f"http://{host}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "[::1]", "[::1]:8765", "localhost", "LOCALHOST:80"])
def test_loopback_may_be_plain_http(host):
    assert ClientSettings(base_url=f"http://{host}").base_url
