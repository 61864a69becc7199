"""Results that the API server holds open."""

import threading

import pytest

from airflow_provider_ecdp.plugin.results import open_results
from airflow_provider_ecdp.plugin.results.folders import Place
from airflow_provider_ecdp.plugin.results.open_results import MOST, OpenResults


@pytest.fixture
def clock():
    """Seconds that a test sets."""
    return [1000.0]


@pytest.fixture
def opened(clock):
    cache = OpenResults(clock=lambda: clock[0])
    yield cache
    cache.close()
    assert cache.count == 0


@pytest.fixture
def folder(api_server, tmp_path):
    def make(name):
        api_server.write(tmp_path / name, (name, "accepted", None, 0))
        return [Place(str(tmp_path), (name,))]

    return make


def test_few_stay_open_and_those_that_were_used_last(opened, folder, clock):
    folders = [folder(f"r{i}") for i in range(MOST + 2)]
    held = {}
    for one in folders:
        clock[0] += 1
        with opened.of(one) as results:
            held[one[0]] = results
    assert opened.count == MOST
    for one in folders[-MOST:]:
        with opened.of(one) as results:
            assert results is held[one[0]]
    with opened.of(folders[0]) as results:
        assert results is not held[folders[0][0]]
        assert results.page().total == 1


def test_what_is_in_use_stays_open(opened, folder, clock):
    with opened.of(folder("used")) as results:
        for i in range(MOST + 2):
            with opened.of(folder(f"r{i}")):
                clock[0] += 1000
        assert results.page().total == 1
    assert opened.count <= MOST


def test_what_nobody_asks_for_is_closed(opened, folder, clock):
    with opened.of(folder("a")):
        pass
    clock[0] += 1000
    with opened.of(folder("b")):
        pass
    assert opened.count == 1


def test_files_that_have_come_are_read_soon(opened, folder, api_server, tmp_path, clock):
    with opened.of(folder("a")) as results:
        assert results.page().total == 1
    api_server.write(tmp_path / "a", ("later", "accepted", None, 1), name="b")
    with opened.of([Place(str(tmp_path), ("a",))]) as results:
        assert results.page().total == 1
    clock[0] += 60
    with opened.of([Place(str(tmp_path), ("a",))]) as results:
        assert results.page().total == 2


def test_results_are_opened_once_however_many_ask(opened, folder, monkeypatch):
    made = []

    class Counted(open_results.Results):
        def __init__(self, *arguments, **keywords):
            made.append(self)
            super().__init__(*arguments, **keywords)

    monkeypatch.setattr(open_results, "Results", Counted)
    path, totals, start = folder("a"), [], threading.Barrier(8)

    def ask():
        start.wait()
        with opened.of(path) as results:
            totals.append(results.page().total)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (totals, len(made)) == ([1] * 8, 1)


def test_results_that_cannot_be_opened_are_tried_again(opened, tmp_path, folder, clock):
    from airflow_provider_ecdp.errors import ConfigurationError

    with pytest.raises(ConfigurationError), opened.of([Place(str(tmp_path), ("a",))]):
        pass
    assert opened.count == 0
    folder("a")
    clock[0] += 60
    with opened.of([Place(str(tmp_path), ("a",))]) as results:
        assert results.page().total == 1
