"""What a storage is called in messages."""

from __future__ import annotations

import fsspec
import pytest

from airflow_provider_ecdp.errors import ExtractError
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.storage import display_path, without_credentials


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://shop:se:c@ret@host:21/orders", "ftp://host:21/orders"),
        ("s3://conn_id@bucket/a:b@c/orders", "s3://conn_id@bucket/a:b@c/orders"),
        ("abfs://container@account/orders", "abfs://container@account/orders"),
        ("/data/a:b@c/orders", "/data/a:b@c/orders"),
    ],
)
def test_a_url_is_shown_without_user_and_password(url, shown):
    assert without_credentials(url) == shown


def test_a_path_is_shown_with_its_storage_and_one_of_this_machine_as_it_is():
    assert display_path(fsspec.filesystem("file"), "/data/orders") == "/data/orders"
    assert display_path(fsspec.filesystem("memory"), "/lake/orders") == "memory:///lake/orders"


def test_a_message_about_a_storage_has_its_url_and_no_password():
    with pytest.raises(ExtractError, match=r"^memory://lake/nothing: no such file or folder$"):
        ParquetSource.open("lake/nothing", filesystem=fsspec.filesystem("memory"))
    with pytest.raises(ExtractError, match=r"^no-such://host/orders: ") as refused:
        ParquetSource.open("no-such://shop:secret@host/orders")
    assert "secret" not in str(refused.value)
