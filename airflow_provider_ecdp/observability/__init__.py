"""Lineage, metrics and traces of a run, for the systems that observe Airflow."""
