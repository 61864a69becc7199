"""From columns of an extract to orders: checked, encoded JSON. Imports neither Airflow nor HTTP."""
