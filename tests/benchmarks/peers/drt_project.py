"""drt: a DuckDB view of the extract, and its rest_api destination in batches of 500, without its limit of requests."""

import os
import sys
import tempfile
from pathlib import Path

import duckdb

PROFILE = "bench:\n  type: duckdb\n  database: {folder}/warehouse.duckdb\n"
PROJECT = "name: bench\nversion: '0.1'\nprofile: bench\n"
SYNC = """\
name: orders
model: SELECT * FROM orders
destination:
  type: rest_api
  url: {url}/orders
  headers: {{x-api-key: key, Content-Type: application/json}}
  body_mode: batch
  batch_template: '{{"mode": "AddOrReplace", "data": {{{{ rows | tojson_safe }}}}}}'
sync:
  batch_size: 500
  rate_limit: {{requests_per_second: 100000}}
  on_error: skip
  dlq: {{enabled: true}}
"""


def main(extract, url):
    folder = Path(tempfile.mkdtemp(prefix="drt-", dir=os.environ.get("TMPDIR")))
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        warehouse.execute(f"CREATE VIEW orders AS FROM '{Path(extract).resolve()}'")
    files = {
        ".drt/profiles.yml": PROFILE.format(folder=folder),
        "drt_project.yml": PROJECT,
        "syncs/orders.yml": SYNC.format(url=url),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    os.chdir(folder)
    os.environ["HOME"] = str(folder)
    drt = str(Path(sys.executable).with_name("drt"))
    os.execv(drt, [drt, "run"])  # noqa: S606 - its own command line


main(*sys.argv[1:])
