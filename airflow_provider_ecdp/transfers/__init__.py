"""Airflow's transfers to ECDP."""
