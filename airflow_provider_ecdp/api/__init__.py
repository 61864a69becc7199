"""How ECDP is spoken to: one request at a time, its retries, its answers. Knows neither Airflow nor Arrow."""
