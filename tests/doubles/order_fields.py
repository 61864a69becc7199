"""One order with the API's fields."""

from __future__ import annotations

from typing import Any


def order_fields(order_id: str, **fields: Any) -> dict[str, Any]:
    """Return an order that breaks no rule; keywords replace or add some of its fields."""
    return {
        "id": order_id,
        "date": "2026-11-01T10:00:00Z",
        "status": "paid",
        "currency": "USD",
        "totalValue": 20.5,
        "customer": {"email": "customer@example.com"},
        "products": [{"id": "p-1", "name": "Mug", "price": 10.25, "quantity": 2}],
        **fields,
    }
