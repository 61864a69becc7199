"""What a run tells the systems that observe Airflow: lineage, metrics, traces."""
