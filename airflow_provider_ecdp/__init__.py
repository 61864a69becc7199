"""Apache Airflow provider for ExpertSender CDP (ECDP): orders from Parquet extracts to the Orders API.

The core imports no Airflow: `orders` (from columns to orders), `api` (requests to ECDP), `push`, `by_id` and `dry_run`
(the use cases), `runs` (the steps that they share), `results` and `ledger` (the outcome of each order), `errors`. The
adapters know Airflow: `hooks`, `operators`, `transfers`, and the others that docs/architecture.md lists. `sandbox` is a
stand-in for ECDP, `cli` the same use cases from a terminal.

This module imports nothing: Airflow reads it while it discovers providers, before its configuration is ready.
"""

__version__ = "0.1.0"
