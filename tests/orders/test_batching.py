"""The one function that cuts batches, by its properties."""

from __future__ import annotations

import itertools
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import examples

from airflow_provider_ecdp.orders.batching import body, cut, halves, size

check = settings(max_examples=examples(150))

#: The texts of orders, of one byte to many, with characters of several bytes.
TEXTS = st.lists(st.integers(0, 40).map(lambda n: json.dumps("ż" * n, ensure_ascii=False)), min_size=1, max_size=60)


def orders(texts, before=0, after=0):
    """Return the texts as the query gives them, as a slice of a longer batch."""
    whole = ["left out,"] * before + [f"{text}," for text in texts] + ["left out,"] * after
    ids = pa.array([str(i) for i in range(len(whole))], pa.string())
    batch = pa.RecordBatch.from_arrays([ids, pa.array(whole, pa.string())], ["order_id", "json"])
    return batch.slice(before, len(texts))


@st.composite
def streams(draw):
    """Return texts, and the same as chunks that are slices with an offset of their own."""
    texts = draw(TEXTS)
    chunks, start = [], 0
    while start < len(texts):
        end = draw(st.integers(start + 1, len(texts)))
        chunks.append(orders(texts[start:end], draw(st.integers(0, 3)), draw(st.integers(0, 3))))
        start = end
    return texts, chunks


def texts_of(batch):
    return [text.removesuffix(",") for text in batch.column("json").to_pylist()]


def bytes_of(texts):
    return len(",".join(texts).encode())


@check
@given(streams(), st.integers(1, 20), st.integers(1, 300))
def test_batches_in_a_row_are_the_orders(stream, most_orders, most_bytes):
    texts, chunks = stream
    batches = list(cut(chunks, most_orders, most_bytes))
    assert [text for batch in batches for text in texts_of(batch)] == texts
    assert all(len(batch) for batch in batches)


@check
@given(streams(), st.integers(1, 20), st.integers(1, 300))
def test_a_batch_keeps_its_limits_unless_it_is_one_order(stream, most_orders, most_bytes):
    _, chunks = stream
    for batch in cut(chunks, most_orders, most_bytes):
        assert len(batch) <= most_orders
        assert bytes_of(texts_of(batch)) <= most_bytes or len(batch) == 1


@check
@given(streams(), st.integers(1, 20), st.integers(1, 300))
def test_a_batch_is_as_large_as_it_may_be_whatever_the_chunks(stream, most_orders, most_bytes):
    texts, chunks = stream
    batches = [texts_of(batch) for batch in cut(chunks, most_orders, most_bytes)]

    for batch, following in itertools.pairwise(batches):
        assert len(batch) == most_orders or bytes_of([*batch, following[0]]) > most_bytes
    # and so the chunks do not matter
    assert batches == [texts_of(batch) for batch in cut([orders(texts)], most_orders, most_bytes)]


@check
@given(streams(), st.integers(1, 20), st.integers(1, 300))
def test_the_body_is_the_texts_with_commas_between_them(stream, most_orders, most_bytes):
    _, chunks = stream
    for batch in cut(chunks, most_orders, most_bytes):
        expected = ",".join(texts_of(batch))
        assert bytes(body(batch)).decode() == expected
        assert size(batch) == len(expected.encode())
        assert len(json.loads(f"[{expected}]")) == len(batch)


@check
@given(TEXTS.filter(lambda texts: len(texts) > 1), st.integers(0, 3))
def test_halves_are_all_of_the_orders_and_neither_is_empty(texts, before):
    first, second = halves(orders(texts, before))
    assert texts_of(first) + texts_of(second) == texts
    assert len(first)
    assert len(second)


@check
@given(TEXTS.filter(lambda texts: len(texts) > 1), st.integers(0, 3))
def test_halves_are_as_even_in_bytes_as_whole_orders_allow(texts, before):
    first, second = halves(orders(texts, before))
    cuts = [abs(bytes_of(texts[:i]) - bytes_of(texts[i:])) for i in range(1, len(texts))]
    assert abs(size(first) - size(second)) == min(cuts)


def test_halving_ends_with_single_orders():
    pending, single = [orders([str(i) for i in range(37)], before=2)], []
    while pending:
        batch = pending.pop()
        if len(batch) == 1:
            single += texts_of(batch)
        else:
            pending += halves(batch)
    assert sorted(single, key=int) == [str(i) for i in range(37)]


@pytest.mark.parametrize(("most_bytes", "sizes"), [(11, [2, 1]), (10, [1, 1, 1]), (17, [3]), (16, [2, 1])])
def test_the_comma_between_two_orders_counts(most_bytes, sizes):
    # 5 bytes each: with commas between them 11 for two, 17 for three
    batches = list(cut([orders(["11111", "22222", "33333"])], 10, most_bytes))
    assert [len(batch) for batch in batches] == sizes


def test_an_order_that_is_larger_than_a_batch_may_be_goes_alone_between_its_neighbours():
    batches = cut([orders(["1", "2" * 50, "3", "4"])], 10, 20)
    assert [texts_of(batch) for batch in batches] == [["1"], ["2" * 50], ["3", "4"]]


def test_no_orders_are_no_batches():
    assert list(cut([], 10, 10)) == []
    assert list(cut([orders([]), orders([])], 10, 10)) == []


def test_chunks_of_no_orders_between_others_change_nothing():
    batches = cut([orders([]), orders(["1"]), orders([]), orders(["2"]), orders([])], 10, 10)
    assert [texts_of(batch) for batch in batches] == [["1", "2"]]


def test_a_full_batch_is_given_before_the_next_chunk_is_read():
    """Or sending would wait for reading."""
    read = []

    def chunks():
        for i in range(3):
            read.append(i)
            yield orders(["1", "2"])

    stream = cut(chunks(), 2, 100)
    next(stream)
    assert read == [0]


def test_the_body_is_the_columns_own_memory():
    batch = orders(["1", "2"])
    address = batch.column("json").buffers()[2].address
    assert pa.py_buffer(body(batch)).address == address


def test_the_querys_own_batches_can_be_cut(open_orders, table, good):
    source = table(*[good | {"id": str(i)} for i in range(5000)])
    with open_orders(source) as found:
        batches = list(cut(found.read(), 300, 10**6))
        assert [len(batch) for batch in batches] == [300] * 16 + [200]
        ids = [order["id"] for batch in batches for order in json.loads(f"[{bytes(body(batch)).decode()}]")]
    assert ids == [str(i) for i in range(5000)]
