"""Airflow's operators for orders in ECDP."""
