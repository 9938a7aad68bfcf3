"""The deployments as data: whatever they and their schedules would run with is what the flows take.

``prefect deploy`` accepts a missing, an unknown or (in a schedule) a wrong parameter; such a run fails at night.
"""

from __future__ import annotations

import pkgutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.exceptions import ParameterTypeError, SignatureMismatchError
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron
from prefect.utilities.schema_tools.validation import validate

from crossaccount.config.loading import load_config
from crossaccount.errors import InputError
from tasks import reviewed

ROOT = Path(__file__).parents[2]
DEPLOYED: dict[str, Any] = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())
ENTRIES: list[dict[str, Any]] = DEPLOYED["deployments"]
NAMES = [entry["name"] for entry in ENTRIES]
# What only who starts a run can say.
ASKED = {"rollback": {"consumer": "staging", "reason": "tried"}, "revoke": {"consumer": "staging"}}
ASKED["move"] = {"consumer": "staging", "version": 1}
ASKED["deploy"] = {"consumer": "staging"}
# What the build step of the file gives its place, as `prefect deploy` puts it in.
PLACE, CONFIG = "{{ reviewed.config }}", "sandbox-workers.yaml"


def filled(parameters: dict[str, Any]) -> dict[str, Any]:
    return yaml.safe_load(yaml.safe_dump(parameters).replace(PLACE, CONFIG))  # type: ignore[no-any-return]


RUNS = [
    (
        entry["name"],
        filled({**entry.get("parameters", {}), **schedule.get("parameters", {})}),
        bool(schedule),
    )
    for entry in ENTRIES
    for schedule in [{}, *entry.get("schedules", [])]
]


def flow_of(name: str) -> Flow[..., Any]:
    entry = next(entry for entry in ENTRIES if entry["name"] == name)
    return load_flow_from_entrypoint(entry["entrypoint"], use_placeholder_flow=False)


@pytest.mark.parametrize(("name", "parameters", "scheduled"), RUNS, ids=[f"{n}-{s}" for n, _, s in RUNS])
def test_every_deployment_and_schedule_runs_with_what_its_flow_takes(
    name: str, parameters: dict[str, Any], scheduled: bool
) -> None:
    given = parameters if scheduled else {**parameters, **ASKED.get(name, {})}
    flow = flow_of(name)
    flow.validate_parameters(given)
    assert validate(given, flow.parameters.model_dump_for_openapi()) == []
    assert {*parameters.get("configs", ()), parameters.get("config")} - {None} <= set(reviewed.configs())


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"config": "sandbox.yaml", "unknown": 1},
        {"config": "sandbox.yaml", "version": 0},
        {"config": "sandbox.yaml", "version": "newest"},
        {"config": "../sandbox.yaml"},
        {"config": "example.yaml"},
        {"config": "sandbox.yaml", "approval_seconds": 0},
        {"config": "sandbox.yaml", "agreed": "yes"},
    ],
)
def test_what_a_flow_does_not_take_is_found(wrong: dict[str, Any]) -> None:
    flow = flow_of("promote")
    found = validate(wrong, flow.parameters.model_dump_for_openapi())
    if not found:
        with pytest.raises((ParameterTypeError, SignatureMismatchError)):
            flow.validate_parameters(wrong)


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_every_deployment_says_what_it_is_where_it_runs_and_what_becomes_of_a_collision(
    entry: dict[str, Any],
) -> None:
    side = entry["tags"][1]
    assert entry["work_pool"]["name"] == f"crossaccount-{side}"
    assert len(entry["description"]) > 40
    assert entry["version"]
    if entry["name"] != "move":  # a consumer's part: as many at once as the promotion has consumers
        assert entry["concurrency_limit"]["limit"] == 1
        assert entry["concurrency_limit"]["collision_strategy"] in ("ENQUEUE", "CANCEL_NEW")
    for schedule in entry.get("schedules", []):
        assert schedule["active"] is False, "schedules are shipped paused"
        Cron(schedule["cron"], timezone=schedule["timezone"])
        assert schedule["slug"]


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_a_config_is_named_in_no_deployment_and_no_consumer_is_preset(entry: dict[str, Any]) -> None:
    parameters = entry["parameters"]
    assert parameters.get("config", *parameters.get("configs", [])) == PLACE
    assert "consumer" not in parameters


@pytest.mark.parametrize(
    ("name", "starts_dry"),
    [(name, name in ("share", "share-groups", "revoke")) for name in NAMES],
)
def test_the_form_of_what_gives_or_takes_access_starts_as_a_dry_run(name: str, starts_dry: bool) -> None:
    entry = next(entry for entry in ENTRIES if entry["name"] == name)
    assert entry["parameters"].get("dry_run", False) is starts_dry
    assert ("Starts as a dry run." in entry["description"]) is starts_dry


def test_there_is_a_deployment_for_everything_an_operator_runs() -> None:
    assert {
        "share",
        "deploy",
        "promote",
        "revoke",
        "check-producer",
        "check-consumer",
        "rollback",
        "hand-off",
    } <= set(NAMES)
    assert len(NAMES) == len(set(NAMES))
    assert DEPLOYED["pull"] == [], "no folder of the machine that deploys is written down"


def test_the_release_that_an_event_carries_is_what_the_hand_off_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from flows import handoff
    from flows.forms import Published
    from tasks import producer

    emitted: list[dict[str, Any]] = []
    monkeypatch.setattr(
        producer, "emit_event", lambda event, **more: emitted.append({"event": event, **more})
    )
    sharing = load_config(ROOT / "configs" / "sandbox.yaml")

    class Release:
        version = 2
        model_package_arn = "arn:aws:sagemaker:us-east-1:111111111111:model-package/decision-trees-sample/2"

    producer.announce(sharing, Release())  # type: ignore[arg-type]
    (event,) = emitted
    (trigger,) = next(entry for entry in ENTRIES if entry["name"] == "hand-off")["triggers"]
    assert trigger["expect"] == [event["event"]]
    assert event["resource"]["prefect.resource.id"].startswith(
        trigger["match"]["prefect.resource.id"].rstrip("*")
    )
    release = Published.model_validate(event["payload"]["release"])
    assert release.release == "s3://producer-models-111111111111/releases/decision-trees-sample/2.json"
    given = {"config": "sandbox.yaml", "release": event["payload"]["release"]}
    assert handoff.deploy_published.validate_parameters(given)["release"] == release


def test_the_workers_config_is_the_sandbox_s_but_for_where_a_consumer_s_part_runs() -> None:
    one, other = (
        yaml.safe_load((ROOT / "configs" / name).read_text())
        for name in ("sandbox.yaml", "sandbox-workers.yaml")
    )
    for consumer in other["consumers"].values():
        consumer.pop("run_deployment", None)
    assert other == one


class TestReviewed:
    """A run of a deployment opens files of the reviewed folder and no others."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "configs").mkdir()
        for name in ("configs/models.yaml", "configs/example.yaml", "configs/notes.txt", "other.yaml"):
            (tmp_path / name).write_text("consumers: {staging: {}, late: {}}\n")
        (tmp_path / "configs" / "broken.yaml").write_text("consumers: [")
        monkeypatch.setattr(reviewed, "FOLDER", tmp_path / "configs")

    def test_they_are_listed_with_their_consumers(self) -> None:
        assert reviewed.configs() == {"broken.yaml": (), "models.yaml": ("staging", "late")}

    def test_one_of_them_is_found(self) -> None:
        assert reviewed.locate("models.yaml", deployed=True) == reviewed.FOLDER / "models.yaml"

    @pytest.mark.parametrize(
        "named",
        [
            "other.yaml",
            "../other.yaml",
            "example.yaml",
            "notes.txt",
            "./models.yaml",
            "",
            "MODELS.yaml",
            "/etc/passwd",
        ],
    )
    def test_anything_else_is_refused(self, named: str) -> None:
        with pytest.raises(Exception, match=r"is not a reviewed config.*broken\.yaml, models\.yaml"):
            reviewed.locate(named, deployed=True)

    def test_a_person_names_any_file(self, tmp_path: Path) -> None:
        assert reviewed.locate(str(tmp_path / "other.yaml"), deployed=False) == tmp_path / "other.yaml"

    def test_nothing_is_deployed_or_run_without_the_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ((step, arguments),) = DEPLOYED["build"][0].items()
        assert arguments == {"id": "reviewed"}, "where the deployments find what it gives"
        monkeypatch.setenv("CROSSACCOUNT_CONFIG", "models.yaml")
        pkgutil.resolve_name(step)()
        monkeypatch.setattr(reviewed, "FOLDER", tmp_path / "nowhere")
        assert reviewed.configs() == {}, "a person's own command needs none"
        with pytest.raises(InputError, match=r"nowhere, does not exist\. Set CROSSACCOUNT_CONFIGS"):
            reviewed.locate("models.yaml", deployed=True)
        with pytest.raises(SystemExit, match=r"^error: .*Set CROSSACCOUNT_CONFIGS"):
            pkgutil.resolve_name(step)()  # one line, where Prefect shows an error's traceback

    @pytest.mark.parametrize(
        ("files", "named", "found"),
        [
            (["one.yaml"], None, "one.yaml"),
            (["one.yaml", "example.yaml"], "", "one.yaml"),
            (["one.yaml", "two.yaml"], "two.yaml", "two.yaml"),
            (
                ["one.yaml", "two.yaml"],
                None,
                r"has 2 reviewed configs: one\.yaml, two\.yaml\. Set CROSSACCOUNT_CONFIG",
            ),
            (
                ["one.yaml"],
                "two.yaml",
                r"CROSSACCOUNT_CONFIG: 'two\.yaml' is not a reviewed config\..* has: one\.yaml\.",
            ),
            (["one.yaml"], "example.yaml", "is not a reviewed config"),
            (["example.yaml"], None, r"has no config .*Put yours there"),
        ],
    )
    def test_the_forms_open_on_the_only_config_or_on_the_one_that_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], named: str | None, found: str
    ) -> None:
        folder = tmp_path / "mine"
        folder.mkdir()
        for name in [*files, "notes.txt"]:
            (folder / name).write_text("consumers: {}\n")
        monkeypatch.setattr(reviewed, "FOLDER", folder)
        monkeypatch.delenv("CROSSACCOUNT_CONFIG", raising=False)
        if named is not None:
            monkeypatch.setenv("CROSSACCOUNT_CONFIG", named)
        if found in files:
            assert reviewed.opened() == {"config": found}
        else:
            with pytest.raises(SystemExit, match=found):
                reviewed.opened()
