"""What an extract may be for the operator: mapped columns, several tables, partitions; and the dry run."""

import datetime as dt
import json

import duckdb
import pytest
from airflow.sdk import DAG, BaseOperator
from jinja2 import TemplateNotFound

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException, AirflowSkipException
from airflow_provider_ecdp.operators.sharding import summarise
from airflow_provider_ecdp.sample import Sample
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

DAY = dt.date(2026, 11, 1)
MAPPING = {
    "id": "order_no",
    "date": "ordered_at",
    "currency": {"value": "PLN"},
    "totalValue": {"sum": ["price", "qty"]},
    "status": {"column": "state", "map": {"shipped": "completed"}},
    "customer.email": "mail",
    "products.id": "sku",
    "products.name": "title",
    "products.price": "price",
    "products.quantity": "qty",
    "orderAttributes": {"Shipping Method": "ship_method"},
}
LINES = """SELECT * FROM (VALUES
    ('A-1', '2026-07-01T12:00:00Z', 'shipped', 'a@example.com', 'mug', 'Mug', 10.50, 2, 'courier'),
    ('A-2', '2026-07-02T12:00:00Z', 'paid', 'b@example.com', 'pen', 'Pen', 1.25, 4, 'post'),
    ('A-1', '2026-07-01T12:00:00Z', 'shipped', 'a@example.com', 'pen', 'Pen', 1.25, 1, 'courier'))
    AS t(order_no, ordered_at, state, mail, sku, title, price, qty, ship_method)"""


@pytest.fixture(autouse=True)
def connection(sandbox, connect):
    connect(sandbox.url)


@pytest.fixture
def write(tmp_path):
    def copy(name, sql):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        duckdb.sql(f"COPY ({sql}) TO '{path}'")
        return str(path)

    return copy


def operator(**arguments):
    return ParquetToEcdpOperator(task_id="push", **arguments)


def stored(sandbox, order_id):
    return sandbox.store.get(order_id)


# what an extract may be


def check_lines(sandbox):
    first = stored(sandbox, "A-1")
    assert (first["currency"], first["status"], first["totalValue"]) == ("PLN", "Completed", 22.25)
    assert [(p["id"], p["quantity"]) for p in first["products"]] == [("mug", 2), ("pen", 1)]
    assert first["orderAttributes"] == [{"name": "Shipping Method", "value": "courier"}]
    assert stored(sandbox, "A-2")["totalValue"] == 5


def test_order_lines_are_pushed_by_a_mapping_alone(write, context, sandbox):
    xcom = operator(path=write("lines.parquet", LINES), mapping=MAPPING).execute(context)
    assert (xcom["summary"]["total"], xcom["summary"]["accepted"]) == (2, 2)
    check_lines(sandbox)


def test_a_mapping_is_a_json_file_of_the_dag_folder_with_templates(write, context, sandbox, tmp_path):
    (tmp_path / "mapping.json").write_text(json.dumps(MAPPING).replace("PLN", "{{ params.currency }}"))
    with DAG("rendering", schedule=None, template_searchpath=str(tmp_path)):
        task = operator(path=write("lines.parquet", LINES), mapping="mapping.json")
    context["params"] = {"currency": "PLN"}
    task.render_template_fields(context)
    task.execute(context)
    check_lines(sandbox)


def test_a_mapping_of_columns_that_are_not_there_says_which(write, context, sandbox):
    with pytest.raises(AirflowFailException, match="order_nr"):
        operator(path=write("lines.parquet", LINES), mapping=MAPPING | {"id": "order_nr"}).execute(context)
    assert not sandbox.store.requests


def test_several_extracts_are_joined_by_sql(write, context, sandbox):
    orders = write("orders.parquet", f"SELECT DISTINCT order_no, ordered_at, state, mail FROM ({LINES})")
    items = write("items/1.parquet", f"SELECT order_no, sku, title, price, qty FROM ({LINES})")
    sql = """SELECT order_no AS id, any_value(ordered_at) AS date, 'PLN' AS currency, 'paid' AS status,
        sum(price * qty) AS totalValue, {'email': any_value(mail)} AS customer,
        list({'id': sku, 'name': title, 'price': price, 'quantity': qty} ORDER BY sku) AS products
        FROM orders JOIN items USING (order_no) GROUP BY order_no"""
    extracts = {"orders": orders, "items": items.removesuffix("1.parquet")}
    xcom = operator(extracts=extracts, sql=sql, partition_by="order_no").execute(context)
    assert xcom["summary"]["accepted"] == 2
    assert stored(sandbox, "A-1")["totalValue"] == 22.25


def test_the_partitions_that_are_wanted_are_read_and_no_others(context, tmp_path):
    for day in (1, 2, 3):
        path = tmp_path / f"orders/dt=2026-11-0{day}/part-0.parquet"
        path.parent.mkdir(parents=True)
        Sample(orders=10 * day, seed=day, day=DAY).write(path)
    (tmp_path / "orders/dt=2026-11-03/part-0.parquet").write_bytes(b"not looked at")
    with DAG("rendering", schedule=None):
        task = operator(path=str(tmp_path / "orders"), partitions={"dt": "{{ params.day }}"})
    context["params"] = {"day": "2026-11-02"}
    task.render_template_fields(context)
    assert task.execute(context)["summary"]["accepted"] == 20


def test_the_file_of_a_mapping_is_found_in_the_searchpath_of_the_dag_and_not_by_an_absolute_path(context, tmp_path):
    (tmp_path / "orders.json").write_text(json.dumps(MAPPING), "utf-8")
    with DAG("files", schedule=None, template_searchpath=str(tmp_path)):
        found = operator(path="a", mapping="orders.json")
        absolute = ParquetToEcdpOperator(task_id="absolute", path="a", mapping=str(tmp_path / "orders.json"))
    found.render_template_fields(context)
    assert json.loads(found.mapping) == MAPPING
    with pytest.raises(TemplateNotFound):
        absolute.render_template_fields(context)


def test_several_extracts_have_partitions_each_of_its_own(context, sandbox, write, tmp_path):
    for day in ("2026-11-01", "2026-11-02"):
        write(f"items/dt={day}/a.parquet", LINES)
        write(f"orders/dt={day}/a.parquet", f"SELECT 'A-1' AS no, '{day}T12:00:00Z' AS date")
    sql = """SELECT no AS id, any_value(o.date) AS date, 'PLN' AS currency, sum(price * qty) AS total_value,
        {'email': any_value(mail)} AS customer,
        list({'id': sku, 'name': title, 'price': price, 'quantity': qty} ORDER BY sku) AS products
        FROM orders AS o JOIN items ON no = order_no GROUP BY no"""
    extracts = {"orders": str(tmp_path / "orders"), "items": str(tmp_path / "items")}
    with DAG("rendering", schedule=None):
        partitions = {"orders": {"dt": "{{ params.day }}"}, "items": {"dt": ["2026-11-01"]}}
        task = operator(extracts=extracts, partitions=partitions, sql=sql)
    context["params"] = {"day": "2026-11-02"}
    task.render_template_fields(context)
    assert task.execute(context)["summary"]["accepted"] == 1
    assert stored(sandbox, "A-1")["date"].startswith("2026-11-02")
    assert stored(sandbox, "A-1")["totalValue"] == 22.25
    with pytest.raises(AirflowFailException, match=r"orders: there is no partition dt=2026-11-03"):
        operator(extracts=extracts, partitions={"orders": {"dt": "2026-11-03"}}, sql=sql).execute(context)


@pytest.mark.parametrize(
    ("partitions", "message"),
    [
        ({"dt": "1"}, "partitions: there is no extract dt; there are orders, items"),
        ({"item": {"dt": "1"}}, "partitions: there is no extract item; there are orders, items"),
        ({"items": "1"}, "partitions: must be a dict of columns and values for the extract items, not '1'"),
    ],
)
def test_partitions_of_no_extract_are_an_error_of_the_dag_and_of_a_template(partitions, message, context):
    extracts = {"orders": "a", "items": "b"}
    with pytest.raises(ConfigurationError, match=message):
        operator(extracts=extracts, partitions=partitions, sql="SELECT 1")
    task = operator(extracts=extracts, partitions=None, sql="SELECT 1")
    task.partitions = partitions
    with pytest.raises(AirflowFailException, match=message):
        task.execute(context)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give path, or extracts"),
        ({"path": "a", "extracts": {"b": "c"}}, "give path, or extracts"),
        (
            {"path": "a", "sql": "SELECT 1", "mapping": {"id": "id"}},
            "sql and mapping exclude each other; keep one of them",
        ),
        ({"path": "a", "canary": -1}, "canary must be a whole number, 0 or more"),
        ({"path": "a", "on_drift": "stop"}, "on_drift must be ignore, warn or fail"),
    ],
)
def test_parameters_that_do_not_go_together_are_errors_of_the_dag(arguments, message):
    with pytest.raises(ConfigurationError, match=f"ParquetToEcdpOperator push: {message}"):
        operator(**arguments)


# the dry run


@pytest.fixture
def faulty(tmp_path):
    """A file of 40 orders, two of them faulty."""
    path = tmp_path / "faulty.parquet"
    Sample(orders=40, faulty=2, day=DAY).write(path)
    return str(path)


def test_a_dry_run_shows_all_and_sends_nothing(faulty, context, sandbox, tmp_path, capsys):
    results = tmp_path / "results"
    xcom = operator(path=faulty, dry_run=True, max_failed=2, results_path=str(results)).execute(context)
    json.dumps(xcom)
    summary = xcom["summary"]
    assert (summary["dry_run"], summary["total"], summary["invalid"], summary["not_attempted"]) == (True, 40, 2, 38)
    assert sum(problem["count"] for problem in xcom["check"]["problems"]) == 2
    assert xcom["check"]["summary"]["requests"] == 1
    log = capsys.readouterr().out
    assert "38 orders would be sent in 1 request (" in log
    assert '"customer": {"phone": "***", "crmId": "***"}' in log
    assert "sample" not in xcom["check"]
    assert "@example" not in log + json.dumps(xcom)
    assert not sandbox.store.requests
    assert not results.exists()
    # what adds up the results of shards takes that of a dry run too
    assert summarise([xcom, xcom])["summary"]["not_attempted"] == 76


def test_the_progress_of_a_dry_run_counts_invalid_orders_and_no_failed_ones(faulty, context, capsys, monkeypatch):
    monkeypatch.setattr("airflow_provider_ecdp.operators.task_log.PROGRESS_SECONDS", -1)
    operator(path=faulty, dry_run=True, max_failed=2).execute(context)
    log = capsys.readouterr().out
    assert "40 of 40 (100 %) orders checked, 2 invalid" in log
    assert "failed" not in log


def test_a_dry_run_fails_where_the_run_would_have_too_many_invalid_orders(faulty, context):
    with pytest.raises(AirflowFailException, match="dry run: 2 of 40 orders are invalid; the log and"):
        operator(path=faulty, dry_run=True, max_failed=1).execute(context)
    assert context["ti"].xcoms["return_value"]["summary"]["invalid"] == 2


def test_a_dry_run_of_nothing_does_as_the_run_would(context, write):
    empty = write("empty.parquet", f"SELECT * FROM ({LINES}) LIMIT 0")
    with pytest.raises(AirflowSkipException):
        operator(path=empty, mapping=MAPPING, dry_run=True, on_empty="skip").execute(context)


def test_a_dry_run_knows_what_earlier_runs_have_sent(faulty, make_context, tmp_path):
    settings = {"results_path": str(tmp_path / "results"), "only_changed": True, "max_failed": 2}
    operator(path=faulty, **settings).execute(make_context(run_id="first"))
    findings = operator(path=faulty, dry_run=True, **settings).execute(make_context(run_id="second"))
    assert (findings["summary"]["skipped"], findings["summary"]["not_attempted"]) == (38, 0)


def test_airflows_own_dry_run_is_still_a_method(faulty):
    task = operator(path=faulty, dry_run=True)
    assert task.dry_run.__func__ is BaseOperator.dry_run


def test_the_first_orders_alone_stop_the_others_if_one_is_refused(faulty, context, sandbox):
    sandbox.faults = Faults(reject_ids=frozenset({"ORD-00000003"}))
    with pytest.raises(AirflowFailException, match="canary: 1 of the first 5 orders failed"):
        operator(path=faulty, canary=5, max_failed=10).execute(context)
    assert sandbox.store.count() == 4
    assert context["ti"].xcoms["return_value"]["summary"]["not_attempted"] == 33


# other columns than before


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_change_of_columns_that_is_a_failure_needs_something_to_compare_with(faulty, context, sandbox, dry_run):
    with pytest.raises(AirflowFailException, match=r"set results_path, or results_path in the section \[ecdp\]"):
        operator(path=faulty, on_drift="fail", dry_run=dry_run).execute(context)
    assert not sandbox.store.requests


def test_a_mapping_that_reads_other_columns_of_the_same_extract_is_no_change(write, make_context, tmp_path):
    path, results = write("lines.parquet", LINES), str(tmp_path / "results")
    operator(path=path, mapping=MAPPING, results_path=results).execute(make_context(run_id="monday"))
    less = {name: source for name, source in MAPPING.items() if name != "orderAttributes"}
    settings = {"mapping": less, "results_path": results, "on_drift": "fail"}
    assert operator(path=path, **settings).execute(make_context(run_id="tuesday"))["summary"]["accepted"]


def test_a_column_that_has_changed_its_type_is_reported_or_fails_before_anything_is_sent(
    write, make_context, sandbox, tmp_path, caplog
):
    settings = {"mapping": MAPPING, "results_path": str(tmp_path / "results")}
    operator(path=write("monday.parquet", LINES), **settings).execute(make_context(run_id="monday"))
    path = write("tuesday.parquet", f"SELECT * REPLACE (1 AS sku) FROM ({LINES})")
    sent = len(sandbox.store.requests)
    with pytest.raises(AirflowFailException, match="sku was string and is int32"):
        operator(path=path, on_drift="fail", **settings).execute(make_context(run_id="tuesday"))
    assert len(sandbox.store.requests) == sent
    caplog.clear()
    operator(path=path, **settings).execute(make_context(run_id="tuesday"))
    assert "sku was string and is int32" in caplog.text
    caplog.clear()
    operator(path=path, **settings).execute(make_context(run_id="wednesday"))
    assert "sku was" not in caplog.text
