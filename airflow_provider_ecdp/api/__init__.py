"""The client of ECDP's Orders API: requests, retries, answers. Imports neither Airflow nor Arrow."""
