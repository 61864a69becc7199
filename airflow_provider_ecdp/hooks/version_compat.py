"""Names that have moved between Airflow 3.1 and 3.3."""

from __future__ import annotations

from typing import Any

try:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowFailException, AirflowSkipException  # type: ignore[no-redef]

try:
    from airflow.sdk import conf
except ImportError:  # Airflow 3.1
    from airflow.configuration import conf  # type: ignore[assignment]

try:
    from airflow.sdk.lineage import get_hook_lineage_collector
except ImportError:  # Airflow 3.1
    from airflow.lineage.hook import get_hook_lineage_collector  # type: ignore[import-not-found, no-redef]

try:
    from airflow.sdk.bases.decorator import determine_kwargs
except ImportError:  # Airflow 3.1
    from airflow.utils.operator_helpers import determine_kwargs  # type: ignore[attr-defined]

try:
    from airflow.sdk.observability import stats
except ImportError:  # Airflow 3.1
    from airflow.stats import Stats as stats  # type: ignore[no-redef]  # noqa: N813  # modules and classes change places

try:
    from airflow.providers.common.compat.connection import get_async_connection
except ImportError:  # compat before 1.9, with Airflow 3.1

    async def get_async_connection(conn_id: str, hook: Any = None) -> Any:  # type: ignore[misc]
        """Return a connection."""
        return await hook.aget_connection(conn_id)


__all__ = [
    "AirflowFailException",
    "AirflowSkipException",
    "conf",
    "determine_kwargs",
    "get_async_connection",
    "get_hook_lineage_collector",
    "stats",
]
