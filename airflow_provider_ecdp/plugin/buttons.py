"""Buttons of a report: send the failed orders again, or run the task again.

The page asks Airflow's own API, which checks the permissions; this module makes the request.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from airflow_provider_ecdp.plugin.records import REPLAY_PARAM, RunState, SerializedDag
from airflow_provider_ecdp.plugin.results.folders import TaskKey

_PASTE = """\
# in the DAG
params={"replay_from": Param(None, type=["null", "string"])}

# in the task
replay_from="{{ params.replay_from }}"\
"""


def replay(
    run: RunState, dag: SerializedDag, task_id: str, results_path: str | None, date: dt.datetime | None
) -> dict[str, Any]:
    """Return the request of a run that sends the failed orders again, or its configuration alone, to be pasted.

    :param results_path: of the run whose orders failed
    :param date: logical date of the new run
    """
    if results_path is None:
        return {}
    conf = {**run.conf, **_choices(dag.params), REPLAY_PARAM: results_path}
    if REPLAY_PARAM not in dag.params or REPLAY_PARAM not in str(dag.tasks.get(task_id, {}).get("replay_from", "")):
        return {"conf": conf, "paste": _PASTE}
    request = {"conf": conf, "logical_date": date and date.isoformat()}
    if run.data_interval and date:
        start, end = run.data_interval
        request |= {"data_interval_start": start.isoformat(), "data_interval_end": end.isoformat()}
    return {"conf": conf, "request": request}


def _choices(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the choice `replay` for each parameter of the DAG that has it."""
    schemas = {name: _schema(param) for name, param in params.items()}
    return {name: "replay" for name, schema in schemas.items() if "replay" in (schema.get("enum") or ())}


def _schema(param: Any) -> Mapping[str, Any]:
    schema = param.get("schema") if isinstance(param, dict) else None
    # Airflow encodes its content
    inner = schema.get("__var", schema) if isinstance(schema, dict) else None
    return inner if isinstance(inner, dict) else {}


def clear(run: RunState, key: TaskKey, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request that clears a task instance and those after it, and its effect in words.

    :param parameters: of the task
    """
    if parameters.get("on_clear") == "resume":
        effect = "It sends the orders that its results do not list as accepted."
    elif str(parameters.get("only_changed")).lower() == "true":
        effect = "It starts over, and sends only orders that are new or have changed since they were accepted."
    else:
        effect = "It starts over, and sends every order of the extract again."
    instance: Any = key.task_id if key.map_index < 0 else [key.task_id, key.map_index]
    body = {"dry_run": False, "dag_run_id": run.run_id, "task_ids": [instance], "only_failed": False}
    return {"effect": effect, "request": {**body, "include_downstream": True}}
