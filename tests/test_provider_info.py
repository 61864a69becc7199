import importlib
import json
import logging
import sys
import types
from importlib import metadata
from importlib.resources import files

import jsonschema
import pytest
from airflow.sdk import BaseNotifier

from airflow_provider_ecdp.api.mode import MatchBy
from airflow_provider_ecdp.api.settings import DEFAULT_BASE_URL, ClientSettings
from airflow_provider_ecdp.decorators.ecdp import ecdp_push_task
from airflow_provider_ecdp.get_provider_info import get_provider_info
from airflow_provider_ecdp.hooks.connection import read_settings
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.push.run import PushSettings

#: The parts of the metadata that name modules.
MODULES = ("hooks", "operators", "sensors", "triggers")

CONNECTION_TYPE = get_provider_info()["connection-types"][0]
FORM = CONNECTION_TYPE["conn-fields"]
BEHAVIOUR = CONNECTION_TYPE["ui-field-behaviour"]


def schema(name):
    return json.loads((files("airflow") / name).read_text(encoding="utf-8"))


def named(path):
    """Return what a dotted path names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_the_metadata_fit_the_schema_that_airflow_checks_when_it_discovers_providers():
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


@pytest.mark.parametrize(
    "section",
    [
        "integrations",
        "hooks",
        "operators",
        "sensors",
        "triggers",
        "transfers",
        "asset-uris",
        "task-decorators",
        "cli",
        "notifications",
        "connection-types",
        "config",
    ],
)
def test_each_section_fits_the_stricter_schema_of_airflows_own_providers(section):
    strict = schema("provider.yaml.schema.json")
    if section == "cli" and section not in strict["properties"]:
        pytest.skip("Airflow 3.1 takes no commands from providers")
    of_section = strict["properties"][section] | {"definitions": strict["definitions"]}
    jsonschema.validate(get_provider_info()[section], of_section)


def test_the_package_name_is_that_of_the_installed_distribution():
    (entry,) = [
        entry
        for entry in metadata.entry_points(group="apache_airflow_provider")
        if entry.value == "airflow_provider_ecdp.get_provider_info:get_provider_info"
    ]
    assert entry.dist.name == get_provider_info()["package-name"]


def test_every_module_and_class_that_is_named_exists():
    info = get_provider_info()
    modules = [module for part in MODULES for group in info[part] for module in group["python-modules"]]
    modules += [transfer["python-module"] for transfer in info["transfers"]]
    for module in modules:
        importlib.import_module(module)
    assert named(CONNECTION_TYPE["hook-class-name"]) is EcdpHook
    assert [named(path).__mro__[1] for path in info["notifications"]] == [BaseNotifier]
    assert [named(one["class-name"]) for one in info["task-decorators"]] == [ecdp_push_task]
    assert [[command.name for command in named(path)()] for path in info["cli"]] == [["ecdp"]]
    for asset in info["asset-uris"]:
        assert all(callable(named(asset[key])) for key in asset.keys() - {"schemes"})
    assert CONNECTION_TYPE["connection-type"] == EcdpHook.conn_type
    assert CONNECTION_TYPE["hook-name"] == EcdpHook.hook_name


def test_the_version_is_that_of_the_package():
    assert get_provider_info()["versions"] == [metadata.version("airflow-provider-ecdp")]


def test_every_integration_that_is_named_is_listed():
    info = get_provider_info()
    listed = {integration["integration-name"] for integration in info["integrations"]}
    named = {group["integration-name"] for part in MODULES for group in info[part]}
    for transfer in info["transfers"]:
        named |= {transfer["source-integration-name"], transfer["target-integration-name"]}
    assert named == listed


def test_the_form_has_exactly_the_fields_that_the_hook_reads(caplog):
    class Filled:
        conn_id, host, port, schema, login, password = "x", None, None, None, None, "key"
        extra_dejson = dict.fromkeys(FORM) | {"misspelt": 1}

    with caplog.at_level(logging.WARNING):
        read_settings(Filled())
    unread, read = caplog.messages[0].split("; the fields are ")
    assert unread.endswith("unknown field misspelt")
    assert set(read.split(", ")) == set(FORM)


def test_the_form_offers_the_matching_modes_of_the_api():
    assert FORM["matching_mode"]["schema"]["enum"] == [None, *MatchBy]


def test_placeholders_and_descriptions_show_the_defaults():
    client, push = ClientSettings(), PushSettings()
    defaults = {name: getattr(client, name) for name in ("connect_timeout", "read_timeout", "max_in_flight")}
    defaults |= {"batch_size": push.batch_size, "batch_bytes": push.batch_bytes}
    assert {name: float(BEHAVIOUR["placeholders"][name]) for name in defaults} == defaults
    for name, value in defaults.items():
        assert f"{value:,.0f} if empty" in FORM[name]["description"]
    assert BEHAVIOUR["placeholders"]["host"] == DEFAULT_BASE_URL


def test_the_hook_gives_older_versions_of_airflow_the_same_labels():
    old = EcdpHook.get_ui_field_behaviour()
    assert old["hidden_fields"] == BEHAVIOUR["hidden-fields"]
    assert old["relabeling"] == BEHAVIOUR["relabeling"]
    assert old["placeholders"].items() <= BEHAVIOUR["placeholders"].items()


def test_the_hook_gives_airflow_3_1_the_same_fields(monkeypatch):
    def field(kind):
        return lambda label, **given: (kind, label, given)

    wtforms = types.ModuleType("wtforms")
    wtforms.BooleanField, wtforms.IntegerField, wtforms.StringField = map(field, ("boolean", "integer", "text"))
    # a module of its own, as Airflow puts it in place: `wtforms.validators` of the other is not it
    validators = types.ModuleType("wtforms.validators")
    validators.Optional, validators.any_of = lambda: "optional", list
    monkeypatch.setitem(sys.modules, "wtforms", wtforms)
    monkeypatch.setitem(sys.modules, "wtforms.validators", validators)
    widgets = EcdpHook.get_connection_form_widgets()
    assert {name: label for name, (_, label, _) in widgets.items()} == {
        name: described["label"] for name, described in FORM.items()
    }
    assert {name: kind for name, (kind, _, _) in widgets.items() if kind != "text"} == {
        **dict.fromkeys(("send_match_by", "shared_limits", "allow_http"), "boolean"),
        **dict.fromkeys(("batch_size", "batch_bytes", "max_in_flight"), "integer"),
    }
    assert widgets["matching_mode"][2]["validators"] == ["optional", [None, *MatchBy]]
    assert widgets["allow_http"][2]["default"] is False


def test_airflow_serves_our_labels_to_its_connection_form():
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    (ours,) = [hook for hook in HookMetaService.hook_meta_data() if hook.connection_type == "ecdp"]
    assert ours.hook_name == "ExpertSender CDP"
    assert ours.standard_fields.host.title == "Base URL"
    assert ours.standard_fields.host.placeholder == "https://api.ecdp.app"
    assert ours.standard_fields.password.title == "API key"
    assert ours.standard_fields.login.hidden
    # the Test button of Airflow 3.3 to 3.3.2 needs a port, so the form has to show it
    assert not ours.standard_fields.port.hidden
    assert {name: field["schema"]["title"] for name, field in ours.extra_fields.items()} == {
        name: field["label"] for name, field in FORM.items()
    }


def test_airflow_knows_the_scheme_of_our_assets():
    runtime = pytest.importorskip("airflow.sdk.providers_manager_runtime", reason="Airflow 3.1 asks another manager")
    manager = runtime.ProvidersManagerTaskRuntime()
    assert manager.asset_factories["ecdp"](host="api.ecdp.app").uri == "ecdp://api.ecdp.app/orders"
    assert "ecdp" in manager.asset_uri_handlers
    assert "ecdp" in manager.asset_to_openlineage_converters


def test_airflow_finds_the_hook_by_the_type_of_a_connection(connect):
    from airflow.sdk import BaseHook

    connect("https://api.example.com", conn_id="ecdp_shop")
    assert isinstance(BaseHook.get_hook("ecdp_shop"), EcdpHook)


def test_airflow_knows_the_setting_for_results():
    from airflow.providers_manager import ProvidersManager

    from airflow_provider_ecdp.hooks.version_compat import conf

    # Airflow 3.1 does not read it by itself
    ProvidersManager().initialize_providers_configuration()
    assert conf.get("ecdp", "results_path") == ""
