"""What OpenLineage is told of a run, by its own extractor, and which assets have an event."""

import datetime as dt
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.utils.state import TaskInstanceState

from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.assets.ecdp import create_asset
from airflow_provider_ecdp.errors import PushStoppedError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException
from airflow_provider_ecdp.operators.ecdp import EcdpDeleteOrderOperator, EcdpGetOrderOperator
from airflow_provider_ecdp.sample import Sample
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

manager = pytest.importorskip("airflow.providers.openlineage.extractors.manager")

ORDER = {
    "id": "string",
    "date": "string (date-time)",
    "status": "string",
    "currency": "string",
    "totalValue": "number (double)",
    "customer": "object",
    "products": "list of objects",
}


@pytest.fixture(autouse=True)
def connection(sandbox, connect):
    connect(sandbox.url, extra={"max_in_flight": 1})


@pytest.fixture
def extract(tmp_path):
    path = tmp_path / "orders.parquet"
    Sample(orders=10, faulty=1, day=dt.date(2026, 11, 1)).write(path)
    return path


@pytest.fixture
def task(extract):
    def make(**arguments):
        operator = ParquetToEcdpOperator(task_id="push", path=str(extract), **arguments)
        operator.hook = EcdpHook("ecdp_default", policy=RetryPolicy(max_attempts=1))
        return operator

    return make


@pytest.fixture
def lineage(make_context):
    """Run a task, and return what OpenLineage's extractor makes of it, and the events of its outlets."""

    def of(operator, error=None):
        context = make_context() | {"outlet_events": OutletEventAccessors()}
        if error is None:
            operator.execute(context)
        else:
            with pytest.raises(error):
                operator.execute(context)
        state = TaskInstanceState.SUCCESS if error is None else TaskInstanceState.FAILED
        found = manager.ExtractorManager().extract_metadata(
            SimpleNamespace(run_id="run-1"), operator, state, context["ti"]
        )
        return found, context["outlet_events"]

    return of


def names(datasets):
    return [(one.namespace, one.name) for one in datasets]


@pytest.mark.parametrize("error", [None, AirflowFailException])
def test_a_push_shows_the_extract_and_ecdp_with_columns_and_counts_also_where_it_fails(
    lineage, task, extract, sandbox, error
):
    found, _ = lineage(task(max_failed=0 if error else 1), error)
    host = sandbox.url.removeprefix("http://")
    assert names(found.inputs) == [("file", str(extract))]
    (source,), (target,) = found.inputs, found.outputs
    columns = [(field.name, field.type) for field in source.facets["schema"].fields]
    assert columns == [(column.name, str(column.type)) for column in pq.read_schema(extract)]
    assert source.inputFacets["inputStatistics"].rowCount == 10
    assert names([target]) == [(f"ecdp://{host}", "orders")]
    assert {field.name: field.type for field in target.facets["schema"].fields}.items() >= ORDER.items()
    written = target.outputFacets["outputStatistics"]
    (request,) = sandbox.store.requests
    assert (written.rowCount, written.size) == (9, request.size)


def test_a_push_that_failed_shows_what_it_has_written(lineage, task, sandbox):
    found, events = lineage(task(outlets=[create_asset(host="api.ecdp.app")]), AirflowFailException)
    (target,) = found.outputs
    assert names([target]) == [("ecdp://api.ecdp.app", "orders")]
    assert target.outputFacets["outputStatistics"].rowCount == 9
    assert len(found.inputs) == 1
    sandbox.faults = Faults(error_before=1.0)
    found, events = lineage(task(), PushStoppedError)
    assert found.outputs[0].outputFacets["outputStatistics"].rowCount == 0
    assert len(events) == 0


def test_outlets_that_a_dag_declares_are_outputs(lineage, task):
    ours, other = create_asset(host="api.ecdp.app", unit="shop de"), Asset("s3://bucket/copy")
    operator = task(max_failed=1, outlets=[other, ours])
    found, events = lineage(operator)
    assert names(found.outputs) == [("ecdp://api.ecdp.app", "shop%20de/orders"), ("s3://bucket", "copy")]
    assert found.outputs[0].outputFacets["outputStatistics"].rowCount == 9
    assert not getattr(found.outputs[1], "outputFacets", None)
    assert events[ours].extra["accepted"] == 9
    assert operator.outlets == [other, ours]


@pytest.mark.parametrize("settings", [{"dry_run": True}, {"only_changed": True}])
def test_an_outlet_has_no_event_if_nothing_was_accepted(lineage, task, tmp_path, settings):
    ours = create_asset(host="api.ecdp.app")
    settings = {"max_failed": 1, "results_path": str(tmp_path / "results"), **settings}
    if "only_changed" in settings:
        lineage(task(**settings))
    operator = task(**settings, outlets=[ours])
    found, events = lineage(operator)
    # Airflow makes an event of each outlet that a task has when it ends
    assert operator.outlets == []
    assert len(events) == 0
    assert names(found.outputs) == [("ecdp://api.ecdp.app", "orders")]


def test_deletions_by_id_have_an_output_too(lineage, task):
    lineage(task(max_failed=1))
    found, _ = lineage(EcdpDeleteOrderOperator(task_id="delete", order_id=["ORD-00000001", "ORD-00000002"]))
    assert found.inputs == []
    assert found.outputs[0].outputFacets["outputStatistics"].rowCount == 2


def test_an_order_that_is_read_is_an_input(lineage, task, sandbox):
    lineage(task(max_failed=1))
    found, _ = lineage(EcdpGetOrderOperator(task_id="get", order_id="ORD-00000001"))
    assert names(found.inputs) == [(f"ecdp://{sandbox.url.removeprefix('http://')}", "orders")]
    assert found.outputs == []
