"""Paths of the API. An order id is one segment of a path, whatever characters it holds."""

from __future__ import annotations

from urllib.parse import quote

from airflow_provider_ecdp.errors import ConfigurationError

#: an order id that nobody uses: asking for it tells whether the key is accepted, and changes nothing
ID_OF_NO_ORDER = "airflow-provider-ecdp-connection-test"


def order_path(order_id: str) -> str:
    """Return the path of one order.

    :raises ConfigurationError: the id cannot stand in a path: clients and proxies fold `.` and `..` away (RFC 3986)
    """
    if order_id in {"", ".", ".."}:
        raise ConfigurationError(f"{order_id!r} cannot be an order id in a URL: clients and proxies fold it away")
    try:
        return f"/orders/{quote(order_id, safe='')}"
    except UnicodeEncodeError:
        raise ConfigurationError("the order id holds half of a surrogate pair: it is not text") from None
