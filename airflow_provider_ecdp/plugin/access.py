"""Who may see a report, and who may press its buttons: Airflow's login and its permissions for the DAG."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends

__all__ = ["READER", "GetUserDep", "may_clear", "may_trigger"]

#: Of every route with data: a page shows values of XComs and of rendered fields.
READER = [
    Depends(requires_access_dag("GET", DagAccessEntity.XCOM)),
    Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE)),
]


def may_trigger(user: Any, dag_id: str) -> bool:
    """Whether a user may trigger a DAG; Airflow's API asks the same again."""
    return _may("POST", DagAccessEntity.RUN, user, dag_id)


def may_clear(user: Any, dag_id: str) -> bool:
    """Whether a user may clear tasks of a DAG; Airflow's API asks the same again."""
    return _may("PUT", DagAccessEntity.TASK_INSTANCE, user, dag_id)


def _may(method: Any, entity: DagAccessEntity, user: Any, dag_id: str) -> bool:
    details = DagDetails(id=dag_id, **_team(dag_id))
    return get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user)


def _team(dag_id: str) -> dict[str, Any]:
    """Return the team of a DAG, which Airflow has since 3.2."""
    from airflow.models.dag import DagModel  # noqa: PLC0415

    get_team_name = getattr(DagModel, "get_team_name", None)
    return {"team_name": get_team_name(dag_id)} if get_team_name else {}
