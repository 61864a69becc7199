"""Assets of the scheme `ecdp`, as Airflow reads them."""

import pytest
from airflow.sdk import Asset

from airflow_provider_ecdp.assets.ecdp import convert_asset_to_openlineage, create_asset, uri_of


@pytest.mark.parametrize(
    ("uri", "normal"),
    [
        ("ecdp://api.ecdp.app/orders", "ecdp://api.ecdp.app/orders"),
        ("ecdp://API.ecdp.app/orders/", "ecdp://api.ecdp.app/orders"),
        ("ecdp://api.ecdp.app:8443/shop-de/orders?x=1#y", "ecdp://api.ecdp.app:8443/shop-de/orders"),
    ],
)
def test_airflow_brings_a_uri_to_its_normal_form(uri, normal):
    assert Asset(uri).uri == normal


@pytest.mark.parametrize("uri", ["ecdp://api.ecdp.app", "ecdp:///orders", "ecdp://api.ecdp.app/customers"])
def test_airflow_refuses_a_uri_that_names_no_orders(uri):
    with pytest.raises(ValueError, match="the URI of an ECDP asset must be ecdp://HOST/orders"):
        Asset(uri)


def test_the_factory_and_the_converter_agree():
    pytest.importorskip("openlineage.client")
    asset = create_asset(host="api.ecdp.app", unit="Shop DE", extra={"x": 1})
    assert asset.uri == "ecdp://api.ecdp.app/Shop%20DE/orders"
    assert asset.extra == {"x": 1}
    dataset = convert_asset_to_openlineage(asset, None)
    assert (dataset.namespace, dataset.name) == ("ecdp://api.ecdp.app", "Shop%20DE/orders")


@pytest.mark.parametrize(
    ("base_url", "uri"),
    [
        ("https://api.ecdp.app", "ecdp://api.ecdp.app/orders"),
        ("http://127.0.0.1:8765/", "ecdp://127.0.0.1:8765/orders"),
        ("https://Gateway.example.com/ecdp/v1", "ecdp://gateway.example.com/ecdp/v1/orders"),
    ],
)
def test_a_base_url_is_the_uri_of_its_orders(base_url, uri):
    assert uri_of(base_url) == uri
