"""What Airflow calls the machine of a Celery worker of `celery_run.py`: by the worker, for both are on one machine."""

import os
import socket


def name():
    """Return the name, which Airflow's setting `[core] hostname_callable` asks for."""
    return os.environ.get("ECDP_WORKER") or socket.gethostname()
