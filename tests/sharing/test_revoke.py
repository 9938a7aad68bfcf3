"""Taking access back: a consumer's, an account's, a version's, everyone's; not from under a live endpoint unasked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.errors import InputError, PlanRefused, Severity
from crossaccount.sharing import apply, gather, publish, revoke
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox.accounts import push_image

GROUP = "decision-trees-sample"
STAGING, PRODUCTION = "222222222222", "333333333333"
OFTEN = {"Delay": 0.05, "MaxAttempts": 1200}


def share(path: Any) -> Plan:
    sharing = load_config(path)
    producer = open_producer(sharing)
    found = gather.gather(producer)
    plan = plan_share(sharing, found)
    apply.apply(producer, plan)
    for version in found.versions:
        made, new = publish.prepare(producer, version, found, plan)
        if new:
            publish.publish(producer, made)
    return plan


def take_back(path: Any, force: bool = False, **what: Any) -> Plan:
    sharing = load_config(path)
    plan = revoke.make_plan(sharing, revoke.choose(sharing, **what), force)
    apply.apply(open_producer(sharing), plan)
    return plan


def named(aws: Any) -> set[str]:
    """The consumers' accounts that any of the producer's policies names."""
    text = json.dumps(aws.documents())
    return {account for account in (STAGING, PRODUCTION, "444444444444") if account in text}


def test_everything_leaves_what_was_there_before_and_takes_those_that_no_config_names(
    aws: Any, edited: Any
) -> None:
    before = aws.documents()
    with aws.restored():
        share(aws.config)
        only = edited(consumers__production=None)
        assert take_back(only, everything=True).writes == 4
        assert aws.documents() == before
        assert take_back(only, everything=True).writes == 0


def test_an_account_that_the_config_no_longer_names(aws: Any, edited: Any) -> None:
    with aws.restored():
        share(aws.config)
        only = edited(consumers__staging=None)
        plan = share(only)
        assert plan.writes == 0, "sharing adds, and takes nothing away"
        notes = [one for one in plan.findings if STAGING in one.text and "does not name it" in one.text]
        assert len(notes) == 4
        taken = take_back(only, account=STAGING)
        assert [
            one for one in taken.findings if one.severity is Severity.WARNING and "cannot be told" in one.text
        ]
        assert named(aws) == {PRODUCTION}
        assert not share(only).findings


def test_pruning_takes_out_whom_the_config_does_not_name(aws: Any, edited: Any) -> None:
    with aws.restored():
        share(aws.config)
        sharing = load_config(edited(consumers__staging=None))
        plan = gather.make_plan(sharing, prune=True)
        assert {name for change in plan.changes for name in change.lost} == {STAGING}
        apply.apply(open_producer(sharing), plan)
        assert named(aws) == {PRODUCTION}


def may_describe(aws: Any, account: str, version: int) -> bool:
    client = aws.role(account, "crossaccount-deployer", "sagemaker")
    arn = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/{version}"
    try:
        client.describe_model_package(ModelPackageName=arn)
    except client.exceptions.ClientError:
        return False
    return True


def test_one_version_goes_and_the_other_stays(aws: Any, edited: Any) -> None:
    path = edited(versions=[1, 2])
    with aws.restored():
        share(path)
        assert [may_describe(aws, "staging", version) for version in (1, 2)] == [True, True]
        key = aws.documents()["key"]
        take_back(path, version=2)
        assert [may_describe(aws, "staging", version) for version in (1, 2)] == [True, False]
        assert [may_describe(aws, "production", version) for version in (1, 2)] == [True, False]
        # Version 2 alone was encrypted: nobody needs the key any more, nor the folder.
        assert aws.documents()["key"] != key
        assert STAGING not in json.dumps(aws.documents()["key"])
        assert f"models/{GROUP}/2/" not in json.dumps(aws.documents()["bucket"])
        assert take_back(path, version=2).writes == 0


def test_taking_a_version_back_gives_nobody_anything(aws: Any, edited: Any) -> None:
    with aws.restored():
        share(edited(versions=[1, 2], consumers__production=None))
        take_back(edited(versions=[1, 2]), version=2)
        assert named(aws) == {STAGING}


@pytest.mark.parametrize(
    ("changes", "what", "says"),
    [
        ({}, {}, "one of --consumer"),
        ({}, {"consumer": "staging", "everything": True}, "one of --consumer"),
        ({}, {"consumer": "ghost"}, "not a consumer"),
        ({}, {"account": "12"}, "12 digits"),
        ({}, {"version": 2}, "with one statement"),
        ({"versions": [1]}, {"version": 2}, "does not share version 2"),
        ({"versions": [1]}, {"version": 1}, "the only one"),
        ({"versions": [1, 2], "preset": "aws-docs"}, {"version": 1}, "with one statement"),
        (
            {"principals": "organization", "organization": {"id": "o-sandbox0001"}},
            {"consumer": "staging"},
            "whole organization o-sandbox0001",
        ),
    ],
)
def test_what_cannot_be_taken_back_is_bad_input(
    aws: Any, edited: Any, changes: Any, what: Any, says: str
) -> None:
    with aws.calls() as calls, pytest.raises(InputError, match=says):
        take_back(edited(**changes), **what)
    assert calls == []


def test_an_organization_s_access_is_taken_back_as_a_whole(aws: Any, edited: Any) -> None:
    path = edited(principals="organization", organization={"id": "o-sandbox0001"})
    before = aws.documents()
    with aws.restored():
        share(path)
        assert may_describe(aws, "staging", 1)
        assert not may_describe(aws, "outsider", 1)
        take_back(path, everything=True)
        assert aws.documents() == before


@contextlib.contextmanager
def live(aws: Any, account: str, version: int, name: str) -> Iterator[None]:
    """An endpoint on a version of the group, made by somebody's own means."""
    client = (
        aws.role(account, "crossaccount-deployer", "sagemaker")
        if name.startswith("decision")
        else aws.admin(account, "sagemaker")
    )
    number = aws.id(account)
    client.create_model(
        ModelName=name,
        PrimaryContainer={
            "ModelPackageName": f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/{version}"
        },
        ExecutionRoleArn=f"arn:aws:iam::{number}:role/crossaccount-execution",
    )
    variant = {
        "VariantName": "v",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    admin = aws.admin(account, "sagemaker")
    admin.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=OFTEN)
    try:
        yield
    finally:
        admin.delete_endpoint(EndpointName=name)
        admin.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=OFTEN)
        admin.delete_endpoint_config(EndpointConfigName=name)
        admin.delete_model(ModelName=name)


@pytest.mark.parametrize(
    ("what", "stands"),
    [
        ({"consumer": "staging"}, True),
        ({"account": STAGING}, True),
        ({"everything": True}, True),
        ({"version": 1}, True),
        ({"version": 2}, False),
        ({"consumer": "production"}, False),
    ],
)
def test_a_live_endpoint_stands_in_the_way_of_what_it_runs_on(
    aws: Any, edited: Any, what: dict[str, Any], stands: bool
) -> None:
    path = edited(versions=[1, 2])
    with aws.restored():
        share(path)
        before = aws.documents()
        with live(aws, "staging", 1, "decision-trees-staging-v1"):
            if not stands:
                assert take_back(path, **what).writes
                return
            with pytest.raises(
                PlanRefused, match=r"still run on it: decision-trees-staging-v1\..*add --force"
            ):
                take_back(path, **what)
            assert aws.documents() == before
            plan = take_back(path, force=True, **what)
            assert [
                one for one in plan.findings if one.severity is Severity.WARNING and "still run" in one.text
            ]
            assert aws.documents() != before


def test_a_bucket_that_only_a_release_remembers_is_closed_too(aws: Any, registered: Any, edited: Any) -> None:
    """The version is gone from the registry; what it opened stands until its Release is read."""
    ecr, repository = aws.admin("producer", "ecr"), "old-image"
    ecr.create_repository(repositoryName=repository)
    push_image(ecr, repository, "1")
    iam = aws.admin("producer", "iam")
    allow = {
        "Effect": "Allow",
        "Action": "ecr:*",
        "Resource": f"arn:aws:ecr:us-east-1:111111111111:repository/{repository}",
    }
    iam.put_role_policy(
        RoleName="crossaccount-producer",
        PolicyName="old",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )
    image = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{repository}:1"
    model = f"s3://producer-models-111111111111/models/{GROUP}/1/model.tar.gz"
    try:
        with aws.restored():
            with registered(aws, Image=image, ModelDataUrl=model) as number:
                share(edited(versions=[number]))
                assert STAGING in ecr.get_repository_policy(repositoryName=repository)["policyText"]
            take_back(aws.config, everything=True)
            with pytest.raises(ecr.exceptions.RepositoryPolicyNotFoundException):
                ecr.get_repository_policy(repositoryName=repository)
    finally:
        ecr.delete_repository(repositoryName=repository, force=True)
        iam.delete_role_policy(RoleName="crossaccount-producer", PolicyName="old")
