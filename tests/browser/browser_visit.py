"""Somebody at Airflow's pages: what they click, type and wait for, in the words that the pages show."""

from __future__ import annotations

import json
from contextlib import contextmanager

from playwright.sync_api import expect, sync_playwright

#: Chromium asks for nothing from the internet.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

WIDE, NARROW = (1440, 1000), (390, 844)

#: Milliseconds until something that a page loads is there; the machine may be busy.
PATIENCE = 60_000


@contextmanager
def visit(chromium, profile, url, password, pictures):
    """Open a browser of its own, and log in as Airflow's first user."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=chromium,
            headless=True,
            args=list(FLAGS),
            viewport=size(WIDE),
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        visitor = Visitor(context.new_page(), url, pictures)
        try:
            visitor.log_in("admin", password)
            yield visitor
        except Exception:
            visitor.page.screenshot(path=str(pictures / "failed.png"))
            raise
        finally:
            context.close()


def size(width_and_height):
    width, height = width_and_height
    return {"width": width, "height": height}


class Visitor:
    """A person at one page of Airflow."""

    def __init__(self, page, url, pictures):
        self.page, self.url, self.pictures = page, url, pictures
        #: what the page's own script has complained about
        self.complaints = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda one: self.complain(one) if one.type == "error" else None)

    def complain(self, message):
        if "/ecdp/" in (message.location or {}).get("url", "") or "Content Security" in message.text:
            self.complaints.append(message.text)

    def go(self, path):
        self.page.goto(f"{self.url}/{path}", wait_until="domcontentloaded")

    def log_in(self, user, password):
        self.go("auth/login")
        self.page.fill("input[name=username]", user)
        self.page.fill("input[type=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda url: "login" not in url)

    # a connection

    def add_connection(self, connection_id, host, port, key):
        self.go("connections")
        self.page.get_by_role("button", name="Add Connection").click()
        form = self.page.get_by_role("dialog")
        form.get_by_label("Connection ID").fill(connection_id)
        form.get_by_role("combobox").fill("ExpertSender")
        self.page.get_by_role("option", name="ExpertSender CDP").click()
        form.locator("input[name=host]").fill(host)
        form.locator("input[name=password]").fill(key)
        form.locator("input[name=port]").fill(str(port))
        self.picture("connection-form")
        form.get_by_role("button", name="Save").click()
        expect(form).to_be_hidden()

    def test_connection(self, connection_id):
        row = self.page.get_by_role("row").filter(has_text=connection_id)
        test = row.get_by_role("button", name="Test Connection")
        with self.page.expect_response("**/connections/test") as answer:
            test.click()
        expect(test.locator("svg[color=red], svg[color=green]")).to_be_visible()
        tested = answer.value.json()
        self.picture("connection-tested")
        return tested.get("status") and test.locator("svg[color=green]").is_visible(), tested.get("message", tested)

    # a run

    def trigger(self, dag_id, parameters):
        """Trigger a DAG by its form, and return the id of the run."""
        self.go(f"dags/{dag_id}")
        self.page.get_by_role("button", name="Trigger").first.click()
        form = self.page.get_by_role("dialog")
        for name, value in parameters.items():
            field = form.locator(f"[name=element_{name}]")
            field.fill(value)
            field.blur()
        self.picture("trigger-form")
        with self.page.expect_response(
            lambda one: one.request.method == "POST" and one.url.endswith("/dagRuns")
        ) as made:
            form.get_by_role("button", name="Trigger").click()
        return made.value.json()["dag_run_id"]

    # the report

    def open_report(self, dag_id, run_id, task_id):
        """Open the tab of a task instance, and return the report inside it."""
        self.go(f"dags/{dag_id}/runs/{run_id}/tasks/{task_id}")
        self.page.get_by_role("link", name="Sync report").click()
        return self.report()

    def report(self, *, framed=True):
        """Wait for the report, in the frame of its tab or as a page of its own, and return it."""
        report = self.page.frame_locator("iframe") if framed else self.page
        expect(report.locator("h1")).to_be_visible()
        # the table of orders comes after the report
        expect(report.locator("[aria-busy]")).to_have_count(0)
        return report

    def find_order(self, report, text):
        """Search the table of orders, and return its rows."""
        search = report.get_by_label("Search order ids and reasons")
        search.fill(text)
        search.scroll_into_view_if_needed()
        expect(report.get_by_role("status").filter(has_text="1 to 1 of 1 order")).to_be_visible()
        rows = report.locator("table.orders tbody tr")
        expect(rows).to_contain_text([text])
        rows.scroll_into_view_if_needed()
        return rows.all_inner_texts()

    def replay(self, report):
        """Press the button, and return the id of the run that it has triggered."""
        report.get_by_role("button", name="Send failed orders again").click()
        trigger = report.get_by_role("button", name="Trigger")
        # the window loads the newest state first
        expect(trigger).to_be_enabled()
        self.picture("sync-report-replay")
        trigger.click()
        link = report.locator("dialog .note.success a")
        expect(link).to_be_visible()
        return link.inner_text()

    # pictures

    def picture(self, name, *, whole=False):
        self.page.screenshot(path=str(self.pictures / f"{name}.png"), full_page=whole, animations="disabled")

    def appearance(self, theme, width_and_height):
        """Choose light or dark as Airflow keeps it, and the size of the window; a page that is open is loaded again."""
        self.page.set_viewport_size(size(width_and_height))
        self.page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        self.page.reload(wait_until="domcontentloaded")

    def choose_zone(self, zone):
        """Choose a time zone as Airflow's page does: other windows and frames get an event."""
        self.page.evaluate("zone => localStorage.setItem('timezone', JSON.stringify(zone))", zone)

    def token(self):
        """Return the login, for Airflow's API."""
        cookies = {one["name"]: one["value"] for one in self.page.context.cookies()}
        kept = self.page.evaluate("localStorage.getItem('token')")
        return cookies.get("_token") or json.loads(kept)
