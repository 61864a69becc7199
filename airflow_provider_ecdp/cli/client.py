"""From arguments and the environment to a client of the Orders API."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import Any

from airflow_provider_ecdp.api.client import EcdpClient, PostResult
from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.cli.output import KEY_VARIABLE
from airflow_provider_ecdp.cli.signals import Interruption
from airflow_provider_ecdp.errors import ConfigurationError, UnreachableError
from airflow_provider_ecdp.settings import build

_URL_VARIABLE = "ECDP_BASE_URL"


class InterruptibleClient(EcdpClient):
    """A client that sends nothing more after a signal, and ends its waiting between repetitions."""

    def __init__(self, api_key: str, settings: ClientSettings, interruption: Interruption) -> None:
        super().__init__(api_key, settings, sleep=interruption.wait)
        self._interruption = interruption

    def post_orders(
        self, mode: Mode, orders: bytes | bytearray | memoryview, *, match_by: MatchBy | None = None
    ) -> PostResult:
        """Send one batch."""
        self._check()
        return super().post_orders(mode, orders, match_by=match_by)

    def get_order(self, order_id: str) -> dict[str, Any]:
        """Return an order."""
        self._check()
        return super().get_order(order_id)

    def update_order_status(self, order_id: str, status: str, *, website_id: int | None = None) -> None:
        """Change the status of an order."""
        self._check()
        super().update_order_status(order_id, status, website_id=website_id)

    def delete_order(self, order_id: str) -> dict[str, Any]:
        """Mark an order as deleted."""
        self._check()
        return super().delete_order(order_id)

    def _check(self) -> None:
        if self._interruption.number is not None:
            error = UnreachableError("not sent: the run was interrupted")
            error.attempts = 0
            raise error


def open_client(arguments: Namespace, interruption: Interruption, *, max_in_flight: int = 1) -> EcdpClient:
    """Return a client of the API that `arguments` name.

    :raises ConfigurationError: there is no key, or a setting cannot be meant
    """
    own = {
        "base_url": arguments.base_url or os.environ.get(_URL_VARIABLE),
        "max_in_flight": max_in_flight,
        "user_agent_suffix": "cli",
    }
    settings = build(ClientSettings, vars(arguments) | own)
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        raise ConfigurationError(f"no API key: set {KEY_VARIABLE} (in ECDP: Settings > API)")
    return InterruptibleClient(key, settings, interruption)
