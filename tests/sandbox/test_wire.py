"""JSON text in, the same digits out, for any JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ecdp.sandbox.wire import dump, holds_non_finite, order_spans, parse_decimal, parse_digits

texts = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
layouts = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}])


@given(values, layouts)
def test_text_that_was_parsed_and_written_says_the_same(value, layout):
    text = json.dumps(value, **layout)

    assert dump(parse_digits(text)) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert json.loads(dump(parse_decimal(text))) == value


@given(st.lists(values, max_size=4), st.dictionaries(texts, values, max_size=3), layouts, st.booleans())
def test_each_element_of_data_is_cut_out_as_it_was_written(orders, others, layout, first):
    batch = {"data": orders} | others if first else others | {"data": orders}
    batch["data"] = orders
    text = f" {json.dumps(batch, **layout)}\r\n\t"

    cut = [text[start:end] for start, end in order_spans(text)]

    assert [json.loads(each) for each in cut] == orders
    assert all(each == each.strip() for each in cut)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ('{"data":[]}', []),
        ('{"mode":"Add"}', []),
        ('{"data":[1.50,{"data":[2]}],"x":{"data":[3]}}', ["1.50", '{"data":[2]}']),
        ('{"data":[1],"data":[2, 3]}', ["2", "3"]),
        ('{"d\\u0061ta":[1]}', ["1"]),
    ],
)
def test_only_data_of_the_top_level_holds_orders(text, cut):
    assert [text[start:end] for start, end in order_spans(text)] == cut


@pytest.mark.parametrize(
    ("body", "holds"),
    [(b'{"a":NaN}', True), (b'{"a":-Infinity}', True), (b'{"a":"NaN Infinity"}', False), (b'{"a":1}', False)],
)
def test_a_token_is_distinguished_from_a_text_of_the_same_letters(body, holds):
    assert holds_non_finite(body) is holds
