"""The story as a person in a browser sees it, the events behind it, and the search for what must not be there.

In one file, so that everything is started once; the order of the tests is the story's.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

NAMES = (
    [os.environ["CHROMIUM"]]
    if os.environ.get("CHROMIUM")
    else ["chromium", "chromium-browser", "google-chrome"]
)
PROGRAM = next((path for name in NAMES if (path := shutil.which(name))), None)
if PROGRAM is None:
    pytest.skip(
        "no Chromium: apt-get install chromium, or name one in the environment as CHROMIUM",
        allow_module_level=True,
    )
pytest.importorskip("playwright.sync_api", reason="playwright cannot be imported")

ROOT = Path(__file__).parents[2]
CONFIG = "sandbox-workers.yaml"
BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
SHARE, REVOKE, DEPLOY, HAND_OFF = (
    "share-models/share",
    "revoke-access/revoke",
    "deploy-model/deploy",
    "deploy-published/hand-off",
)
DASHBOARD = f"crossaccount-{GROUP}"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
BUSY = 503  # what Prefect's server answers while SQLite is written to: ask again
RELEASE_PUBLISHED = "crossaccount.release.published"
# Deliveries after the first, runs that no event started, how many run at a time. With the first of each version there are
# five runs for four endpoints, four of them at once: one at least finds its work done, and one waits.
AGAIN, SCHEDULED, AT_ONCE = 2, 1, 4


@pytest.fixture(scope="module")
def program() -> str:
    """The browser to drive."""
    return str(PROGRAM)


def is_shared(world: Any) -> bool:
    """Whether the artifacts' bucket lets anyone in."""
    try:
        world.admin("producer", "s3").get_bucket_policy(Bucket=BUCKET)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        return False
    return True


def declared(world: Any) -> dict[str, Any]:
    """What deploying makes, without what changes by itself; an automation is put in the place of the one before."""
    own = {"updated", "last_polled", "status"}
    deployments = {
        one["name"]: {key: value for key, value in one.items() if key not in {*own, "schedules"}}
        | {"schedules": [(each["slug"], each["active"], each["schedule"]) for each in one["schedules"]]}
        for one in world.ask("/deployments/filter", {})
    }
    for one in deployments.values():
        (one["global_concurrency_limit"] or {}).pop("updated", None)
        (one["global_concurrency_limit"] or {}).pop("active_slots", None)
    automations = [
        {key: one[key] for key in ("name", "description", "enabled", "actions")}
        | {"trigger": {key: value for key, value in one["trigger"].items() if key != "id"}}
        for one in world.ask("/automations/filter", {})
    ]
    return {"deployments": deployments, "automations": automations}


@pytest.fixture(scope="module")
def unreviewed(world: Any) -> str:
    """A run that is given a file outside the reviewed folder, with the form's choices not enforced."""
    parameters = {"config": "../../etc/passwd", "everything": True}
    return world.start(REVOKE, parameters, enforce_parameter_schema=False)


@pytest.fixture(scope="module")
def deployed_again(world: Any) -> Iterator[tuple[dict[str, Any], Future[None]]]:
    """What was declared at first, and a second deploying, under way."""
    with ThreadPoolExecutor() as pool:
        yield declared(world), pool.submit(world.deploy)


def test_what_is_deployed_names_no_folder_of_the_machine(world: Any) -> None:
    found = world.ask("/deployments/filter", {})
    assert len(found) >= 9
    for one in found:
        assert re.fullmatch(r"flows\.\w+\.\w+", one["entrypoint"])
        assert (one["pull_steps"], one["path"]) == ([], None)
        assert str(ROOT) not in json.dumps(one)


def test_the_form_offers_what_is_reviewed_and_explains_itself(
    world: Any, page: Any, unreviewed: str, deployed_again: Any
) -> None:
    page.open_form(SHARE)
    assert page.options("config") == ["sandbox-workers.yaml", "sandbox.yaml"]
    assert page.options("consumer") == ["production", "staging"]
    for text in (
        "The reviewed file that says who is given what.",
        "Only this consumer of the file gains anything. Leave it empty for all.",
        "Show the plan and change nothing.",
    ):
        assert text in page.text()


@pytest.mark.parametrize(
    ("name", "field", "value", "pattern", "help_text"),
    [
        (SHARE, "agreed", "nonsense", "^[0-9a-f]{16}$", "The hash of the plan that was agreed to"),
        (REVOKE, "account", "12", "^[0-9]{12}$", "12 digits. The file need not name it."),
    ],
)
def test_a_wrong_value_is_refused_in_the_form(
    world: Any, page: Any, name: str, field: str, value: str, pattern: str, help_text: str
) -> None:
    before = len(world.runs(name))
    page.open_form(name)
    page.page.get_by_label(f"{field} (Optional)").fill(value)
    page.page.get_by_role("button", name="Submit").click()
    page.page.get_by_text(f"'{value}' does not match '{pattern}'", exact=True).wait_for()
    assert help_text in page.text()
    page.picture(f"refused-{field}")
    assert len(world.runs(name)) == before


@pytest.fixture(scope="module")
def dry_run(world: Any, page: Any) -> str:
    page.open_form(SHARE)  # which is one unless somebody says otherwise
    assert page.page.get_by_role("switch", name="dry_run").is_checked()
    page.picture("share-form")
    status, made = page.submit()
    assert (status, made["parameters"]["dry_run"]) == (201, True)
    return str(made["id"])


def test_a_dry_run_shows_its_plan_and_changes_nothing(world: Any, page: Any, dry_run: str) -> None:
    run = world.ended(dry_run)
    assert run["name"] == f"plan of: share {GROUP} with 222222222222, 333333333333"
    assert run["state"]["message"] == "Plan of a share: 4 of 4 policies would change. Nothing was changed."
    shown = page.open_artifact(dry_run, f"plan-{GROUP}")
    page.picture("plan")
    assert "gains access" in shown
    assert "staging (222222222222)" in shown
    assert not is_shared(world)


def test_a_file_that_is_not_reviewed_is_refused_though_the_form_does_not_enforce_it(
    world: Any, unreviewed: str
) -> None:
    run = world.ended(unreviewed)
    assert run["state_name"] == "Failed"
    assert run["state"]["message"].startswith("config: '../../etc/passwd' is not a reviewed config.")
    assert not is_shared(world)


def test_deploying_again_changes_nothing(world: Any, deployed_again: Any) -> None:
    before, deploying = deployed_again
    deploying.result()
    assert declared(world) == before
    assert sorted(one["name"] for one in before["automations"]) == [
        "crossaccount-lost-runs",
        "crossaccount-release-published",
    ]


@pytest.fixture(scope="module")
def shared(world: Any, page: Any, dry_run: str, deployed_again: Any) -> str:
    """A share, by the link of its plan, for real. From now on runs of the hand-off may go on at once: only its lock holds them apart."""
    deployed_again[1].result()
    world.ask(f"/deployments/{world.deployment(HAND_OFF)}", {"concurrency_limit": AT_ONCE}, "PATCH")
    page.open_artifact(dry_run, "summary-sandbox-workers")
    page.page.locator("main").get_by_role("link", name="Apply exactly this plan").last.click()
    page.page.get_by_role("button", name="Submit").wait_for()
    status, made = page.submit()
    assert (status, made["parameters"]["dry_run"]) == (201, False)
    assert re.fullmatch("[0-9a-f]{16}", made["parameters"]["agreed"])
    return str(made["id"])


def announced(world: Any) -> dict[str, Any]:
    """The events of the Releases that the share published, by version."""
    wanted = {"event": {"name": [RELEASE_PUBLISHED]}, "occurred": {"since": "2020-01-01T00:00:00Z"}}
    found = world.ask("/events/filter", {"filter": wanted})["events"]
    return {one["resource"]["prefect.resource.id"].rsplit(".", 1)[1]: one for one in found}


@pytest.fixture(scope="module")
def handed(world: Any, shared: str) -> list[dict[str, Any]]:
    """Every run of the hand-off, ended: the events' own, of the same event again, and of schedules that look in S3."""
    assert world.ended(shared)["state_name"] == "Completed"
    events = world.until("both events", lambda: found if len(found := announced(world)) == 2 else None)
    event = events["2"]
    again = [
        {key: event[key] for key in ("event", "resource", "payload")}
        | {"id": str(uuid.uuid4()), "occurred": datetime.now(UTC).isoformat()}
        for _ in range(AGAIN)
    ]
    world.ask("/events", again)
    for _ in range(SCHEDULED):
        world.start(HAND_OFF, {"config": CONFIG})
    wanted = 2 + AGAIN + SCHEDULED
    runs = world.until("all runs", lambda: found if len(found := world.runs(HAND_OFF)) >= wanted else None)
    return [world.ended(run["id"]) for run in runs]


def test_a_published_release_is_handed_off_by_itself(world: Any, handed: list[dict[str, Any]]) -> None:
    assert is_shared(world)
    by_event = [run for run in handed if (run["created_by"] or {}).get("type") == "AUTOMATION"]
    versions = [run["parameters"]["release"]["model_package_arn"].rsplit("/", 1)[1] for run in by_event]
    assert sorted(versions) == ["1"] + ["2"] * (1 + AGAIN)
    assert len(handed) == len(by_event) + SCHEDULED


def test_a_version_is_deployed_once_however_often_and_at_once_it_is_asked_for(
    world: Any, handed: list[dict[str, Any]]
) -> None:
    assert {run["state_name"] for run in handed} == {"Completed"}
    assert sorted(arn.rsplit("/", 1)[1] for arn in world.done("CreateEndpoint")) == [
        f"decision-trees-{consumer}-v{version}"
        for consumer in ("production", "staging")
        for version in (1, 2)
    ]
    names = " ".join(run["name"] for run in handed)  # each says whom it deployed for
    assert (names.count("staging (222222222222)"), names.count("production (333333333333)")) == (2, 2)
    late = [run for run in handed if run["name"].endswith("to nobody new")]
    assert len(late) >= len(handed) - 3
    for run in late:  # logs come after the end of a run
        world.until("the reason", lambda run=run: "was deployed by flow run" in world.log(run["id"]))
    for consumer in ("staging", "production"):
        assert world.admin(consumer, "sagemaker").list_endpoints()["Endpoints"] == []


def test_the_hand_off_s_page_shows_the_proof(world: Any, page: Any, handed: list[dict[str, Any]]) -> None:
    name = f"hand off {GROUP} version 1 to staging (222222222222), production (333333333333)"
    run = next(run for run in handed if run["name"] == name)
    shown = page.open_artifact(run["id"], "proof-decision-trees-staging-v1")
    page.picture("proof")
    assert "Verified" in shown
    assert not any("console.aws.amazon.com" in link for link in page.links()), "its endpoint is gone"
    page.page.goto(f"{world.found['ui']}/v2/runs/flow-run/{run['id']}")
    page.page.get_by_text("Completed").first.wait_for()
    assert name in page.text()
    page.picture("run")
    page.page.goto("about:blank")


@pytest.fixture(scope="module")
def before(world: Any, page: Any, handed: list[dict[str, Any]]) -> str:
    """The dashboard before the first promotion, after a check of every door."""
    page.page.set_viewport_size({"width": 1400, "height": 900})
    checked = world.ended(world.start("check-access/check-consumer", {"config": CONFIG}))
    assert checked["state"]["message"] == f"Access to {GROUP}: nothing is missing."
    shown = str(page.open_newest(DASHBOARD))
    page.picture("dashboard-before")
    return shown


SECRET = "hush-a-token-of-the-receiver"


@pytest.fixture(scope="module")
def told(world: Any, handed: list[dict[str, Any]]) -> Iterator[list[str]]:
    """What a receiver of notifications is told, from the first promotion on."""
    texts: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            texts.append(f"{self.path} {body['text']}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *of: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        world.automate("--notify-url", f"http://127.0.0.1:{server.server_port}/{SECRET}")
        yield texts
        server.shutdown()


@pytest.fixture(scope="module")
def promoted(world: Any, page: Any, before: str, told: list[str]) -> str:
    """A promotion that a person lets go on to production, with the button that says so."""
    run = world.start("promote-model/promote", {"config": CONFIG, "version": 1, "approve": True})

    def suspended() -> Any:
        found = world.ask(f"/flow_runs/{run}")
        assert found["state_type"] not in ENDED, found["state"]["message"]
        message = str((found["state"] or {}).get("message"))
        return message if found["state_name"] == "Suspended" and message.startswith("Waits") else None

    message = world.until("the question", suspended)
    assert message.endswith("stage 2 (production), version 1. Answer in the menu at the top right: Resume.")
    page.page.goto(f"{world.found['ui']}/v2/runs/flow-run/{run}")
    page.page.get_by_text("Suspended").first.wait_for()
    page.page.locator("main button[aria-haspopup=menu]").first.click()
    page.page.get_by_role("menuitem", name="Resume").click()
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_text("Promote version 1 to stage 2: production?").wait_for()
    assert dialog.bounding_box()["height"] < 800, "the answer is seen with the question"
    page.picture("approval")

    def resumed() -> bool:
        with page.page.expect_response(lambda one: one.url.endswith("/resume")) as sent:
            dialog.get_by_role("button", name="Resume").click()
        assert sent.value.ok or sent.value.status == BUSY, sent.value.text()
        return bool(sent.value.ok)

    world.until("the resumption", resumed)
    page.page.goto("about:blank")
    return run


def test_a_person_who_resumes_lets_the_promotion_go_on(world: Any, promoted: str) -> None:
    run = world.ended(promoted)
    assert run["state_name"] == "Completed"
    assert run["state"]["message"].startswith(f"Promotion of {GROUP} to version 1 succeeded")
    (endpoint,) = world.admin("production", "sagemaker").list_endpoints()["Endpoints"]
    assert endpoint["EndpointName"] == "decision-trees-production"


def test_the_dashboard_before_and_after_a_promotion(
    world: Any, page: Any, before: str, promoted: str
) -> None:
    world.ended(promoted)
    after = page.open_newest(DASHBOARD)
    page.picture("dashboard-after")
    assert (before.count("none of this group"), after.count("none of this group")) == (2, 0), before
    assert (before.count("version 1 (endpoint)"), after.count("version 1 (endpoint)")) == (0, 2), after
    assert "Last promotion: not known" in before
    assert "Last promotion: promotion of version 1: succeeded" in after
    assert "Latency over the last promotions" in after
    links = page.links()
    assert any(link.endswith("#/endpoints/decision-trees-production") for link in links)
    assert any(link.endswith(f"runs/flow-run/{promoted}") for link in links)
    assert page.is_within_its_column()


def test_the_access_is_not_printed_over_what_is_beside_it(page: Any, promoted: str) -> None:
    page.open_newest(f"access-{GROUP}")
    page.page.get_by_text("crossaccount-execution").first.wait_for(timeout=30_000)
    assert "staging (222222222222)" in page.text()
    page.picture("access")
    assert page.is_within_its_column()


@pytest.fixture(scope="module")
def refused(world: Any, promoted: str) -> dict[str, Any]:
    """A deployment after the consumer's access was taken back."""
    assert world.ended(promoted)["state_name"] == "Completed"
    taken = {"config": CONFIG, "consumer": "staging", "dry_run": False, "force": True}
    revoked = world.start(REVOKE, taken)
    assert world.ended(revoked)["state_name"] == "Completed"
    return world.ended(world.start(DEPLOY, {"config": CONFIG, "consumer": "staging"}))


def test_a_refusal_says_whose_door_is_shut_in_one_line(world: Any, refused: dict[str, Any]) -> None:
    message = refused["state"]["message"]
    assert refused["state_name"] == "Failed"
    assert "the registry door of account 111111111111 is shut" in message
    assert "\n" not in message
    assert re.search(r"Traceback|\b\w+(Error|Refused|Exception)\b", message) is None
    (artifact,) = [text for key, text in world.artifacts(refused["id"]).items() if key.startswith("refusal-")]
    assert artifact.startswith("**Account 111111111111 opens it: crossaccount share CONFIG")


def test_a_receiver_is_told_what_matters_and_the_address_stays_a_secret(
    world: Any, told: list[str], promoted: str, refused: dict[str, Any]
) -> None:
    """Promotion failed or waiting, access missing, a grant that expires, a lost host: by real runs where one can be had here."""
    failing = world.start("promote-model/promote", {"config": CONFIG, "version": 99})
    checking = world.start("check-access/check-producer", {"config": CONFIG})
    lost = world.start(DEPLOY, {"config": CONFIG, "consumer": "staging"})
    crashed = {"type": "CRASHED", "name": "Crashed", "message": "No heartbeat came any more."}
    world.ask(f"/flow_runs/{lost}/set_state", {"state": crashed, "force": True})
    text = f"{GROUP}: the grant of staging (222222222222) expires 2027-01-01 00:00Z."
    resource = {"prefect.resource.id": f"crossaccount.grant.111111111111.{GROUP}.staging"}
    grant = {"event": "crossaccount.grant.expiring", "resource": resource, "payload": {"text": text}}
    world.ask("/events", [grant | {"id": str(uuid.uuid4()), "occurred": datetime.now(UTC).isoformat()}])
    assert (world.ended(failing)["state_name"], world.ended(checking)["state_name"]) == ("Failed", "Failed")
    for begins, says in (
        ("Promotion failed: ", "99"),
        (f"{GROUP}: Waits for an answer: stage 2 (production), version 1.", "Resume"),
        (f"{GROUP}: access that the config promises is missing:", "staging: registry"),
        (text, ""),
        ("Run lost: ", "No heartbeat came any more."),
    ):
        start = f"/{SECRET} {begins}"
        world.until(
            begins,
            lambda start=start, says=says: [one for one in told if one.startswith(start) and says in one],
        )
    places = [name for name, content in kept(world).items() if SECRET.encode() in content]
    assert places == [], "the address is encrypted"
    assert sum(one.startswith(f"/{SECRET} {GROUP}: Waits") for one in told) == 1, "once"


def kept(world: Any) -> dict[str, bytes]:
    """All that Prefect, its workers and the flows have written down: each table and each file, by name."""
    found: dict[str, bytes] = {}
    with contextlib.closing(sqlite3.connect(world.folder / "prefect" / "prefect.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            rows = database.execute(f'SELECT * FROM "{name}"')  # noqa: S608 - the database's own names
            found[f"table {name}"] = b"\n".join(_bytes(value) for row in rows for value in row)
    pools = [world.folder / pool for pool in world.found["env"]]  # where the AWS profiles are: not of Prefect
    for file in world.folder.rglob("*"):
        if file.is_file() and not any(file.is_relative_to(pool) for pool in pools):
            found[str(file.relative_to(world.folder))] = file.read_bytes()
    return found


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def handed_out(world: Any) -> set[str]:
    """Every access key id, secret and session token, from the sandbox itself."""
    entries = [json.loads(line) for line in world.credentials.read_text().splitlines()]
    sessions = [one for one in entries if one["session_token"]]
    assert len(sessions) >= len(world.done("AssumeRole")) > 0
    announced = world.found["sandbox"]["accounts"].values()
    found = {str(value) for one in entries for value in one.values() if value}
    assert {one["access_key_id"] for one in announced} | {
        one["secret_access_key"] for one in announced
    } <= found
    return found


def leaks(world: Any) -> set[str]:
    """Where a credential is, as it is or as a URL or base64 has it."""
    places = kept(world)
    forms = {
        form.encode() for one in handed_out(world) for form in (one, quote(one, safe=""), *_in_base64(one))
    }
    return {name for name, content in places.items() if any(form in content for form in forms)}


def _in_base64(text: str) -> list[str]:
    """The middle of a text's base64, wherever in a longer text it stands: pickled results are kept so."""
    shifted = (base64.b64encode(b" " * shift + text.encode()).decode() for shift in range(3))
    return [one[4 : len(one) // 4 * 4 - 4] for one in shifted]


def test_no_credential_is_anywhere_in_prefect(world: Any, refused: dict[str, Any]) -> None:
    failed = {"event": {"name": ["prefect.flow-run.Failed"]}, "occurred": {"since": "2020-01-01T00:00:00Z"}}
    failed["resource"] = {"id": [f"prefect.flow-run.{refused['id']}"]}
    last = "the event of the last run's end, in the database"
    world.until(last, lambda: world.ask("/events/filter", {"filter": failed})["events"])
    places = kept(world)
    for table in ("flow_run", "task_run", "log", "artifact", "events", "flow_run_state"):
        assert GROUP.encode() in places[f"table {table}"], f"nothing of the story is in {table}"
    assert leaks(world) == set()


def test_the_search_finds_a_credential_where_there_is_one(world: Any, refused: dict[str, Any]) -> None:
    secret = world.found["sandbox"]["accounts"]["producer"]["secret_access_key"]
    made = world.ask("/variables/", {"name": "control", "value": {"of": f"<{secret}>"}})
    log = world.folder / "control.log"
    log.write_text(base64.b64encode(f"pickled {secret}.".encode()).decode())
    try:
        assert {"table variable", "control.log"} <= leaks(world)
    finally:
        log.unlink()
        world.ask(f"/variables/{made['id']}", method="DELETE")
