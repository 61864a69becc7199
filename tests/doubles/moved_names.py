"""Names that have moved between the versions of Airflow that are tested."""

try:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
except ImportError:  # Airflow 3.1
    from airflow.models.dagbag import DagBag, sync_bag_to_db

__all__ = ["DagBag", "sync_bag_to_db"]
