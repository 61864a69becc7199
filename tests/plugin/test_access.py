"""Who may read a report: those who are logged in to Airflow and may read the DAG; and what a page may do."""

import re

import pytest

KINDS = ["data", "orders", "csv", "history"]
IDS = ["shop/{run}", "shop/{run}/push/-1"]


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("kind", KINDS)
def test_data_need_a_login_and_a_permission(server, kind, ids):
    server.write(server.folder(), ("A", "accepted", None, 0))
    path = f"{kind}/{ids.format(run=server.run)}"
    assert server.get(path, user=None, order_id="A").status_code == 401
    assert server.get(path, user="nobody", role=None, order_id="A").status_code == 403
    answer = server.get(path, order_id="A")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "A" in answer.text


def test_a_cookie_is_a_login_too(server):
    token = server.headers()["Authorization"].removeprefix("Bearer ")
    path = f"/ecdp/data/shop/{server.run}/push/-1"
    server.client.cookies.set("_token", token)
    try:
        assert server.client.get(path).status_code == 200
    finally:
        server.client.cookies.clear()
    assert server.client.get(path).status_code == 401


def test_the_permission_is_asked_before_it_is_said_whether_a_dag_exists(server):
    for dag_id in ("nothing", "shop", "~"):
        assert server.get(f"data/{dag_id}/nothing", user="nobody", role=None).status_code == 403
    task = f"data/shop/{server.run}/push"
    for path in ("data/nothing/nothing", "data/~/nothing", f"data/shop/{server.run}/nothing/-1", "data/shop/~"):
        assert server.get(path).status_code == 404
    for path in (f"{task}/{10**9}", f"{task}/{'9' * 5000}", f"{task}/%00", "data/shop/%00", "report/%00/x"):
        assert server.get(path).status_code == 404, path[:80]


@pytest.mark.parametrize("ids", IDS)
def test_a_page_is_a_shell_without_data(server, ids):
    server.write(server.folder(), ("A-CERTAIN-ORDER", "accepted", None, 0))
    answer = server.client.get(f"/ecdp/report/{ids.format(run=server.run)}")
    assert answer.status_code == 200
    assert not re.search("A-CERTAIN-ORDER|push|shop", answer.text)
    # what it loads is where the page says, relative to its own address
    for name in re.findall(r'(?:href|src)="([^"]+)"', answer.text):
        assert server.client.get(str(answer.url.join(name))).status_code == 200, name


def test_a_page_runs_nothing_but_its_own_files(server):
    answer = server.client.get("/ecdp/report/<script>alert(1)</script>/b")
    assert "alert" not in answer.text
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["frame-ancestors"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in answer.text
    assert "style=" not in answer.text


@pytest.mark.parametrize(
    "name",
    ["../routes.py", "..%2Froutes.py", "%2e%2e/routes.py", "report.html", "/etc/passwd", "%2Fetc%2Fpasswd", ".", ""],
)
def test_no_other_file_is_served(server, name):
    assert server.client.get(f"/ecdp/static/{name}").status_code == 404


def test_nothing_else_answers(server):
    for path in ("/", "/docs", "/redoc", "/openapi.json", "/data", "/orders/shop"):
        assert server.client.get(f"/ecdp{path}", headers=server.headers()).status_code == 404, path
    assert server.client.post(f"/ecdp/data/shop/{server.run}", headers=server.headers()).status_code == 405
