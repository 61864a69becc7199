"""Buttons on a task instance in Airflow: its sync report, and the folder of its results in a cloud's console.

The worker computes them when a task has ended, and Airflow keeps them as XCom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink, ObjectStoragePath

from airflow_provider_ecdp.hooks.version_compat import conf

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class SyncReportLink(BaseOperatorLink):
    """The sync report as a page of its own, also for readers to whom Airflow shows no tabs of plugins."""

    name = "Sync report"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow passes it
        """Return its URL; without `[api] base_url` a relative one, which Airflow's page completes."""
        ids = (ti_key.dag_id, ti_key.run_id, ti_key.task_id, str(ti_key.map_index))
        return _page("/".join(["ecdp/report", *(quote(part, safe="") for part in ids)]))


class ResultsFolderLink(BaseOperatorLink):
    """The folder with the outcome of every order, in the console of Amazon S3 or of Google Cloud Storage."""

    name = "Results folder"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow passes it
        """Return its URL; empty if there is none, or if no browser can show it."""
        folder = getattr(operator, "results_folder", None)
        return console_url(folder) if folder else ""


class FailureDocsLink(BaseOperatorLink):
    """The section of the documentation about the failure of a task, on the API server."""

    name = "What to do"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow passes it
        """Return its URL; empty if the task has not failed."""
        section = getattr(operator, "failure_section", None)
        return _page(f"ecdp/docs/troubleshooting#{section}") if section else ""


def _page(path: str) -> str:
    """Return the URL of a page of the plugin."""
    base = conf.get("api", "base_url", fallback="") or ""
    return f"{base.rstrip('/')}/{path}" if base else path


def console_url(folder: str) -> str:
    """Return the page of a cloud's console that shows a folder; empty for a storage without one.

    :param folder: local path or object storage URL
    """
    if "://" not in folder:
        return ""
    storage = ObjectStoragePath(folder)
    # Airflow 3.1 leaves the connection in the bucket's name
    bucket, prefix = quote(storage.bucket.rpartition("@")[2]), quote(storage.key.strip("/"))
    if storage.protocol in {"gs", "gcs"}:
        return f"https://console.cloud.google.com/storage/browser/{bucket}/{prefix}"
    if storage.protocol in {"s3", "s3a"} and not _is_compatible(storage.fs):
        return f"https://console.aws.amazon.com/s3/buckets/{bucket}?prefix={prefix}/"
    return ""


def _is_compatible(filesystem: Any) -> bool:
    """Whether a file system speaks to a storage that is compatible with S3, such as MinIO."""
    kwargs = getattr(filesystem, "client_kwargs", None) or {}
    return bool(getattr(filesystem, "endpoint_url", None) or kwargs.get("endpoint_url"))
