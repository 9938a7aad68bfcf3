"""What a deployed role differs in, statement by statement: what lacks, what is wider, what denies."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crossaccount.setup import templates
from crossaccount.setup.differences import Deployed, differences
from crossaccount.setup.templates import Policy

GIVEN = {
    "ProducerAccount": "111111111111",
    "ModelPackageGroupName": "trees",
    "ArtifactBucket": "models",
    "ArtifactPrefix": "models/trees/",
    "ReleasesBucket": "models",
    "ReleasesPrefix": "releases/",
    "RepositoryName": "trees",
    "EndpointName": "trees",
    "ExternalId": "an-external-id",
}
PLACE = templates.Place("aws", "us-east-1", "222222222222")
EXECUTION, DEPLOYER = templates.make("consumer", GIVEN, PLACE).roles
OBJECTS = "arn:aws:s3:::models/models/trees/*"


def as_deployed(role: templates.Role) -> Deployed:
    return Deployed(role.name, copy.deepcopy(role.trust), copy.deepcopy(role.policies))


def statement(deployed: Deployed, sid: str) -> dict[str, Any]:
    every = [one for policy in deployed.policies for one in policy.document["Statement"]]
    return next(one for one in every if one["Sid"] == sid)


def without(deployed: Deployed, sid: str) -> Deployed:
    for policy in deployed.policies:
        policy.document["Statement"] = [one for one in policy.document["Statement"] if one["Sid"] != sid]
    return deployed


def with_policy(deployed: Deployed, *statements: dict[str, Any]) -> Deployed:
    own = Policy("of-ours", {"Version": "2012-10-17", "Statement": list(statements)})
    return replace(deployed, policies=(*deployed.policies, own))


def changed(sid: str, **elements: Any) -> Callable[[Deployed], Deployed]:
    def change(deployed: Deployed) -> Deployed:
        statement(deployed, sid).update(elements)
        return deployed

    return change


def trusting(**elements: Any) -> Callable[[Deployed], Deployed]:
    def change(deployed: Deployed) -> Deployed:
        deployed.trust["Statement"][0].update(elements)
        return deployed

    return change


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Sid": "Ours", "Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


Change = Callable[[Deployed], Deployed]
# What was done to the deployer's role, and the differences that are said: policy, Sid and kind of each, and words of the texts.
CASES: dict[str, tuple[Change, set[tuple[str, str]], str]] = {
    "nothing": (lambda role: role, set(), ""),
    "a statement taken out": (
        lambda role: without(role, "CheckArtifacts"),
        {("CheckArtifacts", "missing")},
        f"it must allow s3:GetObject on {OBJECTS}",
    ),
    "an action taken out": (
        changed("Models", Action=["sagemaker:CreateModel", "sagemaker:DescribeModel"]),
        {("Models", "different")},
        "it lacks sagemaker:DeleteModel on",
    ),
    "another folder": (
        changed("CheckArtifacts", Resource="arn:aws:s3:::models/models/oaks/*"),
        {("CheckArtifacts", "different")},
        f"it lacks s3:GetObject on {OBJECTS}",
    ),
    "a narrower folder": (
        changed("CheckArtifacts", Resource="arn:aws:s3:::models/models/trees/1/*"),
        {("CheckArtifacts", "different")},
        f"it lacks s3:GetObject on {OBJECTS}",
    ),
    "a condition more": (
        changed("CheckArtifacts", Condition={"Bool": {"aws:SecureTransport": "true"}}),
        {("CheckArtifacts", "different")},
        f"it lacks s3:GetObject on {OBJECTS}",
    ),
    "a wider folder": (
        changed("CheckArtifacts", Resource="arn:aws:s3:::models/*"),
        {("CheckArtifacts", "allows more")},
        "it contains what is needed, and more: s3:GetObject on arn:aws:s3:::models/*",
    ),
    "all of S3": (
        changed("CheckArtifacts", Action="S3:*", Resource="*"),
        {("CheckArtifacts", "allows more")},
        "",
    ),
    "a question mark for a letter": (
        changed("CheckArtifacts", Resource="arn:aws:s3:::models/models/tree?/*"),
        {("CheckArtifacts", "allows more")},
        "",
    ),
    "a question mark too many": (
        changed("CheckArtifacts", Resource="arn:aws:s3:::models/models/trees?/*"),
        {("CheckArtifacts", "different")},
        "",
    ),
    "a condition fewer": (
        lambda role: (statement(role, "PassExecutionRole").pop("Condition"), role)[1],
        {("PassExecutionRole", "allows more")},
        "",
    ),
    "another service to pass to": (
        changed(
            "PassExecutionRole", Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
        ),
        {("PassExecutionRole", "different")},
        "",
    ),
    "one service more to pass to": (
        changed(
            "PassExecutionRole",
            Condition={
                "StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]}
            },
        ),
        {("PassExecutionRole", "allows more")},
        "",
    ),
    "the same in another order and case": (
        changed(
            "Models", Action=["sagemaker:deletemodel", "sagemaker:DescribeModel", "sagemaker:CreateModel"]
        ),
        set(),
        "",
    ),
    "another Sid": (changed("CheckArtifacts", Sid="Mine"), set(), ""),
    "a policy more": (
        lambda role: with_policy(role, allow("logs:PutLogEvents")),
        {("Ours", "additional")},
        "allows more: logs:PutLogEvents on *",
    ),
    "what is taken out stands elsewhere": (
        lambda role: with_policy(without(role, "CheckArtifacts"), allow("s3:Get*", "arn:aws:s3:::models/*")),
        {("CheckArtifacts", "allows more"), ("Ours", "additional")},
        "",
    ),
    "an administrator with nothing of ours": (
        lambda role: replace(
            role, policies=(Policy("a", {"Version": "2012-10-17", "Statement": allow("*")}),)
        ),
        {("Ours", "additional"), ("CheckArtifacts", "allows more"), ("Models", "allows more")},
        "",
    ),
    "everything but S3": (
        lambda role: with_policy(
            without(role, "CheckArtifacts"),
            {"Sid": "Ours", "Effect": "Allow", "NotAction": "s3:*", "Resource": "*"},
        ),
        {("CheckArtifacts", "missing"), ("Ours", "additional")},
        "",
    ),
    "everything but IAM": (
        lambda role: with_policy(
            without(role, "CheckArtifacts"),
            {"Sid": "Ours", "Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
        ),
        {("CheckArtifacts", "allows more"), ("Ours", "additional")},
        "",
    ),
    "everywhere but the folder": (
        lambda role: with_policy(
            without(role, "CheckArtifacts"),
            {
                "Sid": "Ours",
                "Effect": "Allow",
                "Action": "s3:*",
                "NotResource": "arn:aws:s3:::models/models/*",
            },
        ),
        {("CheckArtifacts", "missing"), ("Ours", "additional")},
        "",
    ),
    "a Deny of what is needed": (
        lambda role: with_policy(role, deny("s3:*", "arn:aws:s3:::models/models/trees/1/*")),
        {("Ours", "denied")},
        f"denies s3:GetObject on {OBJECTS}",
    ),
    "a Deny with a condition": (
        lambda role: with_policy(role, deny("s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})),
        {("Ours", "denied")},
        "if aws:SecureTransport Bool false",
    ),
    "a Deny of all but the folder": (
        lambda role: with_policy(
            role,
            {
                "Sid": "Ours",
                "Effect": "Deny",
                "Action": "s3:GetObject",
                "NotResource": "arn:aws:s3:::models/*",
            },
        ),
        set(),
        "",
    ),
    "a Deny of what is not needed": (lambda role: with_policy(role, deny("iam:CreateUser")), set(), ""),
    "a boundary that allows all": (
        lambda role: replace(role, boundary=Policy("b", {"Statement": [allow("*")]})),
        set(),
        "",
    ),
    "a boundary without SageMaker": (
        lambda role: replace(role, boundary=Policy("b", {"Statement": [allow(["s3:*", "iam:*"])]})),
        {("Models", "denied"), ("Endpoints", "denied")},
        "permissions boundary b does not allow sagemaker:",
    ),
    "trust in another external id": (
        trusting(Condition={"StringEquals": {"sts:ExternalId": "another"}}),
        {("a statement without Sid", "different")},
        "it lets in arn:aws:iam::222222222222:root if sts:ExternalId StringEquals another; needed is",
    ),
    "trust on no condition": (
        lambda role: (role.trust["Statement"][0].pop("Condition"), role)[1],  # type: ignore[index]
        {("a statement without Sid", "allows more")},
        "arn:aws:iam::222222222222:root on no condition",
    ),
    "trust in another account": (
        trusting(Principal={"AWS": "arn:aws:iam::999999999999:root"}),
        {("a statement without Sid", "different")},
        "it lets in arn:aws:iam::999999999999:root",
    ),
    "trust in one account more": (
        trusting(Principal={"AWS": ["999999999999", "222222222222"]}),
        {("a statement without Sid", "allows more")},
        "",
    ),
    "trust in everyone": (trusting(Principal="*"), {("a statement without Sid", "allows more")}, ""),
    "the account by its number": (trusting(Principal={"AWS": "222222222222"}), set(), ""),
}


@pytest.mark.parametrize("case", CASES)
def test_a_role_is_compared_statement_by_statement(case: str) -> None:
    change, wanted, words = CASES[case]
    found = differences(DEPLOYER, change(as_deployed(DEPLOYER)))
    said = {(each.sid, str(each.kind)) for each in found}
    if "nothing of ours" in case or "boundary without" in case:  # every statement differs so, or nearly
        assert wanted <= said
        assert {kind for _, kind in said} == {kind for _, kind in wanted}
    else:
        assert said == wanted
    assert any(words in str(each) for each in found) or not words, found


@pytest.mark.parametrize("service", ["ec2.amazonaws.com", ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]])
def test_the_execution_role_must_trust_sagemaker(service: Any) -> None:
    deployed = as_deployed(EXECUTION)
    deployed.trust["Statement"][0]["Principal"] = {"Service": service}
    (found,) = differences(EXECUTION, deployed)
    assert str(found.kind) == ("different" if isinstance(service, str) else "allows more")
