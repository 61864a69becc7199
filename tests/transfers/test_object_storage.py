"""The operator on S3, as users set it up: Airflow's provider and connection, s3fs, and a server that speaks S3."""

import io
import traceback

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ecdp.api.retry import RetryPolicy
from airflow_provider_ecdp.errors import ExtractError, PushStoppedError
from airflow_provider_ecdp.hooks.ecdp import EcdpHook
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException
from airflow_provider_ecdp.sandbox.faults import Faults
from airflow_provider_ecdp.transfers.parquet_to_ecdp import ParquetToEcdpOperator

ORDERS = "s3://aws_default@warehouse/orders"
RESULTS = "s3://aws_default@warehouse/ecdp-results"


@pytest.fixture(autouse=True)
def connection(sandbox, connect, s3):  # noqa: ARG001 - Airflow's connection is made by it
    connect(sandbox.url, extra={"max_in_flight": 1})


@pytest.fixture
def put(s3, order):
    """Put orders with these numbers into a file of the bucket."""

    def write(key, numbers, **fields):
        rows = [order(f"A-{number}", **fields) for number in numbers]
        write_table(s3, key, pa.Table.from_pylist(rows))

    return write


def write_table(s3, key, table):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    s3.files.pipe_file(f"warehouse/{key}", sink.getvalue())


def operator(path=f"{ORDERS}/", **arguments):
    made = ParquetToEcdpOperator(task_id="push", path=path, batch_size=10, **arguments)
    made.hook = EcdpHook("ecdp_default", policy=RetryPolicy(max_attempts=1))
    return made


def written(s3, folder):
    """Return order ids and outcomes of the ledger in a folder of the bucket, in the order of its files."""
    found = []
    for file in sorted(s3.files.find(folder)):
        if file.endswith(".parquet"):
            found += pq.read_table(io.BytesIO(s3.files.cat_file(file))).to_pylist()
    return [(row["order_id"], row["outcome"]) for row in found]


# reading


@pytest.mark.parametrize("path", ["", "/", "/2026-11-01/*.parquet", "/2026-11-??/part-[01].parquet"])
def test_a_folder_or_a_glob_of_a_bucket_is_pushed(s3, put, sandbox, context, path):
    put("orders/2026-11-01/part-0.parquet", range(20))
    put("orders/2026-11-01/part-1.parquet", range(20, 40))
    s3.files.pipe_file("warehouse/orders/2026-11-01/_SUCCESS", b"")
    assert operator(ORDERS + path).execute(context)["summary"]["accepted"] == sandbox.store.count() == 40


def test_a_file_of_a_bucket_is_pushed(put, sandbox, context):
    put("orders/one.parquet", range(3))
    assert operator(f"{ORDERS}/one.parquet").execute(context)["summary"]["accepted"] == sandbox.store.count() == 3


def test_partitions_of_a_bucket_are_chosen_and_are_columns(put, sandbox, context):
    for day in (1, 2, 3):
        put(f"orders/dt=2026-11-0{day}/part.parquet", range(day * 10, day * 10 + day))
    columns = "id, date, totalValue, customer, products"
    sql = f"SELECT {columns}, [{{'name': 'Day', 'value': dt::VARCHAR}}] AS orderAttributes FROM extract"
    operator(partitions={"dt": "2026-11-02"}, sql=sql).execute(context)
    assert sandbox.store.count() == 2
    assert sandbox.store.get("A-21")["orderAttributes"] == [{"name": "Day", "value": "2026-11-02"}]


def test_several_extracts_of_a_bucket_are_joined(s3, put, sandbox, context):
    put("orders/part.parquet", range(4))
    write_table(s3, "crm/members.parquet", pa.table({"id": ["A-1", "A-3"], "crm_id": ["C-1", "C-3"]}))
    sql = """SELECT o.id, date, totalValue, {'email': customer.email, 'crmId': crm_id} AS customer, products
    FROM orders o JOIN members USING (id)"""
    extracts = {"orders": f"{ORDERS}/", "members": "s3://warehouse/crm/*.parquet"}
    operator(None, extracts=extracts, object_storage_conn_id="aws_default", sql=sql).execute(context)
    assert sandbox.store.count() == 2
    assert sandbox.store.get("A-3")["customer"]["crmId"] == "C-3"


def test_the_connection_of_the_storage_is_a_parameter_or_in_the_url(s3, put, sandbox, make_context, monkeypatch):
    put("orders/part.parquet", range(2))
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", s3.connection())
    # the default connection must not be asked
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    operator("s3://warehouse/orders/", object_storage_conn_id="lake").execute(make_context())
    operator("s3://lake@warehouse/orders/").execute(make_context())
    path = ObjectStoragePath("s3://warehouse/orders/", conn_id="lake")
    made = operator()
    made.path = path
    made.execute(make_context())
    assert sandbox.store.total_writes() == 6


def test_a_file_that_came_since_the_last_reading_is_seen(put, make_context):
    put("orders/part-0.parquet", range(2))
    operator().execute(make_context())
    put("orders/part-1.parquet", range(2, 4))
    assert operator().execute(make_context())["summary"]["total"] == 4


def test_no_more_is_read_than_the_columns_that_are_used(s3, monkeypatch):
    import s3fs.core

    from airflow_provider_ecdp.orders.sources.parquet import ParquetSource

    read = []
    fetch = s3fs.core.S3File._fetch_range
    monkeypatch.setattr(
        s3fs.core.S3File, "_fetch_range", lambda file, start, end: read.append(end - start) or fetch(file, start, end)
    )
    wide = pa.array([f"{number:0500}" for number in range(10_000)])
    write_table(s3, "wide.parquet", pa.table({"id": pa.array(range(10_000)), "a": wide, "b": wide}))
    size = s3.files.size("warehouse/wide.parquet")
    rows = sum(map(len, ParquetSource.open("warehouse/wide.parquet", filesystem=s3.files).batches(["id"])))
    assert (rows, sum(read) < size / 2) == (10_000, True)


# results


def test_outcomes_are_kept_on_the_storage(s3, put, sandbox, context):
    put("orders/part.parquet", range(40))
    sandbox.faults = Faults(reject_ids=frozenset({"A-7"}))
    xcom = operator(results_path=RESULTS, max_failed=1).execute(context)
    folder = xcom["results_path"]
    assert folder.startswith(f"{RESULTS}/shop/")
    outcomes = dict(written(s3, folder.replace("s3://aws_default@", "")))
    outcomes.pop(None, None)
    assert (len(outcomes), outcomes["A-7"], outcomes["A-8"]) == (40, "rejected", "accepted")


def test_a_retry_goes_on_from_the_results_on_the_storage(put, sandbox, make_context):
    put("orders/part.parquet", range(40))
    # a redirect is not tried again by the client, which makes this test fast
    sandbox.faults = Faults(error_before=1, error_statuses=(302,), first_request=3)
    with pytest.raises(PushStoppedError):
        operator(results_path=RESULTS).execute(make_context())
    assert sandbox.store.total_writes() == 20
    sandbox.faults = Faults()
    summary = operator(results_path=RESULTS).execute(make_context(try_number=2))["summary"]
    assert (summary["accepted"], summary["requests"]) == (40, 2)
    assert sandbox.store.total_writes() == 40


def test_only_what_has_changed_since_earlier_runs_is_sent(put, sandbox, make_context):
    put("orders/part-0.parquet", range(4))
    put("orders/part-1.parquet", range(4, 6))
    operator(results_path=RESULTS, only_changed=True).execute(make_context(run_id="first"))
    put("orders/part-1.parquet", range(4, 6), totalValue=99.5)
    summary = operator(results_path=RESULTS, only_changed=True).execute(make_context(run_id="second"))["summary"]
    assert (summary["accepted"], summary["skipped"]) == (2, 4)
    assert sandbox.store.get("A-5")["totalValue"] == 99.5


def test_what_a_run_left_rejected_is_replayed_from_the_storage(put, sandbox, make_context):
    put("orders/part.parquet", range(6))
    sandbox.faults = Faults(reject_ids=frozenset({"A-2"}))
    first = operator(results_path=RESULTS, max_failed=1).execute(make_context(run_id="first"))
    sandbox.faults = Faults()
    again = operator(results_path=RESULTS, replay_from=first["results_path"]).execute(make_context(run_id="again"))
    assert (again["summary"]["total"], again["summary"]["accepted"]) == (1, 1)


# what goes wrong


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s3://aws_default@warehouse/nothing/", r"(?m)^s3://warehouse/nothing: no such file or folder"),
        ("s3://aws_default@warehouse/orders/*.csv", "no file matches"),
        ("s3://aws_default@warehouse/text/", "no Parquet file in this folder"),
        ("s3://aws_default@elsewhere/orders/", "no such file or folder"),
        ("gs://warehouse/orders/", "No filesystem registered for scheme gs; install the Airflow provider"),
    ],
)
def test_what_cannot_be_read_is_named(s3, put, context, path, message):
    put("orders/part.parquet", range(2))
    s3.files.pipe_file("warehouse/text/readme.txt", b"text")
    with pytest.raises(AirflowFailException, match=message) as raised:
        operator(path).execute(context)
    shown = "".join(traceback.format_exception(raised.value))
    assert "made-up-storage-secret" not in shown
    assert shown.count("Traceback") == 1


def test_results_that_cannot_be_written_stop_the_run_before_it_sends(put, sandbox, context):
    put("orders/part.parquet", range(2))
    with pytest.raises(AirflowFailException, match=r"results path .* cannot be written") as raised:
        operator(results_path="s3://aws_default@elsewhere/results").execute(context)
    assert "made-up-storage-secret" not in "".join(traceback.format_exception(raised.value))
    assert sandbox.store.count() == 0


def test_a_key_that_the_storage_refuses_is_reported_and_tried_again(s3, context, monkeypatch):
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the name that the server calls

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        # Airflow keeps the file system of a connection, so this one has a name of its own
        monkeypatch.setenv("AIRFLOW_CONN_REFUSED", s3.connection(extra={"endpoint_url": url}))
        try:
            # Airflow tries again: a role may not have been assumed yet
            with pytest.raises(ExtractError, match=r"(?m)^s3://warehouse/orders: cannot be read: Forbidden") as raised:
                operator("s3://refused@warehouse/orders/").execute(context)
        finally:
            server.shutdown()
    shown = "".join(traceback.format_exception(raised.value))
    assert "made-up-storage-secret" not in shown
    # that of the storage's client is not told too
    assert shown.count("Traceback") == 1
