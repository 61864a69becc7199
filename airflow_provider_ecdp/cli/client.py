"""Builds a client of the Orders API from arguments and the environment."""

from __future__ import annotations

import os
from argparse import Namespace

from airflow_provider_ecdp.api.client import EcdpClient
from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.cli.output import KEY_VARIABLE
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.settings import build

_URL_VARIABLE = "ECDP_BASE_URL"


def open_client(arguments: Namespace, *, max_in_flight: int = 1) -> EcdpClient:
    """Return a client of the API that `arguments` name.

    :raises ConfigurationError: there is no key, or a setting is invalid
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
    return EcdpClient(key, settings)
