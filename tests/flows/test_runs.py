"""How runs show themselves: names, reasons, artifacts; and what a form may narrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.runtime import deployment

from crossaccount import arns
from crossaccount.config.loading import load_config
from crossaccount.errors import ConfigError, Failed, InputError, Refused
from flows.consumer import deploy_model
from flows.handoff import deploy_published
from flows.producer import revoke_access, share_models
from flows.promotion import promote_model
from tasks import handoff, locks

GROUP = "decision-trees-sample"
PACKAGE = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/"


def last_run() -> tuple[FlowRun, dict[str, str]]:
    """The run that began last, and its artifacts' data by key."""
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        found = client.read_artifacts(artifact_filter=of_run)
    return run, {str(one.key): str(one.data) for one in found}


def test_a_refused_run_says_so_in_one_line_and_shows_the_refusal(aws: Any) -> None:
    with pytest.raises(Refused):
        deploy_model(str(aws.config), "staging")
    run, artifacts = last_run()
    assert run.state is not None
    assert run.name == f"deploy {GROUP} to staging (222222222222)"
    message = str(run.state.message)
    assert "the registry door of account 111111111111 is shut" in message
    assert "\n" not in message
    for noise in ("Refused", "Traceback", "exception"):
        assert noise not in message
    assert "**Account 111111111111 opens it" in artifacts["refusal-sandbox"]


@pytest.fixture
def opened(aws: Any) -> Iterator[Any]:
    """The sandbox after a share, for one test: others here need it shut."""
    with aws.restored():
        share_models(str(aws.config))
        yield aws


def test_runs_are_called_what_they_do(opened: Any) -> None:
    deploy_model(str(opened.config), "staging", 1)
    run, artifacts = last_run()
    assert run.name == f"deploy {GROUP} version 1 to staging (222222222222)"
    assert "Verified" in artifacts["proof-decision-trees-staging-v1"]
    assert artifacts["None"] == "100", "the progress of the wait"


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (
            lambda path: share_models(path, dry_run=True),
            f"plan of: share {GROUP} with 222222222222, 333333333333",
        ),
        (
            lambda path: share_models(path, consumer="staging", dry_run=True),
            f"plan of: share {GROUP} with staging (222222222222)",
        ),
        (
            lambda path: revoke_access(path, "staging", dry_run=True),
            f"plan of: revoke consumer staging from {GROUP}",
        ),
        (lambda path: promote_model(path, version=1, dry_run=True), f"plan of: promote {GROUP} to version 1"),
    ],
)
def test_a_dry_run_shows_the_plan_and_changes_nothing(aws: Any, run: Any, name: str) -> None:
    before = aws.documents(), aws.releases()
    with aws.calls() as calls:
        run(str(aws.config))
    found, artifacts = last_run()
    assert found.name == name
    assert "| policy of |" in artifacts[f"plan-{GROUP}"]
    assert (aws.documents(), aws.releases()) == before
    writes = ("Put", "Set", "Create", "Update", "Delete", "AddTags", "Invoke")
    assert [one["operation"] for one in calls if one["operation"].startswith(writes)] == []


def test_one_consumer_alone_gains(aws: Any) -> None:
    with aws.restored():
        share_models(str(aws.config), consumer="staging")
        assert "333333333333" not in json.dumps(aws.documents())
        deploy_model(str(aws.config), "staging")
        with pytest.raises(Refused):
            deploy_model(str(aws.config), "production")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"consumer": "ghost"}, "not a consumer"),
        ({"consumer": "staging", "prune": True}, "consumer and prune"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_anything_is_asked(aws: Any, given: Any, says: str) -> None:
    with aws.calls() as calls, pytest.raises(InputError, match=says):
        share_models(str(aws.config), **given)
    assert calls == []


def test_an_organization_is_not_let_in_one_by_one(aws: Any, edited: Any) -> None:
    path = edited(principals="organization", organization={"id": "o-0123456789"})
    with pytest.raises(InputError, match="an organization, not consumers one by one"):
        share_models(path, consumer="staging")


@pytest.mark.parametrize(
    ("run", "named"),
    [
        (share_models, "/etc/passwd"),
        (promote_model, "../sandbox.yaml"),
        (lambda path: deploy_model(path, "staging"), "example.yaml"),
        (deploy_published, "configs/sandbox.yaml"),
    ],
)
def test_a_deployment_s_run_opens_reviewed_configs_alone(
    aws: Any, monkeypatch: pytest.MonkeyPatch, run: Any, named: str
) -> None:
    monkeypatch.setattr(deployment, "get_id", lambda: "made-up", raising=False)
    with aws.calls() as calls, pytest.raises(InputError, match="is not a reviewed config"):
        run(named)
    assert calls == []


def test_a_file_that_is_no_config_is_told_with_its_faults(aws: Any, tmp_path: Any) -> None:
    (tmp_path / "bad.yaml").write_text("consumers: {}\n")
    with pytest.raises(ConfigError):
        share_models(str(tmp_path / "bad.yaml"))
    run, _ = last_run()
    assert run.state is not None
    assert "bad.yaml" in str(run.state.message)


def test_a_share_that_cannot_publish_takes_the_policies_back_and_says_so(aws: Any) -> None:
    iam, policy = aws.admin("producer", "iam"), {"RoleName": "crossaccount-producer", "PolicyName": "frozen"}
    deny = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    with aws.restored():
        before = aws.documents()
        iam.put_role_policy(**policy, PolicyDocument=document)
        try:
            with pytest.raises(Refused) as refused:
                share_models(str(aws.config))
        finally:
            iam.delete_role_policy(**policy)
        assert aws.documents() == before
    first, *taken_back = refused.value.__notes__
    assert first == "No Release was published."
    assert len(taken_back) == 4
    assert all("is as it was before" in note for note in taken_back)


def test_one_deployment_of_a_version_in_an_account_at_a_time(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.consumer.ENDPOINT_SECONDS", 1.0)
    sharing = load_config(opened.config)
    arn = f"{arns.endpoint_arn(sharing, sharing.consumers['staging'])}-v2"
    other = pytest.raises(Failed, match=r"Other runs have been writing to .*-v2")
    with locks.writing([arn]), opened.calls() as calls, other:
        deploy_model(str(opened.config), "staging", 2)
    assert [one["operation"] for one in calls if one["operation"].startswith("Create")] == []


# The hand-off.


def published(version: int, group: str = GROUP) -> dict[str, str]:
    return {"model_package_arn": PACKAGE.replace(GROUP, group) + str(version), "release": ""}


def created(calls: list[dict[str, Any]]) -> int:
    return sum(one["operation"] == "CreateEndpoint" for one in calls)


def test_what_was_published_is_deployed_once(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handoff, "_tag", lambda *of: f"{_tag(*of)} of this test")
    with opened.calls() as calls:
        for release in (published(2), published(2), None):
            found = deploy_published(str(opened.config), "staging", release)
    assert created(calls) == 1
    assert "was deployed by flow run" in found[0].text
    with opened.calls() as calls:
        assert deploy_published(str(opened.config), "staging", published(1))[0].deployment.proof.verified  # type: ignore[union-attr]
    assert created(calls) == 1


_tag = handoff._tag


def test_a_version_that_failed_is_tried_again(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handoff, "_tag", lambda *of: f"{_tag(*of)} of a failure")
    with pytest.raises(Exception, match=r"staging \(222222222222\): .*registry door"):
        deploy_published(str(aws.config), "staging", published(2))
    _, artifacts = last_run()
    assert "refusal-staging" in artifacts
    with aws.restored():
        share_models(str(aws.config))
        assert deploy_published(str(aws.config), "staging", published(2))[0].deployment is not None


@pytest.mark.parametrize(
    ("release", "says"),
    [
        (published(2, "another-group"), "nothing to do"),
        (
            published(2).copy()
            | {"model_package_arn": PACKAGE.replace("111111111111", "444444444444") + "2"},
            "nothing to do",
        ),
        (
            published(2).copy() | {"model_package_arn": PACKAGE.replace("us-east-1", "eu-west-1") + "2"},
            "nothing to do",
        ),
    ],
)
def test_a_release_of_another_group_account_or_region_is_not_ours(aws: Any, release: Any, says: str) -> None:
    with aws.calls() as calls:
        found = deploy_published(str(aws.config), None, release)
    assert [one.text.endswith(f"{says}.") for one in found] == [True, True]
    assert calls == []


@pytest.mark.parametrize(
    "arn", ["", "arn:aws:iam::111111111111:role/x", PACKAGE + "2/../3", PACKAGE + "newest"]
)
def test_a_release_that_is_none_is_refused(aws: Any, arn: str) -> None:
    with aws.calls() as calls, pytest.raises(Exception, match="model_package_arn"):
        deploy_published(str(aws.config), "staging", {"model_package_arn": arn})
    assert calls == []


def test_a_version_that_the_config_does_not_share_is_not_deployed(aws: Any, edited: Any) -> None:
    with aws.calls() as calls, pytest.raises(InputError, match="does not share version 2"):
        deploy_published(edited(versions=[1]), "staging", published(2))
    assert calls == []


def test_without_a_release_there_is_nothing_to_do(aws: Any) -> None:
    with aws.restored():
        share_models(str(aws.config))
        for key in aws.releases():
            aws.admin("producer", "s3").delete_object(Bucket="producer-models-111111111111", Key=key)
        (found,) = deploy_published(str(aws.config), "staging")
    assert (found.version, found.deployment) == (None, None)
