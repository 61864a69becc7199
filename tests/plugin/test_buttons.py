"""What a report offers to do next, done with Airflow's own API as the page does it."""

import datetime as dt

import pytest


@pytest.fixture
def failed(server):
    """A push in which an order has failed; the report of a user."""
    server.write(server.folder(), ("A", "rejected", "x", 0))
    server.write(server.folder("push_more"), ("A", "rejected", "x", 0))

    def report(task_id="push", role="USER"):
        return server.get(f"data/shop/{server.run}/{task_id}/-1", user="someone", role=role).json()

    return report


def test_who_may_press_a_button(failed):
    for role, may in (("VIEWER", False), ("USER", True), ("OP", True), ("ADMIN", True)):
        report = failed(role=role)
        assert (report["replay"]["allowed"], report["clear"]["allowed"]) == (may, may), role


def test_a_replay_has_the_configuration_and_the_day_of_the_run_that_failed(server, failed):
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    headers = server.headers("someone", "USER")
    runs = []
    for _ in range(2):
        request = failed()["replay"]["request"]
        assert request["conf"] == {"path": "y", "run": "replay", "replay_from": str(server.folder())}
        answer = server.client.post("/api/v2/dags/shop/dagRuns", json=request, headers=headers)
        assert answer.status_code == 200, answer.text
        runs.append(answer.json())
    # the newest first, so that whoever looks next knows
    assert [(one["run_id"], one["state"], one["counts"]) for one in failed()["replays"]] == [
        (run["dag_run_id"], "queued", None) for run in reversed(runs)
    ]
    assert failed("push_more")["replays"] == []
    assert len(server.get(f"data/shop/{server.run}").json().get("replays", [])) == 0
    dates = [dt.datetime.fromisoformat(run["logical_date"]) for run in runs]
    # no two runs of a DAG have one date, and these are of one day
    assert dates == [server.day + dt.timedelta(milliseconds=1), server.day + dt.timedelta(milliseconds=2)]
    for run in runs:
        assert dt.datetime.fromisoformat(run["data_interval_start"]) == server.day
        assert dt.datetime.fromisoformat(run["data_interval_end"]) == server.day + dt.timedelta(days=1)
    with create_session() as session:
        for run in session.query(DagRun).filter(DagRun.run_id.in_([run["dag_run_id"] for run in runs])):
            session.delete(run)


def test_a_dag_that_takes_no_replay_gets_the_lines_to_add(failed):
    replay = failed("push_more")["replay"]
    assert "request" not in replay
    assert 'replay_from="{{ params.replay_from }}"' in replay["paste"]


def test_the_page_says_whether_the_next_run_sends_them_anyway(failed):
    assert (failed("push")["retry_failed"], failed("push_more")["retry_failed"]) == (False, True)


@pytest.mark.parametrize(
    ("task_id", "effect"),
    [("push", "sends every order of the extract again"), ("push_more", "that its results do not list as accepted")],
)
def test_a_task_is_cleared_and_the_page_says_what_that_sends(server, failed, task_id, effect):
    clear = failed(task_id)["clear"]
    assert effect in clear["effect"]
    request = {**clear["request"], "dry_run": True}
    path = "/api/v2/dags/shop/clearTaskInstances"
    answer = server.client.post(path, json=request, headers=server.headers("someone", "USER"))
    assert answer.status_code == 200, answer.text
    assert [one["task_id"] for one in answer.json()["task_instances"]] == [task_id]
    assert server.client.post(path, json=request, headers=server.headers()).status_code == 403


def test_one_mapped_task_is_cleared_alone(server):
    report = server.get(f"data/shop/{server.run}/push_shards/1").json()
    assert report["clear"]["request"]["task_ids"] == [["push_shards", 1]]


def test_a_dag_run_is_replayed_where_its_results_are_of_one_task(server):
    path = f"data/shop/{server.run}"
    assert "replay" not in server.get(path).json()
    server.write(server.folder(), ("A", "rejected", "x", 0))
    report = server.get(path, user="someone", role="USER").json()
    assert report["replay"]["request"]["conf"]["replay_from"] == str(server.folder())
    assert report["replay"]["allowed"]
    server.write(server.folder("push_more"), ("A", "rejected", "x", 0))
    assert "replay" not in server.get(path).json()


def test_a_replay_of_mapped_tasks_reads_all_their_results(server):
    for index in range(2):
        server.write(server.folder("push_shards", index), (f"A-{index}", "rejected", "x", 0))
    folder = server.folder("push_shards", 0).parents[1]
    replay = server.get(f"data/shop/{server.run}").json()["replay"]
    assert replay["conf"]["replay_from"] == str(folder)
    assert not replay["allowed"]
    later = server.day + dt.timedelta(days=1)
    server.add_run("later", later, {"replay_from": f"{folder}/"})
    server.push_xcom({"summary": {"total": 2, "accepted": 1, "rejected": 1}}, "push_shards", 0, run_id="later")
    for path in (f"shop/{server.run}", f"shop/{server.run}/push_shards/1"):
        (one,) = server.get(f"data/{path}").json()["replays"]
        assert (one["run_id"], one["state"]) == ("later", "success")
        assert {outcome: count for outcome, count in one["counts"].items() if count} == {"accepted": 1, "rejected": 1}
