"""A stand-in for the Orders API of ExpertSender CDP that runs on this machine: FastAPI, SQLite and faults on demand.

It is written from the vendor's page, never from `airflow_provider_ecdp.orders`: the two check each other.
Start it with `SandboxServer` (tests) or `serve` (command line), both in `airflow_provider_ecdp.sandbox.server`.
"""
