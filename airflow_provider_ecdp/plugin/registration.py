"""The plugin as Airflow loads it, in every process: it imports nothing but its base class before the first request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

try:
    from airflow.sdk.plugins_manager import AirflowPlugin
except ImportError:  # Airflow 3.1
    from airflow.plugins_manager import AirflowPlugin  # type: ignore[assignment]

_Message = MutableMapping[str, Any]

#: Where Airflow mounts the pages.
URL_PREFIX = "/ecdp"


async def application(
    scope: _Message, receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Awaitable[None]]
) -> None:
    """Answer a request of the pages; an ASGI application that is built when the first request comes."""
    from airflow_provider_ecdp.plugin.application import built  # noqa: PLC0415  # FastAPI, which no task needs

    await built()(scope, receive, send)


class EcdpPlugin(AirflowPlugin):
    """The tab Sync report of task instances and DAG runs, and the pages behind it."""

    name = "ecdp"
    fastapi_apps: list[Any] = [  # noqa: RUF012 - as the base class declares it
        {"app": application, "url_prefix": URL_PREFIX, "name": "ExpertSender CDP"}
    ]
    # relative, so that they stay below a base path; ids in the path, for Airflow 3.1 does not encode those of a query
    external_views: list[Any] = [  # noqa: RUF012 - as above
        {
            "name": "Sync report",
            "href": "ecdp/report/{DAG_ID}/{RUN_ID}/{TASK_ID}/{MAP_INDEX}",
            "destination": "task_instance",
            "url_route": "ecdp-report",
        },
        {
            "name": "Sync report",
            "href": "ecdp/report/{DAG_ID}/{RUN_ID}",
            "destination": "dag_run",
            "url_route": "ecdp-run-report",
        },
    ]
