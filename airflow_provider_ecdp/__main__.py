"""`python -m airflow_provider_ecdp`, the same as `ecdp`."""

import sys

from airflow_provider_ecdp.cli import main

sys.exit(main())
