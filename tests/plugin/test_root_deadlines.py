"""A storage that does not answer delays no report, and is not asked again at once."""

import threading

import pytest

from airflow_provider_ecdp.errors import ConfigurationError, StorageError
from airflow_provider_ecdp.plugin.results import folders
from airflow_provider_ecdp.plugin.results.root_deadlines import RootDeadlines

SILENT = "s3://aws_default@silent/results"


class Storage:
    """Roots, of which one does not answer until it is told to."""

    def __init__(self):
        self.asked, self.answer = [], threading.Event()
        self.error = None

    def ask(self, root):
        self.asked.append(root)
        if root == SILENT:
            self.answer.wait()
        if self.error is not None:
            raise self.error
        return f"files of {root}"

    def end(self):
        """Let all calls end, and return how many there were."""
        self.answer.set()
        for thread in threading.enumerate():
            if thread.name == "ecdp-results":
                thread.join()
        return len(self.asked)


@pytest.fixture
def storage():
    storage = Storage()
    yield storage
    storage.answer.set()


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def impatient(now):
    """Deadlines that no storage meets which does not answer at once."""
    return RootDeadlines(seconds=0, clock=lambda: now[0])


def test_each_root_has_its_answer_or_its_error(storage):
    deadlines = RootDeadlines(seconds=600)
    assert deadlines.of_each(["/a", "/b"], storage.ask) == ["files of /a", "files of /b"]
    assert deadlines.of_each([], storage.ask) == []
    storage.error = ConfigurationError("no such bucket")
    assert deadlines.of_each(["/a"], storage.ask) == [storage.error]
    storage.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        deadlines.of_each(["/a"], storage.ask)


def test_a_root_that_does_not_answer_is_named_and_not_asked_again_at_once(storage, impatient, now):
    for _ in range(2):
        (error,) = impatient.of_each([SILENT], storage.ask)
        assert isinstance(error, StorageError)
        assert f"{SILENT} did not answer within 0 s" in str(error)
    now[0] = 31.0
    assert isinstance(impatient.of_each([SILENT], storage.ask)[0], StorageError)
    assert storage.end() == 2


def test_a_root_that_answers_late_is_asked_again(storage, impatient):
    impatient.of_each([SILENT], storage.ask)
    storage.end()
    impatient.of_each([SILENT], storage.ask)
    assert storage.end() == 2


def test_a_late_error_is_not_shown_to_readers_of_other_dags(storage, impatient):
    storage.error = StorageError(f"{SILENT}/secret/run-1 cannot be read: connection refused")
    impatient.of_each([SILENT], storage.ask)
    storage.end()
    (error,) = impatient.of_each([SILENT], storage.ask)
    assert ("did not answer" in str(error), "secret" in str(error)) == (True, False)
    assert storage.end() == 1


def test_a_root_that_does_not_answer_hides_no_other(server, storage, impatient, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_ROOTS", SILENT)
    server.write(server.folder(), ("A", "rejected", "x", 0))
    impatient.of_each([SILENT], storage.ask)
    # the other root has time enough, and this one is known not to answer
    impatient._seconds = 600
    monkeypatch.setattr(folders, "deadlines", impatient)
    report = server.get(f"data/shop/{server.run}").json()
    assert report["source"] == "results"
    assert f"Some of the results cannot be read: {SILENT} did not answer" in report["notes"][0]["text"]
    assert server.get(f"data/shop/{server.run}/push/-1").json()["notes"] == []
    for ids in (f"shop/{server.run}/push/-1", f"shop/{server.run}"):
        assert server.get(f"orders/{ids}").json()["total"] == 1
        assert [row["order_id"] for row in server.get(f"history/{ids}", order_id="A").json()["rows"]] == ["A"]
    monkeypatch.setenv("AIRFLOW__ECDP__RESULTS_PATH", "")
    answer = server.get(f"orders/shop/{server.run}")
    assert (answer.status_code, "did not answer" in answer.json()["detail"]) == (503, True)
