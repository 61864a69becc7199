"""The command line on S3: the address and the keys are in the environment, and fsspec does the rest."""

import io
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

SECRET = "made-up-storage-secret"


@pytest.fixture
def bucket(s3, order, monkeypatch):
    """A bucket with two files of orders, which the environment names."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_ACCESS_KEY_ID": "made-up-key-id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    for part in range(2):
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([order(f"A-{part}-{i}") for i in range(20)]), sink)
        s3.files.pipe_file(f"warehouse/orders/dt=2026-11-0{part + 1}/part.parquet", sink.getvalue())
    return s3


@pytest.fixture
def fresh(ecdp):
    """Run a command in this process, which has no storage and no credentials left from the commands before it."""

    def run(*arguments):
        s3fs.S3FileSystem.clear_instance_cache()
        run = ecdp(*arguments)
        assert SECRET not in run.out + run.err
        return run

    yield run
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("path", ["orders/", "orders", "orders/*/*.parquet", "orders/dt=2026-11-0?/"])
def test_a_bucket_is_checked(fresh, path):
    run = fresh("check", f"s3://warehouse/{path}", "--json")
    assert run.code == 0, run.err
    assert run.json["summary"]["total"] == 40


@pytest.mark.slow
def test_a_push_keeps_its_results_on_the_storage_and_goes_on_from_them(bucket, pointed, started, fresh):
    arguments = ("push", "s3://warehouse/orders/", "--results", "s3://warehouse/results", "--json")
    # a process of its own, whose threads and connections end with it
    process = started(*arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert SECRET not in out + err
    assert json.loads(out)["summary"]["accepted"] == pointed.store.count() == 40
    assert [f for f in bucket.files.find("warehouse/results") if f.endswith(".parquet")]
    run = fresh(*arguments)
    assert (run.code, run.json["summary"]["skipped"], run.json["summary"]["requests"]) == (0, 40, 0)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be read: Could not connect to the endpoint URL"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "cannot be read: Unable to locate credentials"),
    ],
    ids=["no-server", "no-keys"],
)
def test_a_storage_that_does_not_answer_is_said_in_one_line(
    bucket, pointed, fresh, tmp_path, monkeypatch, environment, message
):
    bucket.files.get("warehouse/orders/dt=2026-11-01/part.parquet", str(tmp_path / "part.parquet"))
    for name, value in (environment | {"AWS_MAX_ATTEMPTS": "1"}).items():
        monkeypatch.setenv(name, value)
    run = fresh("check", "s3://warehouse/orders/")
    assert (run.code, run.err.count("\n")) == (2, 1), run.err
    assert f"s3://warehouse/orders/: {message}" in run.err
    run = fresh("push", tmp_path / "part.parquet", "--results", "s3://warehouse/results")
    # an outage: the same command can succeed later
    assert (run.code, run.err.count("\n")) == (3, 1), run.err
    assert f"results path s3://warehouse/results {message}" in run.err
    assert pointed.store.count() == 0


def test_a_bucket_that_does_not_exist_is_said_and_not_made(bucket, pointed, ecdp, sample):
    run = ecdp("check", "s3://elsewhere/orders/")
    assert (run.code, run.err) == (2, "ecdp: s3://elsewhere/orders/: no such file or folder\n")
    run = ecdp("push", sample(orders=3), "--results", "s3://elsewhere/results")
    assert run.code == 2
    assert "results path s3://elsewhere/results cannot be written: " in run.err
    assert not bucket.files.exists("elsewhere")
    assert pointed.store.count() == 0


WITHOUT_S3FS = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "s3fs":
            raise ModuleNotFoundError(f"{name} is not installed here")

sys.meta_path.insert(0, Blocker())
from airflow_provider_ecdp.cli import main
sys.exit(main(["check", "s3://warehouse/orders/"]))
"""


def test_a_package_that_is_not_installed_is_named():
    done = subprocess.run([sys.executable, "-c", WITHOUT_S3FS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "ecdp: s3://warehouse/orders/: Install s3fs to access S3\n")
