"""Dead runs: the reaper takes what they left, never what a living one has; hooks take what their own run left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling, Completed, Crashed, Paused, Running

from crossaccount.cli import main as cli
from crossaccount.errors import Failed, InputError, PromotionFailed
from crossaccount.hosting.resources import KINDS
from flows.consumer import deploy_model
from flows.promotion import promote_model
from flows.reaper import Reaped, reap_leftovers
from tasks.reaper import clean_up_run

NAME = "decision-trees-staging"
KEY = "leftovers-decision-trees-sample"
PACKAGE = "arn:aws:sagemaker:us-east-1:111111111111:model-package/decision-trees-sample/2"
OURS = {"crossaccount:managed-by": "crossaccount", "crossaccount:model-package": PACKAGE}


@pytest.fixture
def aws_shared(shared: Any, aws: Any) -> Iterator[Any]:
    """The sandbox after a share; afterwards no model or endpoint config is left in it."""
    yield shared
    for account in ("staging", "production"):
        sm, hosted = shared.admin(account, "sagemaker"), shared.hosted(account)
        for name in hosted["configs"]:
            sm.delete_endpoint_config(EndpointConfigName=name)
        for name in hosted["models"]:
            sm.delete_model(ModelName=name)


@pytest.fixture
def any_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a test is as old as what the reaper takes."""
    monkeypatch.setattr("crossaccount.hosting.leftovers.YOUNGEST_MINUTES", 0)


def left(shared: Any, run: str | None, version: int, account: str = "staging") -> str:
    """The model of a run that died; its name."""
    name, role = f"decision-trees-{account}-v{version}", f"arn:aws:iam::{shared.id(account)}:role/"
    tags = {**OURS, "crossaccount:keep": "false", **({"crossaccount:flow-run": run} if run else {})}
    shared.admin(account, "sagemaker").create_model(
        ModelName=name,
        PrimaryContainer={"ModelPackageName": PACKAGE},
        ExecutionRoleArn=f"{role}crossaccount-execution",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    return name


def known(state: Any, flow: Any = deploy_model, **parameters: Any) -> FlowRun:
    """A run that the server knows, in a state."""
    with get_client(sync_client=True) as client:
        made = client.create_flow_run(flow, parameters=parameters, state=state)
        return client.read_flow_run(made.id)


def artifacts(**filters: Any) -> list[Any]:
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[KEY]), **filters)
        return client.read_artifacts(artifact_filter=wanted)


def artifacts_of(run: FlowRun) -> list[str]:
    return [one.data for one in artifacts(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))]


def outcomes(reaped: Reaped) -> dict[str, str]:
    return {fate.name: fate.outcome for one in reaped.consumers for fate in one.fates}


def hook(run: FlowRun, flow: Any = deploy_model) -> None:
    """As Prefect's runner calls it."""
    clean_up_run(flow=flow, flow_run=run, state=run.state)  # type: ignore[arg-type]


# The flow.

RUNS = [
    (lambda: None, "removed"),
    (lambda: str(uuid4()), "removed"),  # of another Prefect server
    (lambda: "no id", "removed"),
    (lambda: str(known(Crashed()).id), "removed"),
    (lambda: str(known(Completed()).id), "removed"),
    (lambda: str(known(Running()).id), "in use"),
    (lambda: str(known(Paused()).id), "in use"),
    (lambda: str(known(Cancelling()).id), "in use"),  # its hook is at it
]


def test_what_belongs_to_a_run_that_has_not_ended_is_left_alone(aws_shared: Any, any_age: None) -> None:
    runs = [make() for make, _ in RUNS]
    names = [left(aws_shared, run, number) for number, run in enumerate(runs)]
    reaped = reap_leftovers(str(aws_shared.config), older_than_minutes=0)
    assert outcomes(reaped) == {name: outcome for name, (_, outcome) in zip(names, RUNS, strict=True)}
    stays = [name for name, (_, outcome) in zip(names, RUNS, strict=True) if outcome == "in use"]
    assert sorted(aws_shared.hosted("staging")["models"]) == sorted(stays)
    assert "production (333333333333): nothing was left" in reaped.table()
    text = max(artifacts(), key=lambda one: one.created).data
    assert f"| model `{NAME}-v0` | removed |" in text
    assert "is Running |" in text


def test_what_is_young_stays_and_so_does_everything_on_a_dry_run(
    aws_shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = left(aws_shared, None, 2)
    assert outcomes(reap_leftovers(str(aws_shared.config), "staging")) == {name: "young"}
    assert outcomes(reap_leftovers(str(aws_shared.config), "staging", 90)) == {name: "young"}
    monkeypatch.setattr("crossaccount.hosting.leftovers.YOUNGEST_MINUTES", 0)
    tried = reap_leftovers(str(aws_shared.config), "staging", 0, dry_run=True)
    assert outcomes(tried) == {name: "would be removed"}
    assert tried.to_json()["dry_run"]
    assert aws_shared.hosted("staging")["models"] == [name]


@pytest.mark.parametrize(
    ("given", "says"),
    [({"older_than_minutes": 89}, "Give 90 or more"), ({"consumer": "nobody"}, "staging, production")],
)
def test_bad_input_is_refused_before_anything_is_asked(
    aws_shared: Any, given: dict[str, Any], says: str
) -> None:
    with aws_shared.calls() as calls, pytest.raises(InputError, match=says):
        reap_leftovers(str(aws_shared.config), **given)
    assert calls == []


def test_a_consumer_that_cannot_be_reached_stops_no_other_and_fails_the_run(
    aws_shared: Any, edited: Any, any_age: None
) -> None:
    mine, other = left(aws_shared, None, 2), left(aws_shared, None, 2, "production")
    path = edited(consumers__staging__external_id="wrong")
    with pytest.raises(Failed, match=r"staging \(222222222222\): .*sts:AssumeRole"):
        reap_leftovers(path, older_than_minutes=0)
    assert aws_shared.hosted("staging")["models"] == [mine]
    assert other not in aws_shared.hosted("production")["models"]


def test_what_cannot_be_removed_fails_the_run_with_a_list(aws_shared: Any, any_age: None) -> None:
    name = left(aws_shared, None, 2)
    said = rf"staging \(222222222222\): model {name}: left \(.*sagemaker:DeleteModel"
    with (
        aws_shared.denied("staging", "crossaccount-deployer", "sagemaker:DeleteModel"),
        pytest.raises(Failed, match=said),
    ):
        reap_leftovers(str(aws_shared.config), "staging", 0)
    assert "**left**" in max(artifacts(), key=lambda one: one.created).data


# The hook.


def test_a_hook_takes_what_its_own_run_left_and_nothing_else(
    aws_shared: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run = known(Crashed(), config=str(aws_shared.config), consumer="staging")
    mine, other = left(aws_shared, str(run.id), 2), left(aws_shared, str(uuid4()), 1)
    left(aws_shared, str(run.id), 2, "production")  # not this run's consumer
    hook(run)
    assert aws_shared.hosted("staging")["models"] == [other]
    assert len(aws_shared.hosted("production")["models"]) == 1
    assert f"model {mine}: removed" in caplog.text
    caplog.clear()
    hook(run)
    assert "staging (222222222222): nothing was left" in caplog.text
    assert artifacts_of(run) == []


def test_a_hook_lists_what_it_could_not_remove(aws_shared: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = known(Cancelling(), config=str(aws_shared.config), consumer="staging")
    name = left(aws_shared, str(run.id), 2)
    with aws_shared.denied("staging", "crossaccount-deployer", "sagemaker:DeleteModel"):
        hook(run)
    assert [one.levelname for one in caplog.records if f"model {name}: left" in one.message] == ["ERROR"]
    (text,) = artifacts_of(run)
    assert f"| model `{name}` | **left** |" in text
    assert "sagemaker:DeleteModel" in text


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"config": "/no/such.yaml", "consumer": "staging"}, "/no/such.yaml"),
        ({"consumer": "nobody"}, "'nobody' is not a consumer"),
        ({"edited": {"consumers__staging__external_id": "wrong"}, "consumer": "staging"}, "sts:AssumeRole"),
    ],
)
def test_a_hook_says_what_stands_in_its_way_in_a_line_and_raises_nothing(
    aws_shared: Any, edited: Any, caplog: pytest.LogCaptureFixture, parameters: dict[str, Any], says: str
) -> None:
    changes = parameters.pop("edited", {})
    run = known(Crashed(), **{"config": edited(**changes), **parameters})
    hook(run)
    (record,) = [one for one in caplog.records if says in one.message]
    assert record.levelname == "ERROR"
    assert "\n" not in record.message


def test_a_deployment_that_crashes_before_it_takes_down_is_taken_down_by_its_hook(
    aws_shared: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[dict[str, list[str]]] = []

    def die(*_: Any) -> None:
        seen.append(aws_shared.hosted("staging"))
        raise SystemExit(1)

    monkeypatch.setattr("tasks.consumer.tear_down", die)
    with pytest.raises(SystemExit):
        deploy_model(str(aws_shared.config), "staging")
    whole = {"endpoints": [f"{NAME}-v2"], "configs": [f"{NAME}-v2"], "models": [f"{NAME}-v2"]}
    assert seen == [whole]
    assert not any(aws_shared.hosted("staging").values())
    assert [f"{kind} {NAME}-v2: removed" in caplog.text for kind in KINDS[:3]] == [True] * 3


def test_the_trials_of_a_promotion_are_taken_down_by_its_hook_in_every_account(
    aws_shared: Any, edited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise Failed("The endpoint did not come up.")

    monkeypatch.setattr("crossaccount.hosting.creation.wait_in_service", fail)
    monkeypatch.setattr("crossaccount.hosting.temporary.end", lambda *_: ())
    config = edited(consumers__staging__stage=1, consumers__production__stage=1)
    with pytest.raises(PromotionFailed):
        promote_model(config)
    monkeypatch.undo()
    tags = [_run_of(aws_shared, account) for account in ("staging", "production")]
    assert tags[0] == tags[1] is not None
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(tags[0])
    assert run.flow_id is not None
    for name, value in aws_shared.ready["env"].items():
        monkeypatch.setenv(name, value)
    for hooks in (promote_model.on_crashed_hooks, promote_model.on_cancellation_hooks):
        assert [one.__name__ for one in hooks] == ["clean_up_run"]
    hook(run, promote_model)
    for account in ("staging", "production"):
        hosted = aws_shared.hosted(account)
        assert (hosted["endpoints"], hosted["configs"]) == ([], [])
        assert hosted["models"] == [f"decision-trees-{account}-v2"]  # it may be the endpoint's own next one


def _run_of(shared: Any, account: str) -> Any:
    sm, name = shared.admin(account, "sagemaker"), f"decision-trees-{account}-v2"
    arn = sm.describe_endpoint(EndpointName=name)["EndpointArn"]
    tags = {one["Key"]: one["Value"] for one in sm.list_tags(ResourceArn=arn)["Tags"]}
    return tags.get("crossaccount:flow-run")


# The command.


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--older-than", "89"], 2, "Give 90 or more"),
        (["--consumer", "nobody"], 2, "staging, production"),
        (["--consumer", "staging", "--dry-run"], 0, f"model {NAME}-v2: young"),
    ],
)
def test_the_command(
    aws_shared: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    left(aws_shared, None, 2)
    monkeypatch.setattr(
        "crossaccount.cli.prefect_server.prepare", lambda: None
    )  # it is prepared by the fixtures
    with pytest.raises(SystemExit) as ended:
        cli.main(["reap", str(aws_shared.config), *arguments])
    assert ended.value.code == code
    said = capsys.readouterr()
    assert says in said.out + said.err


def test_on_a_terminal_it_shows_what_it_would_remove_and_asks(
    aws_shared: Any, answered: Any, edited: Any
) -> None:
    run = known(Crashed())
    name = left(aws_shared, str(run.id), 2)
    words = ("reap", str(aws_shared.config), "--consumer", "staging", "--run", str(run.id))
    code, shown = answered("n", *words)
    assert (code, "Not agreed to: nothing was changed." in shown) == (1, True), shown
    assert shown.index(f"model {name}: would be removed") < shown.index("reap: make these changes? [y/N]")
    assert aws_shared.hosted("staging")["models"] == [name]
    code, shown = answered("y", *words)
    assert (code, f"model {name}: removed" in shown) == (0, True), shown
    assert aws_shared.hosted("staging")["models"] == []
    left(aws_shared, str(run.id), 2)
    unseen = edited(consumers__production__profile="gone")
    code, shown = answered("y", "reap", unseen, "--run", str(run.id))
    assert (code, "[y/N]" in shown, "Nothing was removed. With --yes" in shown) == (1, False, True), shown
    assert aws_shared.hosted("staging")["models"] == [name]
    code, shown = answered("n", "reap", unseen, "--run", str(run.id), "--yes")
    assert (code, "[y/N]" in shown) == (1, False), shown
    assert aws_shared.hosted("staging")["models"] == []


@pytest.mark.parametrize(
    ("flow", "elsewhere", "asked"),
    [
        (promote_model, ["staging"], {"production"}),
        (promote_model, ["staging", "production"], set()),
        (deploy_model, ["staging"], {"staging", "production"}),
    ],
)
def test_a_promotions_hook_leaves_to_the_hooks_of_its_parts_what_they_do(
    aws: Any, edited: Any, flow: Any, elsewhere: list[str], asked: set[str]
) -> None:
    config = edited(**{f"consumers__{name}__run_deployment": "move-endpoint/move" for name in elsewhere})
    with aws.calls() as calls:
        hook(known(Crashed(), config=config), flow)
    accounts = {aws.id(name): name for name in ("staging", "production")}
    assert {accounts[one["account"]] for one in calls if one["operation"] == "ListEndpoints"} == asked
