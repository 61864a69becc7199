"""One sandbox for all tests of a session, empty and without faults for each of them."""

import json
from urllib.parse import quote

import pytest
import requests

KEY = "sandbox-key"


class Client:
    """The Orders API of a sandbox as `requests` speaks it."""

    def __init__(self, url, session):
        self.url = url
        self.session = session

    def post(self, *orders, mode="AddOrReplace", **top):
        return self.send(json.dumps({"mode": mode, "data": list(orders), **top}))

    def send(self, body, **options):
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        body = body if isinstance(body, bytes) else body.encode()
        return self.session.post(f"{self.url}/orders", data=body, headers=headers, **options)

    def get(self, order_id, **options):
        return self.session.get(self._path(order_id), **options)

    def delete(self, order_id):
        return self.session.delete(self._path(order_id))

    def put(self, **body):
        return self.session.put(f"{self.url}/orders/status", json=body)

    def look(self, what):
        return requests.get(f"{self.url}/_sandbox/{what}", timeout=60).json()

    def _path(self, order_id):
        return f"{self.url}/orders/{quote(order_id, safe='')}"


@pytest.fixture
def sandbox(emptied_sandbox):
    return emptied_sandbox


@pytest.fixture
def client(sandbox):
    with requests.Session() as session:
        session.trust_env = False
        session.headers["x-api-key"] = KEY
        yield Client(sandbox.url, session)


@pytest.fixture
def order():
    """An order with every documented field."""
    return {
        "id": "A-1",
        "date": "2024-11-06T10:10:00.055Z",
        "timeZone": "Pacific Standard Time",
        "websiteId": 1,
        "status": "Completed",
        "currency": "USD",
        "totalValue": 150.0,
        "returnsValue": 0,
        "customer": {"email": "customer@example.com", "phone": "+15551234567", "crmId": "67890"},
        "products": [
            {
                "id": "p001",
                "name": "Wireless Earbuds",
                "price": 75.0,
                "quantity": 2,
                "returned": 0,
                "url": "https://example.com/products/wireless-earbuds",
                "imageUrl": "https://example.com/images/wireless-earbuds.jpg",
                "category": "Electronics",
                "productAttributes": [{"name": "Color", "value": "Black"}],
            }
        ],
        "orderAttributes": [{"name": "Shipping Method", "value": "Express"}],
    }
