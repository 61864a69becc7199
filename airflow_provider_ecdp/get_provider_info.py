"""The metadata of this package for Airflow: pure data, since Airflow reads it before its configuration is ready.

Shapes: Airflow's provider_info.schema.json, and provider.yaml.schema.json for the connection form.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_ecdp import __version__


def get_provider_info() -> dict[str, Any]:
    """Return the metadata of the provider; `package-name` has to be the name of the distribution."""
    return {
        "package-name": "airflow-provider-ecdp",
        "name": "ExpertSender CDP",
        "versions": [__version__],
        "description": "Keeps orders in `ExpertSender CDP <https://expertsender.com/>`__ in step with an extract.",
        "integrations": [
            {
                "integration-name": "ExpertSender CDP",
                "external-doc-url": "https://expertsender.com/",
                "tags": ["service"],
            },
            {
                "integration-name": "Parquet",
                "external-doc-url": "https://parquet.apache.org/",
                "tags": ["software"],
            },
        ],
        "hooks": [
            {"integration-name": "ExpertSender CDP", "python-modules": ["airflow_provider_ecdp.hooks.ecdp"]},
        ],
        "operators": [
            {"integration-name": "ExpertSender CDP", "python-modules": ["airflow_provider_ecdp.operators.ecdp"]},
        ],
        "sensors": [
            {"integration-name": "ExpertSender CDP", "python-modules": ["airflow_provider_ecdp.sensors.ecdp"]},
        ],
        "triggers": [
            {"integration-name": "ExpertSender CDP", "python-modules": ["airflow_provider_ecdp.triggers.ecdp"]},
        ],
        "transfers": [
            {
                "source-integration-name": "Parquet",
                "target-integration-name": "ExpertSender CDP",
                "python-module": "airflow_provider_ecdp.transfers.parquet_to_ecdp",
            },
            {
                "source-integration-name": "Parquet",
                "target-integration-name": "ExpertSender CDP",
                "python-module": "airflow_provider_ecdp.transfers.parquet_to_ecdp_changes",
            },
        ],
        "asset-uris": [
            {
                "schemes": ["ecdp"],
                "handler": "airflow_provider_ecdp.assets.ecdp.sanitize_uri",
                "factory": "airflow_provider_ecdp.assets.ecdp.create_asset",
                "to_openlineage_converter": "airflow_provider_ecdp.assets.ecdp.convert_asset_to_openlineage",
            },
        ],
        "extra-links": [
            "airflow_provider_ecdp.operators.links.SyncReportLink",
            "airflow_provider_ecdp.operators.links.ResultsFolderLink",
            "airflow_provider_ecdp.operators.links.FailureDocsLink",
        ],
        "task-decorators": [
            {"name": "ecdp_push", "class-name": "airflow_provider_ecdp.decorators.ecdp.ecdp_push_task"},
        ],
        "cli": ["airflow_provider_ecdp.airflow_cli.definition.get_ecdp_cli_commands"],
        "notifications": ["airflow_provider_ecdp.notifications.ecdp.EcdpSyncNotifier"],
        "connection-types": [
            {
                "connection-type": "ecdp",
                "hook-class-name": "airflow_provider_ecdp.hooks.ecdp.EcdpHook",
                "hook-name": "ExpertSender CDP",
                "ui-field-behaviour": {
                    # not the port: the form of 3.3 to 3.3.2 tests no connection that is stored without one
                    # (apache/airflow#73298)
                    "hidden-fields": ["login", "schema"],
                    "relabeling": {"host": "Base URL", "password": "API key"},
                    "placeholders": {
                        "host": "https://api.ecdp.app",
                        "port": "443; the Test button of Airflow 3.3 needs it",
                        "password": "Settings > API in ECDP",
                        "connect_timeout": "10",
                        "read_timeout": "60",
                        "max_in_flight": "4",
                        "batch_size": "500",
                        "batch_bytes": "4000000",
                        "ca_bundle": "/etc/ssl/certs/our-ca.pem",
                    },
                },
                "conn-fields": {
                    "matching_mode": {
                        "label": "Matching mode",
                        "description": (
                            "The business unit's default matching mode (Settings > Customers in ECDP): "
                            "orders without this customer field are not sent."
                        ),
                        "schema": {
                            "type": ["string", "null"],
                            "enum": [None, "Email", "PhoneNumber", "CrmId"],
                            "values_display": {
                                "null": "Not set: any customer field will do",
                                "Email": "Email",
                                "PhoneNumber": "Phone number",
                                "CrmId": "CRM ID",
                            },
                        },
                    },
                    "send_match_by": {
                        "label": "Send matchBy",
                        "description": "Send the matching mode with each batch, as the WooCommerce plugin does.",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                    "batch_size": {
                        "label": "Batch size",
                        "description": "Maximum orders per request; 500 if empty.",
                        "schema": {"type": ["integer", "null"], "minimum": 1},
                    },
                    "batch_bytes": {
                        "label": "Batch bytes",
                        "description": "Maximum bytes per request; 4,000,000 if empty.",
                        "schema": {"type": ["integer", "null"], "minimum": 1},
                    },
                    "max_in_flight": {
                        "label": "Requests in flight",
                        "description": "Maximum requests in flight of one task; 4 if empty.",
                        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 64},
                    },
                    "requests_per_second": {
                        "label": "Requests per second",
                        "description": "Maximum requests per second of one task; no limit if empty.",
                        "schema": {"type": ["number", "null"], "minimum": 0},
                    },
                    "shared_limits": {
                        "label": "Shared limits",
                        "description": (
                            "The two limits above hold for all tasks of this connection together; needs [ecdp] "
                            "results_path."
                        ),
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                    "connect_timeout": {
                        "label": "Connect timeout",
                        "description": "Seconds to wait for a connection; 10 if empty.",
                        "schema": {"type": ["number", "null"], "minimum": 0},
                    },
                    "read_timeout": {
                        "label": "Read timeout",
                        "description": "Seconds to wait for an answer; 60 if empty.",
                        "schema": {"type": ["number", "null"], "minimum": 0},
                    },
                    "ca_bundle": {
                        "label": "CA bundle",
                        "description": "Path on the worker of the certificates to trust, if they are private.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "allow_http": {
                        "label": "Allow plain http",
                        "description": "Allow an http:// base URL beyond this machine: the key is sent unencrypted.",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                },
            },
        ],
        "config": {
            "ecdp": {
                "description": "Settings of the ExpertSender CDP provider.",
                "options": {
                    "results_path": {
                        "description": (
                            "Folder or object storage URL under which operators keep the outcome of every order, "
                            "unless they set their own results_path. If empty, outcomes are in XCom only, "
                            "and a retry sends accepted orders again.\n"
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "s3://aws_default@my-bucket/ecdp-results",
                        "default": "",
                    },
                    "results_roots": {
                        "description": (
                            "Further folders and object storage URLs, separated by commas, from which the API server "
                            "may read results for the sync report. List the results_path of tasks that set their own; "
                            "the option above is always included.\n"
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "s3://aws_default@my-bucket/ecdp-results,/mnt/shared/ecdp-results",
                        "default": "",
                    },
                },
            },
        },
    }
