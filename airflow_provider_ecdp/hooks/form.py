"""The connection form of Airflow 3.1, which asks the hook for fields; later versions read the provider's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_ecdp.get_provider_info import get_provider_info


def form_behaviour() -> dict[str, Any]:
    """Return the labels and placeholders of the metadata by the names that Airflow 3.1 has for them."""
    behaviour = _connection_type()["ui-field-behaviour"]
    own = _connection_type()["conn-fields"]
    return {
        "hidden_fields": behaviour["hidden-fields"],
        "relabeling": behaviour["relabeling"],
        # it knows the placeholders of Airflow's fields alone
        "placeholders": {name: text for name, text in behaviour["placeholders"].items() if name not in own},
    }


def form_widgets() -> dict[str, Any]:
    """Return the fields of the metadata as those of WTForms, which Airflow 3.1 replaces by its own while it asks."""
    return {name: _widget(field) for name, field in _connection_type()["conn-fields"].items()}


def _connection_type() -> dict[str, Any]:
    (connection_type,) = get_provider_info()["connection-types"]
    return dict(connection_type)


def _widget(field: Mapping[str, Any]) -> Any:
    # in this function: no other version of Airflow has them, and 3.1 replaces each by its name in these very modules
    from wtforms import BooleanField, IntegerField, StringField  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415
    from wtforms.validators import Optional, any_of  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415

    schema = field["schema"]
    kind, _ = schema["type"]
    # text for a number: WTForms' field for it is not among those that Airflow takes, and text is read
    widget = {"boolean": BooleanField, "integer": IntegerField}.get(kind, StringField)
    checks = [Optional()]
    if "enum" in schema:
        checks.append(any_of(schema["enum"]))
    return widget(field["label"], validators=checks, description=field["description"], default=schema.get("default"))
