"""Cannot tell is not no: access is not taken from under an account that cannot be looked into, unless it is forced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.errors import PlanRefused, Severity
from crossaccount.sharing import apply, gather, publish, revoke
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.plan import plan_share

GROUP, STAGING, NAME = "decision-trees-sample", "222222222222", "decision-trees-staging-v1"
OFTEN = {"Delay": 0.05, "MaxAttempts": 1200}
TYPO = {"consumers__staging__profile": "stagign"}
POOL = {"consumers__staging__run_deployment": "move-endpoint/move"}
OTHER_TYPO = {"consumers__production__profile": "prodution"}


@pytest.fixture(scope="module")
def endpoint(sandbox: Any) -> Iterator[Any]:
    """The sandbox with version 1 shared, and live in staging on an endpoint of the deployer's."""
    with pytest.MonkeyPatch.context() as patch, sandbox.restored():
        for name, value in sandbox.ready["env"].items():
            patch.setenv(name, value)
        sharing = load_config(sandbox.config)
        producer = open_producer(sharing)
        found = gather.gather(producer)
        plan = plan_share(sharing, found)
        apply.apply(producer, plan)
        for version in found.versions:
            publish.publish(producer, publish.prepare(producer, version, found, plan)[0])
        make(sandbox)
        yield sandbox
        sandbox.clear(["staging"])


def make(sandbox: Any) -> None:
    client = sandbox.role("staging", "crossaccount-deployer", "sagemaker")
    client.create_model(**MODEL, ExecutionRoleArn=f"arn:aws:iam::{STAGING}:role/crossaccount-execution")
    client.create_endpoint_config(**CONFIG)
    client.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    waiter = sandbox.admin("staging", "sagemaker").get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=NAME, WaiterConfig=OFTEN)


PACKAGE = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/1"
MODEL: dict[str, Any] = {"ModelName": NAME, "PrimaryContainer": {"ModelPackageName": PACKAGE}}
VARIANT = {"VariantName": "v", "ModelName": NAME, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
CONFIG: dict[str, Any] = {"EndpointConfigName": NAME, "ProductionVariants": [VARIANT]}


def without_model(sandbox: Any) -> Any:
    return _without(sandbox, "delete_model", {"ModelName": NAME})


def without_config(sandbox: Any) -> Any:
    return _without(sandbox, "delete_endpoint_config", {"EndpointConfigName": NAME})


@contextmanager
def _without(sandbox: Any, call: str, named: dict[str, str]) -> Iterator[None]:
    getattr(sandbox.admin("staging", "sagemaker"), call)(**named)
    try:
        yield
    finally:
        sandbox.clear(["staging"])
        make(sandbox)


def denied(*actions: str) -> Callable[[Any], Any]:
    return lambda sandbox: sandbox.denied("staging", "crossaccount-deployer", *actions)


def as_it_is(sandbox: Any) -> Any:
    return nullcontext()


# What is broken, how the config is edited, and what the refusal says; None where nothing stands in the way.
UNSEEN = [
    ("as it is", as_it_is, {}, f"still run on it: {NAME}"),
    ("a typo in the profile", as_it_is, TYPO, "cannot be told: consumers.staging.profile"),
    ("two pools", as_it_is, {**TYPO, **POOL}, "for example where the workers of move-endpoint/move run"),
    ("a wrong external id", as_it_is, {"consumers__staging__external_id": "other"}, "cannot be told"),
    ("endpoints may not be listed", denied("sagemaker:ListEndpoints"), {}, "sagemaker:ListEndpoints"),
    ("this one may not be described", denied("sagemaker:DescribeEndpoint"), {}, f"looked at: {NAME}"),
    ("its config may not be described", denied("sagemaker:DescribeEndpointConfig"), {}, f"looked at: {NAME}"),
    ("its model may not be described", denied("sagemaker:DescribeModel"), {}, f"looked at: {NAME}"),
    ("its model was deleted", without_model, {}, f"{NAME} (its model {NAME} was deleted)"),
    ("its config was deleted", without_config, {}, f"{NAME} (its endpoint config {NAME} was deleted)"),
    ("another's profile has a typo", as_it_is, OTHER_TYPO, f"still run on it: {NAME}"),
]


def revocation(path: Any, force: bool) -> Plan:
    sharing = load_config(path)
    return revoke.make_plan(sharing, revoke.choose(sharing, consumer="staging"), force)


def pruning(path: Any, force: bool) -> Plan:
    return gather.make_plan(load_config(path), prune=True, force=force)


@pytest.mark.parametrize("take_away", [revocation, pruning])
@pytest.mark.parametrize(
    ("broken", "edit", "said"), [row[1:] for row in UNSEEN], ids=[row[0] for row in UNSEEN]
)
def test_what_cannot_be_told_stands_in_the_way_until_it_is_forced(
    endpoint: Any, aws: Any, edited: Any, take_away: Any, broken: Any, edit: dict[str, Any], said: str
) -> None:
    # Pruned is version 1, which the config shares no more; of both consumers.
    path = edited(versions=[2] if take_away is pruning else [1, 2], **edit)
    if take_away is pruning:
        said = said.replace("still run on it: ", "no longer shared: ")
    with broken(endpoint):
        with pytest.raises(PlanRefused) as refused:
            take_away(path, force=False)
        (reason,) = [each for each in refused.value.reasons if "consumers.staging" in each]
        assert said in reason
        assert "--force" in reason
        forced = take_away(path, force=True)
    assert forced.writes
    assert [each.severity for each in forced.findings if said in str(each)] == [Severity.WARNING]


@pytest.mark.parametrize("edit", [OTHER_TYPO, {"consumers__staging": None}])
def test_who_loses_nothing_need_not_be_seen(
    endpoint: Any, aws: Any, edited: Any, edit: dict[str, Any]
) -> None:
    """The consumer is not asked that keeps what it has; an account that the config does not name has no role to ask with."""
    sharing = load_config(edited(versions=[1, 2], **edit))
    with endpoint.denied("staging", "crossaccount-deployer", "sagemaker:CreateModel"):
        plan = revoke.make_plan(sharing, revoke.choose(sharing, account="444444444444"))
    (said,) = [str(each) for each in plan.findings if "cannot be told" in each.text]
    assert "account 444444444444" in said
    assert "there is no role to look with" in said
