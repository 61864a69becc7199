"""The shape of a mapping: what is read, and what is refused in which words."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.orders.mapping.spec import ColumnMapping, Features, Value
from airflow_provider_ecdp.orders.settings import OrderSettings


def test_every_form_of_a_source_is_read():
    mapping = ColumnMapping.parse(
        {
            "id": "order_no",
            "currency": {"value": "PLN"},
            "totalValue": {"sum": ["price", "quantity"]},
            "returnsValue": {"sum": "refund"},
            "status": {"column": "state", "map": {"Shipped": "completed", 7: "paid"}, "default": "placed"},
            "products": {"order_by": "line_no", "id": "sku", "productAttributes": {"Colour": "colour"}},
            "orderAttributes": {"Source": {"value": "shop"}},
        }
    )
    assert mapping.sources == {
        "id": Value(("order_no",)),
        "currency": Value(default="PLN"),
        "totalValue": Value(("price", "quantity"), summed=True),
        "returnsValue": Value(("refund",), summed=True),
        "status": Value(("state",), changes=(("shipped", "completed"), ("7", "paid")), default="placed"),
        "products.id": Value(("sku",)),
        "products.productAttributes": Features((("Colour", Value(("colour",))),)),
        "orderAttributes": Features((("Source", Value(default="shop")),)),
    }
    assert mapping.order_by == ("line_no",)


@pytest.mark.parametrize("name", ["customer.crmId", "customer.crm_id", "Customer.CRM_ID", "CUSTOMER.CRMID"])
def test_a_field_is_named_in_any_case_with_or_without_underscores(name):
    assert ColumnMapping.parse({name: "c"}).sources == {"customer.crmId": Value(("c",))}


def test_a_dict_in_a_dict_is_a_dotted_name():
    nested = {"customer": {"email": "e", "phone": "p"}, "products": {"id": "sku"}}
    dotted = {"customer.email": "e", "customer.phone": "p", "products.id": "sku"}
    assert ColumnMapping.parse(nested) == ColumnMapping.parse(dotted)


def test_json_text_is_a_mapping_too_and_numbers_keep_their_digits():
    mapping = {"id": "no", "orderAttributes": {"Rate": {"value": 1.50}}}
    text = json.dumps(mapping).replace("1.5", "1.50")
    assert ColumnMapping.parse(text).sources["orderAttributes"] == Features((("Rate", Value(default=Decimal("1.50"))),))


def test_an_unknown_field_is_kept_for_the_one_message_about_all_columns():
    assert ColumnMapping.parse({"id": "no", "customer.mail": "e"}).unknown == ("customer.mail",)


SHAPES = (
    'a column\'s name, {"value": constant}, {"column": name, "map": {from: to}, "default": constant} '
    'or {"sum": column or list of columns}'
)

WRONG = {
    "mapping: must be a dict of field names and their sources, not an empty dict": {},
    "mapping: must be a dict of field names and their sources, not list": ["id"],
    "mapping: not valid JSON: Expecting value at line 1, column 1": "order_no",
    "mapping: must be a dict of field names and their sources, not int": "7",
    "mapping: id appears more than once in one JSON object; keep one of them": '{"id": "a", "id": "b"}',
    "mapping: a field name must be text, not 1": {1: "id"},
    "mapping: totalValue appears twice; keep one of them": {"totalValue": "a", "total_value": "b"},
    f"mapping: id: {SHAPES}, not None": {"id": None},
    f"mapping: id: {SHAPES}, not an empty str": {"id": ""},
    f"mapping: id: {SHAPES}, not list": {"id": ["a", "b"]},
    f"mapping: id: {SHAPES}, not an empty dict": {"id": {}},
    f"mapping: id: const is not an option here; write {SHAPES}": {"id": {"const": 1}},
    f"mapping: id: give exactly one of column, value and sum; write {SHAPES}": {"id": {"column": "a", "value": "b"}},
    "mapping: id: default, map is only for a column": {"id": {"value": "a", "map": {}, "default": 1}},
    "mapping: id: column must be the name of a column, not int": {"id": {"column": 1}},
    "mapping: id: value must be text, a finite number, true or false, not None": {"id": {"value": None}},
    "mapping: id: value must be text, a finite number, true or false, not nan": {"id": {"value": float("nan")}},
    "mapping: id: value must be text, a finite number, true or false, not 1E-9999999": '{"id": {"value": 1e-9999999}}',
    "mapping: id: default must be text, a finite number, true or false, not list": {
        "id": {"column": "a", "default": [1]}
    },
    "mapping: status: map must be a dict of column values and their replacements, not str": {
        "status": {"column": "a", "map": "b"}
    },
    "mapping: status: map: a column value must be text, not None": {"status": {"column": "a", "map": {None: "paid"}}},
    "mapping: status: map: 'PAID' appears more than once, in different case; keys are not case-sensitive": {
        "status": {"column": "a", "map": {"paid": "paid", "PAID": "paid"}}
    },
    "mapping: status: map: x must be text, a finite number, true or false, not an empty dict": {
        "status": {"column": "a", "map": {"x": {}}}
    },
    "mapping: totalValue: sum: must be the name of a column or a list of names, not an empty list": {
        "totalValue": {"sum": []}
    },
    "mapping: products.order_by: must be the name of a column or a list of names, not int": {"products.order_by": 1},
    "mapping: products.price: only totalValue and returnsValue can be a sum over the lines": {
        "products.price": {"sum": "a"}
    },
    "mapping: websiteId: only totalValue and returnsValue can be a sum over the lines": {"websiteId": {"sum": "a"}},
    "mapping: orderAttributes: Total: only totalValue and returnsValue can be a sum over the lines": {
        "orderAttributes": {"Total": {"sum": "a"}}
    },
    "mapping: products.productAttributes: Total: only totalValue and returnsValue can be a sum over the lines": {
        "products": {"productAttributes": {"Total": {"sum": "a"}}}
    },
    "mapping: id: 7.0 has a point or an exponent, and the field is text; write it in quotes": '{"id": {"value": 7.0}}',
    "mapping: customer.crmId: 7.0 has a point or an exponent, and the field is text; write it in quotes": {
        "customer": {"crmId": {"column": "a", "default": 7.0}}
    },
    "mapping: id: 1E+22 has a point or an exponent, and the field is text; write it in quotes": (
        '{"id": {"column": "a", "map": {"x": 1e22}}}'
    ),
    "mapping: the JSON has a number with too many digits, or too many brackets inside each other; write such a number "
    "in quotes": '{"totalValue": {"value": 1e9999999999999999999}}',
    "mapping: id: value has half of a surrogate pair; write whole characters": r'{"id": {"value": "\ud800"}}',
    "mapping: id: map: a column value has half of a surrogate pair; write whole characters": (
        r'{"id": {"column": "a", "map": {"\ud800": "b"}}}'
    ),
    "mapping: orderAttributes: an attribute name has half of a surrogate pair; write whole characters": (
        r'{"orderAttributes": {"\ud800": "a"}}'
    ),
    "mapping: customer: must be the name of a column with the whole object, or a dict of its fields, not int": {
        "customer": 1
    },
    "mapping: orderAttributes: must be the name of a column of attributes, or a dict of attribute names and their "
    "sources, not list": {"orderAttributes": ["a"]},
    "mapping: orderAttributes: name at least one attribute and its source": {"orderAttributes": {}},
    "mapping: orderAttributes: an attribute name must be text, not ''": {"orderAttributes": {"": "a"}},
    f"mapping: orderAttributes: Gift: {SHAPES}, not None": {"orderAttributes": {"Gift": None}},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_shape_is_refused_with_the_form_that_it_should_have(message):
    with pytest.raises(ConfigurationError) as refused:
        ColumnMapping.parse(WRONG[message])
    assert str(refused.value) == message


@pytest.mark.parametrize("value", ["1" * 5000, "[" * 100_000])
def test_json_that_python_cannot_read_is_refused(value):
    with pytest.raises(ConfigurationError, match="mapping: the JSON has a number with too many digits, or too many"):
        ColumnMapping.parse(f'{{"totalValue": {{"value": {value}}}}}')


def test_a_fraction_is_the_value_of_an_attribute():
    mapping = ColumnMapping.parse({"orderAttributes": {"Rate": {"value": 1.5}}})
    assert mapping.sources["orderAttributes"] == Features((("Rate", Value(default=1.5)),))


def test_sql_and_a_mapping_together_are_refused():
    with pytest.raises(ConfigurationError, match="sql and mapping exclude each other; keep one of them"):
        OrderSettings(sql="SELECT 1", mapping={"id": "a"})


def test_settings_refuse_a_mapping_of_a_wrong_shape_before_an_extract_is_opened():
    with pytest.raises(ConfigurationError, match="mapping: id: give exactly one of"):
        OrderSettings(mapping={"id": {"map": {}}})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Value(("a",)), "column a"),
        (Value(("a",), changes=(("x", "y"),)), "column a, its values mapped"),
        (Value(("a",), default=0), "column a, else 0"),
        (Value(("a",), changes=(("x", "y"),), default="z"), "column a, its values mapped, else z"),
        (Value(default="PLN"), "constant PLN"),
        (Value(("a", "b"), summed=True), "sum of a * b over the lines"),
        (Features((("Gift", Value(("g",))), ("Shop", Value(default="x")))), "Gift: column g; Shop: constant x"),
    ],
)
def test_a_source_says_what_it_is(source, words):
    assert str(source) == words
