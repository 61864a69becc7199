"""The table of settings: what a kind takes, and that everything which takes settings reads the table."""

from __future__ import annotations

import ast
import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ecdp.api.settings import ClientSettings
from airflow_provider_ecdp.by_id.settings import ChangeRowSettings, ChangeSettings, DeletionSettings
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.get_provider_info import get_provider_info
from airflow_provider_ecdp.orders.settings import OrderOptions, OrderSettings
from airflow_provider_ecdp.push.settings import PushOptions, PushSettings
from airflow_provider_ecdp.settings import (
    Kind,
    boolean,
    build,
    choice,
    duration,
    mapping,
    number,
    settings_of,
    text,
    whole,
)

PACKAGE = Path(__file__).parents[1] / "airflow_provider_ecdp"

TABLES = (ClientSettings, OrderSettings, PushSettings, ChangeRowSettings, ChangeSettings, DeletionSettings)

EVERY = [pytest.param(one, id=f"{table.__name__}.{one.name}") for table in TABLES for one in settings_of(table)]

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.dates(),
    st.just(Path("x")),
    st.sampled_from(["{", "[", "[1", "{'a': 1}", "1e400", "0x1", "None", "\x00", "[[]]"]),
)


@pytest.mark.parametrize("one", EVERY)
def test_the_help_is_one_sentence_and_the_default_is_a_value_of_its_kind(one):
    assert one.help[0].isupper()
    assert not one.help.endswith(".")
    assert "\n" not in one.help
    parsed = one.parse(None)
    # what is parsed is not parsed into something else
    assert one.parse(parsed) == parsed


@pytest.mark.parametrize("one", EVERY)
def test_whatever_a_template_gives_is_a_value_or_one_message(one):
    @given(ANYTHING)
    def law(value):
        try:
            parsed = one.read(value)
        except ConfigurationError as error:
            message = str(error)
        else:
            assert one.read(parsed) == parsed
            return
        assert message.startswith(one.name)

    law()


@pytest.mark.parametrize(
    ("kind", "value", "parsed"),
    [
        (whole(), "10", 10),
        (whole(), 10.0, 10),
        (boolean(), "False", False),
        (boolean(), " yes ", True),
        (boolean(), 0, False),
        (number(), "0.5", 0.5),
        (choice(("email", "crmId")), "CRM_ID", "crmId"),
        (duration(), 90, 90.0),
        (duration(), "90", 90.0),
        (duration(), "90m", 5400.0),
        (duration(), "1h 30m", 5400.0),
        (duration(), "2H", 7200.0),
        (duration(), "1d", 86400.0),
        (duration(), dt.timedelta(minutes=1), 60.0),
    ],
)
def test_values_are_taken_as_templates_and_people_write_them(kind, value, parsed):
    assert kind.read(value) == parsed
    assert type(kind.read(value)) is type(parsed)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (whole(least=1), 0, "must be a whole number, 1 or more, not 0"),
        (whole(least=1, most=64), "65", "must be a whole number, 1 to 64, not '65'"),
        (whole(), True, "must be a whole number, 0 or more, not True"),
        (whole(), 1.5, "must be a whole number, 0 or more, not 1.5"),
        (number("seconds"), float("nan"), "must be a number of seconds above 0, not nan"),
        (boolean(), "perhaps", "must be true or false, not 'perhaps'"),
        (boolean(), None, "must be true or false, not None"),
        (choice(("email", "phone", "crmId")), "mail", "must be email, phone or crmId, not 'mail'"),
        (duration(), "2 fortnights", "must be a time above 0: a number of seconds, or text such as 90m or 1h 30m, not"),
        (duration(), "0m", "must be a time above 0"),
        (text(), 7, "must be text, not 7"),
        (mapping("a dict"), "[" * 100_000, "must be a dict, not '[["),
    ],
)
def test_what_is_wrong_the_rule_and_the_value_are_one_sentence(kind: Kind, value, message):
    with pytest.raises(ConfigurationError) as raised:
        kind.read(value)
    assert str(raised.value).startswith(message)


def test_settings_are_parsed_when_they_are_made():
    settings = build(PushSettings, {"batch_size": "7", "mode": "add", "max_failed": "1%", "canary": None, "other": 1})
    assert settings == PushSettings(batch_size=7, mode="Add", max_failed=0.01)
    with pytest.raises(ConfigurationError, match="batch_size must be a whole number, 1 or more, not 'many'"):
        build(PushSettings, {"batch_size": "many"})


def test_options_by_keyword_are_the_settings_of_their_class():
    of_orders = {one.name for one in settings_of(OrderSettings)}
    assert OrderOptions.__annotations__.keys() == of_orders
    # the client's, which is made before
    of_pushes = {one.name for one in settings_of(PushSettings)} - {"max_in_flight"}
    assert PushOptions.__annotations__.keys() == of_pushes


def test_the_form_of_the_connection_has_the_limits_of_the_table():
    (kind,) = get_provider_info()["connection-types"]
    form = kind["conn-fields"]
    found = {one.name: one for table in (ClientSettings, PushSettings) for one in settings_of(table)}
    for name in form.keys() & found.keys():
        schema, one = form[name]["schema"], found[name].kind
        assert (schema.get("minimum"), schema.get("maximum")) == (one.least, one.most), name


def test_no_default_is_written_twice():
    """A number or a text that is a default is written once, in the table; elsewhere it is read from there."""
    distinctive = {200, 500, 1000, 4_000_000, "256MB"}
    places = {
        (path.relative_to(PACKAGE).as_posix(), value)
        for path in PACKAGE.rglob("*.py")
        for value in _defaults(ast.parse(path.read_text(encoding="utf-8")))
        if value in distinctive
    }
    assert places == {
        # how many tries the client has in reserve, which is another number
        ("api/governor/quota.py", 500),
    }


def _defaults(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            found = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            yield from (default.value for default in found if isinstance(default, ast.Constant))
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant):
            yield node.value.value


def test_settings_load_neither_arrow_nor_the_engine_nor_a_client():
    modules = ["settings", *(f"{part}.settings" for part in ("api", "orders", "ledger", "runs", "push", "by_id"))]
    imports = "; ".join(f"import airflow_provider_ecdp.{module}" for module in modules)
    code = f"import sys; {imports}; print(sorted({{'pyarrow', 'duckdb', 'requests', 'airflow'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
