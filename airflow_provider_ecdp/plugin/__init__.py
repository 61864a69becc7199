"""A page in Airflow: the sync report of a task instance, and of a DAG run."""
