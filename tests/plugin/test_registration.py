"""How Airflow loads the plugin: in every process, also where a DAG is parsed and a task runs."""

import subprocess
import sys
from importlib import metadata

LIGHT = """
import sys
from airflow.sdk import DAG
import airflow_provider_ecdp
before = set(sys.modules)
import airflow_provider_ecdp.plugin.registration
new = set(sys.modules) - before
ours = sorted(name for name in new if name.startswith("airflow_provider_ecdp"))
heavy = sorted(name for name in new if name.split(".")[0] in {"fastapi", "duckdb", "pyarrow", "starlette"})
print(ours, heavy)
"""


def test_loading_the_plugin_imports_nothing_of_its_pages():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    ours = "['airflow_provider_ecdp.plugin', 'airflow_provider_ecdp.plugin.registration']"
    assert done.stdout.strip().splitlines()[-1] == f"{ours} []"


def test_airflow_finds_the_plugin_by_its_entry_point():
    (entry,) = [one for one in metadata.entry_points(group="airflow.plugins") if one.name == "ecdp"]
    plugin = entry.load()
    assert {view["destination"] for view in plugin.external_views} == {"task_instance", "dag_run"}
    # a leading slash, or a query, would lose the base path and the ids of Airflow 3.1
    assert all(view["href"].startswith("ecdp/report/{DAG_ID}/{RUN_ID}") for view in plugin.external_views)


def test_airflow_shows_the_tabs(server):
    answer = server.client.get("/api/v2/plugins", headers=server.headers("admin", "ADMIN"))
    (ours,) = [one for one in answer.json()["plugins"] if one["name"] == "ecdp"]
    assert [view["name"] for view in ours["external_views"]] == ["Sync report", "Sync report"]
