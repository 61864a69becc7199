"""`airflow ecdp`: the command line with the connections of Airflow."""
