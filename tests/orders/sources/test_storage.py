"""What a storage is called in messages."""

from __future__ import annotations

from urllib.parse import quote, unquote

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from s3fs import S3FileSystem

from airflow_provider_ecdp.errors import ConfigurationError, ExtractError, StorageError
from airflow_provider_ecdp.ledger.reader import results_folder
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.storage import display_path, without_credentials


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://shop:se:c@ret@host:21/orders", "ftp://host:21/orders"),
        ("s3://conn_id@bucket/a:b@c/orders", "s3://conn_id@bucket/a:b@c/orders"),
        ("abfs://container@account/orders", "abfs://container@account/orders"),
        ("/data/a:b@c/orders", "/data/a:b@c/orders"),
        ("s3://aws_default@bucket/orders", "s3://aws_default@bucket/orders"),
        ("ftp://host:21/orders", "ftp://host:21/orders"),
        ("https://b/k?X-Amz-Date=1&X-Amz-Signature=ab/c", "https://b/k?X-Amz-Date=1&X-Amz-Signature=[redacted]"),
        ("https://a/c?sv=1&sig=a%2Bb%3D&se=2", "https://a/c?sv=1&sig=[redacted]&se=2"),
        ("https://a/c?key=abc&code=d&a=1", "https://a/c?key=[redacted]&code=[redacted]&a=1"),
        ("s3://bucket/key=5/orders", "s3://bucket/key=5/orders"),
        ("https://t0ken@host/orders", "https://host/orders"),
    ],
)
def test_a_url_is_shown_without_user_and_password(url, shown):
    assert without_credentials(url) == without_credentials(url, url) == shown


@pytest.mark.parametrize("password", ["hid den", "hid'den\"", "hid%20den"])
def test_the_password_of_a_url_is_nowhere_in_a_text_about_it(password):
    url = f"ftp://shop:{password}@host/orders"
    texts = [url, f"results path {url}: /repos/{password}", f"cannot find {unquote(password)} or {quote(password)}"]
    cleaned = [without_credentials(text, url) for text in texts]
    assert cleaned == [
        "ftp://host/orders",
        "results path ftp://host/orders: /repos/[redacted]",
        "cannot find [redacted] or [redacted]",
    ]


def test_a_path_is_shown_with_its_storage_and_one_of_this_machine_as_it_is():
    assert display_path(fsspec.filesystem("file"), "/data/orders") == "/data/orders"
    assert display_path(fsspec.filesystem("memory"), "/lake/orders") == "memory:///lake/orders"


def test_a_message_about_a_storage_has_its_url_and_no_password():
    with pytest.raises(ExtractError, match=r"^memory://lake/nothing: no such file or folder$"):
        ParquetSource.open("lake/nothing", filesystem=fsspec.filesystem("memory"))
    with pytest.raises(ExtractError, match=r"^no-such://host/orders: ") as refused:
        ParquetSource.open("no-such://shop:secret@host/orders")
    assert "secret" not in str(refused.value)


#: no part of a message of ours
secrets = st.text(st.sampled_from("QXZ0123456789@/:?#%+=$!"), min_size=8, max_size=30).filter(
    lambda text: sum(map(text.count, "QXZ")) > 3
)
signed = st.sampled_from(["X-Amz-Signature", "X-Amz-Security-Token", "sig", "Signature", "AccountKey", "token"])


@given(secrets, st.sampled_from(["{}", "'{}' is not there", "no {} (404)", "simplecache::{}"]))
def test_no_password_of_a_url_is_in_a_message(password, frame):
    cleaned = without_credentials(frame.format(f"sftp://shop:{password}@host/orders"))
    assert cleaned == frame.format("sftp://host/orders")


@given(signed, secrets.filter(lambda text: "@" not in text), st.sampled_from(["?", "?a=b&", ";", "&"]))
def test_no_signature_of_a_url_is_in_a_message(name, signature, before):
    cleaned = without_credentials(f"https://host/orders{before}{name}={signature} cannot be read")
    assert cleaned == f"https://host/orders{before}{name}=[redacted] cannot be read"


@given(st.from_regex(r"[a-z]\w{0,20}", fullmatch=True), st.from_regex(r"[a-z][\w.:@-]{0,20}", fullmatch=True))
def test_the_id_of_a_connection_stays(connection, key):
    assert without_credentials(f"s3://{connection}@bucket/{key}") == f"s3://{connection}@bucket/{key}"


@pytest.mark.parametrize(
    "url",
    ["ftp://shop:s3cret@{}/orders", "simplecache::ftp://shop:s3cret@{}/orders", "ftp://shop:s3cret word@{}/orders"],
)
def test_a_storage_that_refuses_the_connection_is_a_failure_that_airflow_retries(url, closed_port):
    url = url.format(f"127.0.0.1:{closed_port}")
    with pytest.raises(ExtractError, match=r"cannot be read: .*refused") as of_extract:
        ParquetSource.open(url)
    assert of_extract.value.of_storage
    with pytest.raises(StorageError, match=r"cannot be read: .*refused") as of_results:
        results_folder(url)
    assert "s3cret" not in f"{of_extract.value} {of_results.value}"


@pytest.mark.parametrize("secret", ["s3cret", "s3/cr+et"])
@pytest.mark.parametrize("prefix", ["s3://", "simplecache::s3://"])
def test_credentials_that_a_storage_ignores_are_refused_before_they_are_taken_for_a_bucket(prefix, secret):
    url = f"{prefix}shop:{secret}@bucket/orders.parquet"
    with pytest.raises(ExtractError, match="does not accept a user and password in a URL") as of_extract:
        ParquetSource.open(url)
    with pytest.raises(ConfigurationError, match="does not accept a user and password in a URL") as of_results:
        results_folder(url)
    assert secret not in f"{of_extract.value} {of_results.value}"


@pytest.mark.parametrize("password", ["hid/den", "hid?den", "hid[den", "hid#den"])
def test_a_password_that_no_url_may_hold_is_refused_without_a_part_of_it(password):
    url = f"ftp://shop:{password}@127.0.0.1/orders.parquet"
    with pytest.raises(ExtractError, match="or not with /") as of_extract:
        ParquetSource.open(url)
    with pytest.raises(ConfigurationError, match="or not with /") as of_results:
        results_folder(url)
    assert "hid" not in f"{of_extract.value} {of_results.value}"


def takes_arns():
    """Whether s3fs takes URLs with the ARN of an access point; old versions read a colon as that of a port."""
    try:
        S3FileSystem._get_kwargs_from_urls("s3://arn:aws:s3:eu-west-1:1:accesspoint/orders")
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(
            "s3://arn:aws:s3:eu-west-1:1:accesspoint/orders/a@b.parquet",
            marks=pytest.mark.skipif(not takes_arns(), reason="this s3fs takes no ARN in a URL"),
        ),
        "http://shop:s3cret@127.0.0.1/orders.parquet",
    ],
)
def test_a_url_whose_colon_and_at_are_no_ignored_credentials_is_taken(url):
    filesystem, _ = results_folder(url)
    assert set(filesystem.protocol if isinstance(filesystem.protocol, tuple) else [filesystem.protocol]) & {
        "s3",
        "http",
    }
