"""Reasons are folded as far as orders with one fault differ, and no further."""

from __future__ import annotations

import pytest

from airflow_provider_ecdp.results.outcome import Outcome
from airflow_provider_ecdp.results.reasons import folded


@pytest.mark.parametrize(
    "kept",
    [
        "POST /orders: HTTP 401 Unauthorized",
        "HTTP 503 Service Unavailable",
        "HTTP 404, the base URL may be wrong: this 404 is not in the form of ECDP's Orders API: Nothing here: 404.",
        "GET http://127.0.0.1:8765: no connection",
        "no connection to 10.0.0.12:8443",
        "no connection to api.ecdp.app:443",
        "https://ecdp-2.example.com answered with status 302",
        "no answer within 60 seconds",
        "too many products: at most 1000 are allowed",
        "name must be shorter than 256 characters",
        "413 Payload Too Large",
        "body exceeds the limit of 4000000 bytes",
        "text is not valid UTF-8",
    ],
)
def test_statuses_hosts_ports_and_limits_stay(kept):
    assert folded(Outcome.UNRESOLVED, kept, "A-1") == f"unresolved: {kept}"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("line 7: unknown product 4711", "line N: unknown product N"),
        ("data[12].products[3]: refused", "data[N].products[N]: refused"),
        ("total 12.50 differs from 13", "total N differs from N"),
        ("order A-1 exists", "order … exists"),
        ("HTTP 400: order 99 of customer 5 at most 10", "HTTP 400: order N of customer N at most 10"),
        (
            "DELETE https://ecdp.example.com:8443/orders/123: gone",
            "DELETE https://ecdp.example.com:8443/orders/N: gone",
        ),
        ("refused; and more", "refused"),
    ],
)
def test_ids_positions_lengths_and_amounts_are_folded(reason, shown):
    assert folded(Outcome.REJECTED, reason, "A-1") == f"rejected: {shown}"
