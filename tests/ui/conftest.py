"""The product in a real browser: everything that ``make ui`` starts, once, and the means to look at it.

A test that needs something to have happened asks for it by name: each act of the story is a fixture of the module.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from crossaccount.stage import processes, ui

BUSY = 503  # what Prefect's server answers while SQLite is written to: ask again
SECONDS = 300  # for whatever a machine under load is waited for
SETTINGS = {
    "PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS": "1",  # up to 30 for a lock
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",  # it is a copy of one that has been
}
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def until(what: str, look: Callable[[], Any]) -> Any:
    """What looking finds, as soon as it finds something."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.3)
    raise AssertionError(f"not within {SECONDS} s: {what}")


@dataclass
class World:
    """A running product: where it is, what the sandbox and the Prefect server know."""

    found: dict[str, Any]
    folder: Path
    calls: Path
    credentials: Path
    _ids: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """What the Prefect server's API answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.found["api"] + path, data, {"Content-Type": "application/json"}, method=method
        )

        def look() -> Any:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return [json.loads(answer.read() or "null")]
            except urllib.error.HTTPError as error:
                if error.code != BUSY:
                    raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from None
                return None

        return until(path, look)[0]

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        """What looking finds, as soon as it finds something."""
        return until(what, look)

    def deployment(self, name: str) -> str:
        """The id of a deployment, by FLOW/NAME."""
        if name not in self._ids:
            self._ids[name] = self.ask(f"/deployments/name/{name}")["id"]
        return self._ids[name]

    def start(self, name: str, parameters: dict[str, Any], **more: Any) -> str:
        """Start a run of a deployment, and give its id."""
        path = f"/deployments/{self.deployment(name)}/create_flow_run"
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}, **more}
        return str(self.ask(path, body)["id"])

    def ended(self, run: str) -> dict[str, Any]:
        """A flow run, once it has ended."""

        def look() -> Any:
            found = self.ask(f"/flow_runs/{run}")
            return found if found["state_type"] in ENDED else None

        return dict(until(f"the end of flow run {run}", look))

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Every flow run of a deployment."""
        wanted = {"deployments": {"id": {"any_": [self.deployment(name)]}}}
        return list(self.ask("/flow_runs/filter", wanted))

    def artifacts(self, run: str) -> dict[str, str]:
        """The artifacts of a flow run, by key."""
        wanted = {"artifacts": {"flow_run_id": {"any_": [run]}}}
        return {one["key"]: str(one["data"]) for one in self.ask("/artifacts/filter", wanted)}

    def log(self, run: str) -> str:
        """What a flow run logged."""
        wanted = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200}
        return "\n".join(one["message"] for one in self.ask("/logs/filter", wanted))

    def admin(self, account: str, service: str) -> Any:
        """A client of an account's administrator."""
        key = self.found["sandbox"]["accounts"][account]
        return boto3.session.Session().client(
            service,
            region_name="us-east-1",
            endpoint_url=self.found["sandbox"]["endpoint_url"],
            aws_access_key_id=key["access_key_id"],
            aws_secret_access_key=key["secret_access_key"],
        )

    def done(self, operation: str) -> list[str]:
        """The resources of an operation's requests that AWS accepted."""
        entries = [json.loads(line) for line in self.calls.read_text().splitlines()]
        return [
            str(one["resource"]) for one in entries if one["operation"] == operation and one["status"] == 200
        ]

    def automate(self, *arguments: str) -> None:
        """Apply the automations, as `crossaccount automations` does with these arguments."""
        pool = next(iter(ui.SIDES))
        env = {k: v for k, v in self.found["env"][pool].items() if not k.startswith("AWS_")}
        ui.automate(self.folder, env, *arguments)

    def deploy(self) -> None:
        """Deploy everything again."""
        pool = next(iter(ui.SIDES))
        ui.deploy(self.folder, {k: v for k, v in self.found["env"][pool].items() if not k.startswith("AWS_")})


@pytest.fixture(scope="module")
def browser(program: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        # The UI would call others from the browser: nothing but this machine can be reached.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        arguments += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        launched = started.chromium.launch(executable_path=program, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def world(
    browser: Any, tmp_path_factory: pytest.TempPathFactory, prefect_database: Path, one_authority: Path
) -> Iterator[World]:
    folder, apart = tmp_path_factory.mktemp("ui"), tmp_path_factory.mktemp("sandbox")
    calls, credentials = apart / "calls.jsonl", apart / "credentials.jsonl"
    settings = {**SETTINGS, "PREFECT_API_SSL_CERT_FILE": str(one_authority)}
    (folder / "prefect").mkdir()
    shutil.copy(prefect_database, folder / "prefect" / "prefect.db")
    arguments = ["--endpoint-seconds", "0.2", "--log", str(calls), "--credentials-log", str(credentials)]
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PREFECT_", "AWS_"))]:
            patch.delenv(name)  # of other tests in this process
        with ui.serve(folder, processes.free_port(), lambda _: None, settings, arguments) as found:
            yield World(found, folder, calls, credentials)


@dataclass
class Page:
    """A page of the browser, and where its pictures go."""

    page: Any
    world: World
    pictures: Path

    def open_form(self, name: str) -> None:
        self.page.goto(
            f"{self.world.found['ui']}/v2/deployments/deployment/{self.world.deployment(name)}/run"
        )
        self.page.get_by_role("button", name="Submit").wait_for()

    def text(self) -> str:
        return str(self.page.locator("main").inner_text())

    def options(self, label: str) -> list[str]:
        self.page.get_by_role("button", name=f"Select {label}").click()
        found = list(self.page.get_by_role("option").all_inner_texts())
        self.page.keyboard.press("Escape")
        return found

    def submit(self) -> tuple[int, Any]:
        """The server's answer to a form that is sent; the page, which keeps asking the server, is left."""

        def look() -> Any:
            with self.page.expect_response(lambda one: "/create_flow_run" in one.url) as sent:
                self.page.get_by_role("button", name="Submit").click()
            return None if sent.value.status == BUSY else sent.value

        answer = until("an answer to the form", look)
        found = (answer.status, answer.json())
        self.page.goto("about:blank")
        return found

    def open_artifact(self, run: str, key: str) -> str:
        """The text of a flow run's artifact, by way of the run's own tab."""
        self.page.goto(f"{self.world.found['ui']}/v2/runs/flow-run/{run}")
        self.page.get_by_role("tab", name="Artifacts").click()
        self.page.get_by_role("link", name=key).first.click()
        self.page.locator("a[href*='/artifacts/artifact/']").first.click()
        self.page.wait_for_url("**/artifacts/artifact/*")
        return self._drawn()

    def open_newest(self, key: str) -> str:
        """The text of the newest artifact with a key."""
        wanted = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC", "limit": 1}
        (newest,) = self.world.ask("/artifacts/filter", wanted)
        self.page.goto(f"{self.world.found['ui']}/v2/artifacts/artifact/{newest['id']}")
        return self._drawn()

    def _drawn(self) -> str:
        """The text of an artifact's page: it is drawn again once the run is known, and its tables are away meanwhile."""

        def look() -> str | None:
            text, tables = self.text(), self.page.locator("main table").all_inner_texts()
            return text if tables and all(table and table in text for table in tables) else None

        return str(self.world.until("the page is drawn", look))

    def is_within_its_column(self) -> bool:
        """Whether no table of an artifact's page is printed over the panel beside it."""
        distances = self.page.evaluate(
            """() => {
                const leaves = [...document.querySelectorAll('main *')].filter(one => !one.children.length);
                const panel = leaves.filter(one => one.textContent.trim() === 'Key').pop();
                const left = panel.getBoundingClientRect().left;
                return [...document.querySelectorAll('table')].map(one => left - one.getBoundingClientRect().right);
            }"""
        )
        return bool(distances) and min(distances) >= 0

    def links(self) -> list[str]:
        """Where the links of the page lead."""
        found = self.page.locator("main a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
        return [str(link) for link in found]

    def picture(self, name: str) -> None:
        self.page.screenshot(path=self.pictures / f"{name}.png")


@pytest.fixture(scope="module")
def page(browser: Any, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    named = os.environ.get("UI_SCREENSHOTS")
    pictures = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    pictures.mkdir(parents=True, exist_ok=True)
    made = browser.new_page(viewport={"width": 1200, "height": 800})
    made.set_default_timeout(SECONDS * 1000)
    yield Page(made, world, pictures)
    print(f"screenshots are in {pictures}")
