"""Assets of the scheme `ecdp`: the orders of one ECDP, `ecdp://api.ecdp.app/orders`, for Airflow and OpenLineage.

A business unit has a name of your own between them, `ecdp://api.ecdp.app/shop-de/orders`: ECDP identifies it by its
key alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlsplit

from airflow.sdk import Asset

if TYPE_CHECKING:
    from openlineage.client.event_v2 import Dataset

SCHEME = "ecdp"


def create_asset(*, host: str, unit: str | None = None, extra: dict[str, Any] | None = None) -> Asset:
    """Return the orders of one ECDP as an asset.

    :param host: of its base URL, with a port if it has one
    :param unit: your name of the business unit, where there are several
    """
    path = f"{quote(unit, safe='')}/orders" if unit else "orders"
    return Asset(uri=f"{SCHEME}://{host}/{path}", extra=extra or {})


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the URI in the form that names one asset.

    :raises ValueError: it names no orders
    """
    path = uri.path.strip("/")
    if not uri.netloc or path.rpartition("/")[2] != "orders":
        raise ValueError(
            f"the URI of an ECDP asset must be ecdp://HOST/orders or ecdp://HOST/NAME/orders, not {uri.geturl()}"
        )
    # Airflow drops user names only where there is a password
    return uri._replace(netloc=uri.netloc.rpartition("@")[2].lower(), path=f"/{path}", query="")


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:  # noqa: ARG001  # Airflow's signature
    """Return the dataset of OpenLineage: the host is its namespace, the path its name."""
    from openlineage.client.event_v2 import Dataset  # noqa: PLC0415  # OpenLineage may be absent

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"{SCHEME}://{uri.netloc}", name=uri.path.strip("/"))


def uri_of(base_url: str) -> str:
    """Return the URI of the orders under a base URL."""
    url = urlsplit(base_url)
    path = "/".join(part for part in (url.path.strip("/"), "orders") if part)
    return f"{SCHEME}://{url.netloc.lower()}/{path}"
