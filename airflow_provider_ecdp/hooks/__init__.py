"""Airflow's hook for ECDP."""
