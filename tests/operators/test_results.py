from types import SimpleNamespace

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.operators.results import (
    open_ledger,
    open_storage,
    own_folder,
    results_root,
)
from airflow_provider_ecdp.results.folders import history_folder


def instance(**fields):
    given = {"dag_id": "shop.eu", "task_id": "push", "run_id": "run", "map_index": -1, "max_tries": 3}
    return SimpleNamespace(**(given | fields))


def test_each_task_instance_has_a_folder_that_every_storage_takes():
    run_id = "scheduled__2026-11-01T03:00:00+00:00"
    folder = own_folder("s3://conn@bucket/results/", instance(run_id=run_id))
    assert folder == "s3://conn@bucket/results/shop.eu/scheduled__2026-11-01T03%3A00%3A00%2B00%3A00/push/3"


def test_mapped_task_instances_have_folders_of_their_own():
    assert own_folder("/r", instance(map_index=0)) == "/r/shop.eu/run/push/0/3"
    assert own_folder("/r", instance(map_index=None)) == "/r/shop.eu/run/push/3"


def test_clearing_a_task_starts_a_folder_of_its_own_and_a_retry_does_not():
    assert own_folder("/r", instance(max_tries=3, try_number=1)) == own_folder("/r", instance(try_number=2))
    assert own_folder("/r", instance(max_tries=7)) != own_folder("/r", instance())


@pytest.mark.parametrize("root", ["{}", "file://{}"])
@pytest.mark.parametrize("map_index", [-1, 4])
def test_a_cleared_task_that_resumes_takes_its_newest_folder_with_results(tmp_path, root, map_index):
    root, ti = root.format(tmp_path), instance(map_index=map_index)
    assert own_folder(root, ti, resume=True) == own_folder(root, ti)
    for epoch in (1, 3, 10):
        open_ledger(own_folder(root, instance(map_index=map_index, max_tries=epoch))).begin()
    # without results, and of another task instance
    (tmp_path / "shop.eu/run/push/12").mkdir(parents=True)
    open_ledger(own_folder(root, instance(map_index=11, max_tries=20))).begin()
    for current in (3, 15):
        ti = instance(map_index=map_index, max_tries=current)
        assert own_folder(root, ti, resume=True) == own_folder(root, instance(map_index=map_index, max_tries=10))
        assert own_folder(root, ti) == own_folder(root, ti, resume=False)


@pytest.mark.parametrize("text", ["..", ".", "a/../../b", "a*b?[c]", "a b\\c:d"])
def test_no_name_leaves_its_folder_or_is_a_pattern(text):
    (segment,) = own_folder("/r", instance(run_id=text)).removeprefix("/r/shop.eu/").removesuffix("/push/3").split("/")
    assert segment.strip(".")
    assert not set(segment) & set("/*?[]: \\")


def test_two_names_never_share_a_folder():
    names = ["a:b", "a%3Ab", "a_b", "a+b", "a b"]
    assert len({own_folder("/r", instance(run_id=name)) for name in names}) == len(names)


def test_the_history_is_of_a_task_and_a_connection_whatever_the_run():
    assert history_folder("/r", "shop.eu", "push", "ecdp_default") == "/r/shop.eu/push/history/ecdp_default"


def test_the_operators_results_path_goes_before_the_one_in_airflows_settings(monkeypatch):
    assert results_root(None) is None
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", "/from/the/settings")
    assert results_root("") == "/from/the/settings"
    assert results_root("/of/the/operator") == "/of/the/operator"


@pytest.mark.parametrize("url", ["{}", "file://{}"])
def test_a_ledger_is_a_local_folder_or_a_url(tmp_path, url):
    ledger = open_ledger(url.format(tmp_path / "%3A"))
    assert ledger.path == str(tmp_path / "%3A")
    assert not ledger.exists()


def test_a_storage_that_airflow_has_no_file_system_for_is_a_configuration_error():
    with pytest.raises(
        ConfigurationError, match="No filesystem registered for scheme gs; install the Airflow provider"
    ):
        open_storage("gs://bucket/key")


def test_a_path_object_is_taken_too(tmp_path):
    url, path, _ = open_storage(ObjectStoragePath(f"file://{tmp_path}/x.parquet"))
    assert (url, path) == (f"file://{tmp_path}/x.parquet", f"{tmp_path}/x.parquet")


@pytest.mark.parametrize("url", ["s3://KEY:s3/cret@bucket/x", "ftp://shop:s3/cret@host/x", "gs://KEY:s3/cret@bucket"])
def test_a_user_and_password_in_a_url_are_refused_before_airflow_logs_them_as_a_connection(url, caplog):
    with pytest.raises(ConfigurationError, match="does not accept a user and password in a URL") as refused:
        open_storage(url)
    assert "s3/cret" not in str(refused.value) + caplog.text
