"""A run's summary becomes a message, which a notifier of Airflow sends."""

import json

import pytest
from airflow.providers.http.notifications.http import HttpNotifier

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.hooks.version_compat import AirflowFailException
from airflow_provider_ecdp.notifications.ecdp import EcdpSyncNotifier, unusual_volume
from airflow_provider_ecdp.operators.ecdp import EcdpPushOrdersOperator


class TaskInstance:
    """What the notifier reads of a task instance; the XComs of runs before are in `prior`."""

    dag_id, task_id, run_id, map_index, try_number, max_tries = "shop", "push", "run-1", -1, 1, 0
    log_url = "http://airflow.example.com/log"

    def __init__(self, prior=None):
        self.xcoms, self.prior = {}, prior or {}

    def xcom_push(self, key, value):
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids, map_indexes, key="return_value", include_prior_dates=False):
        assert (task_ids, map_indexes) == ("push", -1)
        return self.xcoms.get(key, self.prior.get(key) if include_prior_dates else None)


@pytest.fixture
def messages():
    return []


@pytest.fixture
def run(sandbox, connect, order, messages):
    """Push orders, good ones and one with a wrong currency for each that is named, and call the notifier."""
    connect(sandbox.url, extra={"max_in_flight": 1})

    def push(*ids, bad=(), prior=None, notifier=None, **arguments):
        orders = [order(i) for i in ids] + [order(i, currency="euro") for i in bad]
        task = EcdpPushOrdersOperator(task_id="push", orders=orders, **arguments)
        context = {"ti": TaskInstance(prior), "dag": None, "task": task}
        try:
            value = task.execute(context)
            context["ti"].xcom_push("return_value", value)
        except AirflowFailException as error:
            context["exception"] = error
        (notifier or EcdpSyncNotifier(messages.append))(context)
        return context["ti"]

    return push


def test_a_run_in_which_nothing_failed_says_nothing_unless_it_is_set_to(run, messages):
    run("A-1")
    assert messages == []
    run("A-1", notifier=EcdpSyncNotifier(messages.append, always=True))
    assert messages[0].splitlines() == [
        "ECDP: shop.push succeeded: 0 of 1 order failed (1 accepted)",
        "Run run-1, log: http://airflow.example.com/log",
    ]


def test_failures_are_reported_with_their_reasons_where_they_are_tolerated_too(run, messages, tmp_path):
    run("A-1", bad=["B-1"], max_failed=1, results_path=str(tmp_path))
    first, reason, path, _ = messages[0].splitlines()
    assert first == (
        "ECDP: shop.push succeeded; its failures were tolerated: 1 of 2 orders failed (1 accepted, 1 invalid)"
    )
    assert reason.startswith("1 x invalid: currency: ")
    assert reason.endswith("(for example order B-1)")
    assert path == f"Outcome of every order: {tmp_path}/shop/run-1/push/0"
    run("A-1", bad=["B-1"])
    assert messages[1].startswith("ECDP: shop.push failed: 1 of 2 orders failed (1 accepted, 1 invalid)\nCorrect ")


def test_a_dry_run_has_a_message_only_if_orders_are_invalid(run, messages):
    run("A-1", "A-2", dry_run=True)
    assert messages == []
    run("A-1", bad=["B-1"], dry_run=True, max_failed=1)
    assert (
        messages.pop().splitlines()[0] == "ECDP: shop.push dry run: 1 of 2 orders would be sent (1 invalid, 0 skipped)"
    )
    run("A-1", bad=["B-1"], dry_run=True)
    assert messages[0].startswith(
        "ECDP: shop.push dry run failed: 1 of 2 orders would be sent (1 invalid, 0 skipped)\n"
    )


def test_a_task_that_failed_before_it_had_a_result_is_reported_with_its_error(run, messages, connect):
    connect("http://no-such-host.example.com", extra={"max_in_flight": 0})
    run("A-1")
    first, action, error, _ = messages[0].splitlines()
    assert first == "ECDP: shop.push failed before it had a result"
    assert action == "Correct a setting of this task, or of connection 'ecdp_default'."
    assert "max_in_flight" in error


def test_a_volume_unlike_that_of_the_last_runs_is_reported(run, messages):
    notifier = EcdpSyncNotifier(messages.append, volume_change="50%")
    usual = run("A-1", "A-2", prior={"ecdp_volumes": [2, 3, 2]}, notifier=notifier)
    assert messages == []
    assert usual.xcoms["ecdp_volumes"] == [2, 3, 2, 2]
    run("A-1", prior={"ecdp_volumes": [4, 4, 4]}, notifier=notifier)
    assert messages[0].splitlines()[1] == "1 order, 75% fewer than usual: the median of the last 3 runs is 4"


def test_a_replay_does_not_count_as_a_volume(run, messages, tmp_path):
    notifier = EcdpSyncNotifier(messages.append, volume_change="50%")
    run("A-1", bad=["B-1"], results_path=str(tmp_path), max_failed=1, notifier=EcdpSyncNotifier())
    replayed = str(tmp_path / "shop" / "run-1" / "push" / "0")
    ti = run("A-1", "B-1", replay_from=replayed, prior={"ecdp_volumes": [500] * 3}, notifier=notifier)
    assert ti.xcoms["return_value"]["summary"]["total"] == 1
    assert messages == []
    assert "ecdp_volumes" not in ti.xcoms
    run("A-1", replay_from="None", prior={"ecdp_volumes": [500] * 3}, notifier=notifier)
    assert "fewer than usual" in messages[0]


@pytest.mark.parametrize(
    ("total", "earlier", "text"),
    [
        (100, [1, 1], None),
        (149, [100] * 3, None),
        (151, [100] * 3, "151 orders, 51% more than usual: the median of the last 3 runs is 100"),
        (0, [100] * 14, "0 orders, 100% fewer than usual: the median of the last 14 runs is 100"),
        (5, [0, 0, 0], "5 orders, more than usual: the median of the last 3 runs is 0"),
        (0, [0, 0, 0], None),
    ],
)
def test_volumes_are_compared_with_the_median(total, earlier, text):
    assert unusual_volume(total, earlier, 0.5) == text


@pytest.mark.parametrize("share", [10, "10", 0.0, "half"])
def test_a_volume_change_that_is_no_share_is_refused(share):
    with pytest.raises(ConfigurationError, match="volume_change must be a share above 0"):
        EcdpSyncNotifier(volume_change=share)


def test_a_notifier_of_airflow_sends_it_and_renders_nothing_that_a_value_says(run, webhook):
    def send(text):
        return HttpNotifier(http_conn_id="webhook", json={"text": text})

    ti = run("A-1", bad=["B-1"], max_failed=1)
    ti.xcoms["return_value"]["reasons"][0]["reason"] = "{{ ti.run_id }} {% raw %} {# no #}"
    EcdpSyncNotifier(send)({"ti": ti, "dag": None})
    (body,) = webhook
    assert body["text"].startswith("ECDP: shop.push succeeded; its failures were tolerated: 1 of 2 orders failed")
    assert "1 x { { ti.run_id }} { % raw %} { # no #} (for example order B-1)" in body["text"]


def test_without_a_way_to_send_it_is_in_the_log(run, capsys):
    run("A-1", bad=["B-1"], max_failed=1, notifier=EcdpSyncNotifier())
    assert "ECDP: shop.push succeeded; its failures were tolerated" in capsys.readouterr().out


def test_what_is_no_notifier_is_refused(run):
    ti = run("A-1")
    with pytest.raises(ConfigurationError, match="must return a notifier of Airflow or None, not int"):
        EcdpSyncNotifier(len, always=True).notify({"ti": ti})
