"""Warehouses' extracts and the documentation's examples."""

from __future__ import annotations

import json
import re

import pytest

from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator


@pytest.fixture
def sandbox(emptied_sandbox):
    return emptied_sandbox


@pytest.fixture
def bucket(tmp_path):
    """A folder in the place of the bucket of the documentation."""
    return tmp_path / "warehouse"


@pytest.fixture
def operator(bucket):
    """Make the operator of an example, for the day of the run and with paths in the folder."""
    from warehouse_pages import blocks
    from warehouse_shop import DAY

    def make(page, example):
        code, buckets = re.subn(r'"(?:s3|gs)://\w+@warehouse/', f'"{bucket}/', blocks(page, "python")[example])
        assert buckets
        made = eval(code, {"ParquetToEcdpOperator": ParquetToEcdpOperator})  # noqa: S307 - a page of ours
        made.render_template_fields({"ds": DAY})
        return made

    return make


@pytest.fixture
def arrived(sandbox):
    """The orders that the sandbox holds, by id; numbers are their texts."""

    def read():
        texts = {order_id: sandbox.store.raw(order_id) for order_id in sandbox.store.ids()}
        return {i: json.loads(text, parse_float=str, parse_int=str) for i, text in texts.items()}

    return read


@pytest.fixture
def pushed(sandbox, connect, context, operator, arrived):
    """Push with an example of a page; return the orders that arrived."""

    def run(page, example):
        connect(sandbox.url)
        result = operator(page, example).execute(context)
        assert result["summary"]["accepted"] == result["summary"]["total"]
        # the phone of the shop's first customer has spaces
        assert set(result["warnings"]) <= {"phone_spaces"}
        return arrived()

    return run
